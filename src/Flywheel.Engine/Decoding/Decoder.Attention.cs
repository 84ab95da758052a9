using System.Runtime.Intrinsics;
using Flywheel.Engine.Kernels;
using Flywheel.Engine.Weights;
using Flywheel.Model;

namespace Flywheel.Engine;

/// <summary>
/// Rotation, the cache, and attention. A tile is a few consecutive rows of one sequence, whose query lines share one pass
/// over keys and values; where the tiles are too few for the team, the spans of tokens that they look at are shared out as parts.
/// </summary>
internal sealed unsafe partial class Decoder
{
    /// <summary>Numbers in the queries of a tile, at most: with the keys and scores of a page they fit the first cache.</summary>
    private const int TileQueries = 48 * 64;

    /// <summary>Spans of a part, at least: fewer would be lost in taking it.</summary>
    private const int SpansPerPart = 2;

    private readonly AttentionScratch[] _scratch;
    private readonly Tile[] _tiles;
    private readonly (int Tile, int Part)[] _parts;

    /// <summary>[tiles, G]: parts that are still at work.</summary>
    private readonly int[] _unfinished;
    private readonly RopeFrequencies _frequencies;

    /// <summary>Angles of the step's positions, [rows, D / 2] each.</summary>
    private readonly float* _cos, _sin;
    private float* _partials;
    private long _partialFloats;

    /// <summary>What one member of the team works with.</summary>
    private unsafe struct AttentionScratch
    {
        public byte* Queries;
        public float* Head, QueryScales, Scores, WeightScales, Result, Next;
        public short* Weights, Wide;
        public int* Limits;
    }

    private struct Tile
    {
        public int Segment, FirstRow, NumRows, NumSpans, NumParts;

        /// <summary>[G, spans] results when there are several parts; from the start of all.</summary>
        public long Partials;
    }

    private int TileRows => Math.Max(1, TileQueries / (_pool.NumBlocks * KvTile.Size) / GroupSize);

    private AttentionScratch Scratch()
    {
        int lines = TileRows * GroupSize, floats = _pool.NumBlocks * lines * KvTile.Size;
        long result = AttentionJob.ResultFloats(_pool.NumBlocks, lines);
        return new AttentionScratch
        {
            Head = _arena.Allocate<float>(_shape.HeadDim),
            Queries = _arena.Allocate<byte>((long)floats * sizeof(float)),
            QueryScales = _arena.Allocate<float>(lines),
            Scores = _arena.Allocate<float>((long)AttentionJob.SpanTokens * lines),
            Weights = _arena.Allocate<short>((long)AttentionJob.SpanTokens * lines),
            WeightScales = _arena.Allocate<float>((long)AttentionJob.SpanPages * lines),
            Wide = _arena.Allocate<short>(KvTile.Size * KvTile.Size),
            Result = _arena.Allocate<float>(result),
            Next = _arena.Allocate<float>(result),
            Limits = _arena.Allocate<int>(lines),
        };
    }

    /// <summary>Cuts the step's attention; returns the number of its pieces. However it is cut, the results are the same bits.</summary>
    private int PlanAttention()
    {
        int tiles = 0, parts = 0, kvHeads = _shape.Config.NumKvHeads;
        double total = 0;
        for (int s = 0; s < NumSegments; s++)
        {
            ref Segment segment = ref Segments[s];
            for (int row = 0; row < segment.NumRows; row += TileRows)
            {
                int rows = Math.Min(TileRows, segment.NumRows - row);
                _tiles[tiles++] = new Tile { Segment = s, FirstRow = row, NumRows = rows,
                    NumSpans = AttentionJob.NumSpans(segment.Start + row + rows) };
                total += _tiles[tiles - 1].NumSpans * rows;
            }
        }
        long partials = 0;
        for (int t = 0; t < tiles; t++)
        {
            ref Tile tile = ref _tiles[t];
            int extra = _teamSize == 1 ? 0 : (int)(tile.NumSpans * tile.NumRows / total * MaxExtraParts);
            tile.NumParts = Math.Clamp(tile.NumSpans / SpansPerPart, 1, 1 + extra);
            for (int part = 0; part < tile.NumParts; part++) _parts[parts++] = (t, part);
            if (tile.NumParts == 1) continue;
            tile.Partials = partials;
            partials += kvHeads * tile.NumSpans * AttentionJob.ResultFloats(_pool.NumBlocks, tile.NumRows * GroupSize);
            _unfinished.AsSpan(t * kvHeads, kvHeads).Fill(tile.NumParts);
        }
        // so texts that grow seldom allocate
        if (partials > _partialFloats) _partials = _arena.Allocate<float>(_partialFloats = 2 * partials);
        return parts * kvHeads;
    }

