using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Flywheel.Model;

namespace Flywheel.Voice;

/// <summary>
/// What people recorded: it cannot be made again, so it lies in the home and not in the cache. A folder each, named by the hash of its
/// owner and its
/// sound, which is there as a whole or not at all and says whose it is.
/// </summary>
/// <param name="folder">Made when missing.</param>
public sealed class Recordings(string folder)
{
    public const string FolderName = "recordings";

    /// <summary>A line takes no longer to say.</summary>
    public static readonly TimeSpan MaxTake = TimeSpan.FromMinutes(3);

    /// <summary>Of a take as it is sent: three minutes of two channels at 48 kHz and 24 bits are 52 million.</summary>
    public const long MaxTakeBytes = 64 << 20;

    /// <summary>Of a recording or film.</summary>
    public const long MaxOriginalBytes = 4L << 30;

    /// <summary>Of a recording or film.</summary>
    public static readonly TimeSpan MaxOriginal = TimeSpan.FromHours(4);

    /// <summary>Columns a second of the outline of a recording.</summary>
    public const int PeaksPerSecond = 50;

    /// <summary>Of the sound of a recording that is drawn, aligned and listened to; the recording itself stays as it is.</summary>
    private const int SoundRate = 16_000;

    private const string SoundFile = "sound.wav", PeaksFile = "peaks.bin";

    /// <summary>What stays before the first and after the last word.</summary>
    private static readonly TimeSpan s_edge = TimeSpan.FromMilliseconds(80);

    public static Recordings In(FlywheelHome home) => new(Path.Combine(home.Path, FolderName));

    public bool Contains(string hash) => VoiceTake.IsHash(hash) && File.Exists(PathOf(hash));

    /// <summary>Every recording that is there.</summary>
    public IReadOnlySet<string> Names() =>
        Directory.Exists(folder)
            ? Directory.EnumerateDirectories(folder).Select(path => Path.GetFileName(path)).Where(VoiceTake.IsHash)
                .ToHashSet(StringComparer.Ordinal) : new HashSet<string>();

    /// <summary>The sound of a recording.</summary>
    public string PathOf(string hash) => Path.Combine(folder, hash, SoundFile);

    /// <summary>A take; null when it is not on this machine, or is damaged.</summary>
    public Clip? Find(string hash, int sampleRate)
    {
        if (!Contains(hash)) return null;
        try
        {
            return Resampling.Convert(WavReader.ReadMono(PathOf(hash)), sampleRate);
        }
        catch (FlywheelException)
        {
            return null;
        }
    }

    /// <summary>Keeps a take, without the silence before and after the words.</summary>
    /// <param name="wav">A WAV file as a browser or a program sends it.</param>
    /// <param name="user">Whose it is.</param>
    /// <returns>Its hash, and how long it is.</returns>
    /// <exception cref="FlywheelException">No WAV file, longer than <see cref="MaxTake"/>, or silent.</exception>
    public (string Hash, TimeSpan Length) AddTake(Stream wav, string user)
    {
        Clip clip;
        try
        {
            using var reader = new WavReader(wav, "the recording");
            if (reader.NumFrames > MaxTake.TotalSeconds * reader.Rate) throw TooLong((double)reader.NumFrames.Value / reader.Rate);
            clip = reader.ReadMono(1 + (int)(MaxTake.TotalSeconds * reader.Rate));
        }
        catch (FlywheelException e) when (e is not RefusedTakeException)
        {
            throw new RefusedTakeException(RefusedTake.NoSound, e.Message);
        }
        if (clip.Duration > MaxTake) throw TooLong(clip.Duration.TotalSeconds);
        IReadOnlyList<SpeechSegment> speech = SpeechSegments.Find(clip);
        if (clip.Trim().Samples.Length == 0)
            throw new RefusedTakeException(RefusedTake.Silent,
                "nothing is heard in the recording; is the right microphone chosen, and not muted?");
        double edge = s_edge.TotalSeconds;
        if (speech.Count == 0) speech = [new SpeechSegment(0, clip.Duration.TotalSeconds)]; // a click, a breath: kept whole
        int first = (int)(Math.Max(0, speech[0].Start - edge) * clip.Rate),
            last = (int)(Math.Min(clip.Duration.TotalSeconds, speech[^1].End + edge) * clip.Rate);
        clip = clip with { Samples = clip.Samples[first..Math.Min(clip.Samples.Length, last)] };
        return (AddTake(clip, user), clip.Duration);

        static RefusedTakeException TooLong(double seconds) =>
            new(RefusedTake.TooLong, $"the recording lasts {seconds:0} seconds, expected at most {MaxTake.TotalSeconds:0}; divide the line",
                Math.Round(seconds), MaxTake.TotalSeconds);
    }

