// Shapes: rows = tokens of the step (all sequences), C hidden, H query heads, G key/value heads, D head dim,
// F feed-forward width, V vocabulary; all padded as DecoderShape says.
using Flywheel.Engine.Kernels;
using Flywheel.Engine.Weights;

namespace Flywheel.Engine;

/// <summary>Consecutive tokens of one sequence in a step.</summary>
internal unsafe struct Segment
{
    public int FirstRow;
    public int NumRows;

    /// <summary>Position of the first row in its sequence.</summary>
    public int Start;

    /// <summary>The sequence's pages; those of this step's positions exist.</summary>
    public float** Pages;
}

/// <summary>
/// The forward pass of one step, run by every member of the team on its share. Five barriers a layer when sequences
/// decode; a row's arithmetic never depends on the other rows.
/// </summary>
internal sealed unsafe class Decoder
{
    /// <summary>Up to so many rows, every member prepares its own copy of a product's input: cheaper than a barrier.</summary>
    private const int MaxPrivateRows = 4;

    /// <summary>Query lines that share one pass over keys and values.</summary>
    private const int MaxLines = 16;

    private readonly DecoderWeights _weights;
    private readonly DecoderShape _shape;
    private readonly KernelTable _kernels;
    private readonly KvPool _pool;
    private readonly KernelTeam _team;
    private readonly int _maxRows;

    private readonly float* _x, _qkv, _attention, _hidden, _cos, _sin;
    private readonly StepInput _shared, _down;
    private readonly StepInput[] _private;
    private readonly float*[] _scores;

    public Decoder(NativeArena arena, DecoderWeights weights, KernelTable kernels, KvPool pool, KernelTeam team, int maxRows, int maxLogitRows)
    {
        (_weights, _shape, _kernels, _pool, _team, _maxRows) = (weights, weights.Shape, kernels, pool, team, maxRows);
        Tokens = arena.Allocate<int>(maxRows);
        LogitRows = arena.Allocate<int>(maxLogitRows);
        Logits = arena.Allocate<float>((long)maxLogitRows * _shape.Vocab);
        MaxLogitRows = maxLogitRows;
        Segments = new Segment[maxRows];
        _x = arena.Allocate<float>((long)maxRows * _shape.Hidden);
        _qkv = arena.Allocate<float>((long)maxRows * QkvColumns);
        _attention = arena.Allocate<float>((long)maxRows * _shape.AttentionColumns);
        _hidden = arena.Allocate<float>((long)maxRows * 2 * _shape.FeedForward);
        int widest = Math.Max(Math.Max(_shape.Hidden, _shape.AttentionColumns), _shape.FeedForward);
        _shared = Input(maxRows);
        _down = Input(maxRows); // written while others still read the shared input
        _private = [.. Enumerable.Range(0, team.Size).Select(_ => Input(Math.Min(MaxPrivateRows, maxRows)))];
        _scores = new float*[team.Size];
        int lines = Math.Max(MaxLines, GroupSize);
        for (int id = 0; id < team.Size; id++) _scores[id] = arena.Allocate<float>((long)lines * AttentionJob.SpanTokens);
        FillRotary(_cos = arena.Allocate<float>(RotaryLength), _sin = arena.Allocate<float>(RotaryLength));

        StepInput Input(int rows) => new()
        {
            Floats = arena.Allocate<float>((long)rows * widest),
            Quantized = new Int8Rows { Values = arena.Allocate<sbyte>((long)rows * widest), Blocks = arena.Allocate<Int8Block>((long)rows * widest / KernelTable.Block) },
        };
    }

    /// <summary>[rows] of the step, set by the scheduler.</summary>
    public int* Tokens { get; }

    public int NumRows { get; set; }

    public Segment[] Segments { get; }

    public int NumSegments { get; set; }

    /// <summary>[logit rows]: rows of the step whose logits are wanted.</summary>
    public int* LogitRows { get; }

    public int NumLogitRows { get; set; }

    public int MaxLogitRows { get; }

    public int MaxRows => _maxRows;

    /// <summary>[logit rows, padded V]</summary>
    public float* Logits { get; }

    public DecoderShape Shape => _shape;

    private int GroupSize => _shape.Config.NumHeads / _shape.Config.NumKvHeads;

    private int QkvColumns => _weights.Layers[0].Qkv.NumRows;

