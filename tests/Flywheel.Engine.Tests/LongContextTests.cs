using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Engine.Tests;

/// <summary>Long texts through the whole engine: the same bits however the work is cut, and the right ones.</summary>
public class LongContextTests
{
    // Long enough that one stream's spans are shared out among the threads; the last two share 1,500 tokens.
    [Theory]
    [InlineData(KvType.Fp32)]
    [InlineData(KvType.Int16)]
    [InlineData(KvType.Int8)]
    public async Task Generations_LongTexts_SameBitsOnAnyThreadsInAnyBatch(KvType kv)
    {
        ModelConfig config = TestEngine.Config() with { MaxPositions = 2600 };
        GenerationRequest[] requests = [.. new[] { 40, 1100, 2300, 1800 }.Select((length, i) => new GenerationRequest
        {
            PromptTokens = [.. Enumerable.Range(0, length).Select(t => t < 1500 && i >= 2 ? t * 7 % 261 : (t * 5 + i) % 261)],
            MaxTokens = 25,
            Sampler = new() { Seed = (ulong)i },
        })];
        var alone = new List<List<SampledToken>>();
        foreach (GenerationRequest request in requests)
        {
            await using InferenceEngine single = TestEngine.Open(config,
                new EngineOptions { Kv = kv, Threads = 1, MaxBatch = 1, Speculate = false });
            alone.Add(await single.Submit(request).Tokens.ToListAsync());
        }
        foreach (int threads in new[] { 2, 3 })
        {
            await using InferenceEngine engine = TestEngine.Open(config, new EngineOptions { Kv = kv, Threads = threads });
            for (int i = 0; i < requests.Length; i++)
                TestEngine.AssertSame(alone[i], await engine.Submit(requests[i]).Tokens.ToListAsync());
            List<SampledToken>[] together =
                await Task.WhenAll(requests.Select(request => engine.Submit(request).Tokens.ToListAsync().AsTask()));
            for (int i = 0; i < requests.Length; i++) TestEngine.AssertSame(alone[i], together[i]);
            Assert.True(engine.Loop.NumSharedPages > 40, $"{engine.Loop.NumSharedPages} pages were shared");
        }
    }

    [Fact]
    public async Task Logits_KvTypes_CloseToFp32()
    {
        int[] text = [.. Enumerable.Range(0, 600).Select(t => t * t % 261)];
        var logits = new List<float[]>();
        foreach (KvType kv in Enum.GetValues<KvType>())
        {
            await using InferenceEngine engine =
                TestEngine.Open(options: new EngineOptions { Kv = kv, Weights = WeightFormat.Fp32, Threads = 1 });
            logits.Add(await engine.LogitsAsync(text));
        }
        Assert.InRange(TestEngine.Divergence(logits[0], logits[1]), 1e-12, 1e-5);
        Assert.InRange(TestEngine.Divergence(logits[0], logits[2]), 1e-12, 1e-2);
    }

    public static TheoryData<int, RopeScalingType?> Texts =>
        new() { { 32_768, null }, { 3000, RopeScalingType.Linear }, { 3000, RopeScalingType.Llama3 }, { 3000, RopeScalingType.Yarn } };

    // With one layer, keys and values depend on their own token alone, so a textbook in fp64 keeps up with any length. The
    // model says that it takes a million tokens, which must cost nothing until they come.
    [Theory]
    [MemberData(nameof(Texts))]
    public async Task Logits_LongText_EqualThoseOfFp64(int length, RopeScalingType? scaling)
    {
        ModelConfig config = new()
        {
            ModelType = "llama", HiddenSize = 16, IntermediateSize = 24, NumLayers = 1, NumHeads = 2, NumKvHeads = 1, HeadDim = 8,
            VocabSize = 64, MaxPositions = 1_000_000, RmsNormEps = 1e-5f,
            RopeScaling = scaling is { } type ? new() { Type = type, Factor = 4, OriginalMaxPositions = 512 } : null,
        };
        using var folder = new TempFolder();
        TestEngine.WriteWeights(folder["model.safetensors"], config, 4);
        using SafetensorsFile file = SafetensorsFile.Open(folder["model.safetensors"]);
        await using InferenceEngine engine = InferenceEngine.Load(file, config, null,
            new EngineOptions { Weights = WeightFormat.Fp32, Threads = 2, MaxBatch = 1, CacheBytes = 64 << 20 });
        var random = new Random(6);
        int[] tokens = [.. Enumerable.Range(0, length).Select(_ => random.Next(config.VocabSize))];
        float[] found = await engine.LogitsAsync(tokens);
        double[] exact = new Textbook(file, config).Logits(tokens);
        for (int i = 0; i < exact.Length; i++) Assert.Equal(exact[i], found[i], 2e-4);
        if (scaling is null) return;
        double[] unscaled = new Textbook(file, config with { RopeScaling = null }).Logits(tokens);
        Assert.Contains(exact.Zip(unscaled), pair => Math.Abs(pair.First - pair.Second) > 1e-2);
    }

