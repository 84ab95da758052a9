using System.Text;
using System.Text.Json.Nodes;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Engine.Tests;

/// <summary>Against outputs of llama.cpp and of Hugging Face's tokenizers that are kept in tests/golden: see its README.</summary>
public sealed class GoldenTests : IDisposable
{
    private const string Variable = "FLYWHEEL_GOLDEN";

    private static readonly string[] s_texts =
    [
        "Write a tagline.", " The wheel turns", "the  wheel\n\n turns\t", "write, keep; edit... discard!", "I'LL don't we've",
        "12 345 6789", "轮子在转", "die Räder drehen sich", "😀👩‍👩‍👧👍🏽", "e\u0301 é \u212B ﬁ",
        "<|im_start|>user", "<s></s>", "a", " ", "   ", "\r\n", "x = {\"a\": [1, 2.5e-3]};", "https://a.org/b?c=d#e", "\u00A0\u3000\u2028",
        "🇩🇪 𝒜 𠀀", "نمस्ते مَرْحَبًا", "▁under▁score_", "ALLCAPS and MiXeD", "tab\tand\0zero",
    ];

    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    public static TheoryData<string> Models => ["qwen3", "llama", "qwen2"];

    public static TheoryData<string> Tokenizers => ["bytes", "sentencepiece"];

    private static string Golden(string name) => Path.Combine(TestFiles.Root, "tests", "golden", name);

    [Theory]
    [MemberData(nameof(Models))]
    public async Task Engine_GeneratedModel_GivesLlamaCppsLogProbsAndGreedyTexts(string type)
    {
        ModelFolder model = Create(type);
        JsonNode golden = Read($"llama.cpp-{type}.json", "model", model.Hash);
        await using InferenceEngine engine = InferenceEngine.Load(model, new EngineOptions { Weights = WeightFormat.Fp32, Threads = 1 });
        foreach (JsonNode? row in golden["results"]!.AsArray())
        {
            int[] prompt = Ids(row!["prompt"]);
            float[] logits = await engine.LogitsAsync(prompt);
            double normalizer = TestEngine.LogSumExp(logits);
            foreach (JsonNode? top in row["top"]!.AsArray()) Assert.Equal((double)top![1]!, logits[(int)top[0]!] - normalizer, 1e-4);
            List<SampledToken> answer =
                await engine.Submit(new() { PromptTokens = prompt, MaxTokens = row["greedy"]!.AsArray().Count,
                    Sampler = new() { Temperature = 0 } }).Tokens.ToListAsync();
            int[] greedy = Ids(row["greedy"]);
            int end = Array.FindIndex(greedy, model.Config.EosTokenIds.Contains); // where our answer ends, llama.cpp was asked to go on
            Assert.Equal(end < 0 ? greedy : greedy[..(end + 1)], answer.Select(token => token.Id));
        }
    }

    [Theory]
    [MemberData(nameof(Tokenizers))]
    public void Tokenizer_HardTexts_GivesHuggingFacesIds(string name)
    {
        (Tokenizer tokenizer, _) = TokenizerOf(name);
        JsonNode golden = Read($"tokenizers-{name}.json", "tokenizer", tokenizer.Hash);
        Assert.Equal(s_texts, golden["results"]!.AsArray().Select(row => (string)row!["text"]!));
        foreach (JsonNode? row in golden["results"]!.AsArray())
            Assert.Equal(Ids(row!["ids"]), tokenizer.Encode((string)row["text"]!, allowSpecial: true));
    }