    /// <summary>More parts of all tiles than tiles, at most.</summary>
    private int MaxExtraParts => (PiecesPerMember * _teamSize + _shape.Config.NumKvHeads - 1) / _shape.Config.NumKvHeads;

    /// <summary>cos and sin of a row's angles; cheap enough to need no table of all positions.</summary>
    private void FillAngles(int row)
    {
        int half = _frequencies.Inverse.Length;
        ref Segment segment = ref Segments[SegmentOf(row)];
        long position = segment.Start + row - segment.FirstRow;
        for (int i = 0; i < half; i++)
        {
            (double sin, double cos) = Math.SinCos(position * _frequencies.Inverse[i]);
            _cos[(long)row * half + i] = (float)(cos * _frequencies.AttentionFactor);
            _sin[(long)row * half + i] = (float)(sin * _frequencies.AttentionFactor);
        }
    }

    private int SegmentOf(int row)
    {
        int s = 0;
        while (row >= Segments[s].FirstRow + Segments[s].NumRows) s++;
        return s;
    }

    /// <summary>A prompt's tokens see each other, so all keys and values are written before anyone reads them.</summary>
    private void CacheRow(int index, LayerWeights layer, int row)
    {
        for (int head = 0; head < _shape.Config.NumKvHeads; head++) Cache(index, layer, row, head);
    }

    /// <summary>Key and value of one row and head, to the cache.</summary>
    private void Cache(int index, LayerWeights layer, int row, int head)
    {
        ref Segment segment = ref Segments[SegmentOf(row)];
        int d = _shape.HeadDim, position = segment.Start + row - segment.FirstRow, token = position % AttentionJob.PageTokens;
        int keyColumn = _shape.QueryColumns + head * d, valueColumn = keyColumn + _shape.KvColumns;
        float* key = _qkv + (long)row * QkvColumns + keyColumn, value = _qkv + (long)row * QkvColumns + valueColumn;
        byte* page = (byte*)segment.Pages[position / AttentionJob.PageTokens];
        AddBias(layer, key, keyColumn);
        Turn(layer.KeyNorm, key, row);
        AddBias(layer, value, valueColumn);
        KvTile.Write(_pool.Type, page + _pool.KeyOffset(index, head), token, key, d, isKey: true);
        KvTile.Write(_pool.Type, page + _pool.ValueOffset(index, head), token, value, d, isKey: false);
    }

    private void AddBias(LayerWeights layer, float* x, int column)
    {
        if (layer.QkvBias == null) return;
        for (int c = 0; c < _shape.HeadDim; c++) x[c] += layer.QkvBias[column + c];
    }

    /// <summary>Norm and rotation of one head of a query or key.</summary>
    private void Turn(float* norm, float* x, int row)
    {
        int half = _shape.Config.HeadDim / 2;
        if (norm != null) _kernels.RmsNorm(x, norm, x, _shape.HeadDim, _shape.Config.HeadDim, _shape.Config.RmsNormEps);
        _kernels.Rotate(x, _cos + (long)row * half, _sin + (long)row * half, half);
    }

