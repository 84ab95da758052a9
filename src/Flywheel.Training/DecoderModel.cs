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
    private readonly DecoderLayer[] _layers;
    private readonly Tensor _embedding, _finalNorm, _output;
    private readonly RopeTable _rope;
    private readonly int _halfStep;

    /// <param name="config">Shape.</param>
    /// <param name="lora">Train low-rank adapters and freeze all else; null trains every weight.</param>
    /// <param name="halfStep">Of products in bfloat16 (<see cref="Projection.HalfStep"/>).</param>
    private DecoderModel(ModelConfig config, LoraRecipe? lora, int halfStep)
    {
        (Config, _halfStep) = (config, halfStep);
        _rope = new RopeTable(config);
        var shapes = config.Tensors().ToDictionary(tensor => tensor.Name, tensor => tensor.Shape);
        _embedding = Add("model.embed_tokens.weight");
        _layers = [.. Enumerable.Range(0, config.NumLayers).Select(layer =>
        {
            string prefix = $"model.layers.{layer}.", attention = prefix + "self_attn.", mlp = prefix + "mlp.";
            return new DecoderLayer(
                Add(prefix + "input_layernorm.weight"),
                Project(config.HasQkvBias, attention + "q_proj", attention + "k_proj", attention + "v_proj"),
                config.HasQkNorm ? Add(attention + "q_norm.weight") : null,
                config.HasQkNorm ? Add(attention + "k_norm.weight") : null,
                Project(false, attention + "o_proj"),
                Add(prefix + "post_attention_layernorm.weight"),
                Project(false, mlp + "gate_proj", mlp + "up_proj"),
                Project(false, mlp + "down_proj"),
                config.RmsNormEps);
        })];
        _finalNorm = Add("model.norm.weight");
        _output = config.TieEmbeddings ? _embedding : Add("lm_head.weight");

        Tensor Add(params string[] names) => AddJoint(false, names);

        Projection Project(bool hasBias, params string[] modules)
        {
            Tensor weight = AddJoint(true, [.. modules.Select(module => module + ".weight")]);
            Tensor? bias = hasBias ? Add([.. modules.Select(module => module + ".bias")]) : null;
            LoraPart[] adapters =
                [.. modules.Where(module => lora?.Targets.Contains(module[(module.LastIndexOf('.') + 1)..]) == true).Select(module =>
            {
                (_, long row, long[] shape) = _byName[module + ".weight"];
                return new LoraPart(module, Trained(module + ".lora_A.weight", [lora!.Rank, shape[1]]),
                    Trained(module + ".lora_B.weight", [shape[0], lora.Rank]), row);
            })];
            _adapters.AddRange(adapters);
            return new Projection(weight, bias, adapters, lora?.ToConfig("").Scale ?? 0, halfStep);
        }

        Tensor AddJoint(bool hidden, string[] names)
        {
            long[] shape = [names.Sum(name => shapes[name][0]), .. shapes[names[0]][1..]];
            Tensor tensor = lora is null
                ? Trained(names[0], shape, hidden ? [.. names.Select(name => shapes[name][0])] : []) : Arena.Zeros(shape)
                    .DetachFromDisposeScope();
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
            Tensor tensor = Arena.Zeros(shape).DetachFromDisposeScope();
            tensor.requires_grad = true;
            Parameters.Add(new Parameter(name, tensor) { HiddenRows = hiddenRows ?? [] });
            return tensor;
        }
    }

    public ModelConfig Config { get; }

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
                : name.EndsWith("o_proj.weight", StringComparison.Ordinal) || name.EndsWith("down_proj.weight", StringComparison.Ordinal)
                ? 0
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
        foreach ((string name,
            long[] shape) in folder.Config.Tensors()) model.Write(name, weights.ReadFloats(weights.Require(name, shape)));
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
        new(config, lora, recipe?.Precision == "bfloat16" ? HalfProducts.RowStep(recipe.MicroTokens) : 0)
            { Recompute = recipe?.GradientCheckpointing ?? false };

    /// <summary>The trained adapters: module, A [r, in] and B [out, r].</summary>
    public IEnumerable<(string Module, float[] A, float[] B)> Adapters() =>
        _adapters.Select(part => (part.Module, Values(part.A).ToArray(), Values(part.B).ToArray()));

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

    /// <summary>Adds the gradient of the weighted sum of -log p over the batch's targets and of their squared log-denominators.</summary>
    /// <param name="batch">Packed documents.</param>
    /// <param name="weights">[M].</param>
    /// <param name="zWeight">Of the squared logarithm of each softmax's denominator.</param>
    /// <param name="logProbs">Takes each target's log-probability, [M].</param>
    /// <returns>That sum.</returns>
    public double Learn(Batch batch, float[] weights, float zWeight = 0, float[]? logProbs = null) =>
        Learn(batch, _ => weights, zWeight, logProbs ?? new float[weights.Length]);

    /// <summary>
    /// The same with weights that depend on the log-probabilities of the same pass: the layers run once, the output matrix twice.
    /// </summary>
    public double Learn(Batch batch, Func<float[], float[]> weightsOf, float zWeight = 0) =>
        Learn(batch, hidden => weightsOf(OutputHead.LogProbs(hidden, _output, batch.Targets)), zWeight, new float[batch.Targets.Length]);

    private double Learn(Batch batch, Func<Tensor, float[]> weightsOf, float zWeight, float[] logProbs)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        HeadLayout layout = Layout(batch);
        var inputs = new Tensor[_layers.Length + 1];
        var kept = new DecoderLayer.Kept?[_layers.Length];
        inputs[0] = TokenEmbedding.Forward(_embedding, batch.Tokens); // [N, C]
        for (int i = 0; i < _layers.Length; i++)
        {
            DecoderLayer.Kept made = _layers[i].Begin(inputs[i], layout);
            inputs[i + 1] = _layers[i].End(made);
            if (Recompute) made.Dispose();
            else kept[i] = made;
        }

        (double loss, Tensor gradient, Tensor? dOutput) = LearnHead(inputs[^1], batch, weightsOf, zWeight, logProbs);
        inputs[^1].Dispose();
        for (int i = _layers.Length - 1; i >= 0; i--)
        {
            _layers[i].Backward(inputs[i], kept[i] ?? _layers[i].Begin(inputs[i], layout), gradient, layout);
            inputs[i].Dispose();
        }
        if (!_embedding.requires_grad) return loss;
        Tensor dEmbedding = dOutput ?? Arena.Zeros(_embedding.shape);
        TokenEmbedding.Backward(gradient, batch.Tokens, dEmbedding);
        Gradient.Add(_embedding, dEmbedding);
        return loss;
    }

    /// <returns>The loss, the gradient of <paramref name="x"/>, and of the output matrix where that is the embedding too, whose gradient is
    /// not whole yet.</returns>
    private (double Loss, Tensor Gradient, Tensor? DOutput) LearnHead(Tensor x, Batch batch, Func<Tensor, float[]> weightsOf, float zWeight,
        float[] logProbs)
    {
        // [M, C]
        using Tensor selected = batch.Rows.Length == batch.Tokens.Length ? x.alias() : TokenEmbedding.Forward(x, batch.Rows),
            hidden = RmsNorm.Forward(selected, _finalNorm, Config.RmsNormEps);
        (double loss, Tensor dHidden, Tensor? dOutput) =
            OutputHead.Learn(hidden, _output, batch.Targets, weightsOf(hidden), zWeight, logProbs, half: _halfStep > 0);
        if (dOutput is not null && !Config.TieEmbeddings)
        {
            Gradient.Add(_output, dOutput);
            dOutput.Dispose();
            dOutput = null;
        }
        using Tensor dSelected = Arena.Zeros(selected.shape);
        RmsNorm.Backward(selected, _finalNorm, dHidden, dSelected, Config.RmsNormEps);
        dHidden.Dispose();
        if (selected.shape[0] == x.shape[0]) return (loss, dSelected.alias(), dOutput);
        Tensor gradient = Arena.Zeros(x.shape);
        TokenEmbedding.Backward(dSelected, batch.Rows, gradient);
        return (loss, gradient, dOutput);
    }

    /// <summary>Log-probability of each target, [M].</summary>
    public float[] LogProbs(Batch batch)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        using Tensor x = Trunk(batch), selected = batch.Rows.Length == batch.Tokens.Length
            ? x.alias() : TokenEmbedding.Forward(x, batch.Rows);
        return OutputHead.LogProbs(RmsNorm.Forward(selected, _finalNorm, Config.RmsNormEps), _output, batch.Targets);
    }

    /// <summary>Logits of every input position, [N, V]: for tests.</summary>
    public Tensor Logits(Batch batch)
    {
        using var noGrad = no_grad();
        using Tensor x = Trunk(batch), hidden = RmsNorm.Forward(x, _finalNorm, Config.RmsNormEps);
        return hidden.mm(_output.t());
    }

    /// <summary>[N, C] after the last layer, with nothing kept.</summary>
    private Tensor Trunk(Batch batch)
    {
        HeadLayout layout = Layout(batch);
        Tensor x = TokenEmbedding.Forward(_embedding, batch.Tokens);
        foreach (DecoderLayer layer in _layers)
        {
            using DecoderLayer.Kept made = layer.Begin(x, layout);
            x.Dispose();
            x = layer.End(made);
        }
        return x;
    }

    private HeadLayout Layout(Batch batch) =>
        new(Config.NumHeads, Config.NumKvHeads, Config.HeadDim, Config.RmsNormEps, _rope, batch.SegmentLengths);

    public void Dispose()
    {
        foreach ((_, Tensor parameter) in Parameters)
        {
            parameter.grad?.Dispose();
            parameter.Dispose();
        }
        foreach (Tensor tensor in _frozen) tensor.Dispose();
        Arena.GiveBack();
    }
}
