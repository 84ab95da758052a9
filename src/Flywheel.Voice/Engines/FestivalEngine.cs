using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Flywheel.Model;

namespace Flywheel.Voice;

/// <summary>festival: the voices that Debian's festvox packages bring, among them Italian, Russian, Finnish, Czech, Catalan and
/// Hindi.</summary>
public sealed partial class FestivalEngine : ISpeechEngine
{
    private const string ListVoices =
        "(mapcar (lambda (v) (let ((d (car (cdr (voice.description v))))) "
        + "(format t \"voice %l %l %l %l %l\\n\" v (cdr (assoc 'language d)) (cdr (assoc 'gender d)) (cdr (assoc 'dialect d)) (cdr (assoc 'coding d))))) (voice.list))";

    private static readonly Dictionary<string, string> Languages = new(StringComparer.Ordinal)
    {
        ["english"] = "en", ["italian"] = "it", ["russian"] = "ru", ["finnish"] = "fi", ["czech"] = "cs", ["catalan"] = "ca",
        ["hindi"] = "hi", ["marathi"] = "mr", ["telugu"] = "te", ["spanish"] = "es", ["castellano"] = "es", ["welsh"] = "cy",
    };

    private readonly Lazy<Task<IReadOnlyList<(Voice Voice, string Coding)>>> _voices;

    public FestivalEngine() => _voices = new(ListAsync);

    public string Name => "festival";

    public ExternalProgram Program { get; } = new("festival", "festival");

    /// <summary>festival's own script that writes a file; it comes with it.</summary>
    private static ExternalProgram Speaker { get; } = new("text2wave", "festival");

    public async Task<string> VersionAsync(Voice voice, CancellationToken cancellation)
    {
        (byte[] output, _) = await Program.RunAsync(["--version"], cancellation: cancellation);
        return VersionNumber().Match(Encoding.UTF8.GetString(output)).Value;
    }

    public async Task<IReadOnlyList<Voice>> VoicesAsync(CancellationToken cancellation) =>
        [.. (await _voices.Value.WaitAsync(cancellation)).Select(entry => entry.Voice)];

    public async Task<Voice?> FindAsync(string name, CancellationToken cancellation) =>
        (await VoicesAsync(cancellation)).FirstOrDefault(voice => voice.Name == name);

    public Task<string> PhonesAsync(Voice voice, string ipa, CancellationToken cancellation)
    {
        if (!voice.Language.StartsWith("en", StringComparison.Ordinal))
            throw new FlywheelException($"pronunciation '{ipa}': the voice {voice.Id} takes no IPA; give a respelling in its own letters");
        // Syllables end before the consonant that a vowel follows: the engine stresses by syllable.
        var syllables = new List<(List<string> Phones, int Stress)> { ([], 0) };
        IReadOnlyList<(string Phone, int Stress)> sounds = ArpabetPhones.Stressed(ipa, voice.Id);
        bool hasVowel = false;
        for (int i = 0; i < sounds.Count; i++)
        {
            bool opens = sounds[i].Stress >= 0 || i + 1 < sounds.Count && sounds[i + 1].Stress >= 0;
            bool begun = i > 0 && sounds[i].Stress >= 0 && sounds[i - 1].Stress < 0; // its consonant has begun the syllable
            if (hasVowel && opens && !begun)
            {
                syllables.Add(([], 0));
                hasVowel = false;
            }
            syllables[^1].Phones.Add(sounds[i].Phone);
            if (sounds[i].Stress < 0) continue;
            syllables[^1] = (syllables[^1].Phones, Math.Min(sounds[i].Stress, 1));
            hasVowel = true;
        }
        return Task.FromResult(
            $"({string.Join(' ', syllables.Select(each => string.Create(CultureInfo.InvariantCulture, $"(({string.Join(' ', each.Phones)}) {each.Stress})")))})");
    }

