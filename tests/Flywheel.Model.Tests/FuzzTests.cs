using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Flywheel.Testing;

namespace Flywheel.Model.Tests;

/// <summary>
/// Mutated headers of both containers: whatever the bytes, a <see cref="FlywheelException"/> or a file that reads, and no
/// more memory than stated. FLYWHEEL_FUZZ gives the number of inputs for each; CI takes a few thousand.
/// </summary>
public sealed partial class FuzzTests
{
    private const int Inputs = 4000;

    /// <summary>How many inputs, or of an expensive test a share of the usual few.</summary>
    private static int Count(int share = 1) =>
        int.TryParse(Environment.GetEnvironmentVariable("FLYWHEEL_FUZZ"), NumberStyles.None, CultureInfo.InvariantCulture, out int count)
            ? count : Inputs / share;

    [Fact]
    public void Gguf_MutatedFile_FailsClearlyAndStaysSmall()
    {
        byte[] seed = Seed();
        Run(seed, seed.Length, [0, 1, 2, 8, 9, 12, 13, 30, 255, 256, int.MaxValue, uint.MaxValue, long.MaxValue, ulong.MaxValue, 1UL << 32,
            1UL << 62, ulong.MaxValue - 31], "gguf", bytes =>
        {
            GgufHeader header = GgufHeader.Read("fuzz.gguf", new MemoryStream(bytes, writable: false));
            foreach (GgufTensor tensor in header.Tensors)
            {
                Assert.InRange(tensor.Offset, 0, bytes.Length);
                Assert.InRange(tensor.NumBytes, 0, bytes.Length - tensor.Offset);
            }
        }, GgufHeader.MaxAllocation);
    }

    /// <summary>What is behind the header: the shape and the tokenizer that the metadata states.</summary>
    [Fact]
    public void Gguf_MutatedMetadata_GivesAConfigAndATokenizerOrFailsClearly()
    {
        byte[] seed = Seed();
        using var folder = new TempFolder();
        string path = folder["fuzz.gguf"];
        Run(seed, seed.Length, [0, 1, 5, 6, 127, int.MaxValue, uint.MaxValue, ulong.MaxValue], "metadata", bytes =>
        {
            File.WriteAllBytes(path, bytes);
            using GgufFile file = GgufFile.Open(path);
            file.ReadConfig();
            _ = Tokenizer.Parse(GgufTokenizer.Read(file.Metadata), path);
        }, length => 16 * GgufHeader.MaxAllocation(length), share: 20);
    }

    [Fact]
    public void Safetensors_MutatedHeader_FailsClearlyAndStaysSmall()
    {
        using var folder = new TempFolder();
        SafetensorsWriter.Write(folder["seed"],
            [.. Enumerable.Range(0, 4)
                .Select(i => ($"model.layers.{i}.weight", i % 2 == 0 ? TensorType.F32 : TensorType.BF16, new long[] { 3, i + 1 },
                    (Action<Stream>)(stream => stream.Write(new byte[3 * (i + 1) * (i % 2 == 0 ? 4 : 2)]))))],
            new Dictionary<string, string> { ["format"] = "pt" });
        byte[] seed = File.ReadAllBytes(folder["seed"]);
        int header = 8 + (int)BinaryPrimitives.ReadInt64LittleEndian(seed);
        Run(seed, header, [0, 7, 8, 100_000_000, 100_000_001, long.MaxValue, ulong.MaxValue], "safetensors", bytes =>
        {
            (Dictionary<string, TensorInfo> tensors, _) =
                SafetensorsFile.ParseHeader("fuzz.safetensors",
                    bytes.AsMemory(Math.Min(8, bytes.Length), Math.Clamp(header - 8, 0, Math.Max(0, bytes.Length - 8))), header,
                    bytes.Length);
            foreach (TensorInfo tensor in tensors.Values)
            {
                Assert.InRange(tensor.Offset, 0, bytes.Length);
                Assert.InRange(tensor.NumBytes, 0, bytes.Length - tensor.Offset);
            }
        }, length => 64 * 1024 + 64L * length);
    }

