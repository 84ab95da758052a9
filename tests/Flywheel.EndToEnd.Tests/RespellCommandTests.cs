using Flywheel.Engine;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.EndToEnd.Tests;

/// <summary><c>flywheel models respell</c> as people call it, and what becomes of the model that it makes.</summary>
public sealed class RespellCommandTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <summary>The oracle is the model that it was made from: where nothing rare is in a text, both say the same.</summary>
    [Fact]
    public async Task Respell_ASmallModel_SpellsRareWordsAnewAndSaysTheSameAsAFolderAndAsGguf()
    {
        var home = new FlywheelHome(_folder["home"]);
        ModelFolder model = TinyModel.Create(home.Models, name: "small");
        string[] words = ["Write", "a", "tagline.", "The", "wheel", "turns", "and"];
        string texts = Directory.CreateDirectory(_folder["texts"]).FullName;
        var random = new Random(5);
        for (int i = 0; i < 200; i++)
            await File.WriteAllTextAsync(Path.Combine(texts, $"{i}.txt"), string.Join(' ', random.GetItems(words, 60)) + "\n",
                TestContext.Current.CancellationToken);
        string recipe = _folder["small.yaml"];
        await File.WriteAllTextAsync(recipe, """
            name: small-data
            seed: 3
            base: small
            data:
              - source: text
                path: texts
            train:
              objective: next-token
              steps: 1
              batch_tokens: 512
              micro_tokens: 256
              learning_rate: 1e-3
            """, TestContext.Current.CancellationToken);
        await RunAsync(home, "models", "respell", "small", "--data", recipe, "--fewest", "300");
        string gguf = _folder["small.gguf"];
        await RunAsync(home, "export", "small-respelled", "--to", "gguf", "--type", "f32", "--output", gguf);
        await RunAsync(home, "import", gguf, "--name", "back");

        var catalog = new ModelCatalog(home);
        const string frequent = "The wheel turns and turns", rare = "The wheel; keep, discard";
        int[] before = model.Tokenizer.Encode(rare);
        string said = await SayAsync(model, frequent);
        Assert.NotEmpty(said);
        foreach (ModelFolder made in new[] { catalog.FindModel("small-respelled"), catalog.FindModel("back") })
        {
            Assert.Equal(model.Tokenizer.Encode(frequent), made.Tokenizer.Encode(frequent));
            Assert.True(made.Tokenizer.Encode(rare).Length > before.Length, "what the data hardly has is spelt by shorter tokens");
            Assert.Equal(rare, made.Tokenizer.Decode(made.Tokenizer.Encode(rare)));
            Assert.Equal(said, await SayAsync(made, frequent));
        }

        // Once more there is nothing to do.
        Assert.Contains("Nothing to do", await RunAsync(home, "models", "respell", "small-respelled", "--data", recipe, "--fewest", "1"),
            StringComparison.Ordinal);
        (int code, string wrong) = await ServerProcess.RunAsync(home.Path, "models", "respell", "small", "--data", recipe, "--fewest", "0");
        Assert.NotEqual(0, code);
        Assert.Contains("--fewest is 0", wrong, StringComparison.Ordinal);
    }

    private static async Task<string> RunAsync(FlywheelHome home, params string[] arguments)
    {
        (int code, string output) = await ServerProcess.RunAsync(home.Path, arguments);
        Assert.True(code == 0, $"{string.Join(' ', arguments)}: {output}");
        return output;
    }

    private static async Task<string> SayAsync(ModelFolder model, string prompt)
    {
        await using InferenceEngine engine = InferenceEngine.Load(model, new EngineOptions { Weights = WeightFormat.Fp32, Threads = 1 });
        var tokens = new List<int>();
        await foreach (SampledToken token in engine.Submit(new GenerationRequest { PromptTokens = model.Tokenizer.Encode(prompt),
            MaxTokens = 24, Sampler = new() { Temperature = 0 } }).Tokens) tokens.Add(token.Id);
        return model.Tokenizer.Decode([.. tokens]);
    }
}
