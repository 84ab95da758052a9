using System.Text.RegularExpressions;

namespace Flywheel.Voice;

/// <summary>A text spoken sentence by sentence, each sent on as soon as it is rendered.</summary>
/// <param name="renderer">Makes the sound.</param>
/// <param name="settings">How it is spoken.</param>
public sealed partial class SpeechStream(Renderer renderer, VoiceSettings settings)
{
    /// <summary>Shorter sentences are spoken together: a call of an engine costs more than they do.</summary>
    private const int LeastLetters = 60;

    /// <summary>Formats by name, with their media types.</summary>
    public static IReadOnlyDictionary<string, string> Formats { get; } = new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["mp3"] = "audio/mpeg", ["opus"] = "audio/ogg; codecs=opus", ["flac"] = "audio/flac", ["wav"] = "audio/wav", ["pcm"] = "audio/pcm",
    };

    /// <summary>Samples sent so far.</summary>
    public long NumSamples { get; private set; }

    /// <summary>Of what is sent.</summary>
    public int SampleRate { get; } = new VoiceProject().SampleRate;

    /// <summary>Renders, encodes and sends.</summary>
    /// <param name="text">Text, or markup.</param>
    /// <param name="isMarkup">It is SSML, and spoken as a whole.</param>
    /// <param name="format">One of <see cref="Formats"/>.</param>
    /// <param name="begin">Called when the first sound is there, and nothing wrong was found; gives where the file goes.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="Model.FlywheelException">The text cannot be spoken, or a program is missing. After <paramref name="begin"/>: an
    /// engine failed.</exception>
    public async Task RunAsync(string text, bool isMarkup, string format, Func<Stream> begin, CancellationToken cancellation)
    {
        if (format is not ("wav" or "pcm") && !ExternalProgram.Ffmpeg.IsInstalled) throw ExternalProgram.Ffmpeg.Missing;
        IReadOnlyList<string> sentences = isMarkup ? [text] : Sentences(text);
        var project = new VoiceProject { Voice = settings,
            Lines = [.. sentences.Select((sentence, i) => new VoiceLine { Id = $"{i + 1}", Text = sentence, IsMarkup = isMarkup })] };
        project.Validate("the text");
        IReadOnlyList<LinePlan> plans = await renderer.PlanAllAsync(project, cancellation);
        Clip? first = plans.Count > 0 ? await renderer.RenderAsync(plans[0], cancellation) : null;
        Stream output = begin();
        switch (format)
        {
            case "pcm":
                await FeedAsync(output);
                break;
            case "wav":
                await output.WriteAsync(WavWriter.EndlessHeader(SampleRate), cancellation);
                await FeedAsync(output);
                break;
            default:
                await AudioEncoder.StreamAsync(format, SampleRate, FeedAsync, output, cancellation);
                break;
        }

        async Task FeedAsync(Stream samples)
        {
            // The next is rendered while this one is taken.
            Task<Clip>? next = first is null ? null : Task.FromResult(first);
            for (int i = 0; i < plans.Count; i++)
            {
                Clip clip = await next!;
                LinePlan? after = i + 1 < plans.Count ? plans[i + 1] : null;
                next = after is null ? null : Task.Run(() => renderer.RenderAsync(after, cancellation), cancellation);
                float[] all = after is null ? clip.Samples : [.. clip.Samples,
                    .. new float[Time.ToSamples(Renderer.UsualPause, SampleRate)]];
                byte[] bytes = new byte[2 * all.Length];
                WavWriter.Encode(all, SampleFormat.Pcm16, bytes);
                await samples.WriteAsync(bytes, cancellation);
                await samples.FlushAsync(cancellation);
                NumSamples += all.Length;
            }
        }
    }

    internal static IReadOnlyList<string> Sentences(string text)
    {
        var sentences = new List<string>();
        string waiting = "";
        foreach (string piece in Ends().Split(text))
        {
            waiting += piece;
            if (waiting.Trim().Length < LeastLetters) continue;
            sentences.Add(waiting.Trim());
            waiting = "";
        }
        if (waiting.Trim().Length > 0) sentences.Add(waiting.Trim());
        return sentences;
    }

    [GeneratedRegex(@"(?<=[.!?…]['""”’)]*\s+|[。！？]|\n)(?=\S)", RegexOptions.CultureInvariant)]
    private static partial Regex Ends();
}
