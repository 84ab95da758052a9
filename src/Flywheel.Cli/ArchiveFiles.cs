using System.CommandLine;
using Flywheel.Loop;
using Flywheel.Loop.Keeping;
using Flywheel.Model;
using Flywheel.Studio.Apps;

namespace Flywheel.Cli;

/// <summary>What a person or a workspace has, out and in, for the verbs <c>people</c> and <c>workspaces</c>.</summary>
internal static class ArchiveFiles
{
    public static Option<bool> Teach() =>
        new("--teach") { Description = "Models may learn from the feedback in it; without it that teaches nothing" };

    /// <summary>Writes a zip, which appears whole or not at all, and not before the audit says so.</summary>
    /// <param name="store">The record.</param>
    /// <param name="path">Where to.</param>
    /// <param name="whom">Of which user; empty: of a workspace.</param>
    /// <param name="about">What, as the audit says it: it never names anybody, so that forgetting takes them out of it.</param>
    /// <param name="said">What, as the command says it.</param>
    /// <param name="write">Writes it.</param>
    public static void Export(FlywheelStore store, string path, string whom, string about, string said, Func<Archives, Stream, Task> write)
    {
        var archives = new Archives(store, TimeProvider.System);
        // Its own thread waits for the database; nothing else hangs on this one.
        AtomicFile.Write(path, stream => WriteAsync(stream).GetAwaiter().GetResult());
        Console.WriteLine(
            $"{said} is in {Path.GetFullPath(path)} ({new FileInfo(path).Length / 1e6:N1} MB). It holds texts of people: keep it as you keep the home.");

        async Task WriteAsync(Stream stream)
        {
            await write(archives, stream);
            await store.NoteAsync(AuditAct.Export, whom, about, CancellationToken.None);
        }
    }

    /// <summary>Reads one and says what became of what is in it.</summary>
    public static async Task ImportAsync(FlywheelStore store, string path, ArchiveTarget target, CancellationToken cancellation)
    {
        IReadOnlyList<ArchiveCount> counts;
        bool isListed = await LookAsync(path, file => file.IsListed, cancellation);
        await using (FileStream file = Open(path)) counts =
            await new Archives(store, TimeProvider.System).ImportAsync(file, Path.GetFileName(path), target, cancellation);
        if (counts.Count == 0) Console.WriteLine("There was nothing in it.");
        foreach (ArchiveCount count in counts) Console.WriteLine($"  {count.Name,-13} {SaysOf(count)}");
        Console.WriteLine(isListed
            ? "Each file in it has the checksum that its manifest lists: it is whole and undamaged. Who wrote it, and whether that is true, no checksum proves."
            : "It is of a version that lists no checksums: whether anything was taken out of it cannot be told.");
        if (!target.MayTeach && counts.Any(count => count is { Name: "feedback", Imported: > 0 }))
            Console.WriteLine("No model learns from that feedback; import with --teach where the person agreed to it.");
        if (RunningServer.Find(store.Home) is { } server
            && counts.Any(count => count is { Name: "translations" or "terms", Imported: > 0 }))
            Console.WriteLine($"The server at {server.Url} finds the translations and terms from its next start on.");
    }

    /// <summary>What its directory and manifest say.</summary>
    public static async Task<T> LookAsync<T>(string path, Func<ArchiveFile, T> look, CancellationToken cancellation)
    {
        await using FileStream stream = Open(path);
        using ArchiveFile file = await ArchiveFile.OpenAsync(stream, Path.GetFileName(path), cancellation);
        return look(file);
    }

    private static FileStream Open(string path) =>
        File.Exists(path) ? File.OpenRead(path) : throw new FlywheelException($"{path}: there is no such file");

    private static string SaysOf(ArchiveCount count) => string.Join(", ", new[]
    {
        (count.Imported, "imported"), (count.Renamed, "of these under a new id, as something else here has theirs"),
        (count.Known, "here already"), (count.Stayed, "stay as they are here"),
        (count.LeftOut, "left out, as they mean nothing here"), (count.Damaged, "left out, as they are damaged and cannot be read"),
    }.Where(one => one.Item1 > 0).Select(one => $"{one.Item1} {one.Item2}"));
}
