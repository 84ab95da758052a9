// Shapes: rows = tokens of the step (all sequences), C hidden, H query heads, G key/value heads, D head dim,
// F feed-forward width, V vocabulary; all padded as DecoderShape says.
using Flywheel.Engine.Kernels;
using Flywheel.Engine.Weights;
using Flywheel.Model;

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

    /// <summary>What its rows add to the weights' products, or null.</summary>
    public AdapterWeights? Adapter;
}

/// <summary>
/// The forward pass of one step as phases of a <see cref="KernelTeam"/>: five a layer when sequences decode. A row's
/// arithmetic never depends on the other rows.
/// </summary>
internal sealed unsafe partial class Decoder
{
    /// <summary>Up to so many rows, every member prepares its own copy of a product's input: cheaper than a phase.</summary>
    private const int MaxPrivateRows = 4;

    /// <summary>Weights of a piece of a product, at least: less would be lost in taking it.</summary>
    private const int PieceBytes = 64 << 10;

    /// <summary>More pieces than members, so that one that is slowed down does less.</summary>
    private const int PiecesPerMember = 4;

    private const int CacheLineLongs = 16;

    /// <summary>Rows of the gate and of up that lie side by side.</summary>
    private const int GatePair = 2 * KernelTable.Block;

    private readonly NativeArena _arena;
    private readonly DecoderWeights _weights;
    private readonly DecoderShape _shape;
    private readonly KernelTable _kernels;
    private readonly KvPool _pool;
    private readonly int _teamSize;
    private readonly int _maxRows;

    private readonly float* _x, _qkv, _attention, _hidden;
    private readonly StepInput _shared, _down;
    private readonly StepInput[] _private;
    private readonly long[] _prepared;
    private readonly Phase[] _phases;
    private readonly int[] _pieces;
    private long _step;