    /// <summary>Keeps a take as it is.</summary>
    /// <returns>Its hash.</returns>
    public string AddTake(Clip clip, string user)
    {
        using var sha = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        sha.AppendData(Encoding.UTF8.GetBytes($"{user}\0{clip.Rate}\0"));
        sha.AppendData(MemoryMarshal.AsBytes(clip.Samples.AsSpan()));
        string hash = Convert.ToHexStringLower(sha.GetHashAndReset());
        if (Contains(hash))
        {
            Directory.SetLastWriteTimeUtc(Path.Combine(folder, hash), DateTime.UtcNow); // its project is not written yet (Sweep)
            return hash;
        }
        Put(hash, new { user, seconds = Math.Round(clip.Duration.TotalSeconds, 3) },
            unfinished => WavWriter.WriteFile(Path.Combine(unfinished, SoundFile), clip));
        return hash;
    }

    /// <summary>Keeps a recording or film: as it is, as sound, and the outline of that.</summary>
    /// <param name="name">Of the file; its ending says what it is.</param>
    /// <param name="write">Writes it.</param>
    /// <param name="user">Whose it is.</param>
    /// <param name="cancellation">Gives up; nothing is left then.</param>
    /// <exception cref="FlywheelException">Of another kind, damaged, too long, or ffmpeg is missing.</exception>
    public async Task<VoiceOriginal> AddOriginalAsync(string name, Func<Stream, Task> write, string user,
        CancellationToken cancellation = default)
    {
        var original = new VoiceOriginal(new string('0', 64), name, 1, HasSound: true);
        original.Validate("the upload");
        if (!ExternalProgram.Ffmpeg.IsInstalled) throw ExternalProgram.Ffmpeg.Missing;
        string unfinished = Path.Combine(folder, $"{Guid.NewGuid():N}.tmp"), file = Path.Combine(unfinished, $"original{original.Ending}"),
            sound = Path.Combine(unfinished, SoundFile);
        Directory.CreateDirectory(unfinished);
        try
        {
            await using (FileStream stream = File.Create(file))
            {
                await write(stream);
                stream.Flush(flushToDisk: true);
            }
            using (var sha = IncrementalHash.CreateHash(HashAlgorithmName.SHA256))
            {
                sha.AppendData(Encoding.UTF8.GetBytes($"{user}\0original\0{original.Ending}\0"));
                byte[] piece = new byte[1 << 18];
                await using FileStream stream = File.OpenRead(file);
                for (int read; (read = await stream.ReadAsync(piece, cancellation)) > 0;) sha.AppendData(piece.AsSpan(0, read));
                original = original with { Hash = Convert.ToHexStringLower(sha.GetHashAndReset()) };
            }
            if (original.IsFilm)
            {
                (double seconds, bool hasSound) = await NamedAsync(name, file, VideoFile.LookAsync(file, cancellation));
                original = original with { Seconds = Math.Round(seconds, 3), HasSound = hasSound };
            }
            if (original.Seconds > MaxOriginal.TotalSeconds) throw TooLong(original.Seconds);
            if (original.HasSound)
            {
                await VideoFile.ExtractForeignAsync(file, sound, name, SoundRate, MaxOriginal + TimeSpan.FromSeconds(1), cancellation);
                double seconds;
                using (WavReader reader = WavReader.Open(sound)) seconds = (double)reader.NumFrames!.Value / reader.Rate;
                if (seconds == 0) throw new FlywheelException($"{name}: has no sound in it");
                if (seconds > MaxOriginal.TotalSeconds) throw TooLong(seconds);
                if (!original.IsFilm) original = original with { Seconds = Math.Round(seconds, 3) };
                File.WriteAllBytes(Path.Combine(unfinished, PeaksFile),
                    Peaks.OfFile(sound, (int)Math.Ceiling(seconds * PeaksPerSecond)).ToBytes());
            }
            AtomicFile.WriteText(Path.Combine(unfinished, "file.json"),
                JsonSerializer.Serialize(new { user, name, seconds = original.Seconds }, JsonText.Compact));
            string kept = Path.Combine(folder, original.Hash);
            if (!Directory.Exists(kept)) Directory.Move(unfinished, kept);
            else Directory.SetLastWriteTimeUtc(kept, DateTime.UtcNow); // its project is not written yet (Sweep)
            return original;
        }
        catch (IOException e) when (FullDisk.Is(e))
        {
            throw FullDisk.Named(folder, e);
        }
        finally
        {
            if (Directory.Exists(unfinished)) Directory.Delete(unfinished, recursive: true);
        }

        FlywheelException TooLong(double seconds) =>
            new($"{name}: lasts {(seconds < MaxOriginal.TotalSeconds + 60 ? "longer than that" : $"{seconds / 3600:0.0} hours")}, expected at most {MaxOriginal.TotalHours:0} hours; cut it");
    }

    /// <summary>The file of a recording or film as it was uploaded.</summary>
    /// <exception cref="FlywheelException">It is not on this machine.</exception>
    public string PathOf(VoiceOriginal original) =>
        Path.Combine(folder, original.Hash, $"original{original.Ending}") is var path && File.Exists(path) ? path
        : throw new FlywheelException($"{original.Name}: is not on this machine; upload it again");

