using System.IO.Compression;
using Flywheel.Model;
using Flywheel.Testing;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop.Tests;

public sealed class BackupTests : IDisposable
{
    private readonly TempFolder _folder = new();

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private string File1 => _folder["backup.zip"];

    public void Dispose()
    {
        SqliteConnection.ClearAllPools();
        _folder.Dispose();
    }

    [Fact]
    public async Task Backup_OfAHomeAfterATurn_RestoresAllThatTheRecordNames()
    {
        await using FlywheelStore store = await MiniLoop.CreateAsync(_folder["home"]);
        TurnOutcome outcome = await new TurnRunner(store).RunAsync(MiniLoop.Recipe(store.Home.Path), store.Home.Path, cancellation: Stop);
        ModelFolder elsewhere = MiniLoop.Champion(_folder["far"]); // a starter that lies outside the home
        await store.RegisterModelAsync(elsewhere, cancellation: Stop);
        File.WriteAllText(Path.Combine(store.Home.Cache, "again"), "x");
        File.WriteAllText(Path.Combine(Directory.CreateDirectory(_folder["home/voices"]).FullName, "take.wav"), "sound");

        BackupManifest made = await HomeBackup.WriteAsync(store.Home, File1, cancellation: Stop);
        var other = new FlywheelHome(_folder["deep/er/home"]);
        (BackupManifest read, string? aside) = await HomeRestore.ReadAsync(File1, other, cancellation: Stop);

        Assert.Null(aside);
        Assert.Equal(made.Files, read.Files);
        Assert.Empty(made.Missing);
        await using FlywheelStore restored = await FlywheelStore.OpenAsync(other, cancellation: Stop);
        Assert.Equal(await store.CountAsync(Stop), await restored.CountAsync(Stop));
        foreach (ModelRow model in await restored.ModelsAsync(Stop)) Assert.Equal(model.Hash,
            ModelFolder.Open(restored.FolderOf(model)).Hash);
        Assert.Equal(outcome.Turn.Candidate, (await restored.ChampionAsync(Stop))!.Hash);
        Assert.True(Directory.Exists(outcome.Dataset.FolderIn(other)));
        Assert.Equal("sound", File.ReadAllText(Path.Combine(other.Path, "voices", "take.wav")));
        Assert.False(File.Exists(Path.Combine(other.Cache, "again")));
        Assert.Equal(await store.SecretAsync("split", Stop), await restored.SecretAsync("split", Stop));
        Assert.Equal("dataset", (await Lineage.TraceAsync(restored, outcome.Dataset.Hash, Stop)).Kind);
    }

