namespace Flywheel.Engine;

/// <summary>What a model gave tokens; log-probabilities among its whole vocabulary.</summary>
/// <param name="Choices">Of those of which one was taken.</param>
/// <param name="Taken">Index of that one.</param>
/// <param name="Then">Of those that were weighed after it.</param>
/// <param name="Likeliest">Token that the model itself would have taken in the first place.</param>
public sealed record WeighedTokens(float[] Choices, int Taken, float[] Then, int Likeliest);

/// <summary>A prompt, the likeliest of some tokens after it, and what the model gives others after that
/// (<see cref="InferenceEngine.WeighAsync"/>).</summary>
internal sealed unsafe class WeighingSequence(int[] prompt, int[] choices, int[] then) : Sequence(prompt, 1)
{
    private readonly TaskCompletionSource<WeighedTokens> _result = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly float[] _choices = new float[choices.Length], _then = new float[then.Length];
    private int _taken = -1, _likeliest;
    private bool _read;

    public Task<WeighedTokens> Result => _result.Task;

    public override bool Wants(int position) => position >= Tokens.Length - 1;

    public override void Read(float* logits, long ld, int count, int position, LogitsReader reader, int threadId)
    {
        float* summary = stackalloc float[2];
        reader.Kernels.LogSumExp(logits, reader.VocabSize, summary);
        float normalizer = summary[0] + MathF.Log(summary[1]);
        bool first = Tokens.Length == PromptLength;
        (int[] ids, float[] values) = first ? (choices, _choices) : (then, _then);
        for (int i = 0; i < ids.Length; i++) values[i] = logits[ids[i]] - normalizer;
        if (first) (_taken, _likeliest) = (IndexOfMax(values), IndexOfMax(new ReadOnlySpan<float>(logits, reader.VocabSize)));
        _read = true;

        static int IndexOfMax(ReadOnlySpan<float> values)
        {
            int best = 0;
            for (int i = 1; i < values.Length; i++)
                if (values[i] > values[best]) best = i;
            return best;
        }
    }

    public override bool Publish()
    {
        if (!_read) return false;
        _read = false;
        if (Tokens.Length > PromptLength) return _result.TrySetResult(new WeighedTokens(_choices, _taken, _then, _likeliest));
        Append(choices[_taken]);
        return false;
    }

    public override void Abort(Exception? defect)
    {
        if (defect is null) _result.TrySetCanceled();
        else _result.TrySetException(defect);
    }
}
