using System.Collections.Concurrent;
using System.Security.Cryptography;
using Flywheel.Model;
using Microsoft.ML.OnnxRuntime;

namespace Flywheel.Voice;

/// <summary>
/// Voices in Piper's form (VITS, rhasspy/piper, MIT), which people put into a folder: <c>NAME.onnx</c> and <c>NAME.onnx.json</c>. espeak-ng
/// says the
/// sounds, ONNX Runtime speaks them. A voice of several speakers has each behind a plus: <c>piper:en_US-vctk-medium+p225</c>.
/// </summary>
/// <param name="folder">It need not be there.</param>
public sealed class PiperEngine(string folder) : ISpeechEngine
{
    private const string Ending = ".onnx", ConfigEnding = ".onnx.json";

    /// <summary>More speakers are found by name and not listed.</summary>
    private const int MaxListed = 24;

    /// <summary>Models that stay in memory, some 60 MB each.</summary>
    internal const int MaxModels = 3;

    /// <summary>A call has a model of its own, which computes in some hundred MB: further calls wait, whatever the number of
    /// cores.</summary>
    private static readonly SemaphoreSlim s_sessions = new(4);

    private static readonly TimeSpan s_betweenSentences = TimeSpan.FromMilliseconds(200);

    private readonly ConcurrentDictionary<string, (DateTime Written, long Length, PiperConfig Config)> _configs =
        new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, (Stamp Stamp, string Hash)> _hashes = new(StringComparer.Ordinal);

    /// <summary>The one that was used last stands last.</summary>
    private readonly List<(string Name, Stamp Stamp, byte[] Model)> _models = [];
    private readonly Lock _lock = new();

    /// <summary>By which another file of the same name is noticed.</summary>
    private readonly record struct Stamp(DateTime Written, long Length);

    internal int NumModels
    {
        get { lock (_lock) return _models.Count; }
    }

    public string Name => "piper";

    public ExternalProgram Program { get; } = new("espeak-ng", "espeak-ng");

    /// <summary>Where a home keeps such voices.</summary>
    public static string FolderIn(FlywheelHome home) => Path.Combine(home.Path, "voice", "piper");

    public async Task<string> VersionAsync(Voice voice, CancellationToken cancellation) =>
        $"{HashOf(voice.Name.Split('+')[0])} {await new EspeakEngine().VersionAsync(voice, cancellation)}";

    public Task<IReadOnlyList<Voice>> VoicesAsync(CancellationToken cancellation)
    {
        var voices = new List<Voice>();
        foreach ((string name, PiperConfig? config, _) in Look())
        {
            if (config is null) continue;
            voices.Add(VoiceOf(name, config, speaker: null));
            if (config.Speakers.Count <= MaxListed) voices.AddRange(config.Speakers.Select(speaker => VoiceOf(name, config, speaker.Name)));
        }
        return Task.FromResult<IReadOnlyList<Voice>>(voices);
    }

    /// <summary>Files of the folder that are no voices, and why.</summary>
    public IReadOnlyList<string> Faults() => [.. Look().Select(each => each.Fault).OfType<string>()];

    /// <exception cref="FlywheelException">There are such files, and they are no voice.</exception>
    public Task<Voice?> FindAsync(string name, CancellationToken cancellation)
    {
        string[] parts = name.Split('+', 2);
        if (Path.GetFileName(parts[0]) != parts[0] || !File.Exists(Path.Combine(folder, parts[0] + Ending)))
            return Task.FromResult<Voice?>(null);
        PiperConfig config = ConfigOf(parts[0]);
        return Task.FromResult(parts.Length == 1
            ? VoiceOf(parts[0], config, null) : config.Speakers.Any(speaker => speaker.Name == parts[1])
            ? VoiceOf(parts[0], config, parts[1]) : null);
    }

    public Task<string> PhonesAsync(Voice voice, string ipa, CancellationToken cancellation) =>
        Task.FromResult(new PiperPhonemes(ConfigOf(voice.Name.Split('+')[0]), Program).Spoken(ipa, voice.Id));

