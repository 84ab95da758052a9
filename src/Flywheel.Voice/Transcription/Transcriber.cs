using System.Text.RegularExpressions;
using Flywheel.Model;
using Whisper.net;

namespace Flywheel.Voice;

/// <summary>
/// Writes down what is said in recordings, by a Whisper file that a person has put into a folder (whisper.cpp through Whisper.net, MIT).
/// One
/// model is in memory at a time, and one recording is heard at a time: it takes all cores.
/// </summary>
/// <param name="folder">Holds files such as <c>ggml-base.bin</c>; it need not be there.</param>
/// <param name="numThreads">0: one for each core.</param>
public sealed partial class Transcriber(string folder, int numThreads = 0) : IDisposable
{
    /// <summary>All of it lies in memory.</summary>
    public static readonly TimeSpan MaxLength = TimeSpan.FromHours(2);

    private const int Rate = 16_000;

    /// <summary>Beside the file: what it computes with.</summary>
    private const long WorkBytes = 512L << 20;

    private readonly SemaphoreSlim _turn = new(1);
    private readonly CancellationTokenSource _ending = new();

    private int NumThreads { get; } = numThreads > 0 ? numThreads : Environment.ProcessorCount;

    private (string Path, DateTime Written, WhisperFactory Factory)? _loaded;

    public static Transcriber In(FlywheelHome home, int numThreads = 0) => new(WhisperFile.FolderIn(home), numThreads);

    /// <summary>Names of the files that are there, in order.</summary>
    public IReadOnlyList<string> Names => !Directory.Exists(folder) ? []
        : [.. Directory.EnumerateFiles(folder, "*" + WhisperFile.Ending).Select(path => Path.GetFileNameWithoutExtension(path))
            .Order(StringComparer.Ordinal)];

    /// <summary>Puts a file into the folder, once it has been looked through.</summary>
    /// <exception cref="FlywheelException">It is no whole Whisper model.</exception>
    public WhisperFile Add(string path)
    {
        WhisperFile file = WhisperFile.Read(path);
        Directory.CreateDirectory(folder);
        string target = Path.Combine(folder, file.Name + WhisperFile.Ending);
        if (Path.GetFullPath(path) != Path.GetFullPath(target))
            AtomicFile.Write(target, stream =>
            {
                using FileStream from = File.OpenRead(path);
                from.CopyTo(stream);
            });
        return file with { Path = target };
    }

    /// <summary>Hears a recording that lies in memory.</summary>
    /// <inheritdoc cref="HearAsync(string?, Func{CancellationToken, Task{Clip}}, TranscriptOptions, CancellationToken)"/>
    public Task<Transcript> HearAsync(string? name, Clip clip, TranscriptOptions options, CancellationToken cancellation = default) =>
        HearAsync(name, _ => Task.FromResult(clip), options, cancellation);