    /// <summary>
    /// The JSON files of a model or adapter folder. None makes more than it needs to hold its own tree, whatever it says: the bound
    /// is 64 KiB and 512 bytes for each byte.
    /// </summary>
    [Theory]
    [InlineData("config.json",
        """{"model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 512, "max_position_embeddings": 131072, "rms_norm_eps": 1e-05, "rope_theta": 500000.0, "rope_scaling": {"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}, "tie_word_embeddings": true, "bos_token_id": 1, "eos_token_id": [2, 3], "attention_bias": false, "hidden_act": "silu"}""")]
    [InlineData("adapter_config.json",
        """{"peft_type": "LORA", "r": 8, "lora_alpha": 16.0, "target_modules": ["q_proj", "v_proj"], "bias": "none", "use_rslora": false, "base_model_name_or_path": "acme/small", "modules_to_save": null, "rank_pattern": {}, "fan_in_fan_out": false}""")]
    [InlineData("generation_config.json",
        """{"bos_token_id": 1, "eos_token_id": [2, 3], "do_sample": true, "temperature": 0.6, "top_k": 40}""")]
    [InlineData("tokenizer_config.json",
        """{"bos_token": {"content": "<s>", "special": true}, "eos_token": "</s>", "chat_template": [{"name": "tool_use", "template": "a"}, {"name": "default", "template": "{{ bos_token }}"}], "model_max_length": 4096}""")]
    [InlineData("model.safetensors.index.json",
        """{"metadata": {"total_size": 24}, "weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}""")]
    [InlineData("flywheel.json",
        """{"hash": "0123456789012345678901234567890123456789012345678901234567890123", "name": "small", "parent": null, "source": "hf:acme/small@main", "created": "2026-11-23T22:17:41+00:00", "num_parameters": 123, "evaluation": {"validation_loss": 3.5}}""")]
    public void FolderFile_Mutated_ReadsOrFailsClearlyAndStaysSmall(string name, string text)
    {
        using var folder = new TempFolder();
        var home = new FlywheelHome(folder["home"]);
        string path = Path.Combine(Directory.CreateDirectory(Path.Combine(home.Models, "0123")).FullName, name);
        foreach (string shard in new[] { "a model-1", "b model-2" })
            SafetensorsWriter.Write(Path.Combine(Path.GetDirectoryName(path)!, shard[2..] + ".safetensors"),
                [(shard[..1], TensorType.F32, [3], stream => stream.Write(new byte[12]))], new Dictionary<string, string>());
        byte[] seed = Encoding.UTF8.GetBytes(text);
        new ModelCatalog(home).List(_ => { }); // finds the starter model
        Run(seed, seed.Length, [0, ulong.MaxValue], name, bytes =>
        {
            string changed = Encoding.UTF8.GetString(bytes);
            if (name is not ("config.json" or "adapter_config.json")) File.WriteAllBytes(path, bytes);
            switch (name)
            {
                case "config.json":
                    ModelConfig config = ModelConfig.Parse(changed, path);
                    foreach ((string tensor, long[] shape) in config.Tensors()
                        .Take(20)) Assert.All(shape, size => Assert.True(size > 0, tensor));
                    break;
                case "adapter_config.json":
                    Assert.True(AdapterConfig.Parse(changed, path).Rank > 0);
                    break;
                case "generation_config.json":
                    ModelCompanions.ReadEnds(Path.GetDirectoryName(path)!);
                    break;
                case "tokenizer_config.json":
                    ModelCompanions.TemplateIdentity(Path.GetDirectoryName(path)!);
                    break;
                case "model.safetensors.index.json":
                    using (SafetensorsFile weights = SafetensorsFile.Open(path)) Assert.InRange(weights.Tensors.Count, 1, 2);
                    break;
                default:
                    string? problem = null;
                    if (new ModelCatalog(home).List(said => problem = said)
                        .Any(entry => entry.Path.StartsWith(home.Path, StringComparison.Ordinal)) != problem is null)
                        throw new InvalidOperationException(problem ?? "not listed, and nothing said");
                    if (problem is not null) throw new FlywheelException(problem);
                    break;
            }
        }, length => 64 * 1024 + 512 * length, share: 2, texts: true);
    }

    /// <summary>A value of a JSON text becomes an odd one.</summary>
    private static byte[] MutateJson(byte[] seed, Random random)
    {
        string[] odd =
        [
            "null", "true", "-1", "0", "1", "2147483648", "-2147483649", "9223372036854775808", "1e308", "1e999", "-0.0", "0.5", "\"\"",
            "\"x\"", "\"\\ud800\"", "\"\\u0000\"", "[]", "{}", "[[]]", "[null]", "[\"q_proj\", 1]", "{\"a\": 1, \"a\": 2}",
            "\"../model-1.safetensors\"", "\"/etc/passwd.safetensors\"", new string('[', 100), new string('[', 60) + new string(']', 60),
            "\"" + new string('x', 5000) + "\"", "//", "\uFEFF",
        ];
        string text = Encoding.UTF8.GetString(seed);
        for (int changes = random.Next(1, 4); changes > 0; changes--)
        {
            MatchCollection values = Value().Matches(text);
            if (values.Count == 0) break;
            Match one = values[random.Next(values.Count)];
            text = text[..one.Index] + odd[random.Next(odd.Length)] + text[(one.Index + one.Length)..];
        }
        return Encoding.UTF8.GetBytes(text);
    }

    [GeneratedRegex("""(?<=[:\[,]\s{0,3})(?:"[^"\\]*"|-?\d[\d.eE+-]*|true|false|null|\{[^{}]*\}|\[[^\[\]]*\])""")]
    private static partial Regex Value();

