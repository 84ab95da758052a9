using System.Diagnostics;
using Flywheel.Testing;

namespace Flywheel.Model.Tests;

/// <summary>What killed writers leave goes; what living ones write stays.</summary>
public sealed class TemporaryFolderTests : IDisposable
{
    private const string ChildVariable = "FLYWHEEL_TEST_CHILD_WRITER";

    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private string[] Names =>
        [.. Directory.GetFileSystemEntries(_folder.Path).Select(path => Path.GetFileName(path)!).Order(StringComparer.Ordinal)];

    [Fact]
    public async Task WriteFolder_AfterOneThatWasKilled_TakesItsRestAway()
    {
        using Process writer = StartWriter();
        string temporary = await writer.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken) ?? "";
        while (!temporary.StartsWith(_folder.Path, StringComparison.Ordinal))
            temporary = await writer.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken)
                ?? throw new InvalidOperationException("the writer ended");
        Write("first");
        Assert.True(File.Exists(Path.Combine(temporary, "half.bin"))); // its writer lives
        Assert.Equal(3, Names.Length);

        writer.Kill(entireProcessTree: true);
        await writer.WaitForExitAsync(TestContext.Current.CancellationToken);
        Write("second");
        Assert.Equal(["first", "second"], Names);
    }

    [Fact]
    public void Write_AsTheChildOfTheKillTest()
    {
        string? parent = Environment.GetEnvironmentVariable(ChildVariable);
        if (parent is null) Assert.Skip("only the kill test starts this, in a process of its own");
        AtomicFile.WriteFolder(Path.Combine(parent, "never"), folder =>
        {
            File.WriteAllBytes(Path.Combine(folder, "half.bin"), new byte[1000]);
            using var output = new StreamWriter(Console.OpenStandardOutput());
            output.Write($"\n{folder}\n");
            output.Flush();
            Thread.Sleep(Timeout.Infinite);
        });
    }

    /// <summary>Another machine's writer may live however free its lock looks, and so may one whose number a process has.</summary>
    [Theory]
    [InlineData("elsewhere 1", 1, true)]
    [InlineData("elsewhere 1", 8, false)]
    [InlineData("HERE 1", 1, true)] // process 1 always runs
    [InlineData("HERE 99999999", 1, false)]
    [InlineData("", 1, true)]
    [InlineData("", 8, false)]
    [InlineData(null, 1, true)]
    [InlineData(null, 8, false)]
    public void WriteFolder_BesideTheRestOfAnother_TakesItWhenNobodyCanBeWritingIt(string? owner, int days, bool stays)
    {
        string rest = Directory.CreateDirectory(_folder["folder.0123456789abcdef0123456789abcdef.tmp"]).FullName,
            half = Path.Combine(rest, "half.bin");
        File.WriteAllText(half, "half");
        if (owner is not null) File.WriteAllText(rest + ".lock", owner.Replace("HERE", Environment.MachineName, StringComparison.Ordinal));
        DateTime then = DateTime.UtcNow.AddDays(-days);
        File.SetLastWriteTimeUtc(half, then);
        Directory.SetLastWriteTimeUtc(rest, then);
        Write("next");
        Assert.Equal(stays, Directory.Exists(rest));
        Assert.Equal(stays && owner is not null, File.Exists(rest + ".lock"));
    }

    [Fact]
    public void WriteFolder_BesideOldFilesOfOthers_LeavesThem()
    {
        string[] others = ["folder.tmp", "folder.abc.tmp", "mine.0123456789abcdef0123456789abcdef.tmp",
            "folder.0123456789abcdef0123456789abcdef.tmp.bak"];
        foreach (string name in others)
            Directory.SetLastWriteTimeUtc(Directory.CreateDirectory(_folder[name]).FullName, DateTime.UtcNow.AddYears(-1));
        string lonely = _folder["folder.0123456789abcdef0123456789abcdef.tmp.lock"],
            young = _folder["folder.1123456789abcdef0123456789abcdef.tmp.lock"];
        File.WriteAllText(lonely, "elsewhere 1");
        File.WriteAllText(young, "elsewhere 1"); // the folder is about to be made
        File.SetLastWriteTimeUtc(lonely, DateTime.UtcNow.AddDays(-8));
        Write("next");
        Assert.Equal(others.Append("next").Append(Path.GetFileName(young)).Order(StringComparer.Ordinal), Names);
    }

    [Fact]
    public void Create_DiskFull_SaysSoAndLeavesNothing()
    {
        using var disk = new SmallDisk(_folder["disk"], 1 << 20);
        SmallDisk.Fill(_folder["disk/ballast"]);
        string parent = Directory.CreateDirectory(_folder["disk"]).FullName;
        Assert.Contains("no space left on the disk", Assert.Throws<FlywheelException>(() => new TemporaryFolder(parent)).Message,
            StringComparison.Ordinal);
        Assert.Equal(["ballast"], Directory.GetFileSystemEntries(parent).Select(path => Path.GetFileName(path)!));
    }

    private void Write(string name) =>
        AtomicFile.WriteFolder(_folder[name], folder => File.WriteAllText(Path.Combine(folder, "a.txt"), "whole"));

    private Process StartWriter()
    {
        string[] self = Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet"
            ? [typeof(TemporaryFolderTests).Assembly.Location] : [];
        var start = new ProcessStartInfo(Environment.ProcessPath!,
            [.. self, "--filter-method", "*" + nameof(Write_AsTheChildOfTheKillTest), "--progress", "off"])
            { RedirectStandardOutput = true };
        start.Environment[ChildVariable] = _folder.Path;
        return Process.Start(start)!;
    }
}