    public async Task<Clip> SpeakAsync(Utterance utterance, CancellationToken cancellation)
    {
        string[] name = utterance.Voice.Name.Split('+', 2);
        PiperConfig config = ConfigOf(name[0]);
        string path = Path.Combine(folder, name[0] + Ending);
        IReadOnlyList<long[]> sentences = await new PiperPhonemes(config, Program).IdsAsync(utterance.Parts, utterance.Voice.Id,
            cancellation);
        int speaker = name.Length == 1 ? 0 : config.Speakers.First(each => each.Name == name[1]).Number;
        var samples = new List<float>();
        await s_sessions.WaitAsync(cancellation);
        try
        {
            // A model of its own for each call: its random numbers begin anew, so the same text is the same sound.
            using InferenceSession session = Open(path, ModelOf(name[0]), config);
            foreach ((int number, long[] ids) in sentences.Index())
            {
                cancellation.ThrowIfCancellationRequested();
                if (number > 0) samples.AddRange(new float[Time.ToSamples(s_betweenSentences / utterance.Speed, config.SampleRate)]);
                samples.AddRange(Run(path, session, config, ids, speaker, utterance.Speed));
            }
        }
        finally
        {
            s_sessions.Release();
        }
        return Tempo.Shift(new Clip([.. samples], config.SampleRate), utterance.Pitch);
    }

    /// <summary>Puts a voice into the folder, once it has been looked through and has said something.</summary>
    /// <param name="path">Its model; the config lies beside it.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <returns>Its id.</returns>
    /// <exception cref="FlywheelException">It is no voice; the message names file and field.</exception>
    public async Task<Voice> AddAsync(string path, CancellationToken cancellation = default)
    {
        if (!path.EndsWith(Ending, StringComparison.OrdinalIgnoreCase))
            throw new FlywheelException($"{path}: expected a voice's model, NAME.onnx, with NAME.onnx.json beside it");
        string source = Path.GetFullPath(path), name = Path.GetFileNameWithoutExtension(source);
        if (name.Contains('+', StringComparison.Ordinal)) throw new FlywheelException(PlusIn(path));
        PiperConfig config = PiperConfig.Read(Path.ChangeExtension(source, null) + ConfigEnding);
        byte[] model = OnnxSeeds.Fix(OnnxModel.Read(source), source);
        using (InferenceSession session = Open(source, model, config))
            Run(source, session, config, [.. config.Ids[PiperConfig.Begin], .. config.Ids[PiperConfig.Pad], .. config.Ids[PiperConfig.End]],
                speaker: 0, speed: 1);
        Directory.CreateDirectory(folder);
        // The config first: without it the model is no voice.
        AtomicFile.WriteText(Path.Combine(folder, name + ConfigEnding),
            Utf8File.ReadText(Path.ChangeExtension(source, null) + ConfigEnding));
        AtomicFile.Write(Path.Combine(folder, name + Ending), stream =>
        {
            using FileStream from = File.OpenRead(source);
            from.CopyTo(stream);
        });
        return (await FindAsync(name, cancellation))!;
    }

    private IEnumerable<(string Name, PiperConfig? Config, string? Fault)> Look()
    {
        if (!Directory.Exists(folder)) yield break;
        foreach (string path in Directory.EnumerateFiles(folder, "*" + Ending).Order(StringComparer.Ordinal))
        {
            string name = Path.GetFileNameWithoutExtension(path);
            PiperConfig? config = null;
            string? fault = name.Contains('+', StringComparison.Ordinal) ? PlusIn(path) : null;
            try
            {
                if (fault is null) config = ConfigOf(name);
            }
            catch (FlywheelException e)
            {
                fault = e.Message; // of one voice; the others speak
            }
            yield return (name, config, fault);
        }
    }

    private static string PlusIn(string path) => $"{path}: a voice's name must not hold '+', which stands before a speaker";

    private Voice VoiceOf(string name, PiperConfig config, string? speaker) =>
        new(Name, speaker is null ? name : $"{name}+{speaker}", config.Language, null,
            speaker is not null ? $"{name}, speaker {speaker}" : config.NumSpeakers > 1
                ? $"{name}, {config.NumSpeakers} speakers: +{config.Speakers[0].Name} and so on" : name);