    /// <summary>The whole step, for member <paramref name="id"/>. Ends without a barrier after the logits' last product.</summary>
    public void Run(int id)
    {
        bool decoding = NumSegments == NumRows;
        (int from, int to) = Share(NumRows, 1, id);
        for (int row = from; row < to; row++) _weights.Embedding.ReadRow(Tokens[row], _x + (long)row * _shape.Hidden);
        _team.Barrier();
        for (int index = 0; index < _weights.Layers.Length; index++)
        {
            LayerWeights layer = _weights.Layers[index];
            StepInput input = Prepare(_x, _shape.Hidden, layer.AttentionNorm, layer.Qkv, id);
            Multiply(layer.Qkv, input, NumRows, _qkv, QkvColumns, add: false, id);
            _team.Barrier();
            Attend(index, layer, decoding, id);
            _team.Barrier();
            input = Prepare(_attention, _shape.AttentionColumns, null, layer.Output, id);
            Multiply(layer.Output, input, NumRows, _x, _shape.Hidden, add: true, id);
            _team.Barrier();
            input = Prepare(_x, _shape.Hidden, layer.FeedForwardNorm, layer.GateUp, id);
            GateAndUp(layer, input, id);
            _team.Barrier();
            Multiply(layer.Down, _down, NumRows, _x, _shape.Hidden, add: true, id);
            _team.Barrier();
        }
        if (NumLogitRows > 0) Head(id);
    }

    private void Head(int id)
    {
        // The rows that are wanted move to the front; the attention buffer is free by now.
        (int from, int to) = Share(NumLogitRows, 1, id);
        StepInput input = _shared;
        for (int i = from; i < to; i++) PrepareRow(_x + (long)LogitRows[i] * _shape.Hidden, _shape.Hidden, _weights.FinalNorm, _weights.Head.Format, input, i);
        _team.Barrier();
        Multiply(_weights.Head, input, NumLogitRows, Logits, _shape.Vocab, add: false, id);
        _team.Barrier();
    }

    /// <summary>Normalised (when a weight is given) and quantised (when the matrix is) input of a product.</summary>
    private StepInput Prepare(float* x, int columns, float* norm, Matrix matrix, int id)
    {
        if (NumRows <= MaxPrivateRows)
        {
            for (int row = 0; row < NumRows; row++) PrepareRow(x + (long)row * columns, columns, norm, matrix.Format, _private[id], row);
            return _private[id];
        }
        (int from, int to) = Share(NumRows, 1, id);
        for (int row = from; row < to; row++) PrepareRow(x + (long)row * columns, columns, norm, matrix.Format, _shared, row);
        _team.Barrier();
        return _shared;
    }

    private void PrepareRow(float* x, int columns, float* norm, WeightFormat format, in StepInput input, int row)
    {
        float* floats = input.Floats + (long)row * columns;
        if (norm != null) _kernels.RmsNorm(x, norm, floats, columns, _shape.Config.HiddenSize, _shape.Config.RmsNormEps);
        else if (format == WeightFormat.Fp32) new ReadOnlySpan<float>(x, columns).CopyTo(new Span<float>(floats, columns));
        if (format == WeightFormat.Int8)
            _kernels.Quantize(norm != null ? floats : x, columns, input.Quantized.Values + (long)row * columns, input.Quantized.Blocks + (long)row * columns / KernelTable.Block);
    }

    private void Multiply(Matrix matrix, in StepInput input, int rows, float* y, long ldy, bool add, int id)
    {
        (int from, int to) = Share(matrix.NumRows, Matrix.RowUnit, id);
        matrix.Multiply(input, rows, y, ldy, add, from, to);
    }

    /// <summary>Gate and up, then silu(gate) * up of the columns that this member has made.</summary>
    private void GateAndUp(LayerWeights layer, in StepInput input, int id)
    {
        const int pair = 2 * KernelTable.Block;
        (int from, int to) = Share(layer.GateUp.NumRows, pair, id);
        int columns = _shape.FeedForward;
        layer.GateUp.Multiply(input, NumRows, _hidden, 2 * columns, add: false, from, to);
        float* product = stackalloc float[KernelTable.Block];
        for (int row = 0; row < NumRows; row++)
        {
            for (int first = from; first < to; first += pair)
            {
                float* gate = _hidden + (long)row * 2 * columns + first;
                long column = (long)row * columns + first / 2;
                bool quantized = layer.Down.Format == WeightFormat.Int8;
                float* target = quantized ? product : _down.Floats + column;
                _kernels.SwiGlu(gate, gate + KernelTable.Block, target, KernelTable.Block);
                if (quantized) _kernels.Quantize(product, KernelTable.Block, _down.Quantized.Values + column, _down.Quantized.Blocks + column / KernelTable.Block);
            }
        }
    }

