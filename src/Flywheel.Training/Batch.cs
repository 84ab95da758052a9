// N input tokens, M predicted tokens (the targets among them).
using Flywheel.Model;

namespace Flywheel.Training;

/// <summary>
/// A micro-batch without padding: whole segments one after another, positions counted from the start of each piece.
/// </summary>
internal sealed class Batch
{
    private Batch(int numInputs, int numSegments) => (Tokens, SegmentLengths) = (new long[numInputs], new long[numSegments]);

    /// <summary>Input ids, [N].</summary>
    public long[] Tokens { get; }

    /// <summary>Inputs of each segment; their sum is N.</summary>
    public long[] SegmentLengths { get; }

    /// <summary>Input positions whose next token is to be learnt, [M].</summary>
    public long[] Rows { get; private set; } = [];

    /// <summary>The next token at each of <see cref="Rows"/>, [M].</summary>
    public long[] Targets { get; private set; } = [];

    /// <summary>The segment that each of <see cref="Rows"/> lies in, [M].</summary>
    public int[] RowSegments { get; private set; } = [];

    /// <summary>Document of each segment.</summary>
    public long[] Documents { get; private set; } = [];

    /// <summary>Label of each segment's document; empty in a dataset without.</summary>
    public float[] Labels { get; private set; } = [];

    /// <summary>Log-probability of each target when it was sampled, [M]; empty in a dataset without.</summary>
    public float[] SampledLogProbs { get; private set; } = [];

    /// <param name="data">Where the segments' tokens are read.</param>
    /// <param name="segments">What to put into the batch.</param>
    /// <param name="everyToken">Learn every token (next-token training), or only those that the dataset marks.</param>
    public static Batch Read(TokenDataset data, IReadOnlyList<Segment> segments, bool everyToken)
    {
        var batch = new Batch(segments.Sum(segment => segment.NumInputs),
            segments.Count) { Documents = [.. segments.Select(segment => segment.Document)] };
        List<long> rows = [], targets = [];
        List<int> rowSegments = [];
        List<float> sampled = [];
        if (data.Manifest.Labels) batch.Labels = [.. segments.Select(segment => data.Label(segment.Document))];
        int at = 0;
        for (int s = 0; s < segments.Count; s++)
        {
            Segment segment = segments[s];
            long[] tokens = new long[segment.Length];
            byte[] marks = new byte[segment.Length];
            data.ReadTokens(segment.Document, segment.Start, tokens);
            data.ReadTargets(segment.Document, segment.Start, marks);
            float[] logProbs = new float[data.Manifest.LogProbs ? segment.Length : 0];
            if (logProbs.Length > 0) data.ReadLogProbs(segment.Document, segment.Start, logProbs);
            tokens.AsSpan(0, segment.NumInputs).CopyTo(batch.Tokens.AsSpan(at));
            for (int i = 0; i < segment.NumInputs; i++)
            {
                if (!everyToken && marks[i + 1] == 0) continue;
                rows.Add(at + i);
                targets.Add(tokens[i + 1]);
                rowSegments.Add(s);
                if (logProbs.Length > 0) sampled.Add(logProbs[i + 1]);
            }
            batch.SegmentLengths[s] = segment.NumInputs;
            at += segment.NumInputs;
        }
        (batch.Rows, batch.Targets, batch.RowSegments, batch.SampledLogProbs) = ([.. rows], [.. targets], [.. rowSegments], [.. sampled]);
        return batch;
    }
}