    [Fact]
    public async Task Restore_OfAFilesRecordWhereADatabaseServerKeptIt_IsWarnedOf()
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(_folder["home"], ""), cancellation: Stop);
        BackupManifest manifest = await HomeBackup.WriteAsync(store.Home, File1, cancellation: Stop);
        FlywheelHome file = new(_folder["other"], ""), server = new(_folder["other"], "Host=db;Database=flywheel;Password=secret");
        Assert.Null(HomeRestore.WarningOf(manifest, file, file));
        Assert.Contains("is not used", HomeRestore.WarningOf(manifest, server, server));
        Assert.Contains("stays there", HomeRestore.WarningOf(manifest, server, file));
        Assert.Null(HomeRestore.WarningOf(manifest with { Files = [] }, server, server)); // a server's backup has no record in it
    }

    /// <summary>Others write all the time: what was acknowledged before it began is in it, and every row that is in it is whole.</summary>
    [Fact]
    public async Task Backup_WhileOthersWrite_IsOneMoment()
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(_folder["home"]), cancellation: Stop);
        using var stop = new CancellationTokenSource();
        int acknowledged = 0;
        Task[] writers = [.. Enumerable.Range(0, 4).Select(_ => Task.Run(async () =>
        {
            for (int i = 0; !stop.IsCancellationRequested; i++)
            {
                Generation generation = Given.Generation(seed: i);
                await store.RecordAsync(generation);
                await store.AddFeedbackAsync(new(generation.Id, Metrics.Keep, true));
                Interlocked.Increment(ref acknowledged);
            }
        }))];
        while (Volatile.Read(ref acknowledged) < 50) await Task.Delay(5, Stop);

        int before = Volatile.Read(ref acknowledged);
        await HomeBackup.WriteAsync(store.Home, File1, cancellation: Stop);
        await stop.CancelAsync();
        await Task.WhenAll(writers);

        var other = new FlywheelHome(_folder["other"]);
        await HomeRestore.ReadAsync(File1, other, cancellation: Stop);
        await using FlywheelStore restored = await FlywheelStore.OpenAsync(other, cancellation: Stop);
        StoreCounts counts = await restored.CountAsync(Stop);
        Assert.InRange(counts.Feedback, before, acknowledged);
        Assert.True(counts.Generations >= counts.Feedback); // a feedback never without its generation, which came before it
        await using FlywheelDb db = restored.Tables();
        Assert.Equal(counts.Generations, await db.Set<GenerationPayload>().LongCountAsync(Stop));
        Assert.Equal(0, await db.Feedback.CountAsync(row => !db.Generations.Any(generation => generation.Id == row.GenerationId), Stop));
    }

    [Fact]
    public async Task Restore_OntoAHomeInUse_IsRefusedAndOntoAFullOneMovesItAside()
    {
        var home = new FlywheelHome(_folder["home"]);
        await using (FlywheelStore store = await FlywheelStore.OpenAsync(home,
            cancellation: Stop)) await store.RecordAsync(Given.Generation(), Stop);
        await HomeBackup.WriteAsync(home, File1, cancellation: Stop);
        Assert.Contains("is there already", (await Refused(() => HomeBackup.WriteAsync(home, File1, cancellation: Stop))).Message);
        await using (FlywheelStore store = await FlywheelStore.OpenAsync(home,
            cancellation: Stop)) await store.RecordAsync(Given.Generation(), Stop);

        Assert.Contains("is not empty (", (await Refused(() => HomeRestore.ReadAsync(File1, home, cancellation: Stop))).Message);
        using (RunningServer.Claim claim = RunningServer.ClaimHome(home))
        {
            Assert.Contains("a server already runs",
                (await Refused(() => HomeRestore.ReadAsync(File1, home, replace: true, cancellation: Stop))).Message);
            claim.Publish("http://127.0.0.1:1");
            Assert.Contains("a server runs on",
                (await Refused(() => HomeRestore.ReadAsync(File1, home, replace: true, cancellation: Stop))).Message);
        }

        (BackupManifest _, string? aside) = await HomeRestore.ReadAsync(File1, home, replace: true, new Given.Clock(Given.Monday), Stop);

        Assert.Equal($"{home.Path}.before-20260302-090000", aside);
        await using FlywheelStore now = await FlywheelStore.OpenAsync(home, cancellation: Stop),
            old = await FlywheelStore.OpenAsync(new FlywheelHome(aside), cancellation: Stop);
        Assert.Equal((1, 2), ((await now.CountAsync(Stop)).Generations, (await old.CountAsync(Stop)).Generations));
        Assert.Contains("no record",
            (await Refused(() => HomeBackup.WriteAsync(new FlywheelHome(_folder["none"]), _folder["b2"], cancellation: Stop))).Message);
    }

    /// <summary>A byte changed, an entry lost, a path that leads out, no backup at all: said, and nothing remains of it.</summary>
    [Fact]
    public async Task Restore_OfADamagedFile_SaysWhatAndLeavesNothing()
    {
        var home = new FlywheelHome(_folder["home"]);
        await using (FlywheelStore store = await FlywheelStore.OpenAsync(home,
            cancellation: Stop)) await store.RecordAsync(Given.Generation(), Stop);
        File.WriteAllText(Path.Combine(home.Runs, "note.bin"), new string('n', 4000)); // stored as it is
        await HomeBackup.WriteAsync(home, File1, cancellation: Stop);

        foreach ((string name, Action<string> damage, string said) in new (string, Action<string>, string)[]
        {
            ("byte", path => Flip(path, "nnnnnnnn"), "runs/note.bin"),
            ("cut", path => File.WriteAllBytes(path, File.ReadAllBytes(path)[..^500]), "is not a backup, or is damaged"),
            ("text", path => File.WriteAllText(path, "hello"), "is not a backup, or is damaged"),
            ("entry", path => Edit(path, zip => zip.GetEntry("runs/note.bin")!.Delete()), "runs/note.bin is missing"),
            ("manifest", path => Edit(path, zip => zip.GetEntry(BackupManifest.Entry)!.Delete()), "holds no backup.json"),
            ("path", path => Manifest(path, json => json.Replace("runs/note.bin", "../note.bin")), "expected a path inside the home"),
            ("hash", path => Manifest(path, json => json.Replace("\"bytes\": 4000", "\"bytes\": 4001")), "has 4000 bytes"),
            ("format", path => Manifest(path, json => json.Replace("\"format\": 1", "\"format\": 2")), "made by a newer Flywheel"),
            ("json", path => Manifest(path, json => json[..20]), "is not readable"),
        })
        {
            string path = _folder[$"{name}.zip"];
            File.Copy(File1, path);
            damage(path);
            var target = new FlywheelHome(_folder["target"]);

            Assert.Contains(said, (await Refused(() => HomeRestore.ReadAsync(path, target, cancellation: Stop))).Message);
            Assert.False(Directory.Exists(target.Path));
            Assert.Empty(Directory.EnumerateDirectories(_folder.Path, "target*"));
        }
        Assert.Contains("no such file",
            (await Refused(() =>
            HomeRestore.ReadAsync(_folder["nothing.zip"], new FlywheelHome(_folder["target"]), cancellation: Stop))).Message);

        static void Flip(string path, string found)
        {
            byte[] bytes = File.ReadAllBytes(path);
            bytes[bytes.AsSpan().IndexOf(System.Text.Encoding.ASCII.GetBytes(found)) + 100]++;
            File.WriteAllBytes(path, bytes);
        }

        static void Edit(string path, Action<ZipArchive> edit)
        {
            using ZipArchive zip = ZipFile.Open(path, ZipArchiveMode.Update);
            edit(zip);
        }

        static void Manifest(string path, Func<string, string> edit) => Edit(path, zip =>
        {
            ZipArchiveEntry entry = zip.GetEntry(BackupManifest.Entry)!;
            string json;
            using (var reader = new StreamReader(entry.Open())) json = reader.ReadToEnd();
            Assert.NotEqual(json, edit(json));
            entry.Delete();
            using var writer = new StreamWriter(zip.CreateEntry(BackupManifest.Entry).Open());
            writer.Write(edit(json));
        });
    }

    private static Task<FlywheelException> Refused(Func<Task> act) => Assert.ThrowsAsync<FlywheelException>(act);
}
