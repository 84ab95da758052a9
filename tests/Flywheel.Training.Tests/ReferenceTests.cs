using System.Text.Json;
using Flywheel.Model;
using Flywheel.Testing;
using static TorchSharp.torch;

namespace Flywheel.Training.Tests;

/// <summary>The trainer's forward pass against llama.cpp's and a float64 oracle's numbers for the same weights.</summary>
public sealed class ReferenceTests
{
    [Fact]
    public void LogProbabilities_OfTinyQwen3_EqualTheOracle()
    {
        string folder = TestFiles.Shared("models", "tiny-qwen3");
        TorchLibrary.Load(2);
        using DecoderModel model = DecoderModel.Load(ModelFolder.Open(folder));
        using JsonDocument reference = JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, "reference.json")));
        double worst = 0;
        int count = 0;
        foreach (JsonElement prompt in reference.RootElement.GetProperty("prompts").EnumerateArray())
        {
            int[] tokens = [.. prompt.GetProperty("token_ids").EnumerateArray().Select(id => id.GetInt32())];
            using var home = new TempFolder();
            string path;
            using (var writer = new TokenDatasetWriter(home.Path,
                new DatasetManifest { TokenizerHash = "none", VocabSize = model.Config.VocabSize }))
            {
                int[] padded = [.. tokens, 0]; // the last input is the prompt's last token
                writer.Add(padded, new byte[padded.Length]);
                path = writer.Complete();
            }
            using TokenDataset data = TokenDataset.Open(path);
            using var scope = NewDisposeScope();
            Tensor logProbs = model.Logits(TestModels.Batch(data, true, 0)).log_softmax(-1);
            foreach (JsonElement expected in prompt.GetProperty("next_token_top20").EnumerateArray())
            {
                float actual = logProbs[tokens.Length - 1, expected.GetProperty("id").GetInt64()].item<float>();
                worst = Math.Max(worst, Math.Abs(actual - expected.GetProperty("logprob").GetDouble()));
                count++;
            }
        }
        Assert.True(count >= 100, $"compared {count}");
        Assert.True(worst < 1e-4, $"largest difference {worst:g3}");
    }
}
