// C hidden size, H query heads, G key/value heads, D head dim, F feed-forward width, V vocabulary.
using Flywheel.Engine.Kernels;
using Flywheel.Model;

namespace Flywheel.Engine.Weights;

/// <summary>Sizes as they lie in memory: every inner loop runs over whole vectors, padded with zeros.</summary>
internal sealed record DecoderShape(ModelConfig Config)
{
    /// <summary>C padded to whole blocks.</summary>
    public int Hidden { get; } = Matrix.Pad(Config.HiddenSize, KernelTable.Block);

    /// <summary>D padded to whole vectors.</summary>
    public int HeadDim { get; } = Matrix.Pad(Config.HeadDim, 8);

    /// <summary>Queries, keys and values each start on a panel, so that a panel is of one tensor.</summary>
    public int QueryColumns => Matrix.Pad(Config.NumHeads * HeadDim, Matrix.RowUnit);

    public int KvColumns => Matrix.Pad(Config.NumKvHeads * HeadDim, Matrix.RowUnit);

    /// <summary>Width of the attention's result, H x D padded to whole blocks.</summary>
    public int AttentionColumns => Matrix.Pad(QueryColumns, KernelTable.Block);

    /// <summary>F padded to whole blocks.</summary>
    public int FeedForward { get; } = Matrix.Pad(Config.IntermediateSize, KernelTable.Block);

    public int Vocab { get; } = Matrix.Pad(Config.VocabSize, Matrix.RowUnit);

    /// <summary>Rows of the joint matrix of queries, keys and values.</summary>
    public int QkvRows => QueryColumns + 2 * KvColumns;

    /// <summary>Which projection (0 queries, 1 keys, 2 values) and row of it a joint row is; row -1 for a head's padding.</summary>
    public (int Part, int Row) QkvRow(int row)
    {
        (int part, int first, int heads) = row < QueryColumns ? (0, 0, Config.NumHeads) : (1, QueryColumns, Config.NumKvHeads);
        if (row >= QueryColumns + KvColumns) (part, first) = (2, QueryColumns + KvColumns);
        int head = (row - first) / HeadDim, i = (row - first) % HeadDim;
        return (part, head < heads && i < Config.HeadDim ? head * Config.HeadDim + i : -1);
    }

    /// <summary>Which projection (0 gate, 1 up) and row of it a joint row is; row -1 for padding.</summary>
    public (int Part, int Row) GateUpRow(int row)
    {
        int source = row / (2 * KernelTable.Block) * KernelTable.Block + row % KernelTable.Block;
        return (row / KernelTable.Block % 2, source < Config.IntermediateSize ? source : -1);
    }

    /// <summary>[H x D] to [H x padded D].</summary>
    public void SpreadHeads(ReadOnlySpan<float> heads, Span<float> padded)
    {
        padded.Clear();
        for (int head = 0; head < Config.NumHeads; head++)
            heads.Slice(head * Config.HeadDim, Config.HeadDim).CopyTo(padded[(head * HeadDim)..]);
    }
}

internal sealed unsafe class LayerWeights
{
    public required float* AttentionNorm { get; init; }

    /// <summary>[(H + 2 G) x D, C]: queries, keys, values.</summary>
    public required Matrix Qkv { get; init; }

    /// <summary>[(H + 2 G) x D] or null.</summary>
    public float* QkvBias { get; init; }

    /// <summary>[D] or null.</summary>
    public float* QueryNorm { get; init; }

    /// <summary>[D] or null.</summary>
    public float* KeyNorm { get; init; }

    /// <summary>[C, H x D]</summary>
    public required Matrix Output { get; init; }

    public required float* FeedForwardNorm { get; init; }

    /// <summary>[2 F, C]: 32 rows of the gate, then the same 32 of up, and so on, so that one thread owns both.</summary>
    public required Matrix GateUp { get; init; }

    /// <summary>[C, F]</summary>
    public required Matrix Down { get; init; }
}

/// <summary>All weights, packed for the kernels.</summary>
internal sealed unsafe class DecoderWeights
{
    public required DecoderShape Shape { get; init; }

    /// <summary>[V, C]; the same object as <see cref="Head"/> when tied.</summary>
    public required Matrix Embedding { get; init; }

    public required LayerWeights[] Layers { get; init; }

    public required float* FinalNorm { get; init; }

    /// <summary>[V, C]</summary>
    public required Matrix Head { get; init; }

    /// <summary>Bytes of weights that one token's step reads.</summary>
    public long BytesPerStep =>
        Head.NumBytes + Layers.Sum(layer => layer.Qkv.NumBytes + layer.Output.NumBytes + layer.GateUp.NumBytes + layer.Down.NumBytes);

