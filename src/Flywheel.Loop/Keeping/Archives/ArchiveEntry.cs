using System.IO.Compression;
using System.Security.Cryptography;
using ICSharpCode.SharpZipLib.Checksum;

namespace Flywheel.Loop.Keeping;

/// <summary>What an entry of an archive unpacks to, compared with the length and the sum that the zip gives for it, and with the SHA-256
/// that the manifest lists.</summary>
/// <param name="stream">Unpacks it.</param>
/// <param name="entry">As the zip's directory has it.</param>
/// <param name="listed">Of the manifest, in hexadecimal; null: it lists none.</param>
internal sealed class ArchiveEntry(Stream stream, ZipArchiveEntry entry, string? listed) : IAsyncDisposable
{
    private readonly Crc32 _sum = new();
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private long _length;

    /// <exception cref="InvalidDataException">It is not what was packed.</exception>
    public async ValueTask<int> ReadAsync(byte[] piece, CancellationToken cancellation)
    {
        int read = await stream.ReadAsync(piece, cancellation);
        _length += read;
        _sum.Update(new ArraySegment<byte>(piece, 0, read));
        _hash.AppendData(piece, 0, read);
        if (_length > entry.Length || (read == 0 && (_length, _sum.Value) != (entry.Length, entry.Crc32)))
            throw new InvalidDataException("it is not what was packed: its length or its checksum is another");
        if (read == 0 && listed is not null && Convert.ToHexStringLower(_hash.GetCurrentHash()) is var found && found != listed)
            throw new InvalidDataException($"its SHA-256 is {found}, expected {listed}, as {ArchiveManifest.Entry} lists");
        return read;
    }

    public ValueTask DisposeAsync()
    {
        _hash.Dispose();
        return stream.DisposeAsync();
    }
}
