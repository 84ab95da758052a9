using System.Text.Json.Nodes;
using CsCheck;
using Flywheel.Testing;

namespace Flywheel.Model.Tests;

public sealed class AdapterTests : IDisposable
{
    private const string Query = "model.layers.0.self_attn.q_proj", Down = "model.layers.1.mlp.down_proj";

    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <summary>An adapter on two matrices of a tiny model, with numbers that are exact in fp32.</summary>
    private AdapterFolder Small(ModelFolder model, bool rsLora = false) =>
        AdapterFolder.Create(_folder["adapters"],
            new AdapterConfig { Rank = 2, Alpha = 4, RsLora = rsLora, TargetModules = ["q_proj", "down_proj"], Base = model.Hash },
            [Factors(model, Query), Factors(model, Down)], new ModelManifest { Name = "small", Parent = model.Hash });

    private static (string, float[], float[]) Factors(ModelFolder model, string module)
    {
        long[] shape = model.Config.Tensors().Single(tensor => tensor.Name == module + ".weight").Shape;
        float[] a = [.. Enumerable.Range(0, (int)(2 * shape[1])).Select(i => (i % 7 - 3) / 8f)],
            b = [.. Enumerable.Range(0, (int)(shape[0] * 2)).Select(i => (i % 5 - 2) / 4f)];
        return (module, a, b);
    }

    [Fact]
    public void Create_ThenOpen_GivesEverythingBack()
    {
        ModelFolder model = TinyModel.Create(_folder["models"]);
        AdapterFolder adapter = Small(model);
        Assert.Equal((2, 4.0, 2f, model.Hash), (adapter.Config.Rank, adapter.Config.Alpha, adapter.Config.Scale, adapter.Config.BaseHash));
        Assert.Equal([Query, Down], adapter.Modules);
        (_, float[] a, float[] b) = Factors(model, Down);
        Assert.True(adapter.TryRead(Down, out float[]? readA, out float[]? readB));
        Assert.Equal(a, readA);
        Assert.Equal(b, readB);
        Assert.False(adapter.TryRead("model.layers.0.self_attn.k_proj", out _, out _));
        Assert.Equal(adapter.Hash, Small(model).Hash);
        Assert.NotEqual(adapter.Hash, Small(model, rsLora: true).Hash);
        Assert.Equal((adapter.Hash, a.Length + b.Length + Factors(model, Query).Item2.Length + Factors(model, Query).Item3.Length),
            (adapter.Manifest.Hash, (int)adapter.Manifest.NumParameters));
        Assert.True(AdapterFolder.IsAdapter(adapter.Path));
        Assert.False(AdapterFolder.IsAdapter(model.Path));
    }

    [Theory]
    [InlineData(false, 2)] // 4 / 2
    [InlineData(true, 2.8284271)] // 4 / sqrt 2
    public void Merge_AddsScaledProduct_AndNothingElse(bool rsLora, double scale)
    {
        ModelFolder model = TinyModel.Create(_folder["models"]);
        ModelFolder merged = Small(model, rsLora).Merge(model, _folder["merged"], TensorType.F32);
        using var before = model.OpenWeights();
        using var after = merged.OpenWeights();
        foreach ((string name, long[] shape) in model.Config.Tensors())
        {
            float[] was = before.ReadFloats(before.Require(name, shape)), now = after.ReadFloats(after.Require(name, shape));
            if (name is not (Query + ".weight" or Down + ".weight"))
            {
                Assert.Equal(was, now);
                continue;
            }
            (_, float[] a, float[] b) = Factors(model, name[..^7]);
            for (int o = 0; o < shape[0]; o++)
                for (int i = 0; i < shape[1]; i++)
                    Assert.Equal(was[o * shape[1] + i] + scale * (b[o * 2] * (double)a[i] + b[o * 2 + 1] * (double)a[shape[1] + i]),
                        now[o * shape[1] + i], 1e-6);
        }
        Assert.Equal(model.Hash, merged.Manifest.Parent);
    }

    [Fact]
    public void Merge_IntoAnotherModel_IsRefused()
    {
        AdapterFolder adapter = Small(TinyModel.Create(_folder["models"]));
        ModelFolder other = TinyModel.Create(_folder["models"], seed: 2);
        Assert.Contains(other.ShortHash,
            Assert.Throws<FlywheelException>(() => adapter.Merge(other, _folder["merged"], TensorType.F32)).Message);
    }

