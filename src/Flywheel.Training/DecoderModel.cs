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
    private readonly List<Tensor> _frozen = [];
    private readonly List<LoraPart> _adapters = [];
    private readonly float _loraScale;
    private readonly Layer[] _layers;
    private readonly Tensor _embedding, _finalNorm, _output, _noNorm;
    private readonly RopeTable _rope;

    private sealed record Layer(Tensor InputNorm, Projection Qkv, Tensor? QNorm, Tensor? KNorm, Projection Output, Tensor PostNorm, Projection GateUp, Projection Down);

    private sealed record Projection(Tensor Weight, Tensor? Bias, IReadOnlyList<LoraPart> Adapters);

    /// <param name="config">Shape.</param>
    /// <param name="lora">Train low-rank adapters and freeze all else; null trains every weight.</param>
    private DecoderModel(ModelConfig config, LoraRecipe? lora = null)
    {
        (Config, _loraScale) = (config, lora?.ToConfig("").Scale ?? 0);
        _rope = new RopeTable(config);
        _noNorm = zeros(config.HeadDim).DetachFromDisposeScope();
        var shapes = config.Tensors().ToDictionary(tensor => tensor.Name, tensor => tensor.Shape);
        _embedding = Add("model.embed_tokens.weight");
        _layers = [.. Enumerable.Range(0, config.NumLayers).Select(layer =>
        {
            string prefix = $"model.layers.{layer}.", attention = prefix + "self_attn.", mlp = prefix + "mlp.";
            return new Layer(
                Add(prefix + "input_layernorm.weight"),
                Project(config.HasQkvBias, attention + "q_proj", attention + "k_proj", attention + "v_proj"),
                config.HasQkNorm ? Add(attention + "q_norm.weight") : null,
                config.HasQkNorm ? Add(attention + "k_norm.weight") : null,
                Project(false, attention + "o_proj"),
                Add(prefix + "post_attention_layernorm.weight"),
                Project(false, mlp + "gate_proj", mlp + "up_proj"),
                Project(false, mlp + "down_proj"));
        })];
        _finalNorm = Add("model.norm.weight");
        _output = config.TieEmbeddings ? _embedding : Add("lm_head.weight");

        Tensor Add(params string[] names) => AddJoint(false, names);

        Projection Project(bool hasBias, params string[] modules)
        {
            Tensor weight = AddJoint(true, [.. modules.Select(module => module + ".weight")]);
            Tensor? bias = hasBias ? Add([.. modules.Select(module => module + ".bias")]) : null;
            LoraPart[] adapters = [.. modules.Where(module => lora?.Targets.Contains(module[(module.LastIndexOf('.') + 1)..]) == true).Select(module =>
            {
                (_, long row, long[] shape) = _byName[module + ".weight"];
                return new LoraPart(module, Trained(module + ".lora_A.weight", [lora!.Rank, shape[1]]), Trained(module + ".lora_B.weight", [shape[0], lora.Rank]), row);
            })];
            _adapters.AddRange(adapters);
            return new Projection(weight, bias, adapters);
        }

        Tensor AddJoint(bool hidden, string[] names)
        {
            long[] shape = [names.Sum(name => shapes[name][0]), .. shapes[names[0]][1..]];
            Tensor tensor = lora is null ? Trained(names[0], shape, hidden ? [.. names.Select(name => shapes[name][0])] : []) : zeros(shape).DetachFromDisposeScope();
            if (lora is not null) _frozen.Add(tensor);
            long row = 0;
            foreach (string name in names)
            {
                _byName[name] = (tensor, row, shapes[name]);
                row += shapes[name][0];
            }
            return tensor;
        }

        Tensor Trained(string name, long[] shape, long[]? hiddenRows = null)
        {
            Tensor tensor = zeros(shape, requires_grad: true).DetachFromDisposeScope();
            Parameters.Add(new Parameter(name, tensor) { HiddenRows = hiddenRows ?? [] });
            return tensor;
        }
    }

    public ModelConfig Config { get; }

    /// <summary>Multiply matrices in bfloat16.</summary>
    public bool HalfProducts { get; init; }

    /// <summary>Compute each layer again on the way back instead of keeping what it made: less memory, a third more work.</summary>
    public bool Recompute { get; init; }

    /// <summary>Every trained tensor once, in a fixed order, under the name of its first part.</summary>
    public List<Parameter> Parameters { get; } = [];

    /// <summary>
    /// Random weights: normal with deviation 0.5 / sqrt(inputs), embedding 0.02, gains 1, biases 0, and zero for what is added
    /// to the residual stream, so that every layer starts as the identity.
    /// </summary>
    public static DecoderModel CreateRandom(ModelConfig config, int seed, TrainRecipe? recipe = null)
    {
        DecoderModel model = Create(config, null, recipe);
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

    /// <summary>
    /// A model's weights, in fp32 whatever they are on disk. With adapters, these start as nothing: B is zero, and A uniform up
    /// to 1 / sqrt(inputs) as PEFT has it.
    /// </summary>
    /// <exception cref="FlywheelException">A tensor is missing or of the wrong shape.</exception>
    public static DecoderModel Load(ModelFolder folder, TrainRecipe? recipe = null, int seed = 0)
    {
        DecoderModel model = Create(folder.Config, recipe?.Lora, recipe);
        using IWeightFile weights = folder.OpenWeights();
        foreach ((string name, long[] shape) in folder.Config.Tensors()) model.Write(name, weights.ReadFloats(weights.Require(name, shape)));
        for (int i = 0; i < model._adapters.Count; i++)
        {
            var random = new SeededRandom((ulong)seed, 2_000_000 + (ulong)i);
            Span<float> a = Values(model._adapters[i].A);
            double bound = 1 / Math.Sqrt(model._adapters[i].A.shape[1]);
            for (int j = 0; j < a.Length; j++) a[j] = (float)(bound * (2 * random.NextUniform() - 1));
        }
        return model;
    }

    private static DecoderModel Create(ModelConfig config, LoraRecipe? lora, TrainRecipe? recipe) =>
        new(config, lora) { HalfProducts = recipe?.Precision == "bfloat16", Recompute = recipe?.GradientCheckpointing ?? false };

    /// <summary>The trained adapters: module, A [r, in] and B [out, r].</summary>
    public IEnumerable<(string Module, float[] A, float[] B)> Adapters() => _adapters.Select(part => (part.Module, Values(part.A).ToArray(), Values(part.B).ToArray()));

    private static unsafe Span<float> Values(Tensor tensor) => new(Rows.Floats(tensor), checked((int)tensor.numel()));

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

    /// <summary>Weighted sum of -log p over the batch's targets, and of their squared log-denominators: a scalar with a gradient.</summary>
    /// <param name="batch">Packed documents.</param>
    /// <param name="weights">[M].</param>
    /// <param name="zWeight">Of the squared logarithm of each softmax's denominator.</param>
    /// <param name="logProbs">Takes each target's log-probability, [M].</param>
    public Tensor Loss(Batch batch, float[] weights, float zWeight = 0, float[]? logProbs = null) => Loss(Hidden(batch), batch, weights, zWeight, logProbs);

    private Tensor Loss(Tensor hidden, Batch batch, float[] weights, float zWeight, float[]? logProbs) =>
        OutputHead.Loss(hidden, _output, batch.Targets, weights, zWeight, logProbs ?? new float[weights.Length], HalfProducts);

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
    public Tensor Loss(Batch batch, Func<float[], float[]> weightsOf, float zWeight = 0)
    {
        Tensor hidden = Hidden(batch);
        return Loss(hidden, batch, weightsOf(OutputHead.LogProbs(hidden, _output, batch.Targets)), zWeight, null);
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
        var layout = new HeadLayout(Config.NumHeads, Config.NumKvHeads, Config.HeadDim, Config.HasQkNorm, Config.RmsNormEps, _rope, batch.SegmentLengths);
        Tensor x = TokenEmbedding.Apply(_embedding, batch.Tokens); // [N, C]
        bool recompute = Recompute && is_grad_enabled();
        if (recompute && !x.requires_grad) x.requires_grad_(true); // a frozen embedding: the layers' adapters still learn
        foreach (Layer layer in _layers)
            x = recompute ? Recomputed.Apply(x, input => Block(input, layer, layout)) : Block(x, layer, layout);
        return x;
    }

    private Tensor Block(Tensor x, Layer layer, HeadLayout layout)
    {
        Tensor h = RmsNorm.Apply(x, layer.InputNorm, Config.RmsNormEps);
        x = Linear(HeadAttention.Apply(Linear(h, layer.Qkv), layer.QNorm ?? _noNorm, layer.KNorm ?? _noNorm, layout), layer.Output, x);
        h = RmsNorm.Apply(x, layer.PostNorm, Config.RmsNormEps);
        return Linear(SwiGlu.Apply(Linear(h, layer.GateUp)), layer.Down, x);
    }

    private Tensor Linear(Tensor x, Projection projection, Tensor? residual = null)
    {
        if (projection.Adapters.Count == 0 && !HalfProducts && projection.Bias is null) return ProductLinear.Apply(x, projection.Weight, residual);
        Tensor y = projection.Adapters.Count > 0 ? LoraLinear.Apply(x, projection.Weight, projection.Adapters, _loraScale, HalfProducts)
            : HalfProducts ? HalfLinear.Apply(x, projection.Weight) : ProductLinear.Apply(x, projection.Weight);
        if (projection.Bias is not null) y = y + projection.Bias;
        return residual is null ? y : y + residual;
    }

    public void Dispose()
    {
        foreach ((_, Tensor parameter) in Parameters)
        {
            parameter.grad?.Dispose();
            parameter.Dispose();
        }
        foreach (Tensor tensor in _frozen) tensor.Dispose();
        _noNorm.Dispose();
    }
}
