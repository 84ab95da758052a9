using System.IO.Compression;
using System.Security.Cryptography;

namespace Flywheel.Loop.Keeping;

/// <summary>An archive while it is written: what its manifest lists is what went in.</summary>
/// <param name="zip">Where to.</param>
public sealed class ArchiveWriter(ZipArchive zip)
{
    private readonly SortedDictionary<string, string> _files = new(StringComparer.Ordinal);

    /// <summary>Of each file so far its SHA-256, in hexadecimal.</summary>
    internal IReadOnlyDictionary<string, string> Files => _files;

    /// <summary>Adds a file.</summary>
    /// <param name="name">In the zip.</param>
    /// <param name="level">How much it is packed.</param>
    /// <param name="write">Writes what is in it.</param>
    /// <param name="cancellation">Stops it.</param>
    public async Task AddAsync(string name, CompressionLevel level, Func<Stream, Task> write, CancellationToken cancellation)
    {
        using var sum = SHA256.Create();
        await using (Stream to = await zip.CreateEntry(name, level).OpenAsync(cancellation))
        await using (var through = new CryptoStream(to, sum, CryptoStreamMode.Write)) await write(through);
        _files.Add(name, Convert.ToHexStringLower(sum.Hash!));
    }
}
