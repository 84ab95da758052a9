using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Flywheel.Engine;
using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Studio.Apps.Dubbing;
using Flywheel.Voice;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Studio.Serving;

/// <summary>Who asks for a transcript.</summary>
public sealed record TranscriptCaller(string User, string Owner, string Workspace);

/// <summary>
/// Writes down recordings and records it: which file heard, of what sound, with which words before it. What people correct are words to
/// listen for from the next
/// recording on.
/// </summary>
public sealed partial class Transcripts(FlywheelStore store, Transcriber transcriber, VoiceDictionaries dictionaries, TimeProvider time)
{
    /// <summary>The field of a generation's conversation that says what was heard.</summary>
    public const string Recording = "recording";

    /// <summary>Stands before the name of a Whisper file where the record names who answered.</summary>
    public const string Prefix = "whisper:";

    /// <summary>whisper.cpp keeps 224 tokens of what stands before, the last ones.</summary>
    private const int MaxHotWords = 40, MaxHotLetters = 400, MaxCorrections = 50, Rate = 16_000;

    /// <summary>Recordings that are heard or wait for it.</summary>
    internal const int MaxAtOnce = 16;

    private int _numNow;

    public IReadOnlyList<string> Models => transcriber.Names;

    /// <exception cref="FlywheelException">There is no such model.</exception>
    public string Find(string? model) => transcriber.Find(model);