    public async Task<Clip> SpeakAsync(Utterance utterance, CancellationToken cancellation)
    {
        (Voice voice, string coding) =
            (await _voices.Value.WaitAsync(cancellation)).First(entry => entry.Voice.Name == utterance.Voice.Name);
        (string text, IReadOnlyList<(string Word, string Ipa)> words) = StandIns.Write(utterance.Parts);
        if (voice.Language == "ru")
        {
            text = RussianText.Write(text);
            if (RussianText.Unspeakable(text) is { } letter)
                throw new FlywheelException(
                    $"the voice {voice.Id} cannot speak '{letter}': it knows Russian and Latin letters, digits and marks");
            if (!text.Any(char.IsLetterOrDigit))
                throw new FlywheelException(
                    $"the voice {voice.Id} finds nothing to say in '{CueReader.Short(string.Concat(utterance.Parts.Select(part => part.Text)))}'");
        }
        using var folder = new WorkFolder();
        await File.WriteAllBytesAsync(folder["text"], Encode(text, coding, voice), cancellation);
        // Only names from the program's own list and sounds from our table come into the program's language; the text is in the file.
        var script = new StringBuilder().Append(CultureInfo.InvariantCulture, $"(begin (voice_{voice.Name})");
        bool hasSpeed = !voice.Name.Contains("clunits", StringComparison.Ordinal); // which joins recordings as they are
        if (hasSpeed) script.Append(CultureInfo.InvariantCulture, $" (Parameter.set 'Duration_Stretch {1 / utterance.Speed:0.####})");
        foreach ((string word, string ipa) in words)
            script.Append(CultureInfo.InvariantCulture,
                $" (lex.add.entry '(\"{word}\" nil {await PhonesAsync(voice, ipa, cancellation)}))");
        (_, string errors) = await Speaker.RunAsync(["-eval", script.Append(')').ToString(), "-o", folder["wav"], folder["text"]],
            cancellation: cancellation);
        if (!File.Exists(folder["wav"]) || new FileInfo(folder["wav"]).Length == 0)
            throw new FlywheelException(
                $"festival's voice {voice.Name} made no sound of '{CueReader.Short(text)}'{(errors.Length > 0 ? $": {errors.Trim()}" : "")}");
        Clip clip = WavReader.ReadMono(folder["wav"]);
        return Tempo.Shift(hasSpeed ? clip : Tempo.Change(clip, utterance.Speed), utterance.Pitch);
    }

    private static byte[] Encode(string text, string coding, Voice voice)
    {
        if (coding == "utf-8") return Encoding.UTF8.GetBytes(text);
        string plain = PlainLetters.Of(text);
        try
        {
            var provider = CodePagesEncodingProvider.Instance;
            Encoding letters = provider.GetEncoding(coding, EncoderFallback.ExceptionFallback, DecoderFallback.ExceptionFallback)
                ?? Encoding.GetEncoding(coding, EncoderFallback.ExceptionFallback, DecoderFallback.ExceptionFallback);
            return letters.GetBytes(plain);
        }
        catch (EncoderFallbackException e)
        {
            throw new FlywheelException(
                $"the voice {voice.Id} cannot speak '{(e.CharUnknown == 0 ? $"{e.CharUnknownHigh}{e.CharUnknownLow}" : $"{e.CharUnknown}")}': its letters are those of {coding}", e);
        }
    }

    private async Task<IReadOnlyList<(Voice Voice, string Coding)>> ListAsync()
    {
        (byte[] output, _) = await Program.RunAsync(["-b", ListVoices]);
        var voices = new List<(Voice, string)>();
        foreach (Match match in VoiceLine().Matches(Encoding.UTF8.GetString(output)))
        {
            string Field(string name) => match.Groups[name].Value;
            if (!Languages.TryGetValue(Field("language"), out string? language)) continue;
            if (language == "en" && Field("dialect") is "american" or "us") language = "en-us";
            if (language == "en" && Field("dialect") == "british") language = "en-gb";
            string gender = Field("gender") is "male" or "female" ? Field("gender") : "";
            string coding = Field("coding").ToLowerInvariant() switch
            {
                "utf-8" or "utf8" => "utf-8",
                "" or "nil" when language is "hi" or "mr" or "te" or "ru" => "utf-8",
                "" or "nil" => language == "cs" ? "iso-8859-2" : "iso-8859-1",
                var named => named,
            };
            voices.Add((new Voice(Name, Field("name"), language, gender.Length > 0 ? gender : null, Field("name").Replace('_', ' ')),
                coding));
        }
        return [.. voices.OrderBy(entry => entry.Item1.Name, StringComparer.Ordinal)];
    }

    [GeneratedRegex(@"\d+(\.\d+)+\S*")]
    private static partial Regex VersionNumber();

    [GeneratedRegex(@"voice (?<name>[A-Za-z0-9_]+) \(?(?<language>\w+)\)? \(?(?<gender>\w+)\)? \(?(?<dialect>[\w-]+)\)? \(?(?<coding>[\w-]+)\)?", RegexOptions.ExplicitCapture)]
    private static partial Regex VoiceLine();
}