    /// <summary>Packs a model's weights, or reads them when they have been packed before.</summary>
    /// <param name="arena">Holds or keeps them.</param>
    /// <param name="kernels">Whose panels they become.</param>
    /// <param name="config">Shape.</param>
    /// <param name="file">Weights.</param>
    /// <param name="format">What to round them to, unless the file holds blocks.</param>
    /// <param name="model">Names the content of <paramref name="file"/>; null keeps nothing.</param>
    /// <param name="cache">Where packed weights are kept.</param>
    /// <exception cref="FlywheelException">A tensor is missing or has another shape than expected.</exception>
    public static DecoderWeights Load(NativeArena arena, KernelTable kernels, ModelConfig config, IWeightFile file, WeightFormat format,
        string? model, PanelCache cache)
    {
        if (model is null) return Load(arena, PanelMemory.Fresh(arena), kernels, config, file, format);
        string key = $"{model}-{format}-{KernelTable.Panel}x{kernels.Int8Bias}";
        PanelMemory? packed = cache.TryOpen(arena, key);
        PanelMemory memory = packed ?? PanelMemory.Fresh(arena);
        DecoderWeights weights = Load(arena, memory, kernels, config, file, format);
        if (packed is null) cache.Save(key, memory);
        return weights;
    }

    /// <exception cref="FlywheelException">A tensor is missing or has another shape than expected.</exception>
    public static DecoderWeights Load(NativeArena arena, PanelMemory memory, KernelTable kernels, ModelConfig config, IWeightFile file,
        WeightFormat format)
    {
        foreach ((string name, long[] size) in config.Tensors()) file.Require(name, size);
        var shape = new DecoderShape(config);
        var loader = new MatrixLoader(memory, kernels, config, file, format);
        int hidden = config.HiddenSize;
        bool spreads = config.HeadDim != shape.HeadDim;
        (string Name, int First, int Count)[] qkv = [("q", 0, shape.QueryColumns), ("k", shape.QueryColumns, shape.KvColumns),
            ("v", shape.QueryColumns + shape.KvColumns, shape.KvColumns)];

        Matrix embedding = Plain("model.embed_tokens.weight");
        return new DecoderWeights
        {
            Shape = shape,
            Embedding = embedding,
            Layers = [.. Enumerable.Range(0, config.NumLayers).Select(Layer)],
            FinalNorm = Vector("model.norm.weight", shape.Hidden),
            Head = config.TieEmbeddings ? embedding : Plain("lm_head.weight"),
        };

        Matrix Plain(string name) => loader.Load(hidden, [Rows(name, config.VocabSize)]);

        BandSource Rows(string name, int count, Func<int, long>? source = null) =>
            new(loader.TypeOf(name), count, row => (name, source?.Invoke(row) ?? row));

        LayerWeights Layer(int index)
        {
            string prefix = $"model.layers.{index}.", attention = prefix + "self_attn.", mlp = prefix + "mlp.";
            return new LayerWeights
            {
                AttentionNorm = Vector(prefix + "input_layernorm.weight", shape.Hidden),
                Qkv = loader.Load(hidden,
                    [.. qkv.Select(part =>
                        Rows(attention + part.Name + "_proj.weight", part.Count, row => shape.QkvRow(part.First + row).Row))]),
                QkvBias = config.HasQkvBias ? Bias(attention) : null,
                QueryNorm = config.HasQkNorm ? Vector(attention + "q_norm.weight", shape.HeadDim) : null,
                KeyNorm = config.HasQkNorm ? Vector(attention + "k_norm.weight", shape.HeadDim) : null,
                Output = loader.Load(shape.QueryColumns,
                    [Rows(attention + "o_proj.weight", hidden) with { Type = loader.TypeOf(attention + "o_proj.weight", spreads) }],
                    spreads ? Spread : null),
                FeedForwardNorm = Vector(prefix + "post_attention_layernorm.weight", shape.Hidden),
                GateUp = loader.Load(hidden, GateAndUp(mlp + "gate_proj.weight", mlp + "up_proj.weight")),
                Down = loader.Load(config.IntermediateSize, [Rows(mlp + "down_proj.weight", hidden)]),
            };
        }

        // 32 rows of the gate, 32 of up, and so on.
        BandSource[] GateAndUp(string gate, string up)
        {
            if (loader.TypeOf(gate) == loader.TypeOf(up)) return [new(loader.TypeOf(gate), 2 * shape.FeedForward, Source)];
            return [.. Enumerable.Range(0, 2 * shape.FeedForward / KernelTable.Block).Select(part =>
                new BandSource(loader.TypeOf(part % 2 == 0 ? gate : up), KernelTable.Block,
                    row => Source(part * KernelTable.Block + row)))];

            (string, long) Source(int row) => shape.GateUpRow(row) is var (part, source) && part == 0 ? (gate, source) : (up, source);
        }

        float[] Spread(float[] row)
        {
            float[] wide = new float[shape.QueryColumns];
            shape.SpreadHeads(row, wide);
            return wide;
        }

        float* Bias(string attention)
        {
            float* bias = arena.Allocate<float>(shape.QkvRows);
            foreach ((string name, int first, int count) in qkv)
            {
                float[] values = file.ReadFloats(file.Tensors[$"{attention}{name}_proj.bias"]);
                for (int row = first; row < first + count; row++)
                    if (shape.QkvRow(row).Row is >= 0 and var source) bias[row] = values[source];
            }
            return bias;
        }

        float* Vector(string name, int padded)
        {
            float* vector = arena.Allocate<float>(padded);
            float[] values = file.ReadFloats(file.Tensors[name]);
            values.CopyTo(new Span<float>(vector, padded));
            return vector;
        }
    }
}