    private void Attend(int index, LayerWeights layer, bool decoding, int id)
    {
        int kvHeads = _shape.Config.NumKvHeads, item = 0;
        if (!decoding)
        {
            // A chunk's tokens see each other, so all keys and values are written before anyone reads them.
            for (int s = 0; s < NumSegments; s++)
                for (int i = 0; i < Segments[s].NumRows; i++)
                    for (int head = 0; head < kvHeads; head++)
                        if (item++ % _team.Size == id) Rotate(index, layer, Segments[s], i, head);
            _team.Barrier();
        }
        int tile = Math.Max(1, MaxLines / GroupSize);
        for (int s = 0; s < NumSegments; s++)
            for (int first = 0; first < Segments[s].NumRows; first += tile)
                for (int head = 0; head < kvHeads; head++)
                {
                    if (item++ % _team.Size != id) continue;
                    if (decoding) Rotate(index, layer, Segments[s], 0, head);
                    AttendTile(index, Segments[s], first, Math.Min(tile, Segments[s].NumRows - first), head, id);
                }
    }

    /// <summary>Bias, norm and rotation of one group's queries and key, and its key and value written to the cache.</summary>
    private void Rotate(int index, LayerWeights layer, in Segment segment, int i, int kvHead)
    {
        int d = _shape.HeadDim, position = segment.Start + i;
        float* row = _qkv + (long)(segment.FirstRow + i) * QkvColumns;
        for (int head = kvHead * GroupSize; head < (kvHead + 1) * GroupSize; head++) Turn(head * d, layer.QueryNorm);
        int keyColumn = _shape.QueryColumns + kvHead * d, valueColumn = keyColumn + _shape.KvColumns;
        Turn(keyColumn, layer.KeyNorm);
        AddBias(valueColumn);

        float* page = segment.Pages[position / AttentionJob.PageTokens];
        int slot = position % AttentionJob.PageTokens;
        float* keys = page + _pool.KeyOffset(index, kvHead) + slot;
        float* values = page + _pool.ValueOffset(index, kvHead) + slot * d;
        for (int c = 0; c < d; c++)
        {
            keys[c * AttentionJob.PageTokens] = row[keyColumn + c];
            values[c] = row[valueColumn + c];
        }

        void Turn(int column, float* norm)
        {
            AddBias(column);
            float* v = row + column;
            if (norm != null) _kernels.RmsNorm(v, norm, v, d, _shape.Config.HeadDim, _shape.Config.RmsNormEps);
            int half = _shape.Config.HeadDim / 2;
            float* cos = _cos + (long)position * half, sin = _sin + (long)position * half;
            for (int c = 0; c < half; c++)
            {
                float a = v[c], b = v[c + half];
                v[c] = a * cos[c] - b * sin[c];
                v[c + half] = b * cos[c] + a * sin[c];
            }
        }

        void AddBias(int column)
        {
            if (layer.QkvBias == null) return;
            for (int c = 0; c < d; c++) row[column + c] += layer.QkvBias[column + c];
        }
    }

    private void AttendTile(int index, in Segment segment, int first, int rows, int kvHead, int id)
    {
        int lines = rows * GroupSize, d = _shape.HeadDim;
        float** queries = stackalloc float*[lines];
        float** outputs = stackalloc float*[lines];
        int* limits = stackalloc int[lines];
        for (int line = 0; line < lines; line++)
        {
            long row = segment.FirstRow + first + line / GroupSize;
            int column = (kvHead * GroupSize + line % GroupSize) * d;
            queries[line] = _qkv + row * QkvColumns + column;
            outputs[line] = _attention + row * _shape.AttentionColumns + column;
            limits[line] = segment.Start + first + line / GroupSize + 1;
        }
        var job = new AttentionJob
        {
            Pages = segment.Pages,
            KeyOffset = _pool.KeyOffset(index, kvHead),
            ValueOffset = _pool.ValueOffset(index, kvHead),
            HeadDim = d,
            NumLines = lines,
            Queries = queries,
            Outputs = outputs,
            Limits = limits,
            Scale = 1 / MathF.Sqrt(_shape.Config.HeadDim),
            Scores = _scores[id],
        };
        _kernels.Attend(&job);
    }

    /// <summary>Member's share of <paramref name="count"/>, in whole units.</summary>
    private (int From, int To) Share(int count, int unit, int id)
    {
        long units = (count + unit - 1) / unit;
        return ((int)(units * id / _team.Size) * unit, Math.Min(count, (int)(units * (id + 1) / _team.Size) * unit));
    }

    private long RotaryLength => (long)_shape.Config.MaxPositions * _shape.Config.HeadDim / 2;

    /// <summary>cos and sin of position x theta^(-2i/D), [positions, D / 2] each.</summary>
    private void FillRotary(float* cos, float* sin)
    {
        int half = _shape.Config.HeadDim / 2;
        for (int i = 0; i < half; i++)
        {
            double frequency = Math.Pow(_shape.Config.RopeTheta, -2.0 * i / _shape.Config.HeadDim);
            for (long position = 0; position < _shape.Config.MaxPositions; position++)
            {
                cos[position * half + i] = (float)Math.Cos(position * frequency);
                sin[position * half + i] = (float)Math.Sin(position * frequency);
            }
        }
    }
}
