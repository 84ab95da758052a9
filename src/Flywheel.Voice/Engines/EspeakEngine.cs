using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Flywheel.Model;

namespace Flywheel.Voice;

/// <summary>
/// espeak-ng: more than a hundred languages, robotic and quick. Its licence is GPL-3: it stays a program of its own. A voice is a
/// language, with a variant behind a plus: <c>en-us+f3</c>.
/// </summary>
public sealed partial class EspeakEngine : ISpeechEngine
{
    /// <summary>Words a minute at speed 1; the program takes 80 to 450, and beyond that uses another method.</summary>
    private const double WordsPerMinute = 175;

    /// <summary>What its option -p does to a voice, measured on version 1.51.</summary>
    private static readonly (int Number, double Semitones)[] Pitches =
        [(0, -6.7), (12, -5.6), (25, -3.8), (37, -2.2), (50, 0), (63, 2.3), (75, 4.5), (87, 6.8), (99, 9.2)];

    private readonly ConcurrentDictionary<string, Task<IpaTable>> _tables = new(StringComparer.Ordinal);
    private readonly Lazy<Task<IReadOnlyList<Voice>>> _voices, _variants;

    public EspeakEngine() => (_voices, _variants) = (new(ListAsync), new(ListVariantsAsync));

    public string Name => "espeak";

    public ExternalProgram Program { get; } = new("espeak-ng", "espeak-ng");

    public async Task<string> VersionAsync(Voice voice, CancellationToken cancellation)
    {
        (byte[] output, _) = await Program.RunAsync(["--version"], cancellation: cancellation);
        return VersionNumber().Match(Encoding.UTF8.GetString(output)).Value;
    }

    public Task<IReadOnlyList<Voice>> VoicesAsync(CancellationToken cancellation) => _voices.Value.WaitAsync(cancellation);

    public async Task<string> PhonesAsync(Voice voice, string ipa, CancellationToken cancellation)
    {
        IpaTable table = await _tables.GetOrAdd(Language(voice), TableAsync).WaitAsync(cancellation);
        return string.Concat(table.Map(ipa, voice.Id)
            .Select(sound => (sound.Stress switch { 1 => "'", 2 => ",", _ => "" }) + sound.Phone + "|"));
    }

    public async Task<Clip> SpeakAsync(Utterance utterance, CancellationToken cancellation)
    {
        var text = new StringBuilder();
        foreach (SpeechPart part in utterance.Parts)
            // Two brackets open the program's own notation of sounds; in a text they are brackets.
            text.Append(part.Ipa is null ? part.Text.Replace("[[", "[ [", StringComparison.Ordinal)
                : $"[[{await PhonesAsync(utterance.Voice, part.Ipa, cancellation)}]]");
        (int pitch, double rest) = PitchOf(utterance.Pitch);
        int speed = (int)Math.Round(Math.Clamp(WordsPerMinute * utterance.Speed, 40, 1000));
        (byte[] wav, string errors) = await Program.RunAsync(
            ["--stdin", "-b", "1", "--stdout", "-z", "-v", utterance.Voice.Name, "-s", Text(speed), "-p", Text(pitch)],
            Encoding.UTF8.GetBytes(text.ToString()), cancellation: cancellation);
        if (wav.Length == 0)
            throw new FlywheelException(
                $"{Program.Name} made no sound of '{CueReader.Short(text.ToString())}'{(errors.Length > 0 ? $": {errors.Trim()}" : "")}");
        using var reader = new WavReader(new MemoryStream(wav), Program.Name);
        return Tempo.Shift(reader.ReadMono(), rest);
    }

    /// <summary>The program's number for a pitch, and what of it is left beyond its range.</summary>
    internal static (int Number, double Beyond) PitchOf(double semitones)
    {
        double within = Math.Clamp(semitones, Pitches[0].Semitones, Pitches[^1].Semitones);
        int above = Math.Max(1, Array.FindIndex(Pitches, point => point.Semitones >= within));
        ((int low, double from), (int high, double to)) = (Pitches[above - 1], Pitches[above]);
        return ((int)Math.Round(low + (high - low) * (within - from) / (to - from)), semitones - within);
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    private static string Language(Voice voice) => voice.Name.Split('+')[0];

    /// <summary>Which of the notation's sounds a language has, and what they are in IPA: the program itself says it.</summary>
    private async Task<IpaTable> TableAsync(string language)
    {
        string[] phones = [.. EspeakPhones.All];
        // Before a vowel: at a word's end some languages lose the voice of consonants.
        string lines = string.Concat(phones.Select(phone => $"[[{phone}]].\n[[{phone}|a]].\n"));
        (byte[] output, _) = await Program.RunAsync(["--stdin", "-b", "1", "-q", "--ipa", "--sep=_", "-v", language],
            Encoding.UTF8.GetBytes(lines));
        string[] spoken = Encoding.UTF8.GetString(output).Split('\n');
        var table = new Dictionary<string, string>(StringComparer.Ordinal);
        for (int i = 0; i < phones.Length && 2 * i + 1 < spoken.Length; i++)
        {
            string alone = Bare(spoken[2 * i]), before = Bare(spoken[2 * i + 1]);
            if (alone.Length > 0) table.TryAdd(alone, phones[i]);
            if (before.Length > 1 && before[^1] is 'a' or 'æ' or 'ɑ' or 'ɐ') table.TryAdd(before[..^1], phones[i]);
        }
        return new IpaTable(table);

        static string Bare(string ipa) =>
            IpaTable.Normalize(string.Concat(ipa.Where(letter => letter is not ('_' or 'ˈ' or 'ˌ' or ' ' or '\r'))));
    }

    public async Task<Voice?> FindAsync(string name, CancellationToken cancellation)
    {
        string[] parts = name.Split('+', 2);
        Voice? voice = (await VoicesAsync(cancellation)).FirstOrDefault(voice => voice.Name == parts[0]);
        if (voice is null || parts.Length == 1) return voice;
        return (await _variants.Value.WaitAsync(cancellation)).FirstOrDefault(variant => variant.Name == parts[1]) is { } found
            ? voice with { Name = name, Gender = found.Gender, Title = $"{voice.Title}, variant {found.Name}" } : null;
    }

    private async Task<IReadOnlyList<Voice>> ListAsync() =>
        [.. (await TableOfVoicesAsync("--voices")).DistinctBy(fields => fields[1])
            .Select(fields => new Voice(Name, fields[1], fields[1], null, fields[3].Replace('_', ' ')))];

    private async Task<IReadOnlyList<Voice>> ListVariantsAsync() =>
        [.. (await TableOfVoicesAsync("--voices=variant")).Where(fields => fields[4].StartsWith("!v/", StringComparison.Ordinal))
            .Select(fields => new Voice(Name, fields[4][3..], "", fields[2].EndsWith("/F", StringComparison.Ordinal) ? "female" : "male",
                fields[3]))];

    private async Task<IReadOnlyList<string[]>> TableOfVoicesAsync(string argument)
    {
        (byte[] output, _) = await Program.RunAsync([argument]);
        return [.. Encoding.UTF8.GetString(output).Split('\n').Skip(1)
            .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)).Where(fields => fields.Length >= 5)];
    }

    [GeneratedRegex(@"\d+(\.\d+)+\S*")]
    private static partial Regex VersionNumber();
}