    /// <summary>Bytes, numbers of 4 and 8 bytes, copies, insertions, deletions and truncation, in the part that is parsed.</summary>
    private static void Run(byte[] seed, int parsed, ulong[] numbers, string what, Action<byte[]> parse, Func<long, long> maxAllocation,
        int share = 1, bool texts = false)
    {
        var random = new Random(20_261_124);
        int inputs = Count(share), refused = 0;
        for (int i = 0; i < inputs; i++)
        {
            byte[] bytes = random.Next(2) == 0 && texts ? MutateJson(seed, random) : Mutate(seed, parsed, numbers, random);
            long before = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                parse(bytes);
            }
            catch (FlywheelException)
            {
                refused++;
            }
            catch (Exception e)
            {
                throw new InvalidOperationException(
                    $"{what}, input {i}: {e.GetType().Name}: {e.Message}\n{Convert.ToBase64String(bytes.AsSpan(0, Math.Min(bytes.Length, 4096)))}", e);
            }
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, maxAllocation(bytes.Length));
        }
        Assert.InRange(refused, inputs / 8, inputs); // the mutations reach the checks
        TestContext.Current.TestOutputHelper?.WriteLine($"{what}: {inputs} inputs, {refused} refused");
    }

    private static byte[] Mutate(byte[] seed, int parsed, ulong[] numbers, Random random)
    {
        List<byte> bytes = [.. seed];
        int At(int room) => random.Next(Math.Max(1, Math.Min(parsed, bytes.Count - room)));
        for (int changes = random.Next(1, 6); changes > 0 && bytes.Count > 16; changes--)
        {
            switch (random.Next(8))
            {
                case 0: bytes[At(1)] = (byte)random.Next(256); break;
                case 1: bytes[At(1)] ^= (byte)(1 << random.Next(8)); break;
                case 2: Put(At(8), 8); break;
                case 3: Put(At(4), 4); break;
                case 4: bytes.InsertRange(At(1), bytes.GetRange(At(16), Math.Min(random.Next(1, 16), bytes.Count - 1))); break;
                case 5: bytes.RemoveRange(At(16), random.Next(1, 16)); break;
                case 6: bytes[At(1)] = (byte)"0123456789-e.[]{}\",:\\u"[random.Next(22)]; break;
                default:
                    if (random.Next(4) == 0) bytes = bytes[..random.Next(bytes.Count)];
                    break;
            }
        }
        return [.. bytes];

        void Put(int at, int size)
        {
            Span<byte> number = stackalloc byte[8];
            BinaryPrimitives.WriteUInt64LittleEndian(number, numbers[random.Next(numbers.Length)]);
            for (int i = 0; i < size && at + i < bytes.Count; i++) bytes[at + i] = number[i];
        }
    }

    /// <summary>A small model whose header has everything: texts, arrays, every common type.</summary>
    private static byte[] Seed()
    {
        using var folder = new TempFolder();
        ModelConfig config = ModelFolderTests.TinyConfig with { NumLayers = 1, ModelType = "llama",
            RopeScaling = new RopeScaling { Type = RopeScalingType.Linear, Factor = 2 } };
        List<string> tokens = ["<unk>", "<s>", "</s>", .. Enumerable.Range(0, 256).Select(value => $"<0x{value:X2}>"), "\u2581", "a", "b",
            "ab", "\u2581ab"];
        config = config with { VocabSize = tokens.Count };
        var metadata = new GgufMetadata("seed") { { "general.architecture", "llama" }, { "general.type", "model" },
            { "general.name", "tiny" } };
        GgufConfig.Write(config, metadata);
        metadata.Add("tokenizer.ggml.model", "llama");
        metadata.Add("tokenizer.ggml.tokens", tokens.ToArray());
        metadata.Add("tokenizer.ggml.scores", tokens.Select((_, id) => -(float)id).ToArray());
        metadata.Add("tokenizer.ggml.token_type", tokens.Select((_, id) => id == 0 ? 2 : id < 3 ? 3 : id < 259 ? 6 : 1).ToArray());
        metadata.Add("tokenizer.ggml.bos_token_id", 1u);
        metadata.Add("tokenizer.ggml.eos_token_id", 2u);
        metadata.Add("tokenizer.ggml.add_bos_token", true);
        metadata.Add("misc.flags", new[] { true, false });
        metadata.Add("misc.wide", new[] { 1.0, 2.0 });
        metadata.Add("misc.signed", (sbyte)-1);
        GgufWriter.Write(folder["seed.gguf"], metadata,
            [.. config.Tensors().Select(tensor => (GgufNames.ToGguf(tensor.Name), TensorType.F32, tensor.Shape,
            (Action<Stream>)(stream => stream.Write(new byte[4 * tensor.Shape.Aggregate(1L, (a, b) => a * b)]))))]);
        byte[] whole = File.ReadAllBytes(folder["seed.gguf"]);
        return whole;
    }
}
