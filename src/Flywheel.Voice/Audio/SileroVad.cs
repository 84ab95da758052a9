using Flywheel.Model;
using Microsoft.ML.OnnxRuntime;

namespace Flywheel.Voice;

/// <summary>
/// Silero VAD (Silero Team, MIT): a small recurrent network that was trained to tell speech from everything else. The file's form is that
/// of
/// its versions 5 and 6: windows of 512 samples at 16 kHz behind the last 64 of the window before, and a state of [2, 1, 128].
/// </summary>
public sealed class SileroVad : IDisposable
{
    private const int Rate = 16_000, Window = 512, Context = 64, StateSize = 2 * 1 * 128;

    /// <summary>Speech begins at the first, and ends below the second: one that hesitates between both is no change.</summary>
    private const float Begins = .5f, Ends = .35f;

    private static readonly string[] s_inputs = ["input", "state", "sr"], s_outputs = ["output", "stateN"];

    private readonly InferenceSession _session;
    private readonly string _path;

    private SileroVad(InferenceSession session, string path) => (_session, _path) = (session, path);

    /// <summary>Where a home keeps it.</summary>
    public static string PathIn(FlywheelHome home) => Path.Combine(home.Path, "voice", "silero_vad.onnx");

    /// <summary>Null where the home has none.</summary>
    /// <exception cref="FlywheelException">The file is no such model.</exception>
    public static SileroVad? FindIn(FlywheelHome home) => PathIn(home) is var path && File.Exists(path) ? Open(path) : null;

    /// <exception cref="FlywheelException">There is no such file, or it is no such model.</exception>
    public static SileroVad Open(string path) => new(OnnxModel.Open(path, s_inputs, s_outputs, "Silero VAD of version 5 or 6"), path);

    /// <summary>How likely it is that somebody speaks, of each window of 32 ms.</summary>
    /// <param name="clip">Of any rate.</param>
    public float[] Listen(Clip clip)
    {
        float[] samples = Resampling.Convert(clip, Rate).Samples, heard = new float[Context + Window], state = new float[StateSize],
            likely = new float[(samples.Length + Window - 1) / Window];
        using OrtValue rate = OrtValue.CreateTensorValueFromMemory<long>([Rate], []);
        using OrtValue input = OrtValue.CreateTensorValueFromMemory(heard, [1, Context + Window]),
            before = OrtValue.CreateTensorValueFromMemory(state, [2, 1, 128]);
        for (int i = 0; i < likely.Length; i++)
        {
            heard.AsSpan(Window, Context).CopyTo(heard);
            ReadOnlySpan<float> window = samples.AsSpan(i * Window, Math.Min(Window, samples.Length - i * Window));
            window.CopyTo(heard.AsSpan(Context));
            heard.AsSpan(Context + window.Length).Clear();
            using IDisposableReadOnlyCollection<OrtValue> made = OnnxModel.Run(_path, _session, s_inputs, [input, before, rate], s_outputs);
            likely[i] = made[0].GetTensorDataAsSpan<float>()[0];
            made[1].GetTensorDataAsSpan<float>().CopyTo(state);
        }
        return likely;
    }

    /// <summary>Which windows are speech.</summary>
    internal SpeechFrames Frames(Clip clip)
    {
        float[] likely = Listen(clip);
        bool[] isSpeech = new bool[likely.Length];
        for (int i = 0; i < likely.Length; i++) isSpeech[i] = likely[i] >= (i > 0 && isSpeech[i - 1] ? Ends : Begins);
        return new SpeechFrames((double)Window / Rate, isSpeech, Edge: 0);
    }

    public void Dispose() => _session.Dispose();
}
