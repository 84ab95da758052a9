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

    public int QueryColumns => Config.NumHeads * HeadDim;

    public int KvColumns => Config.NumKvHeads * HeadDim;

    /// <summary>Width of the attention's result, H x D padded to whole blocks.</summary>
    public int AttentionColumns => Matrix.Pad(QueryColumns, KernelTable.Block);

    /// <summary>F padded to whole blocks.</summary>
    public int FeedForward { get; } = Matrix.Pad(Config.IntermediateSize, KernelTable.Block);

    public int Vocab { get; } = Matrix.Pad(Config.VocabSize, Matrix.RowUnit);

    /// <summary>Rows of the joint matrix of queries, keys and values.</summary>
    public int QkvRows => (Config.NumHeads + 2 * Config.NumKvHeads) * HeadDim;

    /// <summary>Which projection (0 queries, 1 keys, 2 values) and row of it a joint row is; row -1 for a head's padding.</summary>
    public (int Part, int Row) QkvRow(int row)
    {
        int head = row / HeadDim, i = row % HeadDim, heads = Config.NumHeads, kvHeads = Config.NumKvHeads;
        (int part, int first) = head < heads ? (0, 0) : head < heads + kvHeads ? (1, heads) : (2, heads + kvHeads);
        return (part, i < Config.HeadDim ? (head - first) * Config.HeadDim + i : -1);
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
        for (int head = 0; head < Config.NumHeads; head++) heads.Slice(head * Config.HeadDim, Config.HeadDim).CopyTo(padded[(head * HeadDim)..]);
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

/// <summary>Copies fp32 values of a tensor, from an element on. Called by several threads.</summary>
internal delegate void TensorReader(string name, long start, Span<float> destination);

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
    public long BytesPerStep => Head.NumBytes + Layers.Sum(layer => layer.Qkv.NumBytes + layer.Output.NumBytes + layer.GateUp.NumBytes + layer.Down.NumBytes);

    /// <exception cref="FlywheelException">A tensor is missing or has another shape or type than expected.</exception>
    public static DecoderWeights Load(NativeArena arena, KernelTable kernels, ModelConfig config, IWeightFile file, WeightFormat format)
    {
        foreach ((string name, long[] size) in config.Tensors()) file.Require(name, size);
        return Load(arena, kernels, config, (name, start, values) => file.ReadFloats(file.Tensors[name], start, values), format);
    }

    public static DecoderWeights Load(NativeArena arena, KernelTable kernels, ModelConfig config, TensorReader read, WeightFormat format)
    {
        var shape = new DecoderShape(config);
        int hidden = config.HiddenSize, d = config.HeadDim, heads = config.NumHeads;

        // Errors of the embedding and of the output reach every token, so four bits are too few for them.
        Matrix Plain(string name) => Matrix.Create(arena, kernels, format == WeightFormat.Int4 ? WeightFormat.Int8 : format, config.VocabSize, hidden, (row, values) => Row(name, row, values));

        Matrix embedding = Plain("model.embed_tokens.weight");
        return new DecoderWeights
        {
            Shape = shape,
            Embedding = embedding,
            Layers = [.. Enumerable.Range(0, config.NumLayers).Select(Layer)],
            FinalNorm = Vector("model.norm.weight", hidden, shape.Hidden),
            Head = config.TieEmbeddings ? embedding : Plain("lm_head.weight"),
        };

        LayerWeights Layer(int index)
        {
            string prefix = $"model.layers.{index}.", attention = prefix + "self_attn.", mlp = prefix + "mlp.";
            return new LayerWeights
            {
                AttentionNorm = Vector(prefix + "input_layernorm.weight", hidden, shape.Hidden),
                Qkv = Matrix.Create(arena, kernels, format, shape.QkvRows, hidden, (row, values) =>
                {
                    (string name, int source) = Projection(attention, row);
                    if (source < 0) values.Clear();
                    else Row(name + "_proj.weight", source, values);
                }),
                QkvBias = config.HasQkvBias ? Bias(attention) : null,
                QueryNorm = config.HasQkNorm ? Vector(attention + "q_norm.weight", d, shape.HeadDim) : null,
                KeyNorm = config.HasQkNorm ? Vector(attention + "k_norm.weight", d, shape.HeadDim) : null,
                Output = Matrix.Create(arena, kernels, format, hidden, shape.QueryColumns, (row, values) =>
                {
                    float[] wide = new float[heads * d];
                    Row(attention + "o_proj.weight", row, wide);
                    shape.SpreadHeads(wide, values);
                }),
                FeedForwardNorm = Vector(prefix + "post_attention_layernorm.weight", hidden, shape.Hidden),
                GateUp = Matrix.Create(arena, kernels, format, 2 * shape.FeedForward, hidden, (row, values) =>
                {
                    (int part, int source) = shape.GateUpRow(row);
                    if (source < 0) values.Clear();
                    else Row(mlp + (part == 0 ? "gate_proj.weight" : "up_proj.weight"), source, values);
                }),
                Down = Matrix.Create(arena, kernels, format, hidden, config.IntermediateSize, (row, values) => Row(mlp + "down_proj.weight", row, values)),
            };
        }

        // Which projection a row of the joint matrix comes from; -1 for padding of a head.
        (string Name, int Row) Projection(string attention, int row)
        {
            (int part, int source) = shape.QkvRow(row);
            return (attention + "qkv"[part], source);
        }

        float* Bias(string attention)
        {
            float* bias = arena.Allocate<float>(Matrix.Pad(shape.QkvRows, Matrix.RowUnit));
            for (int row = 0; row < shape.QkvRows; row++)
            {
                (string name, int source) = Projection(attention, row);
                if (source >= 0) read(name + "_proj.bias", source, new Span<float>(bias + row, 1));
            }
            return bias;
        }

        float* Vector(string name, int count, int padded)
        {
            float* vector = arena.Allocate<float>(padded);
            read(name, 0, new Span<float>(vector, count));
            return vector;
        }

        // A row of a tensor that is as wide as the destination.
        void Row(string name, int row, Span<float> values) => read(name, (long)row * values.Length, values);
    }
}