    /// <summary>The fields as PEFT 0.17 writes them, and what we cannot honour.</summary>
    [Theory]
    [InlineData("""{"peft_type":"LORA","r":8,"lora_alpha":16,"target_modules":["v_proj","q_proj"],"use_rslora":true,"rank_pattern":{},"bias":"none","modules_to_save":null,"corda_config":null}""", null)]
    [InlineData("""{"r":8,"lora_alpha":16.5,"target_modules":"all-linear","base_model_name_or_path":"Qwen/Qwen3-0.6B"}""", null)]
    [InlineData("""{"r":0,"lora_alpha":16,"target_modules":["q_proj"]}""", "'r' is 0")]
    [InlineData("""{"lora_alpha":16,"target_modules":["q_proj"]}""", "'r' is missing")]
    [InlineData("""{"r":8,"lora_alpha":-1,"target_modules":["q_proj"]}""", "'lora_alpha' is -1")]
    [InlineData("""{"r":8,"lora_alpha":1,"target_modules":["qproj"]}""", "'target_modules' holds 'qproj'")]
    [InlineData("""{"r":8,"lora_alpha":1,"target_modules":".*proj"}""", "'target_modules' is \".*proj\"")]
    [InlineData("""{"r":8,"lora_alpha":1,"target_modules":["q_proj"],"use_dora":true}""", "'use_dora' is true")]
    [InlineData("""{"r":8,"lora_alpha":1,"target_modules":["q_proj"],"bias":"all"}""", "'bias' is \"all\"")]
    [InlineData("""{"r":8,"lora_alpha":1,"target_modules":["q_proj"],"modules_to_save":["lm_head"]}""",
        "'modules_to_save' is [\"lm_head\"]")]
    [InlineData("""{"r":8,"lora_alpha":1,"target_modules":["q_proj"],"peft_type":"IA3"}""", "'peft_type' is \"IA3\"")]
    [InlineData("[]", "expected a JSON object")]
    [InlineData("{", "not valid JSON")]
    public void Config_OfPeft_IsReadOrRefusedByName(string json, string? error)
    {
        if (error is null) Assert.Equal(8, AdapterConfig.Parse(json, "x").Rank);
        else Assert.Contains(error, Assert.Throws<FlywheelException>(() => AdapterConfig.Parse(json, "x")).Message);
    }

    [Fact]
    public void Config_OfAnyJson_IsReadOrRefused() =>
    Gen.String[Gen.Char["{}[]\":,0123456789 rlora_phatgmduesq"], 0, 80].Select(Gen.Bool,
        (text, whole) => whole ? $"{{\"r\":2,\"lora_alpha\":{text}}}" : text).Sample(text =>
    {
        try
        {
            AdapterConfig.Parse(text, "fuzz");
        }
        catch (FlywheelException)
        {
            // the one way to refuse
        }
    }, iter: 2000, seed: "0N0XIzNsQ0O2");

    [Theory]
    [InlineData("base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight", null, "lora_B.weight' is missing")]
    [InlineData("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight",
        "base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector", "is no part of a LoRA adapter")]
    [InlineData("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight",
        "base_model.model.model.layers.0.self_attn.k_proj.lora_A.weight", "target_modules")]
    public void Open_TensorsThatDoNotBelong_NamesThem(string removed, string? added, string error)
    {
        ModelFolder model = TinyModel.Create(_folder["models"]);
        AdapterFolder adapter = Small(model);
        string file = Path.Combine(adapter.Path, "adapter_model.safetensors");
        List<(string, TensorType, long[], Action<Stream>)> tensors = [];
        using (SafetensorsFile weights = SafetensorsFile.Open(file))
        {
            foreach ((string name, TensorInfo tensor) in weights.Tensors)
            {
                float[] values = weights.ReadFloats(tensor);
                foreach (string kept in name != removed ? [name] : added is null
                    ? Array.Empty<string>() : [name, added, added.Replace("_A", "_B", StringComparison.Ordinal)])
                    if (!tensors.Exists(entry => entry.Item1 == kept))
                        tensors.Add((kept, TensorType.F32,
                            kept.Contains("_B.", StringComparison.Ordinal) && !name.Contains("_B.", StringComparison.Ordinal)
                                ? [tensor.Shape[1], tensor.Shape[0]] : tensor.Shape,
                                stream => SafetensorsWriter.WriteFloats(stream, values, TensorType.F32)));
            }
        }
        SafetensorsWriter.Write(file, tensors);
        Assert.Contains(error, Assert.Throws<FlywheelException>(() => AdapterFolder.Open(adapter.Path)).Message);
    }

    [Fact]
    public void Open_ChangedContent_IsRefused()
    {
        AdapterFolder adapter = Small(TinyModel.Create(_folder["models"]));
        string file = Path.Combine(adapter.Path, "adapter_config.json");
        JsonNode json = JsonNode.Parse(File.ReadAllText(file))!;
        json["lora_alpha"] = 5;
        File.WriteAllText(file, json.ToJsonString());
        Assert.Contains("changed or damaged", Assert.Throws<FlywheelException>(() => AdapterFolder.Open(adapter.Path)).Message);
    }
}
