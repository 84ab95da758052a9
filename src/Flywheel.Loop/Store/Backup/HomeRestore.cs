using System.Globalization;
using System.IO.Compression;
using Flywheel.Model;
using Microsoft.Data.Sqlite;

namespace Flywheel.Loop;

/// <summary>Makes a home of a backup. Everything is unpacked and checked beside the home first; then it takes its place at once.</summary>
public static class HomeRestore
{
    /// <param name="file">What <see cref="HomeBackup"/> made.</param>
    /// <param name="home">Where to.</param>
    /// <param name="replace">The home may hold something: that is moved aside, not removed.</param>
    /// <param name="time">Names what is moved aside.</param>
    /// <param name="cancellation">Ends it; the home is as it was.</param>
    /// <returns>What is in it now, and where the old home lies, if there was one.</returns>
    /// <exception cref="FlywheelException">A server runs on the home, it is not empty, or the backup is damaged; the home is as it
    /// was.</exception>
    public static async Task<(BackupManifest Manifest, string? MovedTo)> ReadAsync(
        string file, FlywheelHome home, bool replace = false, TimeProvider? time = null, CancellationToken cancellation = default)
    {
        if (!File.Exists(file)) throw new FlywheelException($"{file}: no such file; expected one that ./flywheel backup made");
        RefuseUnlessFree(home, replace);
        string unpacked = $"{home.Path}.restored-{Guid.NewGuid():N}";
        try
        {
            BackupManifest manifest = Unpack(file, unpacked, cancellation);
            var inner = new FlywheelHome(unpacked, "");
            bool hasRecord = manifest.Files.Any(listed => listed.Path == Path.GetFileName(inner.Database)); // else it is a server's
            if (hasRecord) SqliteSnapshot.Check(inner.Database, file);
            // brought up to date, or refused as too new
            if (hasRecord) await (await FlywheelStore.OpenAsync(inner, time, cancellation)).DisposeAsync();
            SqliteConnection.ClearAllPools();

            RefuseUnlessFree(home, replace); // unpacking has taken its time
            string? aside = null;
            if (Directory.Exists(home.Path))
            {
                if (Used(home).Any())
                {
                    aside = $"{home.Path}.before-{(time ?? TimeProvider.System).GetUtcNow().ToString("yyyyMMdd-HHmmss", CultureInfo.InvariantCulture)}";
                    Directory.Move(home.Path, aside);
                }
                else Directory.Delete(home.Path, recursive: true);
            }
            Directory.Move(unpacked, home.Path);
            return (manifest, aside);
        }
        catch (InvalidDataException e)
        {
            throw new FlywheelException($"{file} is not a backup, or is damaged: {e.Message}", e);
        }
        catch (IOException e) when (e is not FileNotFoundException)
        {
            throw new FlywheelException($"{file} was not restored: {e.Message}", e);
        }
        finally
        {
            if (Directory.Exists(unpacked)) Directory.Delete(unpacked, recursive: true);
        }
    }

    /// <summary>What a person should know whose record moved between a database server and the home; null where it did not.</summary>
    /// <param name="manifest">What was restored.</param>
    /// <param name="before">The home as it was opened before.</param>
    /// <param name="after">The same, opened after.</param>
    public static string? WarningOf(BackupManifest manifest, FlywheelHome before, FlywheelHome after)
    {
        string record = Path.GetFileName(after.Database);
        if (manifest.Files.All(listed => listed.Path != record)) return null;
        if (after.Server is not null)
            return $"the record of the backup is the file {record}, and it is not used: this home keeps its record in a PostgreSQL database, as FLYWHEEL_DATABASE or {Path.GetFileName(after.ServerFile)} says; "
                + $"without either, {record} is";
        return before.Server is null
            ? null : $"the home kept its record in a PostgreSQL database before, and keeps it in its file {record} from now on; what is in that database stays there";
    }

    private static void RefuseUnlessFree(FlywheelHome home, bool replace)
    {
        if (RunningServer.Find(home) is { } server)
            throw new FlywheelException($"a server runs on {home.Path} at {server.Url} (process {server.Pid}); stop it first");
        if (!Directory.Exists(home.Path)) return;
        if (!replace && Used(home).FirstOrDefault() is { } found)
            throw new FlywheelException(
                $"{home.Path} is not empty ({Path.GetFileName(found)}); --replace moves it aside, or give another home with FLYWHEEL_HOME");
        RunningServer.ClaimHome(home).Dispose(); // a server that is only starting has the home, too
    }

    private static IEnumerable<string> Used(FlywheelHome home) =>
        Directory.EnumerateFileSystemEntries(home.Path).Where(path => Path.GetFileName(path) is not "server.lock");

    private static BackupManifest Unpack(string file, string folder, CancellationToken cancellation)
    {
        using ZipArchive zip = ZipFile.OpenRead(file);
        ZipArchiveEntry entry = zip.GetEntry(BackupManifest.Entry)
            ?? throw new FlywheelException($"{file} holds no {BackupManifest.Entry}; expected a file that ./flywheel backup made");
        using var reader = new StreamReader(entry.Open());
        BackupManifest manifest = BackupManifest.Parse(reader.ReadToEnd(), file);
        foreach (BackedUpFile listed in manifest.Files)
        {
            cancellation.ThrowIfCancellationRequested();
            ZipArchiveEntry packed = zip.GetEntry(listed.Path)
                ?? throw new FlywheelException($"{file} is damaged: {listed.Path} is missing");
            string path = Path.Combine(folder, listed.Path);
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            using Stream from = packed.Open();
            using FileStream to = File.Create(path);
            (long bytes, string hash) = HomeBackup.Copy(from, to);
            if (bytes != listed.Bytes || hash != listed.Sha256)
                throw new FlywheelException(
                    $"{file} is damaged: {listed.Path} has {bytes} bytes with SHA-256 {hash}, expected {listed.Bytes} with {listed.Sha256}");
            to.Flush(flushToDisk: true);
        }
        return manifest;
    }
}
