// N packed tokens, M predicted tokens, C channels, H query heads, K key/value heads, D head dim, F feed-forward width,
// V vocabulary.
using Flywheel.Model;
using TorchSharp;
using static TorchSharp.torch;

namespace Flywheel.Training;

/// <summary>
/// The decoder of <see cref="ModelConfig"/> in fp32 with gradients, over packed batches: no token is padding and none sees
/// another document. Projections that read the same input are one matrix here and several tensors on disk.
/// </summary>
internal sealed class DecoderModel : IDisposable
{
    private readonly Dictionary<string, (Tensor Parameter, long FirstRow, long[] Shape)> _byName = new(StringComparer.Ordinal);
    private readonly Layer[] _layers;
    private readonly Tensor _embedding, _finalNorm, _output, _noNorm;
    private readonly RopeTable _rope;

    private sealed record Layer(Tensor InputNorm, Tensor Qkv, Tensor? QkvBias, Tensor? QNorm, Tensor? KNorm, Tensor Output, Tensor PostNorm, Tensor GateUp, Tensor Down);

    private DecoderModel(ModelConfig config)
    {
        Config = config;
        _rope = new RopeTable(config.MaxPositions, config.HeadDim, config.RopeTheta);
        _noNorm = zeros(config.HeadDim).DetachFromDisposeScope();
        var shapes = config.Tensors().ToDictionary(tensor => tensor.Name, tensor => tensor.Shape);
        Tensor Add(bool hidden, params string[] names)
        {
            long[] shape = [names.Sum(name => shapes[name][0]), .. shapes[names[0]][1..]];
            Tensor parameter = zeros(shape, requires_grad: true).DetachFromDisposeScope();
            Parameters.Add(new Parameter(names[0], parameter) { HiddenRows = hidden ? [.. names.Select(name => shapes[name][0])] : [] });
            long row = 0;
            foreach (string name in names)
            {
                _byName[name] = (parameter, row, shapes[name]);
                row += shapes[name][0];
            }
            return parameter;
        }
        _embedding = Add(hidden: false, "model.embed_tokens.weight");
        _layers = [.. Enumerable.Range(0, config.NumLayers).Select(layer =>
        {
            string prefix = $"model.layers.{layer}.", attention = prefix + "self_attn.";
            return new Layer(
                Add(hidden: false, prefix + "input_layernorm.weight"),
                Add(hidden: true, attention + "q_proj.weight", attention + "k_proj.weight", attention + "v_proj.weight"),
                config.HasQkvBias ? Add(hidden: false, attention + "q_proj.bias", attention + "k_proj.bias", attention + "v_proj.bias") : null,
                config.HasQkNorm ? Add(hidden: false, attention + "q_norm.weight") : null,
                config.HasQkNorm ? Add(hidden: false, attention + "k_norm.weight") : null,
                Add(hidden: true, attention + "o_proj.weight"),
                Add(hidden: false, prefix + "post_attention_layernorm.weight"),
                Add(hidden: true, prefix + "mlp.gate_proj.weight", prefix + "mlp.up_proj.weight"),
                Add(hidden: true, prefix + "mlp.down_proj.weight"));
        })];
        _finalNorm = Add(hidden: false, "model.norm.weight");
        _output = config.TieEmbeddings ? _embedding : Add(hidden: false, "lm_head.weight");
    }

    public ModelConfig Config { get; }

    /// <summary>Multiply matrices in bfloat16.</summary>
    public bool HalfProducts { get; init; }

    /// <summary>Every trained tensor once, in a fixed order, under the name of its first part.</summary>
    public List<Parameter> Parameters { get; } = [];

    /// <summary>
    /// Random weights: normal with deviation 0.5 / sqrt(inputs), embedding 0.02, gains 1, biases 0, and zero for what is added
    /// to the residual stream, so that every layer starts as the identity.
    /// </summary>
    public static DecoderModel CreateRandom(ModelConfig config, int seed, bool halfProducts = false)
    {
        var model = new DecoderModel(config) { HalfProducts = halfProducts };
        ulong stream = 0;
        foreach ((string name, long[] shape) in config.Tensors())
        {
            float[] values = new float[shape.Aggregate(1L, (product, size) => product * size)];
            double deviation = name.EndsWith("embed_tokens.weight", StringComparison.Ordinal) || name == "lm_head.weight" ? 0.02
                : name.EndsWith("o_proj.weight", StringComparison.Ordinal) || name.EndsWith("down_proj.weight", StringComparison.Ordinal) ? 0
                : shape.Length == 2 ? 0.5 / Math.Sqrt(shape[1]) : 0;
            if (name.EndsWith("norm.weight", StringComparison.Ordinal)) Array.Fill(values, 1);
            else if (deviation > 0)
            {
                var random = new SeededRandom((ulong)seed, 1_000_000 + stream);
                for (int i = 0; i < values.Length; i++) values[i] = (float)(deviation * random.NextNormal());
            }
            stream++;
            model.Write(name, values);
        }
        return model;
    }

    /// <exception cref="FlywheelException">A tensor is missing or of the wrong shape.</exception>
    public static DecoderModel Load(ModelFolder folder, bool halfProducts = false)
    {
        var model = new DecoderModel(folder.Config) { HalfProducts = halfProducts };
        using IWeightFile weights = folder.OpenWeights();
        foreach ((string name, long[] shape) in folder.Config.Tensors()) model.Write(name, weights.ReadFloats(weights.Require(name, shape)));
        return model;
    }

