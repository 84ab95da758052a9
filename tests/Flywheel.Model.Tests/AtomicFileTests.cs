using Flywheel.Testing;

namespace Flywheel.Model.Tests;

public sealed class AtomicFileTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private string[] Names =>
        [.. Directory.GetFileSystemEntries(_folder.Path).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];

    [Fact]
    public void Write_OverAnOldFile_ReplacesIt()
    {
        AtomicFile.WriteText(_folder["a.txt"], "old");
        AtomicFile.WriteText(_folder["a.txt"], "new");
        Assert.Equal("new", File.ReadAllText(_folder["a.txt"]));
        Assert.Equal(["a.txt"], Names);
    }

    [Fact]
    public void Write_FailsHalfWay_LeavesTheOldFileAlone()
    {
        AtomicFile.WriteText(_folder["a.txt"], "old");
        Assert.Throws<TimeoutException>(() => AtomicFile.Write(_folder["a.txt"], stream =>
        {
            stream.Write(new byte[100_000]);
            throw new TimeoutException();
        }));
        Assert.Equal("old", File.ReadAllText(_folder["a.txt"]));
        Assert.Equal(["a.txt"], Names);
    }

    [Fact]
    public void Write_DiskFull_SaysSoAndLeavesNothing()
    {
        if (!File.Exists("/dev/full")) Assert.Skip("needs /dev/full");
        string message = Assert.Throws<FlywheelException>(() => AtomicFile.Write(_folder["a.txt"], _ => WriteToFullDisk())).Message;
        Assert.Contains("no space left", message);
        Assert.Contains("a.txt", message);
        Assert.Empty(Names);
    }

    [Fact]
    public void WriteFolder_DiskFull_SaysSoAndLeavesNothing()
    {
        if (!File.Exists("/dev/full")) Assert.Skip("needs /dev/full");
        Assert.Contains("no space left", Assert.Throws<FlywheelException>(() => AtomicFile.WriteFolder(_folder["model"], folder =>
        {
            File.WriteAllText(Path.Combine(folder, "first.txt"), "1");
            WriteToFullDisk();
        })).Message);
        Assert.Empty(Names);
    }

    private static void WriteToFullDisk()
    {
        using var stream = new FileStream("/dev/full", FileMode.Open, FileAccess.Write, FileShare.ReadWrite, 0);
        stream.Write(new byte[10]);
    }

    [Fact]
    public void WriteFolder_Filled_AppearsWhole()
    {
        AtomicFile.WriteFolder(_folder["model"], folder =>
        {
            Directory.CreateDirectory(Path.Combine(folder, "inner"));
            File.WriteAllText(Path.Combine(folder, "inner", "a.txt"), "1");
            Assert.False(Directory.Exists(_folder["model"]));
        });
        Assert.Equal("1", File.ReadAllText(Path.Combine(_folder["model"], "inner", "a.txt")));
        Assert.Equal(["model"], Names);
    }

    [Fact]
    public void WriteFolder_AlreadyThere_KeepsTheFirst()
    {
        for (int i = 0; i < 2; i++)
            AtomicFile.WriteFolder(_folder["model"], folder => File.WriteAllText(Path.Combine(folder, "a.txt"), $"{i}"));
        Assert.Equal("0", File.ReadAllText(Path.Combine(_folder["model"], "a.txt")));
        Assert.Equal(["model"], Names);
    }

    [Fact]
    public void WriteFolder_Fails_LeavesNothing()
    {
        Assert.Throws<TimeoutException>(() => AtomicFile.WriteFolder(_folder["model"], folder =>
        {
            File.WriteAllText(Path.Combine(folder, "a.txt"), "1");
            throw new TimeoutException();
        }));
        Assert.Empty(Names);
    }

    [Fact]
    public void WriteFolder_ManyAtOnce_OneWinsAndAllSucceed()
    {
        Parallel.For(0, 16,
            i => AtomicFile.WriteFolder(_folder["model"], folder => File.WriteAllText(Path.Combine(folder, "a.txt"), "same")));
        Assert.Equal("same", File.ReadAllText(Path.Combine(_folder["model"], "a.txt")));
        Assert.Equal(["model"], Names);
    }
}
