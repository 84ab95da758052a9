using Flywheel.Engine.Weights;

namespace Flywheel.Engine;

/// <summary>
/// Low-rank additions to the products. A phase before a product lowers its input, y += B (A x) is then added by whoever
/// has computed that part of y. Rows of one adapter that lie side by side share one pass over its weights.
/// </summary>
internal sealed unsafe partial class Decoder
{
    /// <summary>Rows of a step at which lowering is cut by rows too: an A has few rows of its own.</summary>
    private const int RowsToCut = 16;

    private readonly AdapterGroup[] _groups;
    private int _numGroups;

    /// <summary>Consecutive rows of the step with the same adapter.</summary>
    private record struct AdapterGroup(AdapterWeights Adapter, int FirstRow, int NumRows);

    private void FindGroups()
    {
        Array.Clear(_groups, 0, _numGroups); // an unloaded adapter must not be held
        _numGroups = 0;
        for (int s = 0; s < NumSegments; s++)
        {
            if (Segments[s].Adapter is not { } adapter) continue;
            if (_numGroups > 0 && _groups[_numGroups - 1] is var last && last.Adapter == adapter
                && last.FirstRow + last.NumRows == Segments[s].FirstRow) _groups[_numGroups - 1].NumRows += Segments[s].NumRows;
            else _groups[_numGroups++] = new AdapterGroup(adapter, Segments[s].FirstRow, Segments[s].NumRows);
        }
    }

    private int LowerPieces(int layer, Adapted matrix)
    {
        int units = 0;
        for (int g = 0; g < _numGroups; g++)
            units = Math.Max(units, (_groups[g].Adapter.Layers[layer][(int)matrix]?.A.NumRows ?? 0) / Matrix.RowUnit);
        return units * RowParts;
    }

    private int RowParts => NumRows >= RowsToCut ? PiecesPerMember : 1;

    /// <summary>A x of some of A's rows for a part of each group's rows.</summary>
    private void Lower(int layer, Adapted matrix, int piece)
    {
        float* x = matrix == Adapted.Output ? _attention : matrix == Adapted.Down ? _down.Floats : _shared.Floats;
        int columns = matrix == Adapted.Output ? _shape.AttentionColumns : matrix == Adapted.Down ? _shape.FeedForward : _shape.Hidden;
        int unit = piece / RowParts * Matrix.RowUnit, part = piece % RowParts;
        for (int g = 0; g < _numGroups; g++)
        {
            AdapterGroup group = _groups[g];
            if (group.Adapter.Layers[layer][(int)matrix] is not { } pair || unit >= pair.A.NumRows) continue;
            (int from, int to) = Share(group.NumRows, 1, part, RowParts);
            int lowered = pair.B.NumColumns, first = group.FirstRow + from;
            if (from < to)
                pair.A.Multiply(new StepInput { Floats = x + (long)first * columns }, to - from,
                    group.Adapter.Lowered + (long)first * lowered, lowered, add: false, unit, unit + Matrix.RowUnit);
        }
    }

    /// <summary>Adds B (A x) to the outputs of a product's piece.</summary>
    private void Raise(int layer, Adapted matrix, float* y, long ldy, int from, int to)
    {
        for (int g = 0; g < _numGroups; g++)
        {
            AdapterGroup group = _groups[g];
            if (group.Adapter.Layers[layer][(int)matrix] is not { } pair) continue;
            var lowered = new StepInput { Floats = group.Adapter.Lowered + (long)group.FirstRow * pair.B.NumColumns };
            pair.B.Multiply(lowered, group.NumRows, y + group.FirstRow * ldy, ldy, add: true, from, to);
        }
    }
}