    /// <summary>Values of a tensor by its Hugging Face name.</summary>
    public unsafe float[] Read(string name)
    {
        (Tensor parameter, long row, long[] shape) = _byName[name];
        long width = shape.Length == 2 ? shape[1] : 1;
        return new ReadOnlySpan<float>(Rows.Floats(parameter) + row * width, checked((int)(shape[0] * width))).ToArray();
    }

    public unsafe void Write(string name, ReadOnlySpan<float> values)
    {
        (Tensor parameter, long row, long[] shape) = _byName[name];
        long width = shape.Length == 2 ? shape[1] : 1;
        values.CopyTo(new Span<float>(Rows.Floats(parameter) + row * width, checked((int)(shape[0] * width))));
    }

    /// <summary>Weighted sum of -log p over the batch's targets: a scalar with a gradient.</summary>
    /// <param name="batch">Packed documents.</param>
    /// <param name="weights">[M].</param>
    public Tensor Loss(Batch batch, float[] weights) => OutputHead.Loss(Hidden(batch), _output, batch.Targets, weights, HalfProducts);

    /// <summary>Log-probability of each target, [M].</summary>
    public float[] LogProbs(Batch batch)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        return OutputHead.LogProbs(Hidden(batch), _output, batch.Targets);
    }

    /// <summary>
    /// A loss whose weights depend on the log-probabilities of the same pass: the trunk runs once, the output matrix twice.
    /// </summary>
    public Tensor Loss(Batch batch, Func<float[], float[]> weightsOf)
    {
        Tensor hidden = Hidden(batch);
        return OutputHead.Loss(hidden, _output, batch.Targets, weightsOf(OutputHead.LogProbs(hidden, _output, batch.Targets)), HalfProducts);
    }

    /// <summary>Logits of every input position, [N, V]: for tests.</summary>
    public Tensor Logits(Batch batch)
    {
        using var noGrad = no_grad();
        Tensor x = RmsNorm.Apply(Trunk(batch), _finalNorm, Config.RmsNormEps);
        return x.mm(_output.t());
    }

    /// <summary>The normalised last hidden state where a token is predicted, [M, C].</summary>
    private Tensor Hidden(Batch batch)
    {
        Tensor x = Trunk(batch);
        if (batch.Rows.Length != batch.Tokens.Length) x = x.index_select(0, tensor(batch.Rows));
        return RmsNorm.Apply(x, _finalNorm, Config.RmsNormEps);
    }

    /// <summary>[N, C] after the last layer.</summary>
    private Tensor Trunk(Batch batch)
    {
        int[] positions = new int[batch.Tokens.Length];
        int at = 0;
        foreach (long length in batch.SegmentLengths)
            for (int i = 0; i < length; i++) positions[at++] = i;
        var layout = new HeadLayout(Config.NumHeads, Config.NumKvHeads, Config.HeadDim, Config.HasQkNorm, Config.RmsNormEps, _rope, positions);
        Tensor x = TokenEmbedding.Apply(_embedding, batch.Tokens); // [N, C]
        foreach (Layer layer in _layers)
        {
            Tensor h = RmsNorm.Apply(x, layer.InputNorm, Config.RmsNormEps);
            Tensor qkv = Linear(h, layer.Qkv, layer.QkvBias); // [N, (H + 2K) D]
            x = x + Linear(Attention(qkv, layer, layout, batch.SegmentLengths), layer.Output);
            h = RmsNorm.Apply(x, layer.PostNorm, Config.RmsNormEps);
            h = SwiGlu.Apply(Linear(h, layer.GateUp)); // [N, F]
            x = x + Linear(h, layer.Down);
        }
        return x;
    }

    private Tensor Linear(Tensor x, Tensor weight, Tensor? bias = null)
    {
        if (!HalfProducts) return nn.functional.linear(x, weight, bias);
        Tensor y = HalfLinear.Apply(x, weight);
        return bias is null ? y : y + bias;
    }

    /// <summary>Causal attention inside each segment: [N, (H + 2K) D] to [N, H D].</summary>
    private Tensor Attention(Tensor qkv, Layer layer, HeadLayout layout, long[] lengths)
    {
        (Tensor q, Tensor k, Tensor v) = HeadSplit.Apply(qkv, layer.QNorm ?? _noNorm, layer.KNorm ?? _noNorm, layout); // [H, N, D]
        Tensor[] qs = q.split(lengths, 1), ks = k.split(lengths, 1), vs = v.split(lengths, 1);
        var outputs = new Tensor[lengths.Length];
        for (int i = 0; i < outputs.Length; i++)
            outputs[i] = nn.functional.scaled_dot_product_attention(qs[i].unsqueeze(0), ks[i].unsqueeze(0), vs[i].unsqueeze(0), is_casual: true); // [1, H, n, D]
        Tensor joined = outputs.Length == 1 ? outputs[0] : cat(outputs, 2); // [1, H, N, D]
        return joined.squeeze(0).transpose(0, 1).reshape(qkv.shape[0], -1); // [N, H D]
    }

    public void Dispose()
    {
        foreach ((_, Tensor parameter) in Parameters)
        {
            parameter.grad?.Dispose();
            parameter.Dispose();
        }
        _noNorm.Dispose();
    }
}
