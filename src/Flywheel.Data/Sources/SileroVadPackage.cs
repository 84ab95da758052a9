using System.Formats.Tar;
using System.IO.Compression;
using System.Security.Cryptography;
using Flywheel.Model;

namespace Flywheel.Data;

/// <summary>
/// Silero VAD version 6 (Silero Team, MIT), as the npm package @ricky0123/vad-web 0.0.31 (ISC) brings it: 2.3 MB in 5.5 MB. A registry of
/// one's
/// own is named as for npm, by NPM_CONFIG_REGISTRY.
/// </summary>
public static class SileroVadPackage
{
    private const string Name = "silero-vad", Archive = "vad-web-0.0.31.tgz", Registry = "https://registry.npmjs.org",
        Package = "@ricky0123/vad-web/-/" + Archive;

    private const string ArchiveSha256 = "d1a211cf1a2ed26297da52cc08de79e75d79838a274bfc6de546feb1f828c940";

    private const string Entry = "package/dist/silero_vad_v6.onnx",
        EntrySha256 = "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3";

    /// <summary>Fetches it, from a mirror where there is one.</summary>
    /// <param name="home">Its sources keep the package.</param>
    /// <param name="path">The model; appears when it is whole.</param>
    /// <exception cref="FlywheelException">It cannot be fetched, or is another file.</exception>
    public static void Fetch(FlywheelHome home, string path)
    {
        string registry = Environment.GetEnvironmentVariable("NPM_CONFIG_REGISTRY") is { Length: > 0 } given ? given : Registry;
        if (!Uri.TryCreate(registry.TrimEnd('/') + "/" + Package, UriKind.Absolute, out Uri? address)
            || address.Scheme is not ("http" or "https"))
            throw new FlywheelException($"NPM_CONFIG_REGISTRY is '{registry}', expected an address such as {Registry}");
        string archive = new SourceFiles(home).TryFind(Name, Archive)
            ?? SourceDownload.Fetch(address, ArchiveSha256, Path.Combine(home.Sources, Name, Archive));
        byte[] model = Extract(archive);
        string found = Convert.ToHexStringLower(SHA256.HashData(model));
        if (found != EntrySha256)
            throw new FlywheelException(
                $"{archive}: {Entry} has the SHA-256 {found}, expected {EntrySha256}: it is another version, or damaged");
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        AtomicFile.Write(path, stream => stream.Write(model));
    }

    private static byte[] Extract(string archive)
    {
        try
        {
            using var plain = new GZipStream(File.OpenRead(archive), CompressionMode.Decompress);
            using var tar = new TarReader(plain);
            while (tar.GetNextEntry() is { } entry)
            {
                if (entry.Name != Entry || entry.DataStream is null) continue;
                var model = new MemoryStream();
                entry.DataStream.CopyTo(model);
                return model.ToArray();
            }
        }
        catch (Exception e) when (e is InvalidDataException or EndOfStreamException)
        {
            throw new FlywheelException($"{archive}: is damaged: {e.Message}; delete it and fetch it again", e);
        }
        throw new FlywheelException($"{archive}: holds no {Entry}; it is another version");
    }
}