    /// <summary>Reads a sound or a film: WAV by us, the rest by ffmpeg.</summary>
    /// <param name="path">The file.</param>
    /// <param name="name">Of it, for messages.</param>
    /// <param name="scratch">A folder for what ffmpeg makes of it meanwhile; null: one of the machine's own.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="FlywheelException">There is no sound in it, or too much.</exception>
    public static async Task<Clip> ReadAsync(string path, string name, string? scratch, CancellationToken cancellation)
    {
        if (IsWav(path))
        {
            using var wav = new WavReader(File.OpenRead(path), name);
            if (wav.NumFrames / wav.Rate > Transcriber.MaxLength.TotalSeconds) throw TooLong(name, wav.NumFrames!.Value / (double)wav.Rate);
            return Resampling.Convert(wav.ReadMono(), Rate);
        }
        if (!ExternalProgram.Ffmpeg.IsInstalled)
            throw new FlywheelException($"{name}: {ExternalProgram.Ffmpeg.Missing.Message}; .wav needs nothing");
        string folder = scratch is null
            ? Directory.CreateTempSubdirectory("flywheel-recording-").FullName : Directory.CreateDirectory(
                Path.Combine(scratch, $"{Guid.NewGuid():N}")).FullName;
        try
        {
            string sound = Path.Combine(folder, "sound.wav");
            await VideoFile.ExtractForeignAsync(path, sound, name, Rate, Transcriber.MaxLength + TimeSpan.FromSeconds(1), cancellation);
            Clip clip = WavReader.ReadMono(sound);
            return clip.Duration <= Transcriber.MaxLength ? clip : throw TooLong(name, null);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>Hears, and records.</summary>
    /// <param name="name">Of the recording.</param>
    /// <param name="read">Called when it is its turn: those that wait are not in memory.</param>
    /// <param name="model">Null: the first.</param>
    /// <param name="options">How; words to listen for come before its prompt.</param>
    /// <param name="caller">Who asks.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <returns>In the record, and what was heard.</returns>
    /// <exception cref="QueueFullException">Too many wait.</exception>
    public async Task<(Guid Id, Transcript Transcript)> HearAsync(string name, Func<CancellationToken, Task<Clip>> read, string? model,
        TranscriptOptions options, TranscriptCaller caller, CancellationToken cancellation)
    {
        try
        {
            if (Interlocked.Increment(ref _numNow) > MaxAtOnce)
                throw new QueueFullException($"{MaxAtOnce} recordings are heard or wait for it; try again later", TimeSpan.FromSeconds(30));
            return await InTurnAsync(name, read, model, options, caller, cancellation);
        }
        finally
        {
            Interlocked.Decrement(ref _numNow);
        }
    }

    private async Task<(Guid Id, Transcript Transcript)> InTurnAsync(string name, Func<CancellationToken, Task<Clip>> read, string? model,
        TranscriptOptions options, TranscriptCaller caller, CancellationToken cancellation)
    {
        DateTimeOffset arrived = time.GetUtcNow();
        long start = time.GetTimestamp();
        string prompt =
            string.Join(' ',
                new[] { string.Join(", ", await HotWordsAsync(options.Language, caller, cancellation)),
                    options.Prompt }.Where(part => part.Length > 0));
        Clip? clip = null;
        Transcript transcript = await transcriber.HearAsync(model, async stop => clip = await read(stop), options with { Prompt = prompt },
            cancellation);
        using (SileroVad? vad = FindVad())
            if (vad is not null) transcript = transcript.SnapTo(SpeechSegments.Find(clip!, vad: vad));
        var facts = new JsonObject
        {
            ["file"] = name, ["seconds"] = Math.Round(transcript.Seconds, 3), ["sha256"] = HashOf(clip!),
            ["task"] = options.Translate ? "translate" : "transcribe", ["model"] = transcript.Model,
            ["language"] = transcript.Language, ["prompt"] = prompt.Length > 0 ? prompt : null, ["temperature"] = options.Temperature,
        };
        Guid id = Guid.CreateVersion7(arrived);
        string ask = string.Create(CultureInfo.InvariantCulture,
            $"{(options.Translate ? "Translate into English what is said in" : "Write down what is said in")} {name}, a recording of {transcript.Seconds:0.0} seconds.");
        await store.RecordAsync(new Generation
        {
            Id = id, Group = id, Time = arrived, App = Generation.TranscriptionApp, User = caller.User, Owner = caller.Owner,
            Workspace = caller.Workspace, ModelHash = "", Upstream = Prefix + transcript.Model,
            FinishReason = FinishReason.Stop, LatencyMs = time.GetElapsedTime(start).TotalMilliseconds,
            Payload = new GenerationPayload
            {
                GenerationId = id, Text = transcript.Text, PromptTokens = [], Tokens = [], Logprobs = [], SamplerLogprobs = [],
                Sampler = new SamplerOptions(),
                Conversation = new Conversation([Message.User(ask)])
                    { TemplateArguments = new Dictionary<string, string> { [Recording] = facts.ToJsonString(JsonText.Compact) } },
            },
        }, CancellationToken.None); // what was heard is kept, also when nobody waits any more
        return (id, transcript);
    }

    /// <summary>Null where the home has no Silero VAD.</summary>
    public SileroVad? FindVad() => SileroVad.FindIn(store.Home);

    /// <summary>A project whose lines are what is said in its recording.</summary>
    /// <param name="project">Has a recording with sound.</param>
    /// <param name="recordings">Where it lies.</param>
    /// <param name="caller">Who asks.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="FlywheelException">Nothing is said in it, or there is none on this machine.</exception>
    public async Task<VoiceProject> WriteDownAsync(VoiceProject project, Recordings? recordings, TranscriptCaller caller,
        CancellationToken cancellation = default)
    {
        if (project.Original is not { } original || recordings?.SoundOf(original) is not { } sound)
            throw new FlywheelException("the project has no recording with sound on this machine; upload one first");
        (Guid id, Transcript transcript) = await HeardAsync();
        if (transcript.Cues.Count == 0) throw new FlywheelException($"{original.Name}: {transcript.Model} hears nothing said in it");
        return project with { Language = transcript.Language, SourceLanguage = null, Lines = ScriptFile.OfCues(transcript.Cues),
            Original = original with { Heard = id } };

        async Task<(Guid, Transcript)> HeardAsync()
        {
            try
            {
                return await HearAsync(original.Name, stop => ReadAsync(sound, original.Name, scratch: null, stop), model: null,
                    new TranscriptOptions(), caller, cancellation);
            }
            catch (QueueFullException full)
            {
                throw new FlywheelException(full.Message, full);
            }
        }
    }

    /// <summary>Words to listen for: those that this person put into transcripts, the latest first, then those of the
    /// dictionaries.</summary>
    public async Task<IReadOnlyList<string>> HotWordsAsync(string? language, TranscriptCaller caller, CancellationToken cancellation)
    {
        var words = new List<string>();
        if (caller.User.Length > 0) // of whoever says no name nobody knows who they are
        {
            await using FlywheelDb db = store.Tables();
            IReadOnlyList<Demonstrated> corrected = await Demonstrations.StandingAsync(db,
                db.Generations.Where(row => row.App == Generation.TranscriptionApp && row.Payload != null), caller.Workspace, caller.User,
                MaxCorrections, cancellation);
            Guid[] about = [.. corrected.Select(row => row.GenerationId)];
            Dictionary<Guid, string> heard = await db.Generations.Where(row => about.Contains(row.Id))
                .Select(row => new { row.Id, row.Payload!.Text }).ToDictionaryAsync(row => row.Id, row => row.Text, cancellation);
            foreach (Demonstrated row in corrected) words.AddRange(NewWords(heard[row.GenerationId], row.Text));
        }
        foreach (IReadOnlyList<Pronunciation> scope in (await dictionaries.ScopesAsync(cancellation)).Reverse())
            words.AddRange(
                scope.Where(entry => language is null || entry.Language.Length == 0
                    || entry.Language.Split('-')[0].Equals(language, StringComparison.OrdinalIgnoreCase))
                    .Select(entry => entry.Word.Trim()));
        var chosen = new List<string>();
        int letters = 0;
        foreach (string word in words.Distinct(StringComparer.OrdinalIgnoreCase).Take(MaxHotWords))
            if ((letters += word.Length + 2) <= MaxHotLetters) chosen.Add(word);
        return chosen;
    }

    /// <summary>Words of a correction that were not heard.</summary>
    internal static IEnumerable<string> NewWords(string heard, string corrected)
    {
        HashSet<string> known = [.. WordForm().Matches(heard).Select(match => match.Value)];
        return WordForm().Matches(corrected).Select(match => match.Value).Where(word => word.Length > 2 && !known.Contains(word))
            .Distinct();
    }

    private static bool IsWav(string path)
    {
        using FileStream stream = File.OpenRead(path);
        Span<byte> first = stackalloc byte[4];
        return stream.ReadAtLeast(first, 4, throwOnEndOfStream: false) == 4
            && (first.SequenceEqual("RIFF"u8) || first.SequenceEqual("RF64"u8));
    }

    private static string HashOf(Clip clip) =>
        Convert.ToHexStringLower(SHA256.HashData(System.Runtime.InteropServices.MemoryMarshal.AsBytes(clip.Samples.AsSpan())));

    private static FlywheelException TooLong(string name, double? seconds) =>
        new(string.Create(CultureInfo.InvariantCulture,
            $"{name}: lasts {(seconds is { } known ? $"{known / 3600:0.#} hours" : "longer than that")}, expected at most {Transcriber.MaxLength.TotalHours:0} hours; divide it"));

    [GeneratedRegex(@"\p{L}[\p{L}\p{M}\p{N}'’-]*", RegexOptions.CultureInvariant)]
    private static partial Regex WordForm();
}
