using System.Text.Json.Nodes;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Engine.Tests;

/// <summary>Open weights, from both containers, through import and engine, against the reference (../shared/models).</summary>
public sealed class ImportedModelTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("stories260K", "")]
    [InlineData("stories260K", "stories260K-f32.gguf")]
    [InlineData("tiny-qwen3", "")]
    [InlineData("tiny-qwen3", "tiny-qwen3-f32.gguf")]
    public async Task Import_ReferenceModel_AgreesWithTheReference(string model, string file)
    {
        await AgreesAsync(ModelImport.Import(TestFiles.Shared("models", model, file), _folder["models"], DateTimeOffset.UnixEpoch), model);
    }

    /// <summary>Out and in again through the other container.</summary>
    [Theory]
    [InlineData("stories260K")]
    [InlineData("tiny-qwen3")]
    public async Task ImportExportImport_ReferenceModel_StillAgrees(string model)
    {
        ModelFolder first = ModelImport.Import(TestFiles.Shared("models", model), _folder["models"], DateTimeOffset.UnixEpoch);
        ModelExport.ToGguf(first, _folder["out.gguf"], ExportType.Parse("f32"));
        ModelFolder second = ModelImport.Import(_folder["out.gguf"], _folder["models"], DateTimeOffset.UnixEpoch);
        ModelExport.ToHuggingFace(second, _folder["hf"], null, DateTimeOffset.UnixEpoch);
        await AgreesAsync(second, model);
        await AgreesAsync(ModelImport.Import(_folder["hf"], _folder["models"], DateTimeOffset.UnixEpoch), model);
    }

    private static async Task AgreesAsync(ModelFolder imported, string model)
    {
        await using InferenceEngine engine = InferenceEngine.Load(imported, new EngineOptions { Weights = WeightFormat.Fp32, Threads = 2 });
        foreach (JsonNode? prompt in JsonNode.Parse(File.ReadAllText(TestFiles.Shared("models", model, "reference.json")))!["prompts"]!
            .AsArray())
        {
            int[] tokens = [.. prompt!["token_ids"]!.AsArray().Select(id => (int)id!)];
            Assert.Equal(tokens[1..], imported.Tokenizer.Encode((string)prompt["text"]!)); // the first is the begin of the text
            float[] logprobs = await engine.ScoreAsync(tokens);
            JsonArray wanted = prompt["token_logprobs"]!.AsArray();
            for (int i = 1; i < logprobs.Length; i++)
                Assert.Equal((double)(wanted[i - 1] is JsonObject entry ? entry["logprob"]! : wanted[i - 1]!), logprobs[i], 1e-4);
            float[] logits = await engine.LogitsAsync(tokens);
            double normalizer = TestEngine.LogSumExp(logits);
            foreach (JsonNode? top in prompt["next_token_top20"]!.AsArray())
                Assert.Equal((double)top!["logprob"]!, logits[(int)top["id"]!] - normalizer, 1e-4);
            int[] greedy = [.. prompt["greedy_48"]!.AsArray().Select(id => (int)id!)];
            GenerationStream stream =
                engine.Submit(new GenerationRequest { PromptTokens = tokens, MaxTokens = 48, Sampler = new() { Temperature = 0 } });
            List<SampledToken> sampled = await stream.Tokens.ToListAsync();
            int length = Array.FindIndex(greedy, imported.Config.EosTokenIds.Contains); // the reference goes on beyond the end of a text
            Assert.Equal(greedy[..(length < 0 ? greedy.Length : length)],
                sampled.Select(token => token.Id).Where(id => !imported.Config.EosTokenIds.Contains(id)));
        }
    }
}
