using System.Globalization;

namespace Flywheel.Model;

/// <summary>
/// Memory that this process may still take: of the machine (<c>MemAvailable</c>, proc(5)), and of every control group that it is in
/// (Linux' cgroup v1 and v2: limit less usage, where file pages that nobody used lately count as free).
/// </summary>
public static class MachineMemory
{
    private static readonly (string Mount, string Controller, string Limit, string Usage, string Inactive)[] s_versions =
    [
        ("sys/fs/cgroup", "", "memory.max", "memory.current", "inactive_file"),
        ("sys/fs/cgroup/unified", "", "memory.max", "memory.current", "inactive_file"),
        ("sys/fs/cgroup/memory", "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ];

    /// <summary>Bytes; where nobody says, what the runtime takes for the machine's.</summary>
    public static long AvailableBytes()
    {
        long total = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        long available = AvailableBytes("/") ?? total;
        return total > 0 ? Math.Min(available, total) : available;
    }

    /// <param name="root">Stands before /proc and /sys.</param>
    /// <returns>Null where nobody says.</returns>
    internal static long? AvailableBytes(string root)
    {
        long? least = Field(Path.Combine(root, "proc/meminfo"), "MemAvailable:") * 1024;
        foreach ((string mount, string controller, string limit, string usage, string inactive) in s_versions)
            foreach (string folder in Groups(root, mount, controller))
            {
                if (Number(Path.Combine(folder, limit)) is not { } most || Number(Path.Combine(folder, usage)) is not { } used) continue;
                long free = Math.Max(0, most - used + (Field(Path.Combine(folder, "memory.stat"), inactive) ?? 0));
                least = Math.Min(least ?? long.MaxValue, free);
            }
        return least;
    }

    /// <summary>The process's group and those around it. Inside a container the mount shows the group as its root, under which the path is
    /// not found.</summary>
    private static IEnumerable<string> Groups(string root, string mount, string controller)
    {
        string top = Path.Combine(root, mount), list = Path.Combine(root, "proc/self/cgroup");
        if (!Directory.Exists(top) || !File.Exists(list)) yield break;
        string[]? line = File.ReadLines(list).Select(text => text.Split(':', 3))
            .FirstOrDefault(parts => parts.Length == 3 && parts[1].Split(',').Contains(controller));
        for (string path = line?[2].Trim('/') ?? ""; path.Length > 0; path = Path.GetDirectoryName(path) ?? "")
            if (!path.StartsWith("..", StringComparison.Ordinal)) yield return Path.Combine(top, path);
        yield return top;
    }

    private static long? Number(string file) =>
        // "max" is no number
        File.Exists(file) && long.TryParse(File.ReadAllText(file).Trim(), CultureInfo.InvariantCulture, out long number) ? number : null;

    private static long? Field(string file, string name) =>
        File.Exists(file)
            && File.ReadLines(file).Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .FirstOrDefault(parts => parts.Length > 1 && parts[0] == name) is { } found
        && long.TryParse(found[1], CultureInfo.InvariantCulture, out long number) ? number : null;
}
