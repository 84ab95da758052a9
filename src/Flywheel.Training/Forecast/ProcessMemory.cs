namespace Flywheel.Training;

/// <summary>What this process holds in memory, from Linux; 0 elsewhere.</summary>
public static class ProcessMemory
{
    private const string Status = "/proc/self/status", Forget = "/proc/self/clear_refs";

    /// <summary>Resident bytes now.</summary>
    public static long Resident => Read("VmRSS:");

    /// <summary>Resident bytes at their highest since the start or the last <see cref="ResetPeak"/>.</summary>
    public static long Peak => Read("VmHWM:");

    /// <summary>Forgets the peak.</summary>
    public static void ResetPeak()
    {
        const string resetHighWater = "5"; // proc(5)
        if (File.Exists(Forget)) File.WriteAllText(Forget, resetHighWater);
    }

    /// <summary>Gives back what earlier work has left behind, such as reading data, before something long begins.</summary>
    public static void Release() => GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);

    private static long Read(string field)
    {
        if (!File.Exists(Status)) return 0;
        string? line = File.ReadLines(Status).FirstOrDefault(line => line.StartsWith(field, StringComparison.Ordinal));
        return line is null ? 0 : long.Parse(line.AsSpan(field.Length).Trim().ToString().Split(' ')[0]) * 1024;
    }
}
