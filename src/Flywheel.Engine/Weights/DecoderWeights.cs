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
    public static DecoderWeights Load(NativeArena arena, KernelTable kernels, ModelConfig config, SafetensorsFile file, WeightFormat format)
    {
        foreach ((string name, long[] size) in config.Tensors()) file.Require(name, size);
        return Load(arena, kernels, config, (name, start, values) => file.ReadFloats(file.Tensors[name], start, values), format);
    }

    public static DecoderWeights Load(NativeArena arena, KernelTable kernels, ModelConfig config, TensorReader read, WeightFormat format)
    {
        var shape = new DecoderShape(config);
        int hidden = config.HiddenSize, d = config.HeadDim, heads = config.NumHeads, kvHeads = config.NumKvHeads;

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
                Qkv = Matrix.Create(arena, kernels, format, (heads + 2 * kvHeads) * shape.HeadDim, hidden, (row, values) =>
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
                    values.Clear();
                    for (int head = 0; head < heads; head++) wide.AsSpan(head * d, d).CopyTo(values[(head * shape.HeadDim)..]);
                }),
                FeedForwardNorm = Vector(prefix + "post_attention_layernorm.weight", hidden, shape.Hidden),
                GateUp = Matrix.Create(arena, kernels, format, 2 * shape.FeedForward, hidden, (row, values) =>
                {
                    int source = row / (2 * KernelTable.Block) * KernelTable.Block + row % KernelTable.Block;
                    bool gate = row / KernelTable.Block % 2 == 0;
                    if (source >= config.IntermediateSize) values.Clear();
                    else Row(mlp + (gate ? "gate_proj.weight" : "up_proj.weight"), source, values);
                }),
                Down = Matrix.Create(arena, kernels, format, hidden, config.IntermediateSize, (row, values) => Row(mlp + "down_proj.weight", row, values)),
            };
        }

        // Which projection a row of the joint matrix comes from; -1 for padding of a head.
        (string Name, int Row) Projection(string attention, int row)
        {
            int head = row / shape.HeadDim, i = row % shape.HeadDim;
            (string name, int first) = head < heads ? ("q", 0) : head < heads + kvHeads ? ("k", heads) : ("v", heads + kvHeads);
            return (attention + name, i < d ? (head - first) * d + i : -1);
        }

        float* Bias(string attention)
        {
            int rows = (heads + 2 * kvHeads) * shape.HeadDim;
            float* bias = arena.Allocate<float>(Matrix.Pad(rows, Matrix.RowUnit));
            for (int row = 0; row < rows; row++)
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