    /// <summary>Hears a recording.</summary>
    /// <param name="name">Of the model; null: the first.</param>
    /// <param name="read">Called when it is its turn, so that those that wait are not in memory. Gives it at any rate.</param>
    /// <param name="options">How.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="FlywheelException">There is no such model, it cannot do that, or the recording is too long.</exception>
    public async Task<Transcript> HearAsync(string? name, Func<CancellationToken, Task<Clip>> read, TranscriptOptions options,
        CancellationToken cancellation = default)
    {
        name = Find(name);
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellation, _ending.Token);
        await _turn.WaitAsync(ending.Token);
        try
        {
            return await HearNowAsync(name, await read(ending.Token), options, ending.Token);
        }
        finally
        {
            _turn.Release();
        }
    }

    private async Task<Transcript> HearNowAsync(string name, Clip clip, TranscriptOptions options, CancellationToken cancellation)
    {
        if (clip.Duration > MaxLength)
            throw new FlywheelException(
                $"the recording lasts {clip.Duration.TotalHours:0.#} hours, expected at most {MaxLength.TotalHours:0} hours; divide it");
        if (clip.Samples.Length == 0) throw new FlywheelException("the recording has no samples in it");
        float[] samples = Resampling.Convert(clip, Rate).Samples;
        if (samples.Length < Rate) Array.Resize(ref samples, Rate); // it hears nothing in less than a second
        try
        {
            (WhisperFactory factory, WhisperFile file) = Load(name);
            if (!file.IsMultilingual && (options.Translate || options.Language is not (null or "en")))
                throw new FlywheelException(
                    $"the model '{name}' knows English alone, expected {(options.Translate ? "one of many languages for a translation" : "language en")}");
            if (options.Language is { } language && !WhisperFactory.GetSupportedLanguages().Contains(language))
                throw new FlywheelException(
                    $"field 'language' is '{language}', which Whisper does not know; expected two letters such as en, fr or zh");
            WhisperProcessorBuilder builder = factory.CreateBuilder().WithThreads(NumThreads).WithProbabilities().WithTokenTimestamps()
                .WithTemperature((float)options.Temperature);
            builder = options.Language is { } stated ? builder.WithLanguage(stated) : file.IsMultilingual
                ? builder.WithLanguage("auto") : builder.WithLanguage("en");
            if (options.Translate) builder = builder.WithTranslate();
            if (options.Prompt.Length > 0) builder = builder.WithPrompt(options.Prompt);
            if (options.Temperature > 0) builder = builder.WithTemperatureInc(0);
            await using WhisperProcessor processor = builder.Build();
            var segments = new List<TranscriptSegment>();
            string heard = options.Language ?? "en";
            await foreach (SegmentData segment in processor.ProcessAsync(samples, cancellation))
            {
                heard = segment.Language is { Length: > 0 } own ? own : heard;
                segments.Add(Read(segment, clip.Duration.TotalSeconds));
            }
            return new Transcript(name, options.Translate ? "en" : heard, clip.Duration.TotalSeconds, segments);
        }
        catch (WhisperProcessingException e)
        {
            throw new FlywheelException($"the model '{name}' failed: {e.Message}", e);
        }
    }

    /// <summary>The file of a name; of none the first.</summary>
    /// <exception cref="FlywheelException">There is none.</exception>
    public string Find(string? name)
    {
        IReadOnlyList<string> names = Names;
        if (names.Count == 0)
            throw new FlywheelException(
                "no Whisper model is here, so nobody hears recordings; ./flywheel voice add whisper FILE puts one in (a ggml file such as ggml-base.bin)");
        return name is null ? names[0] : names.Contains(name)
            ? name : throw new FlywheelException(
                $"there is no Whisper model '{name}'{NearestName.Hint(name, [.. names])}; expected {NearestName.List([.. names])}");
    }

    private (WhisperFactory, WhisperFile) Load(string name)
    {
        string path = Path.Combine(folder, name + WhisperFile.Ending);
        WhisperFile file = WhisperFile.Read(path);
        DateTime written = File.GetLastWriteTimeUtc(path);
        if (_loaded is { } known)
        {
            if (known.Path == path && known.Written == written) return (known.Factory, file);
            known.Factory.Dispose();
            _loaded = null;
        }
        long free = MachineMemory.AvailableBytes();
        if (file.NumBytes + WorkBytes > free)
            throw new FlywheelException(
                $"{path}: needs about {(file.NumBytes + WorkBytes) >> 20} MB of memory and {free >> 20} are free; expected a smaller model, or one in fewer bits");
        try
        {
            var factory = WhisperFactory.FromPath(path, new WhisperFactoryOptions { UseGpu = false });
            _loaded = (path, written, factory);
            return (factory, file);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            // Whisper.net throws what it has where its library does not load.
            throw new FlywheelException(
                $"{path}: whisper.cpp does not load it: {e.Message}{(e.Message.Contains("libgomp", StringComparison.Ordinal) ? "; apt-get install libgomp1" : "")}", e);
        }
    }

    private static TranscriptSegment Read(SegmentData segment, double whole)
    {
        double start = Math.Min(segment.Start.TotalSeconds, whole), end = Math.Clamp(segment.End.TotalSeconds, start, whole);
        WhisperToken[] spoken = [.. segment.Tokens.Where(token => token.Text is { } text && !Special().IsMatch(text))];
        return new TranscriptSegment(start, end, segment.Text.Trim(), segment.Probability, segment.NoSpeechProbability,
            [.. spoken.Select(token => token.Id)],
            Words(segment.Text,
                [.. spoken.Select(token => (token.Text!, Math.Clamp(token.Start / 100.0, start, end),
                    Math.Clamp(token.End / 100.0, start, end)))], start, end));
    }

    /// <summary>Words with the times of their tokens; where tokens are parts of letters, their share of the segment.</summary>
    internal static IReadOnlyList<TranscriptWord> Words(string text, IReadOnlyList<(string Text, double Start, double End)> tokens,
        double start, double end)
    {
        var words = new List<TranscriptWord>();
        bool isWhole = string.Concat(tokens.Select(token => token.Text)) == text;
        double perLetter = (end - start) / Math.Max(1, text.Length);
        double[] from = new double[text.Length], to = new double[text.Length];
        for (int i = 0; i < text.Length; i++) (from[i], to[i]) = (start + i * perLetter, start + (i + 1) * perLetter);
        if (isWhole)
        {
            int at = 0;
            foreach ((string token, double begins, double ends) in tokens)
                for (int i = 0; i < token.Length; i++, at++) (from[at], to[at]) = (begins, Math.Max(begins, ends));
        }
        foreach (Match word in WordForm().Matches(text))
            words.Add(new TranscriptWord(word.Value, Math.Round(from[word.Index], 3),
                Math.Round(Math.Max(from[word.Index], to[word.Index + word.Length - 1]), 3)));
        return words;
    }

    /// <summary>What is being heard ends first: its model must not be freed under it.</summary>
    public void Dispose()
    {
        if (_ending.IsCancellationRequested) return;
        _ending.Cancel();
        _turn.Wait();
        _loaded?.Factory.Dispose();
        _loaded = null;
        _turn.Dispose();
        _ending.Dispose();
    }

    /// <summary>In scripts without spaces each character is one.</summary>
    [GeneratedRegex(@"[\u3040-\u30FF\u3400-\u9FFF]|[^\s\u3040-\u30FF\u3400-\u9FFF]+", RegexOptions.CultureInvariant)]
    private static partial Regex WordForm();

    [GeneratedRegex(@"^\[_[A-Za-z0-9_]+\]$|^<\|.*\|>$", RegexOptions.CultureInvariant)]
    private static partial Regex Special();
}