    /// <summary>Its sound in one channel; null when it has none, or is not on this machine.</summary>
    public string? SoundOf(VoiceOriginal original) => original.HasSound && Contains(original.Hash) ? PathOf(original.Hash) : null;

    /// <summary>The outline of its sound (<see cref="Peaks.ToBytes"/>); null as <see cref="SoundOf"/>.</summary>
    public string? PeaksOf(VoiceOriginal original) =>
        Path.Combine(folder, original.Hash, PeaksFile) is var path && File.Exists(path) ? path : null;

    /// <summary>What ffmpeg says names the upload and not our folder.</summary>
    private static async Task<T> NamedAsync<T>(string name, string file, Task<T> work)
    {
        try
        {
            return await work;
        }
        catch (FlywheelException e)
        {
            throw new FlywheelException(
                $"{name}: cannot be read as a recording or film: {e.Message.Replace(Path.GetFullPath(file), name, StringComparison.Ordinal).Replace("file:", "", StringComparison.Ordinal)}", e);
        }
    }

    /// <summary>Whether a recording is a person's own.</summary>
    public bool IsOf(string hash, string user) =>
        VoiceTake.IsHash(hash) && Path.Combine(folder, hash, "file.json") is var path && File.Exists(path)
        && JsonDocument.Parse(File.ReadAllBytes(path)).RootElement.GetProperty("user").GetString() == user;

    /// <summary>
    /// The project without what somebody else recorded or uploaded: whoever reads a hash in a project's file gets no sound by it. What is
    /// not on this machine
    /// stays, and is named where it is needed.
    /// </summary>
    public VoiceProject Own(VoiceProject project, string user)
    {
        if (project.Original is { } original && IsAnothers(original.Hash)) project = project with { Original = null };
        string[] others =
            [.. project.Lines.SelectMany(line => line.Takes).Where(take => take.IsRecorded).Select(take => take.Hash).Distinct()
                .Where(IsAnothers)];
        return others.Length == 0
            ? project : project
                with { Lines = [.. project.Lines.Select(line => others.Aggregate(line, (left, hash) => left.Without(hash)))] };

        bool IsAnothers(string hash) => Directory.Exists(Path.Combine(folder, hash)) && !IsOf(hash, user);
    }

    /// <summary>Takes away what no project holds, and what was never finished.</summary>
    /// <param name="named">Hashes that some project holds.</param>
    /// <param name="before">What was written later stays: its project may not be written yet.</param>
    /// <returns>How many.</returns>
    public int Sweep(IReadOnlySet<string> named, DateTimeOffset before)
    {
        if (!Directory.Exists(folder)) return 0;
        string[] lost = [.. Directory.EnumerateDirectories(folder)
            .Where(path => Path.GetFileName(path) is var name
                && (VoiceTake.IsHash(name) ? !named.Contains(name) : name.EndsWith(".tmp", StringComparison.Ordinal))
                && Directory.GetLastWriteTimeUtc(path) < before)];
        foreach (string path in lost) Directory.Delete(path, recursive: true);
        return lost.Length;
    }

    /// <summary>Takes a recording away for good.</summary>
    public void Delete(string hash)
    {
        string path = Path.Combine(folder, hash);
        if (VoiceTake.IsHash(hash) && Directory.Exists(path)) Directory.Delete(path, recursive: true);
    }

    private void Put(string hash, object about, Action<string> fill)
    {
        string path = Path.Combine(folder, hash), unfinished = Path.Combine(folder, $"{Guid.NewGuid():N}.tmp");
        Directory.CreateDirectory(unfinished);
        try
        {
            fill(unfinished);
            AtomicFile.WriteText(Path.Combine(unfinished, "file.json"), JsonSerializer.Serialize(about, JsonText.Compact));
            Directory.Move(unfinished, path);
        }
        catch (IOException e) when (FullDisk.Is(e))
        {
            throw FullDisk.Named(folder, e);
        }
        catch (IOException) when (Contains(hash))
        {
            // The same was sent twice at a time.
        }
        finally
        {
            if (Directory.Exists(unfinished)) Directory.Delete(unfinished, recursive: true);
        }
    }
}

/// <summary>Why a take was not kept.</summary>
public enum RefusedTake
{
    /// <summary>It cannot be read as a WAV file.</summary>
    NoSound,

    /// <summary>Nothing is heard in it.</summary>
    Silent,

    /// <summary>It takes longer than a line may.</summary>
    TooLong,

    /// <summary>The file is larger than that takes.</summary>
    TooLarge,

    /// <summary>The line has as many as it keeps.</summary>
    Full,
}

/// <summary>A take was not kept; pages say why in the visitor's language.</summary>
/// <param name="why">The reason.</param>
/// <param name="message">The same in English.</param>
/// <param name="values">What its words name, in their order.</param>
public sealed class RefusedTakeException(RefusedTake why, string message, params object[] values) : FlywheelException(message)
{
    public RefusedTake Why => why;

    public IReadOnlyList<object> Values => values;
}