    /// <summary>A llama of one layer in fp64; logits after the last token.</summary>
    private sealed class Textbook(SafetensorsFile file, ModelConfig config)
    {
        private readonly RopeFrequencies _rope = RopeFrequencies.Compute(config);
        private readonly Dictionary<string, double[]> _weights =
            config.Tensors().ToDictionary(tensor => tensor.Name,
                tensor => file.ReadFloats(file.Tensors[tensor.Name]).Select(value => (double)value).ToArray());

        public double[] Logits(int[] tokens)
        {
            const string layer = "model.layers.0.", attention = layer + "self_attn.";
            int d = config.HeadDim, last = tokens.Length - 1;
            double[][] x =
                [.. Enumerable.Range(0, config.VocabSize)
                    .Select(id => _weights["model.embed_tokens.weight"].AsSpan(id * config.HiddenSize, config.HiddenSize).ToArray())];
            double[][] normed = [.. x.Select(row => Norm(row, layer + "input_layernorm.weight"))];
            double[][] keys = [.. normed.Select(row => Product(attention + "k_proj.weight", row))],
                values = [.. normed.Select(row => Product(attention + "v_proj.weight", row))];
            double[] queries = Product(attention + "q_proj.weight", normed[tokens[last]]), seen = new double[config.NumHeads * d];
            for (int head = 0; head < config.NumHeads; head++)
            {
                double[] query = Turn(queries[(head * d)..((head + 1) * d)], last);
                double[] scores =
                    [.. tokens.Select((token, position) => Turn(keys[token], position).Zip(query, (a, b) => a * b).Sum() / Math.Sqrt(d))];
                double most = scores.Max(), total = scores.Sum(score => Math.Exp(score - most));
                for (int position = 0; position <= last; position++)
                    for (int i = 0; i < d; i++)
                        seen[head * d + i] += Math.Exp(scores[position] - most) / total * values[tokens[position]][i];
            }
            double[] y = Sum(x[tokens[last]], Product(attention + "o_proj.weight", seen)),
                z = Norm(y, layer + "post_attention_layernorm.weight");
            double[] hidden =
                [.. Product(layer + "mlp.gate_proj.weight", z)
                    .Zip(Product(layer + "mlp.up_proj.weight", z), (gate, up) => gate / (1 + Math.Exp(-gate)) * up)];
            return Product("model.embed_tokens.weight", Norm(Sum(y, Product(layer + "mlp.down_proj.weight", hidden)), "model.norm.weight"));
        }

        private double[] Turn(double[] head, int position)
        {
            int half = head.Length / 2;
            var turned = new double[head.Length];
            for (int i = 0; i < half; i++)
            {
                (double sin, double cos) = Math.SinCos(position * _rope.Inverse[i]);
                turned[i] = (head[i] * cos - head[i + half] * sin) * _rope.AttentionFactor;
                turned[i + half] = (head[i + half] * cos + head[i] * sin) * _rope.AttentionFactor;
            }
            return turned;
        }

        private double[] Product(string name, double[] x) =>
            [.. Enumerable.Range(0, _weights[name].Length / x.Length)
                .Select(row => x.Select((value, i) => value * _weights[name][row * x.Length + i]).Sum())];

        private double[] Norm(double[] x, string name)
        {
            double inverse = 1 / Math.Sqrt(x.Sum(value => value * value) / x.Length + config.RmsNormEps);
            return [.. x.Zip(_weights[name], (value, weight) => value * inverse * weight)];
        }

        private static double[] Sum(double[] a, double[] b) => [.. a.Zip(b, (x, y) => x + y)];
    }
}
