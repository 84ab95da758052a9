using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using Flywheel.Model;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop;

/// <summary>
/// A home in one file: the database as it was at one moment, and the folders that it names. It is a ZIP file with a checksum of each
/// file inside. It may be made while a server runs: what is named by its content does not change, and the database is copied first, so
/// whatever it names is on disk already.
/// </summary>
public static class HomeBackup
{
    /// <summary>Can be fetched or made again.</summary>
    private static readonly string[] s_leftOut = ["cache", "sources"];

    private static readonly string[] s_incompressible = [".safetensors", ".gguf", ".bin", ".png", ".zip", ".gz", ".mp3", ".opus", ".flac"];

    /// <param name="home">What to back up.</param>
    /// <param name="file">Where to; made whole or not at all.</param>
    /// <param name="time">When.</param>
    /// <param name="progress">Told of each file.</param>
    /// <param name="cancellation">Ends it; nothing remains.</param>
    /// <exception cref="FlywheelException">The home is empty, the file is there already, or the disk is full.</exception>
    public static async Task<BackupManifest> WriteAsync(FlywheelHome home, string file, TimeProvider? time = null,
        Action<string>? progress = null, CancellationToken cancellation = default)
    {
        if (!home.HasRecord)
            throw new FlywheelException($"{home.Path} holds no record ({Path.GetFileName(home.Database)}); there is nothing to back up");
        if (Path.Exists(file)) throw new FlywheelException($"{file} is there already; move it away or give another name");
        string snapshot = Path.Combine(home.Cache, $"snapshot-{Guid.NewGuid():N}.db");
        try
        {
            if (home.Server is null) SqliteSnapshot.Take(home.Database, snapshot);
            (List<(string Path, string Name)> files, List<string> missing) = await ListAsync(home, snapshot, cancellation);
            BackupManifest? manifest = null;
            AtomicFile.Write(file, stream =>
            {
                if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(((FileStream)stream).Name,
                    UnixFileMode.UserRead | UnixFileMode.UserWrite); // people's texts
                using var zip = new ZipArchive(stream, ZipArchiveMode.Create, leaveOpen: true);
                List<BackedUpFile> written = [];
                foreach ((string path, string name) in files)
                {
                    cancellation.ThrowIfCancellationRequested();
                    progress?.Invoke(name);
                    if (Add(zip, path, name) is { } added) written.Add(added);
                    else missing.Add(name);
                }
                manifest = new(BackupManifest.CurrentFormat, (time ?? TimeProvider.System).GetUtcNow(), written, missing);
                using Stream entry = zip.CreateEntry(BackupManifest.Entry).Open();
                entry.Write(Encoding.UTF8.GetBytes(manifest.ToJson()));
            });
            return manifest!;
        }
        finally
        {
            File.Delete(snapshot);
        }
    }

    /// <summary>The files and their names in the backup. A model from elsewhere is taken into it, and the snapshot says so.</summary>
    private static async Task<(List<(string, string)> Files, List<string> Missing)> ListAsync(FlywheelHome home, string snapshot,
        CancellationToken cancellation)
    {
        List<(string Path, string Name)> files = [];
        List<string> missing = [];
        if (home.Server is null) files.Add((snapshot, Path.GetFileName(home.Database)));
        else missing.Add("the record, which is in PostgreSQL: back it up with pg_dump, before or after this, and restore both");
        // A server's record is only read: where models lie in the backup is found by their hashes.
        await using FlywheelStore? shared = home.Server is null ? null : await FlywheelStore.OpenAsync(home, cancellation: cancellation);
        await using FlywheelDb db = shared?.AllTables() ?? new FlywheelDb(SqliteDatabase.Options(snapshot));
        HashSet<string> runs = [.. await db.Runs.Select(run => run.Dataset).ToListAsync(cancellation)];
        foreach (ModelRow model in await db.Models.ToListAsync(cancellation))
        {
            string folder = shared?.FolderOf(model) ?? Path.GetFullPath(model.Path, home.Path);
            if (!Directory.Exists(folder)) missing.Add($"model {model.ShortHash} ({model.Path})");
            else if (Inside(home, folder) is null)
            {
                model.Path = $"models/{model.ShortHash}";
                if (!Directory.Exists(Path.Combine(home.Path, model.Path))) files.AddRange(Files(folder)
                    .Select(path => (path, $"{model.Path}/{Slashes(Path.GetRelativePath(folder, path))}")));
            }
        }
        if (shared is null)
        {
            await db.SaveChangesAsync(cancellation);
            await db.Database.CloseConnectionAsync();
            SqliteConnection.ClearPool((SqliteConnection)db.Database.GetDbConnection());
        }

        foreach (string path in Files(home.Path))
        {
            string name = Inside(home, path)!;
            string[] parts = name.Split('/');
            bool again = s_leftOut.Contains(parts[0]) || name.StartsWith("flywheel.db", StringComparison.Ordinal)
                || parts is ["server.json"] or ["database.txt"]
                || parts.Any(part => part.EndsWith(".tmp", StringComparison.Ordinal) || part.EndsWith(".lock", StringComparison.Ordinal));
            // Tokenised data is made from sources; that of recorded runs is kept for what cannot be fetched any more.
            bool madeAgain = parts[0] == "datasets" && parts.Length > 2 && !parts[1].StartsWith("curated-", StringComparison.Ordinal)
                && !runs.Any(hash => hash.StartsWith(parts[1], StringComparison.Ordinal));
            if (!again && !madeAgain) files.Add((path, name));
        }
        return (files, missing);
    }

    /// <summary>Null when the file is gone meanwhile: something that was never named by the database, such as an old checkpoint.</summary>
    private static BackedUpFile? Add(ZipArchive zip, string path, string name)
    {
        FileStream from;
        try
        {
            from = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
        using (from)
        {
            bool stored = s_incompressible.Contains(Path.GetExtension(name), StringComparer.OrdinalIgnoreCase);
            using Stream to = zip.CreateEntry(name, stored ? CompressionLevel.NoCompression : CompressionLevel.Fastest).Open();
            (long bytes, string hash) = Copy(from, to);
            return new BackedUpFile(name, bytes, hash);
        }
    }

    /// <summary>Copies and hashes what is copied.</summary>
    internal static (long Bytes, string Sha256) Copy(Stream from, Stream to)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] buffer = new byte[1 << 18];
        long bytes = 0;
        for (int read; (read = from.Read(buffer)) > 0; bytes += read)
        {
            hash.AppendData(buffer, 0, read);
            to.Write(buffer, 0, read);
        }
        return (bytes, Convert.ToHexStringLower(hash.GetHashAndReset()));
    }

    /// <summary>A path's name in the home, or null when it is not inside.</summary>
    private static string? Inside(FlywheelHome home, string path)
    {
        string relative = Slashes(Path.GetRelativePath(home.Path, path));
        return relative == ".." || relative.StartsWith("../", StringComparison.Ordinal) || Path.IsPathRooted(relative) ? null : relative;
    }

    private static IEnumerable<string> Files(string folder) =>
        Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal);

    private static string Slashes(string path) => path.Replace('\\', '/');
}
