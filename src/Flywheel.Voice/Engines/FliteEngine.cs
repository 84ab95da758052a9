using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Flywheel.Model;

namespace Flywheel.Voice;

/// <summary>flite: a few American and British English voices, small and quick.</summary>
public sealed partial class FliteEngine : ISpeechEngine
{
    /// <summary>The program's list gives names alone. The voice of the talking clock says nothing else and is left out.</summary>
    private static readonly Dictionary<string, (string Language, string Gender, string Title)> Known = new(StringComparer.Ordinal)
    {
        ["kal"] = ("en-us", "male", "Kal, 8 kHz"),
        ["kal16"] = ("en-us", "male", "Kal"),
        ["awb"] = ("en-gb", "male", "Alan, Scottish"),
        ["rms"] = ("en-us", "male", "Rich"),
        ["slt"] = ("en-us", "female", "Susan"),
    };

    private readonly Lazy<Task<IReadOnlyList<Voice>>> _voices;

    public FliteEngine() => _voices = new(ListAsync);

    public string Name => "flite";

    public ExternalProgram Program { get; } = new("flite", "flite");

    public async Task<string> VersionAsync(Voice voice, CancellationToken cancellation)
    {
        (byte[] output, _) = await Program.RunAsync(["--version"], success: 1, cancellation: cancellation); // so it says itself
        return VersionNumber().Match(Encoding.UTF8.GetString(output)).Value;
    }

    public Task<IReadOnlyList<Voice>> VoicesAsync(CancellationToken cancellation) => _voices.Value.WaitAsync(cancellation);

    public async Task<Voice?> FindAsync(string name, CancellationToken cancellation) =>
        (await VoicesAsync(cancellation)).FirstOrDefault(voice => voice.Name == name);

    public Task<string> PhonesAsync(Voice voice, string ipa, CancellationToken cancellation) =>
        Task.FromResult(string.Join(' ', ArpabetPhones.Stressed(ipa, voice.Id)
            .Select(sound =>
                sound.Stress < 0
                    ? sound.Phone : string.Create(CultureInfo.InvariantCulture, $"{sound.Phone}{Math.Min(sound.Stress, 1)}"))));

    public async Task<Clip> SpeakAsync(Utterance utterance, CancellationToken cancellation)
    {
        (string text, IReadOnlyList<(string Word, string Ipa)> words) = StandIns.Write(utterance.Parts);
        using var folder = new WorkFolder();
        // A last line without its end is not read.
        await File.WriteAllTextAsync(folder["text"], PlainLetters.Of(text) + "\n", cancellation);
        List<string> arguments = ["-voice", utterance.Voice.Name, "--setf", $"duration_stretch={Text(1 / utterance.Speed)}"];
        bool hasPitch = utterance.Voice.Name != "rms"; // whose model takes no shift
        if (hasPitch && utterance.Pitch != 0) arguments.AddRange(["--setf", $"f0_shift={Text(Math.Pow(2, utterance.Pitch / 12))}"]);
        if (words.Count > 0)
        {
            var lexicon = new StringBuilder();
            foreach ((string word, string ipa) in words)
                lexicon.Append(CultureInfo.InvariantCulture, $"\"{word}\" nil : {await PhonesAsync(utterance.Voice, ipa, cancellation)}\n");
            await File.WriteAllTextAsync(folder["lexicon"], lexicon.ToString(), cancellation);
            arguments.AddRange(["-add_lex", folder["lexicon"]]);
        }
        arguments.AddRange(["-f", folder["text"], "-o", folder["wav"]]);
        await Program.RunAsync(arguments, cancellation: cancellation);
        if (!File.Exists(folder["wav"])) throw new FlywheelException($"flite made no sound of '{CueReader.Short(text)}'");
        Clip clip = WavReader.ReadMono(folder["wav"]);
        return hasPitch ? clip : Tempo.Shift(clip, utterance.Pitch);
    }

    private static string Text(double number) => number.ToString("0.####", CultureInfo.InvariantCulture);

    private async Task<IReadOnlyList<Voice>> ListAsync()
    {
        (byte[] output, _) = await Program.RunAsync(["-lv"]);
        string[] names = Encoding.UTF8.GetString(output).Split(':')[^1].Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        return [.. names.Where(Known.ContainsKey)
            .Select(name => new Voice(Name, name, Known[name].Language, Known[name].Gender, Known[name].Title))];
    }

    [GeneratedRegex(@"flite-\S+")]
    private static partial Regex VersionNumber();
}
