using Flywheel.Testing;

namespace Flywheel.Model.Tests;

/// <summary>Memory that is free, as the kernel's files tell it.</summary>
public sealed class MachineMemoryTests : IDisposable
{
    private const long MiB = 1 << 20;

    private readonly TempFolder _root = new();

    public MachineMemoryTests() =>
        Write("proc/meminfo", "MemTotal:       16777216 kB\nMemFree:         1048576 kB\nMemAvailable:    8388608 kB\n");

    public void Dispose() => _root.Dispose();

    [Fact]
    public void Available_NoGroup_IsTheMachines() => Assert.Equal(8192 * MiB, MachineMemory.AvailableBytes(_root.Path));

    [Fact]
    public void Available_NothingSaid_IsUnknown()
    {
        File.Delete(_root["proc/meminfo"]);
        Assert.Null(MachineMemory.AvailableBytes(_root.Path));
    }

    [Fact]
    public void Available_GroupOfVersion2_IsItsLimitLessWhatIsUsed()
    {
        Write("proc/self/cgroup", "0::/app/server\n");
        Group("sys/fs/cgroup/app/server", "max", 900 * MiB, 0);
        Group("sys/fs/cgroup/app", $"{1000 * MiB}", 900 * MiB, 300 * MiB); // the one around it has the limit
        Assert.Equal(400 * MiB, MachineMemory.AvailableBytes(_root.Path));
        Group("sys/fs/cgroup/app/server", $"{950 * MiB}", 900 * MiB, 0);
        Assert.Equal(50 * MiB, MachineMemory.AvailableBytes(_root.Path));
    }

    [Fact]
    public void Available_ContainerWithItsOwnRoot_IsTheMountsLimit()
    {
        Write("proc/self/cgroup", "0::/../../elsewhere\n");
        Group("sys/fs/cgroup", $"{512 * MiB}", 100 * MiB, 0);
        Assert.Equal(412 * MiB, MachineMemory.AvailableBytes(_root.Path));
    }

    [Fact]
    public void Available_GroupOfVersion1_IsItsLimitLessWhatIsUsed()
    {
        Write("proc/self/cgroup", "9:name=systemd:/\n4:cpu,memory:/docker/abc\n0::/\n");
        Write("sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", $"{300 * MiB}\n");
        Write("sys/fs/cgroup/memory/docker/abc/memory.usage_in_bytes", $"{310 * MiB}\n"); // kernel memory may stand above it
        Write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
        Write("sys/fs/cgroup/memory/memory.usage_in_bytes", $"{5000 * MiB}\n");
        Assert.Equal(0, MachineMemory.AvailableBytes(_root.Path));
        Write("sys/fs/cgroup/memory/docker/abc/memory.stat", $"inactive_file 1\ntotal_inactive_file {60 * MiB}\n");
        Assert.Equal(50 * MiB, MachineMemory.AvailableBytes(_root.Path));
    }

    [Fact]
    public void Available_ThisMachine_IsPositiveAndAtMostAllOfIt() =>
        Assert.InRange(MachineMemory.AvailableBytes(), 1, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes);

    private void Group(string folder, string limit, long usage, long inactive)
    {
        Write($"{folder}/memory.max", limit + "\n");
        Write($"{folder}/memory.current", $"{usage}\n");
        Write($"{folder}/memory.stat", $"anon 1\ninactive_file {inactive}\n");
    }

    private void Write(string file, string text)
    {
        string path = _root[file];
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, text);
    }
}
