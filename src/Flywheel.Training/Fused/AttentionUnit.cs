// T tokens of a document, D head dim, G query heads that share a key head, R rows of a tile, w columns of a tile.
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Flywheel.Training;

/// <summary>
/// Causal attention of the query heads of one key head inside one document, forward and backward, from products of tiles. What
/// the mask forbids is left out to the tile, and zero within it.
/// </summary>
/// <param name="layout">Of the model.</param>
/// <param name="kvHead">Key head.</param>
/// <param name="length">T.</param>
/// <param name="x">The document's first row of the fused projection.</param>
/// <param name="qNorm">[D]; null in layouts without.</param>
/// <param name="kNorm">[D].</param>
internal readonly unsafe ref struct AttentionUnit(HeadLayout layout, int kvHead, int length, float* x, float* qNorm, float* kNorm)
{
    private const int R = MatrixTile.NumRows;

    /// <summary>Probabilities that the way back holds at once, in floats, and the rows that it takes at least: many rows make deep
    /// products, few stay in the second cache.</summary>
    private const int BlockFloats = 48 * 1024, MinBlockRows = 4 * R;

    private static readonly MatrixTile s_tile = MatrixTile.Best;

    [ThreadStatic]
    private static float* s_scratch;

    [ThreadStatic]
    private static long s_scratchFloats;

    private readonly int _dim = layout.HeadDim, _group = layout.NumHeads / layout.NumKvHeads, _width = layout.Width;

    private float Scale => 1 / MathF.Sqrt(_dim);

    /// <summary>T filled up to whole tiles of columns.</summary>
    private int Columns => (length + s_tile.NumColumns - 1) / s_tile.NumColumns * s_tile.NumColumns;

    /// <summary>Floats of a row of scores; the gap keeps rows off the same sets of the first cache.</summary>
    private int ScoreRow => Columns + 16;

    /// <summary>Floats of [T, D] in panels.</summary>
    private long PanelFloats => (_dim + s_tile.NumColumns - 1L) / s_tile.NumColumns * s_tile.NumColumns * length;

    private float* QueryHead(int head) => x + (kvHead * _group + head) * _dim;

    private float* Key => x + (layout.NumHeads + kvHead) * _dim;

    private float* Value => x + (layout.NumHeads + layout.NumKvHeads + kvHead) * _dim;

    /// <param name="y">The document's first row of the output, [., H D].</param>
    /// <param name="logSums">[H, T] of the document: takes the logarithm of each softmax's denominator.</param>
    public void Forward(float* y, Span<float> logSums)
    {
        long plain = (long)length * _dim;
        float* q = Take(2 * plain + (long)Columns * _dim + PanelFloats + R * ScoreRow), k = q + plain, turnedK = k + plain,
            v = turnedK + (long)Columns * _dim, scores = v + PanelFloats;
        Heads(Key, kNorm, 1, k);
        MatrixProduct.PackColumns(k, 1, _dim, _dim, length, s_tile.NumColumns, turnedK);
        MatrixProduct.PackColumns(Value, _width, 1, length, _dim, s_tile.NumColumns, v);
        int yRow = layout.NumHeads * _dim;
        Span<float> sums = stackalloc float[R];
        for (int head = 0; head < _group; head++)
        {
            Heads(QueryHead(head), qNorm, Scale, q);
            int number = kvHead * _group + head;
            for (int i = 0; i < length; i += R)
            {
                Scores(q + i * _dim, _dim, i, turnedK, scores);
                int seen = Math.Min(length, i + R), rows = seen - i;
                for (int r = 0; r < rows; r++)
                {
                    (float max, sums[r]) = Softmax(scores + r * ScoreRow, i + r + 1, seen);
                    logSums[number * length + i + r] = max + MathF.Log(sums[r]);
                }
                float* to = y + (long)i * yRow + number * _dim;
                MatrixProduct.RowOfTiles(s_tile, new TileJob { A = scores, ARow = ScoreRow, ADepth = 1, Rows = rows, Depth = seen }, v,
                    _dim, to, yRow, null, 0, (nint)length * s_tile.NumColumns);
                for (int r = 0; r < rows; r++)
                {
                    var output = new Span<float>(to + r * yRow, _dim);
                    TensorPrimitives.Multiply(output, 1 / sums[r], output);
                }
            }
        }
    }

    /// <summary>This unit's heads' columns of the projection become their gradient.</summary>
    /// <param name="dy">The document's first row of the output's gradient.</param>
    /// <param name="logSums">What <see cref="Forward"/> left.</param>
    /// <param name="dNorms">[2, D], added to.</param>
    public void Backward(float* dy, ReadOnlySpan<float> logSums, float* dNorms)
    {
        int width = s_tile.NumColumns, dyRow = layout.NumHeads * _dim, scoreRow = ScoreRow;
        int blockRows = Math.Min((length + R - 1) / R * R, Math.Max(MinBlockRows, BlockFloats / scoreRow / R * R));
        long plain = (long)length * _dim, turned = (long)Columns * _dim;
        float* q = Take(5 * plain + 2 * turned + 3 * PanelFloats + 2L * blockRows * scoreRow), k = q + plain, dq = k + plain,
            dk = dq + plain, dv = dk + plain;
        float* turnedK = dv + plain, turnedV = turnedK + turned, packedK = turnedV + turned, packedQ = packedK + PanelFloats,
            packedDy = packedQ + PanelFloats;
        float* p = packedDy + PanelFloats, ds = p + (long)blockRows * scoreRow;
        nint panel = (nint)length * width;
        Heads(Key, kNorm, 1, k);
        MatrixProduct.PackColumns(k, 1, _dim, _dim, length, width, turnedK);
        MatrixProduct.PackColumns(Value, 1, _width, _dim, length, width, turnedV);
        MatrixProduct.PackColumns(k, _dim, 1, length, _dim, width, packedK);
        new Span<float>(dk, checked((int)(2 * plain))).Clear();
        for (int head = 0; head < _group; head++)
        {
            int number = kvHead * _group + head;
            Heads(QueryHead(head), qNorm, Scale, q);
            MatrixProduct.PackColumns(q, _dim, 1, length, _dim, width, packedQ);
            MatrixProduct.PackColumns(dy + number * _dim, dyRow, 1, length, _dim, width, packedDy);
            for (int first = 0; first < length; first += blockRows)
            {
                int end = Math.Min(length, first + blockRows);
                for (int i = first; i < end; i += R)
                {
                    int seen = Math.Min(length, i + R), rows = seen - i;
                    float* pi = p + (long)(i - first) * scoreRow, dsi = ds + (long)(i - first) * scoreRow;
                    Scores(q + i * _dim, _dim, i, turnedK, pi);
                    Scores(dy + (long)i * dyRow + number * _dim, dyRow, i, turnedV, dsi);
                    for (int r = 0; r < rows; r++)
                        SoftmaxBackward(pi + r * scoreRow, dsi + r * scoreRow, i + r + 1, seen, logSums[number * length + i + r]);
                    MatrixProduct.RowOfTiles(s_tile, new TileJob { A = dsi, ARow = scoreRow, ADepth = 1, Rows = rows, Depth = seen },
                        packedK, _dim, dq + i * _dim, _dim, null, 0, panel);
                }
                for (int j = 0; j < end; j += R)
                {
                    int from = Math.Max(first, j); // queries before a tile of keys do not see it
                    long at = (long)(from - first) * scoreRow + j;
                    var job = new TileJob { A = p + at, ARow = 1, ADepth = scoreRow, Rows = Math.Min(R, length - j), Depth = end - from };
                    MatrixProduct.RowOfTiles(s_tile, job, packedDy + from * width, _dim, dv + j * _dim, _dim, dv + j * _dim, _dim, panel);
                    job.A = ds + at;
                    MatrixProduct.RowOfTiles(s_tile, job, packedQ + from * width, _dim, dk + j * _dim, _dim, dk + j * _dim, _dim, panel);
                }
            }
            HeadsBackward(QueryHead(head), qNorm, Scale, dq, dNorms);
        }
        HeadsBackward(Key, kNorm, 1, dk, dNorms + _dim);
        for (int row = 0; row < length; row++)
            new ReadOnlySpan<float>(dv + row * _dim, _dim).CopyTo(new Span<float>(Value + (long)row * _width, _dim));
    }

    /// <summary>Memory that lives as long as the thread, for floats that are on their way through a unit.</summary>
    private static float* Take(long floats)
    {
        if (s_scratchFloats < floats)
        {
            NativeMemory.AlignedFree(s_scratch);
            s_scratch = Arena.Allocate(floats);
            s_scratchFloats = floats;
        }
        return s_scratch;
    }

    /// <summary>Products of a tile of rows at token i with all that these may see, [R, i + R] filled up to whole tiles.</summary>
    private void Scores(float* rows, int rowStep, int i, float* turned, float* scores)
    {
        int width = s_tile.NumColumns, columns = Math.Min(Columns, (i + R + width - 1) / width * width);
        MatrixProduct.RowOfTiles(s_tile, new TileJob { A = rows, ARow = rowStep, ADepth = 1, Rows = length - i, Depth = _dim }, turned,
            columns, scores, ScoreRow, null, 0);
    }

    /// <summary>A head's rows, normalised, turned by their positions and multiplied by <paramref name="scale"/>: [T, D].</summary>
    private void Heads(float* source, float* norm, float scale, float* to)
    {
        Span<float> normed = stackalloc float[_dim];
        for (int row = 0; row < length; row++)
        {
            var from = new ReadOnlySpan<float>(source + (long)row * _width, _dim);
            var output = new Span<float>(to + (long)row * _dim, _dim);
            if (norm is not null) RmsNorm.Normalise(from, new(norm, _dim), normed, layout.Eps);
            layout.Rope.Turn(norm is null ? from : normed, row, 1, scale, output);
        }
    }

    /// <summary>A head's rows become their gradient.</summary>
    private void HeadsBackward(float* source, float* norm, float scale, float* gradients, float* dNorm)
    {
        Span<float> turned = stackalloc float[_dim], scratch = stackalloc float[_dim];
        for (int row = 0; row < length; row++)
        {
            var gradient = new ReadOnlySpan<float>(gradients + (long)row * _dim, _dim);
            var output = new Span<float>(source + (long)row * _width, _dim);
            layout.Rope.Turn(gradient, row, -1, scale, norm is null ? output : turned);
            if (norm is not null) RmsNorm.NormaliseBackward(output, new(norm, _dim), turned, output, new(dNorm, _dim), scratch, layout.Eps);
        }
    }

    /// <summary>e^(score - largest) of the first <paramref name="valid"/> scores, and zero from there to <paramref name="end"/>.</summary>
    private static (float Max, float Sum) Softmax(float* scores, int valid, int end)
    {
        Fill(scores, valid, end, float.NegativeInfinity);
        Vector256<float> largest = Vector256.Load(scores), sum = default;
        for (int j = 8; j < valid; j += 8) largest = Vector256.MaxNative(largest, Vector256.Load(scores + j));
        float max = float.NegativeInfinity;
        for (int lane = 0; lane < 8; lane++) max = MathF.Max(max, largest[lane]);
        var shift = Vector256.Create(max);
        for (int j = 0; j < valid; j += 8)
        {
            Vector256<float> e = Exponential.Of(Vector256.Load(scores + j) - shift);
            sum += e;
            e.Store(scores + j);
        }
        Fill(scores, valid, end, 0);
        return (max, Vector256.Sum(sum));
    }

    /// <summary>Scores become probabilities p, and the probabilities' gradients g those of the scores, p (g - sum of p g); both zero from
    /// <paramref name="valid"/> to <paramref name="end"/>.</summary>
    private static void SoftmaxBackward(float* scores, float* gradients, int valid, int end, float logSum)
    {
        Fill(scores, valid, end, float.NegativeInfinity);
        Fill(gradients, valid, end, 0);
        Vector256<float> shift = Vector256.Create(logSum), sum = default;
        for (int j = 0; j < valid; j += 8)
        {
            Vector256<float> p = Exponential.Of(Vector256.Load(scores + j) - shift);
            p.Store(scores + j);
            sum = Vector256.FusedMultiplyAdd(p, Vector256.Load(gradients + j), sum);
        }
        Fill(scores, valid, end, 0);
        var mean = Vector256.Create(Vector256.Sum(sum));
        for (int j = 0; j < valid; j += 8) (Vector256.Load(scores + j) * (Vector256.Load(gradients + j) - mean)).Store(gradients + j);
    }

    /// <summary>From <paramref name="valid"/> to <paramref name="end"/> and on to a whole vector.</summary>
    private static void Fill(float* row, int valid, int end, float value)
    {
        int to = Math.Max(end, (valid + 7) / 8 * 8);
        for (int j = valid; j < to; j++) row[j] = value;
    }
}
