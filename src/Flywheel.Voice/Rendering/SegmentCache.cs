using Flywheel.Model;

namespace Flywheel.Voice;

/// <summary>Sounds on disk, each named by the hash of what it was made from: what was rendered once is never rendered again.</summary>
/// <param name="folder">Made when missing.</param>
public sealed class SegmentCache(string folder)
{
    /// <summary>What a rendering may leave behind, the oldest going first.</summary>
    public const long MaxBytes = 4L << 30;

    /// <summary>It is looked at once so many bytes have been added.</summary>
    private const long BytesBetweenTrims = 256 << 20;

    private long _numAdded;

    /// <summary>In a home's cache.</summary>
    public static SegmentCache In(FlywheelHome home) => new(Path.Combine(home.Cache, "voice"));

    public string PathOf(string hash) => Path.Combine(folder, hash[..2], $"{hash}.wav");

    public bool Contains(string hash) => File.Exists(PathOf(hash));

    /// <summary>Null when it is not there, or is damaged.</summary>
    public Clip? Find(string hash)
    {
        string path = PathOf(hash);
        if (!File.Exists(path)) return null;
        try
        {
            using WavReader reader = WavReader.Open(path);
            return reader.IsTruncated ? null : reader.ReadMono();
        }
        catch (FlywheelException)
        {
            return null; // made again, and written over
        }
    }

    /// <summary>Samples of a sound, by its header alone; null when it is not there, is damaged, or is of another rate.</summary>
    public long? LengthOf(string hash, int sampleRate)
    {
        string path = PathOf(hash);
        if (!File.Exists(path)) return null;
        try
        {
            using WavReader reader = WavReader.Open(path);
            return reader.IsTruncated || reader.Rate != sampleRate ? null : reader.NumFrames;
        }
        catch (FlywheelException)
        {
            return null; // made again, and written over
        }
    }

    public void Add(string hash, Clip clip)
    {
        string path = PathOf(hash), temporary = $"{path}.{Guid.NewGuid():N}.tmp";
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        try
        {
            // Not synced, since it can be made again: a machine that dies may leave a damaged one, which counts as none.
            using (FileStream stream = File.Create(temporary))
            using (var writer = new WavWriter(stream, clip.Rate))
                writer.Write(clip.Samples);
            File.Move(temporary, path, overwrite: true);
        }
        catch (IOException e) when (FullDisk.Is(e))
        {
            throw FullDisk.Named(folder, e);
        }
        finally
        {
            File.Delete(temporary); // nothing when it has been renamed
        }
        if (Interlocked.Add(ref _numAdded, 2L * clip.Samples.Length) < BytesBetweenTrims) return;
        Interlocked.Exchange(ref _numAdded, 0);
        Trim();
    }

    /// <summary>Takes the sounds away that were written longest ago, until no more than so many bytes are left.</summary>
    public void Trim(long maxBytes = MaxBytes)
    {
        if (!Directory.Exists(folder)) return;
        foreach (FileInfo left in new DirectoryInfo(folder).EnumerateFiles("*.tmp", SearchOption.AllDirectories))
            if (left.LastWriteTimeUtc < DateTime.UtcNow.AddDays(-1)) left.Delete(); // of a process that was killed
        FileInfo[] files = [.. new DirectoryInfo(folder).EnumerateFiles("*.wav", SearchOption.AllDirectories)];
        long bytes = files.Sum(file => file.Length);
        foreach (FileInfo file in files.OrderBy(file => file.LastWriteTimeUtc))
        {
            if (bytes <= maxBytes) return;
            bytes -= file.Length;
            file.Delete();
        }
    }
}