    /// <summary>Writes what make.mjs reads: the models as GGUF, the tokenizers, and what is asked of them.</summary>
    [Fact]
    public void Inputs_OfTheGoldenOutputs_AreWrittenWhereAsked()
    {
        if (Environment.GetEnvironmentVariable(Variable) is not { Length: > 0 } folder)
        {
            Assert.Skip($"{Variable} names no folder to write to");
            return;
        }
        Directory.CreateDirectory(folder);
        var order = new JsonObject { ["models"] = new JsonArray(), ["tokenizers"] = new JsonArray() };
        foreach (string type in Models.Select(row => row.Data))
        {
            ModelFolder model = Create(type);
            ModelExport.ToGguf(model, Path.Combine(folder, $"{type}.gguf"), ExportType.Parse("f32"));
            var random = new Random(3);
            int[][] prompts =
                [.. new[] { 1, 2, 7, 40,
                    200 }.Select(length => Enumerable.Range(0, length).Select(_ => random.Next(3, model.Config.VocabSize)).ToArray())];
            order["models"]!.AsArray().Add(new JsonObject
            {
                ["name"] = type, ["model"] = model.Hash, ["numTop"] = 12, ["numGreedy"] = 12,
                ["prompts"] = new JsonArray([.. prompts.Select(prompt => new JsonArray([.. prompt.Select(id => JsonValue.Create(id))]))]),
            });
        }
        foreach (string name in Tokenizers.Select(row => row.Data))
        {
            (Tokenizer tokenizer, byte[]? json) = TokenizerOf(name);
            if (json is null) tokenizer.Save(Path.Combine(folder, $"{name}.json"));
            else File.WriteAllBytes(Path.Combine(folder, $"{name}.json"), json);
            order["tokenizers"]!.AsArray()
                .Add(new JsonObject { ["name"] = name, ["hash"] = tokenizer.Hash,
                    ["texts"] = new JsonArray([.. s_texts.Select(text => JsonValue.Create(text))]) });
        }
        File.WriteAllText(Path.Combine(folder, "order.json"), order.ToJsonString());
    }

    private static JsonNode Read(string file, string key, string hash)
    {
        JsonNode golden = JsonNode.Parse(File.ReadAllText(Golden(file)))!;
        Assert.True((string)golden[key]! == hash,
            $"{file} is of {(string)golden[key]!}, the test makes {hash}: compute it again (tests/golden/README.md)");
        return golden;
    }

    private static int[] Ids(JsonNode? ids) => [.. ids!.AsArray().Select(id => (int)id!)];

    private ModelFolder Create(string type)
    {
        (Tokenizer tokenizer, _) = TokenizerOf("bytes");
        var config = new ModelConfig
        {
            ModelType = type, HiddenSize = 64, IntermediateSize = 96, NumLayers = 2, NumHeads = 4, NumKvHeads = 2, HeadDim = 16,
            VocabSize = tokenizer.VocabSize,
            MaxPositions = 256, TieEmbeddings = type != "llama", RmsNormEps = 1e-5f,
            EosTokenIds = [tokenizer.SpecialTokens[Tokenizer.MessageEnd]],
        };
        var random = new Random(5);
        Dictionary<string, float[]> weights = config.Tensors().ToDictionary(tensor => tensor.Name, tensor =>
        {
            float[] values = new float[tensor.Shape.Aggregate(1L, (a, b) => a * b)];
            bool norm = tensor.Name.EndsWith("norm.weight", StringComparison.Ordinal);
            for (int i = 0; i < values.Length; i++)
                values[i] = (float)((norm ? 1 : 0) + ((random.NextDouble() - 0.5) * (norm ? 0.4 : 0.6)));
            return values;
        });
        return ModelFolder.Create(_folder["models"], config, tokenizer, TensorType.F32, name => weights[name],
            new ModelManifest { Name = type, Created = DateTimeOffset.UnixEpoch });
    }

    private static (Tokenizer Tokenizer, byte[]? Json) TokenizerOf(string name)
    {
        if (name == "bytes")
            return (Tokenizer.Train(["Write a tagline. The wheel turns and turns; write, keep, edit, discard.",
                "die Räder drehen sich — 轮子在转 😀"], 320), null);
        byte[] json = Encoding.UTF8.GetBytes(TestTokenizers.SentencePieceJson);
        return (Tokenizer.Parse(json, name), json);
    }
}