    public Decoder(NativeArena arena, DecoderWeights weights, KernelTable kernels, KvPool pool, int teamSize, int maxRows, int maxLogitRows)
    {
        (_arena, _weights, _shape, _kernels, _pool, _teamSize, _maxRows) = (arena, weights, weights.Shape, kernels, pool, teamSize,
            maxRows);
        Tokens = arena.Allocate<int>(maxRows);
        LogitRows = arena.Allocate<int>(maxLogitRows);
        Logits = arena.Allocate<float>((long)maxLogitRows * _shape.Vocab);
        MaxLogitRows = maxLogitRows;
        StateRows = arena.Allocate<int>(maxRows);
        States = arena.Allocate<float>((long)maxRows * _shape.Hidden);
        Segments = new Segment[maxRows];
        _groups = new AdapterGroup[maxRows];
        _x = arena.Allocate<float>((long)maxRows * _shape.Hidden);
        _qkv = arena.Allocate<float>((long)maxRows * QkvColumns);
        _attention = arena.Allocate<float>((long)maxRows * _shape.AttentionColumns);
        _hidden = arena.Allocate<float>((long)maxRows * 2 * _shape.FeedForward);
        int widest = Math.Max(Math.Max(_shape.Hidden, _shape.AttentionColumns), _shape.FeedForward);
        _shared = Input(maxRows);
        _down = Input(maxRows); // written while others still read the shared input
        _private = [.. Enumerable.Range(0, teamSize).Select(_ => Input(Math.Min(MaxPrivateRows, maxRows)))];
        _prepared = new long[teamSize * CacheLineLongs];
        _phases = new Phase[MaxPhases(weights.Layers.Length)];
        _pieces = new int[_phases.Length];
        _frequencies = RopeFrequencies.Compute(_shape.Config);
        _cos = arena.Allocate<float>((long)maxRows * _frequencies.Inverse.Length);
        _sin = arena.Allocate<float>((long)maxRows * _frequencies.Inverse.Length);
        _tiles = new Tile[maxRows];
        _parts = new (int, int)[maxRows + MaxExtraParts];
        _unfinished = new int[maxRows * _shape.Config.NumKvHeads];
        _scratch = [.. Enumerable.Range(0, teamSize).Select(_ => Scratch())];

        StepInput Input(int rows) => new()
        {
            Floats = arena.Allocate<float>((long)rows * widest),
            Quantized = new Int8Rows { Values = arena.Allocate<sbyte>((long)rows * widest),
                Blocks = arena.Allocate<Int8Block>((long)rows * widest / KernelTable.Block) },
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

    /// <summary>[rows]: rows of the step whose states after the final norm are wanted.</summary>
    public int* StateRows { get; }

    public int NumStateRows { get; set; }

    /// <summary>[rows, padded C]</summary>
    public float* States { get; }

    public int MaxRows => _maxRows;

    /// <summary>[logit rows, padded V]</summary>
    public float* Logits { get; }

    public DecoderShape Shape => _shape;

    private int GroupSize => _shape.Config.NumHeads / _shape.Config.NumKvHeads;

    private int QkvColumns => _weights.Layers[0].Qkv.NumRows;

    private enum Kind { Embed, PrepareQkv, LowerQkv, Qkv, Cache, Attend, PrepareOutput, LowerOutput, Output, PrepareGateUp, LowerGateUp,
        GateUp, LowerDown, Down, States, PrepareHead, Head }

    private readonly record struct Phase(Kind Kind, int Layer);

    public static int MaxPhases(int layers) => 4 + 13 * layers;

    private bool IsDecoding => NumSegments == NumRows;

    private bool PreparesPrivately => NumRows <= MaxPrivateRows && _numGroups == 0;

    /// <summary>The phases of the step that has been set: how many pieces each has.</summary>
    public ReadOnlySpan<int> Plan()
    {
        _step++;
        FindGroups();
        int count = 0, attentionPieces = PlanAttention(), rowPieces = Math.Min(NumRows, PiecesPerMember * _teamSize);
        int shared = PreparesPrivately ? 0 : rowPieces;
        Add(Kind.Embed, 0, rowPieces);
        for (int index = 0; index < _weights.Layers.Length; index++)
        {
            LayerWeights layer = _weights.Layers[index];
            Add(Kind.PrepareQkv, index, shared);
            Add(Kind.LowerQkv, index, LowerPieces(index, Adapted.Qkv));
            Add(Kind.Qkv, index, Pieces(layer.Qkv, NumRows, Matrix.RowUnit));
            Add(Kind.Cache, index, IsDecoding ? 0 : rowPieces);
            Add(Kind.Attend, index, attentionPieces);
            Add(Kind.PrepareOutput, index, shared);
            Add(Kind.LowerOutput, index, LowerPieces(index, Adapted.Output));
            Add(Kind.Output, index, Pieces(layer.Output, NumRows, Matrix.RowUnit));
            Add(Kind.PrepareGateUp, index, shared);
            Add(Kind.LowerGateUp, index, LowerPieces(index, Adapted.GateUp));
            Add(Kind.GateUp, index, Pieces(layer.GateUp, NumRows, GatePair));
            Add(Kind.LowerDown, index, LowerPieces(index, Adapted.Down));
            Add(Kind.Down, index, Pieces(layer.Down, NumRows, Matrix.RowUnit));
        }
        Add(Kind.States, 0, Math.Min(NumStateRows, PiecesPerMember * _teamSize));
        Add(Kind.PrepareHead, 0, Math.Min(NumLogitRows, PiecesPerMember * _teamSize));
        Add(Kind.Head, 0, NumLogitRows == 0 ? 0 : Pieces(_weights.Head, NumLogitRows, Matrix.RowUnit));
        return _pieces.AsSpan(0, count);

        void Add(Kind kind, int layer, int pieces)
        {
            _phases[count] = new Phase(kind, layer);
            _pieces[count++] = pieces;
        }
    }

    /// <summary>One piece of a phase.</summary>
    public void Run(int phase, int piece, int id)
    {
        (Kind kind, int index) = _phases[phase];
        int pieces = _pieces[phase];
        LayerWeights layer = _weights.Layers[index];
        // of kinds that go by rows
        (int from, int to) = Share(kind == Kind.PrepareHead ? NumLogitRows : kind == Kind.States ? NumStateRows : NumRows, 1, piece,
            pieces);
        switch (kind)
        {
            case Kind.Embed:
                for (int row = from; row < to; row++)
                {
                    _weights.Embedding.ReadRow(Tokens[row], _x + (long)row * _shape.Hidden);
                    FillAngles(row);
                }
                break;
            case Kind.PrepareQkv:
                for (int row = from; row < to; row++) PrepareRow(_x, _shape.Hidden, layer.AttentionNorm, layer.Qkv, _shared, row, row);
                break;
            case Kind.LowerQkv:
                Lower(index, Adapted.Qkv, piece);
                break;
            case Kind.Qkv:
                Multiply(layer.Qkv, Input(_x, _shape.Hidden, layer.AttentionNorm, layer.Qkv, phase, id), NumRows, _qkv, QkvColumns,
                    add: false, index, Adapted.Qkv, piece, pieces);
                break;
            case Kind.Cache:
                for (int row = from; row < to; row++) CacheRow(index, layer, row);
                break;
            case Kind.Attend:
                AttendPiece(index, layer, piece, id);
                break;
            case Kind.PrepareOutput:
                for (int row = from; row < to; row++)
                    PrepareRow(_attention, _shape.AttentionColumns, null, layer.Output, _shared, row, row);
                break;
            case Kind.LowerOutput:
                Lower(index, Adapted.Output, piece);
                break;
            case Kind.Output:
                Multiply(layer.Output, Input(_attention, _shape.AttentionColumns, null, layer.Output, phase, id), NumRows, _x,
                    _shape.Hidden, add: true, index, Adapted.Output, piece, pieces);
                break;
            case Kind.PrepareGateUp:
                for (int row = from; row < to; row++) PrepareRow(_x, _shape.Hidden, layer.FeedForwardNorm, layer.GateUp, _shared, row, row);
                break;
            case Kind.LowerGateUp:
                Lower(index, Adapted.GateUp, piece);
                break;
            case Kind.GateUp:
                GateAndUp(index, layer, Input(_x, _shape.Hidden, layer.FeedForwardNorm, layer.GateUp, phase, id), piece, pieces);
                break;
            case Kind.LowerDown:
                Lower(index, Adapted.Down, piece);
                break;
            case Kind.Down:
                Multiply(layer.Down, _down, NumRows, _x, _shape.Hidden, add: true, index, Adapted.Down, piece, pieces);
                break;
            case Kind.States:
                for (int i = from; i < to; i++)
                    _kernels.RmsNorm(_x + (long)StateRows[i] * _shape.Hidden, _weights.FinalNorm, States + (long)i * _shape.Hidden,
                        _shape.Hidden, _shape.Config.HiddenSize, _shape.Config.RmsNormEps);
                break;
            case Kind.PrepareHead: // the rows that are wanted move to the front
                for (int i = from; i < to; i++) PrepareRow(_x, _shape.Hidden, _weights.FinalNorm, _weights.Head, _shared, LogitRows[i], i);
                break;
            case Kind.Head:
                Multiply(_weights.Head, _shared, NumLogitRows, Logits, _shape.Vocab, add: false, 0, null, piece, pieces);
                break;
        }
    }

    /// <summary>A product's input: prepared in a phase before, or now by this member for itself, once.</summary>
    private StepInput Input(float* x, int columns, float* norm, Matrix matrix, int phase, int id)
    {
        if (!PreparesPrivately) return _shared;
        long key = _step * _phases.Length + phase;
        if (_prepared[id * CacheLineLongs] != key)
        {
            for (int row = 0; row < NumRows; row++) PrepareRow(x, columns, norm, matrix, _private[id], row, row);
            _prepared[id * CacheLineLongs] = key;
        }
        return _private[id];
    }

    /// <summary>Normalises (when a weight is given) a row and puts it in the forms that the matrix reads.</summary>
    private void PrepareRow(float* source, int columns, float* norm, Matrix matrix, in StepInput input, int from, int to)
    {
        float* x = source + (long)from * columns, floats = input.Floats + (long)to * columns;
        if (norm != null) _kernels.RmsNorm(x, norm, floats, columns, _shape.Config.HiddenSize, _shape.Config.RmsNormEps);
        else if (matrix.ReadsFloats) new ReadOnlySpan<float>(x, columns).CopyTo(new Span<float>(floats, columns));
        if (matrix.ReadsInt8) Quantize(norm != null ? floats : x, columns, input, (long)to * columns);
    }

    private void Quantize(float* x, int count, in StepInput input, long at) =>
        _kernels.Quantize(x, count, input.Quantized.Values + at, input.Quantized.Blocks + at / KernelTable.Block);

    private void Multiply(Matrix matrix, in StepInput input, int rows, float* y, long ldy, bool add, int layer, Adapted? adapted, int piece,
        int pieces)
    {
        (int from, int to) = Share(matrix.NumRows, Matrix.RowUnit, piece, pieces);
        matrix.Multiply(input, rows, y, ldy, add, from, to);
        if (adapted is { } name) Raise(layer, name, y, ldy, from, to);
    }

    /// <summary>Gate and up, then silu(gate) * up of the columns of this piece.</summary>
    private void GateAndUp(int index, LayerWeights layer, in StepInput input, int piece, int pieces)
    {
        (int from, int to) = Share(layer.GateUp.NumRows, GatePair, piece, pieces);
        int columns = _shape.FeedForward;
        layer.GateUp.Multiply(input, NumRows, _hidden, 2 * columns, add: false, from, to);
        Raise(index, Adapted.GateUp, _hidden, 2 * columns, from, to);
        for (int row = 0; row < NumRows; row++)
        {
            for (int first = from; first < to; first += GatePair)
            {
                float* gate = _hidden + (long)row * 2 * columns + first;
                long column = (long)row * columns + first / 2;
                _kernels.SwiGlu(gate, gate + KernelTable.Block, _down.Floats + column, KernelTable.Block);
                if (layer.Down.ReadsInt8) Quantize(_down.Floats + column, KernelTable.Block, _down, column);
            }
        }
    }

    /// <summary>As many pieces a member as the work is worth.</summary>
    private int Pieces(Matrix matrix, int rows, int unit)
    {
        if (_teamSize == 1) return 1;
        long work = matrix.NumBytes * Math.Max(1, rows / 4);
        return (int)Math.Min(matrix.NumRows / unit, _teamSize * Math.Clamp(work / PieceBytes / _teamSize, 1, PiecesPerMember));
    }

    /// <summary>A piece's share of <paramref name="count"/>, in whole units.</summary>
    private static (int From, int To) Share(int count, int unit, int piece, int pieces)
    {
        long units = (count + unit - 1) / unit;
        return ((int)(units * piece / pieces) * unit, Math.Min(count, (int)(units * (piece + 1) / pieces) * unit));
    }
}