    /// <summary>One part of a tile and one key/value head. A token that is decoded alone enters the cache on the way.</summary>
    private void AttendPiece(int index, LayerWeights layer, int piece, int id)
    {
        int kvHeads = _shape.Config.NumKvHeads, head = piece % kvHeads;
        (int t, int part) = _parts[piece / kvHeads];
        ref Tile tile = ref _tiles[t];
        ref Segment segment = ref Segments[tile.Segment];
        ref AttentionScratch scratch = ref _scratch[id];
        int from = tile.NumSpans * part / tile.NumParts, to = tile.NumSpans * (part + 1) / tile.NumParts;
        if (IsDecoding && to == tile.NumSpans) Cache(index, layer, segment.FirstRow, head);
        var job = new AttentionJob
        {
            Type = _pool.Type,
            Pages = (byte**)segment.Pages,
            KeyOffset = _pool.KeyOffset(index, head),
            ValueOffset = _pool.ValueOffset(index, head),
            NumBlocks = _pool.NumBlocks,
            NumLines = tile.NumRows * GroupSize,
            Queries = scratch.Queries,
            QueryScales = scratch.QueryScales,
            Limits = scratch.Limits,
            Scores = scratch.Scores,
            Weights = scratch.Weights,
            WeightScales = scratch.WeightScales,
            Wide = scratch.Wide,
        };
        LoadQueries(layer, job, tile, head, scratch.Head);
        long size = AttentionJob.ResultFloats(job.NumBlocks, job.NumLines);
        if (tile.NumParts == 1)
        {
            _kernels.AttendSpan(&job, 0, scratch.Result);
            for (int span = 1; span < to; span++)
            {
                _kernels.AttendSpan(&job, span, scratch.Next);
                _kernels.FoldSpans(&job, scratch.Result, scratch.Next);
            }
            StoreResult(job, tile, head, scratch.Result);
            return;
        }
        float* results = _partials + tile.Partials + head * tile.NumSpans * size;
        for (int span = from; span < to; span++) _kernels.AttendSpan(&job, span, results + span * size);
        ref int unfinished = ref _unfinished[t * kvHeads + head];
        if (Interlocked.Decrement(ref unfinished) > 0) return;
        unfinished = tile.NumParts; // for the next layer
        for (int span = 1; span < tile.NumSpans; span++) _kernels.FoldSpans(&job, results, results + span * size);
        StoreResult(job, tile, head, results);
    }

    /// <summary>Bias, norm and rotation of the queries of a tile and group, laid out for the kernels.</summary>
    private void LoadQueries(LayerWeights layer, in AttentionJob job, in Tile tile, int kvHead, float* x)
    {
        int d = _shape.HeadDim;
        ref Segment segment = ref Segments[tile.Segment];
        float scale = 1 / MathF.Sqrt(_shape.Config.HeadDim);
        for (int line = 0; line < job.NumLines; line++)
        {
            int row = segment.FirstRow + tile.FirstRow + line / GroupSize, column = (kvHead * GroupSize + line % GroupSize) * d;
            new ReadOnlySpan<float>(_qkv + (long)row * QkvColumns + column, d).CopyTo(new Span<float>(x, d));
            AddBias(layer, x, column);
            Turn(layer.QueryNorm, x, row);
            job.SetQuery(line, x, d, scale);
            job.Limits[line] = segment.Start + tile.FirstRow + line / GroupSize + 1;
        }
    }

    private void StoreResult(in AttentionJob job, in Tile tile, int kvHead, float* result)
    {
        int d = _shape.HeadDim;
        for (int line = 0; line < job.NumLines; line++)
        {
            int row = Segments[tile.Segment].FirstRow + tile.FirstRow + line / GroupSize;
            float* output = _attention + (long)row * _shape.AttentionColumns + (kvHead * GroupSize + line % GroupSize) * d;
            var inverse = Vector256.Create(1 / job.Total(result)[line]);
            float* sums = result + line * KvTile.Size;
            for (int c = 0; c < d; c += Vector256<float>.Count)
                (Vector256.Load(sums + c / KvTile.Size * job.BlockFloats + c % KvTile.Size) * inverse).Store(output + c);
        }
    }
}
