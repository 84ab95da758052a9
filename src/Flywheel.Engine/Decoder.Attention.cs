using Flywheel.Engine.Kernels;
using Flywheel.Engine.Weights;
using Flywheel.Model;

namespace Flywheel.Engine;

/// <summary>Rotation, the cache, and attention. A tile is a few consecutive rows of one sequence.</summary>
internal sealed unsafe partial class Decoder
{
    /// <summary>Rows of a tile: their query lines share one pass over keys and values.</summary>
    private int TileRows => IsDecoding ? 1 : Math.Max(1, MaxLines / GroupSize);

    private int NumTiles()
    {
        int tiles = 0;
        for (int s = 0; s < NumSegments; s++) tiles += (Segments[s].NumRows + TileRows - 1) / TileRows;
        return tiles;
    }

    /// <summary>A prompt's tokens see each other, so all keys and values are written before anyone reads them.</summary>
    private void RotateRow(int index, LayerWeights layer, int row)
    {
        int s = 0;
        while (row >= Segments[s].FirstRow + Segments[s].NumRows) s++;
        for (int head = 0; head < _shape.Config.NumKvHeads; head++) Rotate(index, layer, Segments[s], row - Segments[s].FirstRow, head);
    }

    /// <summary>One tile and one key/value head. A token that is decoded alone is rotated on the way.</summary>
    private void AttendPiece(int index, LayerWeights layer, int piece, int id)
    {
        int kvHeads = _shape.Config.NumKvHeads, tile = piece / kvHeads, head = piece % kvHeads, s = 0;
        for (int tiles; tile >= (tiles = (Segments[s].NumRows + TileRows - 1) / TileRows); s++) tile -= tiles;
        int first = tile * TileRows;
        if (IsDecoding) Rotate(index, layer, Segments[s], 0, head);
        AttendTile(index, Segments[s], first, Math.Min(TileRows, Segments[s].NumRows - first), head, id);
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
            _kernels.Rotate(v, _cos + (long)position * half, _sin + (long)position * half, half);
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

    private long RotaryLength => (long)_shape.Config.MaxPositions * _shape.Config.HeadDim / 2;

    /// <summary>cos and sin of every position's angles, [positions, D / 2] each.</summary>
    private void FillRotary(float* cos, float* sin)
    {
        RopeFrequencies frequencies = RopeFrequencies.Compute(_shape.Config);
        int half = frequencies.Inverse.Length;
        for (int i = 0; i < half; i++)
        {
            for (long position = 0; position < _shape.Config.MaxPositions; position++)
            {
                (double s, double c) = Math.SinCos(position * frequencies.Inverse[i]);
                cos[position * half + i] = (float)(c * frequencies.AttentionFactor);
                sin[position * half + i] = (float)(s * frequencies.AttentionFactor);
            }
        }
    }
}