    private PiperConfig ConfigOf(string name)
    {
        var file = new FileInfo(Path.Combine(folder, name + ConfigEnding));
        if (file.Exists && _configs.TryGetValue(name, out var known) && known.Written == file.LastWriteTimeUtc
            && known.Length == file.Length) return known.Config;
        PiperConfig config = PiperConfig.Read(file.FullName);
        _configs[name] = (file.LastWriteTimeUtc, file.Length, config);
        return config;
    }

    /// <summary>Of model and config: another file of that name sounds otherwise.</summary>
    private string HashOf(string name) =>
        _hashes.TryGetValue(name, out var known) && known.Stamp == StampOf(name) ? known.Hash : Load(name).Hash;

    private byte[] ModelOf(string name)
    {
        Stamp now = StampOf(name);
        lock (_lock)
            if (_models.FindIndex(one => one.Name == name && one.Stamp == now) is >= 0 and var at)
            {
                (string, Stamp, byte[] Model) known = _models[at];
                _models.RemoveAt(at);
                _models.Add(known);
                return known.Model;
            }
        return Load(name).Model;
    }

    private Stamp StampOf(string name)
    {
        var file = new FileInfo(Path.Combine(folder, name + Ending));
        if (!file.Exists) throw new FlywheelException($"{file.FullName}: there is no such file");
        DateTime config = File.GetLastWriteTimeUtc(Path.Combine(folder, name + ConfigEnding));
        return new Stamp(file.LastWriteTimeUtc > config ? file.LastWriteTimeUtc : config, file.Length);
    }

    private (byte[] Model, string Hash) Load(string name)
    {
        Stamp now = StampOf(name);
        string path = Path.Combine(folder, name + Ending), config = Path.Combine(folder, name + ConfigEnding);
        byte[] read = OnnxModel.Read(path);
        string hash =
            Convert.ToHexStringLower(SHA256.HashData([.. SHA256.HashData(read), .. SHA256.HashData(File.ReadAllBytes(config))]))[..16];
        byte[] model = OnnxSeeds.Fix(read, path);
        _hashes[name] = (now, hash);
        lock (_lock)
        {
            _models.RemoveAll(one => one.Name == name);
            if (_models.Count == MaxModels) _models.RemoveAt(0);
            _models.Add((name, now, model));
        }
        return (model, hash);
    }

    private static string[] InputsOf(PiperConfig config) =>
        config.NumSpeakers > 1 ? ["input", "input_lengths", "scales", "sid"] : ["input", "input_lengths", "scales"];

    private static InferenceSession Open(string path, byte[] model, PiperConfig config) =>
        OnnxModel.Open(path, model, InputsOf(config), [], $"voice of {config.NumSpeakers} speakers in Piper's form");

    private static float[] Run(string path, InferenceSession session, PiperConfig config, long[] ids, int speaker, double speed)
    {
        using OrtValue input = OrtValue.CreateTensorValueFromMemory(ids, [1, ids.Length]),
            length = OrtValue.CreateTensorValueFromMemory<long>([ids.Length], [1]),
            scales = OrtValue.CreateTensorValueFromMemory([config.Noise, (float)(config.Length / speed), config.NoiseWidth], [3]),
            number = OrtValue.CreateTensorValueFromMemory<long>([speaker], [1]);
        OrtValue[] values = config.NumSpeakers > 1 ? [input, length, scales, number] : [input, length, scales];
        using IDisposableReadOnlyCollection<OrtValue> made =
            OnnxModel.Run(path, session, InputsOf(config), values, [session.OutputNames[0]]);
        if (made[0].GetTensorTypeAndShape().ElementDataType != Microsoft.ML.OnnxRuntime.Tensors.TensorElementType.Float)
            throw new FlywheelException($"{path}: gives no samples, expected floats");
        float[] samples = made[0].GetTensorDataAsSpan<float>().ToArray();
        for (int i = 0; i < samples.Length; i++) samples[i] = float.IsFinite(samples[i]) ? Math.Clamp(samples[i], -1, 1) : 0;
        return samples;
    }
}
