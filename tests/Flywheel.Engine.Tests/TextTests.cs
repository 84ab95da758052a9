using System.Text;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Engine.Tests;

/// <summary>A model folder end to end: text of the streamed tokens, stop texts, whole characters.</summary>
public sealed class TextTests : IAsyncLifetime, IDisposable
{
    private static readonly SamplerOptions Wild = new() { Temperature = 3 };
    private readonly TempFolder _folder = new();
    private ModelFolder _model = null!;
    private InferenceEngine _engine = null!;

    public ValueTask InitializeAsync()
    {
        Tokenizer tokenizer = Tokenizer.Train(["the wheel turns, the wheel turns", "die Räder drehen sich — 轮子在转 😀"], 300);
        ModelConfig config = TestEngine.Config() with { VocabSize = tokenizer.VocabSize,
            EosTokenIds = [tokenizer.SpecialTokens[Tokenizer.MessageEnd]] };
        TestEngine.WriteWeights(_folder["weights"], config, seed: 9);
        using SafetensorsFile file = SafetensorsFile.Open(_folder["weights"]);
        _model = ModelFolder.Create(_folder["models"], config, tokenizer, TensorType.F32, name => file.ReadFloats(file.Tensors[name]),
            new ModelManifest { Name = "random" });
        _engine = InferenceEngine.Load(_model, new EngineOptions { Threads = 1 });
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task Tokens_TextsJoined_EqualTheDecodedIds()
    {
        for (ulong seed = 0; seed < 10; seed++)
        {
            GenerationStream stream = _engine.Submit(Request(seed));
            List<SampledToken> tokens = await stream.Tokens.ToListAsync();
            int[] ids = [.. tokens.Select(token => token.Id).Where(id => !_model.Tokenizer.SpecialTokens.Values.Contains(id))];
            Assert.Equal(_model.Tokenizer.Decode(ids), string.Concat(tokens.Select(token => token.Text)));
        }
    }

    [Fact]
    public async Task Stop_AnyTextOfTheAnswer_CutsItThere()
    {
        for (ulong seed = 0; seed < 10; seed++)
        {
            string whole = await TextAsync(Request(seed));
            if (whole.Length < 12 || whole.Contains('\uFFFD')) continue;
            string stop = whole.Substring(8, 3);
            int at = whole.IndexOf(stop, StringComparison.Ordinal);
            GenerationStream stream = _engine.Submit(Request(seed) with { Stop = ["never to be seen", stop] });
            Assert.Equal(whole[..at], string.Concat((await stream.Tokens.ToListAsync()).Select(token => token.Text)));
            Assert.Equal(FinishReason.Stop, stream.FinishReason);
        }
    }

    [Fact]
    public void Model_Loaded_IsTheFolder() => Assert.Equal(_model.Hash, _engine.Model.Hash);

    [Fact]
    public void Load_WeightsTruncated_SaysSo()
    {
        string copy = _folder["copy"];
        Directory.CreateDirectory(copy);
        foreach (string file in Directory.GetFiles(_model.Path)) File.Copy(file, Path.Combine(copy, Path.GetFileName(file)));
        using (FileStream weights = File.OpenWrite(Path.Combine(copy, "model.safetensors"))) weights.SetLength(weights.Length / 2);
        Assert.Contains("truncated", Assert.Throws<FlywheelException>(() => InferenceEngine.Load(ModelFolder.Open(copy))).Message);
    }

    public async ValueTask DisposeAsync()
    {
        await _engine.DisposeAsync();
        Dispose();
    }

    public void Dispose() => _folder.Dispose();

    private GenerationRequest Request(ulong seed) =>
        new() { PromptTokens = _model.Tokenizer.Encode("the wheel"), MaxTokens = 60, Sampler = Wild with { Seed = seed } };

    private async Task<string> TextAsync(GenerationRequest request)
    {
        var text = new StringBuilder();
        await foreach (SampledToken token in _engine.Submit(request).Tokens) text.Append(token.Text);
        return text.ToString();
    }
}
