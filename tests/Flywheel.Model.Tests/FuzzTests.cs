using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using Flywheel.Testing;

namespace Flywheel.Model.Tests;

/// <summary>
/// Mutated headers of both containers: whatever the bytes, a <see cref="FlywheelException"/> or a file that reads, and no
/// more memory than stated. FLYWHEEL_FUZZ gives the number of inputs for each; CI takes a few thousand.
/// </summary>
public sealed class FuzzTests
{
    private const int Inputs = 4000;

    private static int Count => int.TryParse(Environment.GetEnvironmentVariable("FLYWHEEL_FUZZ"), NumberStyles.None, CultureInfo.InvariantCulture, out int count) ? count : Inputs;

    [Fact]
    public void Gguf_MutatedFile_FailsClearlyAndStaysSmall()
    {
        byte[] seed = Seed();
        Run(seed, seed.Length, [0, 1, 2, 8, 9, 12, 13, 30, 255, 256, int.MaxValue, uint.MaxValue, long.MaxValue, ulong.MaxValue, 1UL << 32, 1UL << 62, ulong.MaxValue - 31], "gguf", bytes =>
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
        SafetensorsWriter.Write(folder["seed"], [.. Enumerable.Range(0, 4).Select(i => ($"model.layers.{i}.weight", i % 2 == 0 ? TensorType.F32 : TensorType.BF16, new long[] { 3, i + 1 }, (Action<Stream>)(stream => stream.Write(new byte[3 * (i + 1) * (i % 2 == 0 ? 4 : 2)]))))],
            new Dictionary<string, string> { ["format"] = "pt" });
        byte[] seed = File.ReadAllBytes(folder["seed"]);
        int header = 8 + (int)BinaryPrimitives.ReadInt64LittleEndian(seed);
        Run(seed, header, [0, 7, 8, 100_000_000, 100_000_001, long.MaxValue, ulong.MaxValue], "safetensors", bytes =>
        {
            (Dictionary<string, TensorInfo> tensors, _) = SafetensorsFile.ParseHeader("fuzz.safetensors", bytes.AsMemory(Math.Min(8, bytes.Length), Math.Clamp(header - 8, 0, Math.Max(0, bytes.Length - 8))), header, bytes.Length);
            foreach (TensorInfo tensor in tensors.Values)
            {
                Assert.InRange(tensor.Offset, 0, bytes.Length);
                Assert.InRange(tensor.NumBytes, 0, bytes.Length - tensor.Offset);
            }
        }, length => 64 * 1024 + 64L * length);
    }

    /// <summary>Bytes, numbers of 4 and 8 bytes, copies, insertions, deletions and truncation, in the part that is parsed.</summary>
    private static void Run(byte[] seed, int parsed, ulong[] numbers, string what, Action<byte[]> parse, Func<long, long> maxAllocation, int share = 1)
    {
        var random = new Random(20_261_124);
        int inputs = Math.Max(1, Count / share), refused = 0;
        for (int i = 0; i < inputs; i++)
        {
            byte[] bytes = Mutate(seed, parsed, numbers, random);
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
                throw new InvalidOperationException($"{what}, input {i}: {e.GetType().Name}: {e.Message}\n{Convert.ToBase64String(bytes.AsSpan(0, Math.Min(bytes.Length, 4096)))}", e);
            }
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, maxAllocation(bytes.Length));
        }
        Assert.InRange(refused, inputs / 4, inputs); // the mutations reach the checks
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
        ModelConfig config = ModelFolderTests.TinyConfig with { NumLayers = 1, ModelType = "llama", RopeScaling = new RopeScaling { Type = RopeScalingType.Linear, Factor = 2 } };
        List<string> tokens = ["<unk>", "<s>", "</s>", .. Enumerable.Range(0, 256).Select(value => $"<0x{value:X2}>"), "\u2581", "a", "b", "ab", "\u2581ab"];
        config = config with { VocabSize = tokens.Count };
        var metadata = new GgufMetadata("seed") { { "general.architecture", "llama" }, { "general.type", "model" }, { "general.name", "tiny" } };
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
        GgufWriter.Write(folder["seed.gguf"], metadata, [.. config.Tensors().Select(tensor => (GgufNames.ToGguf(tensor.Name), TensorType.F32, tensor.Shape,
            (Action<Stream>)(stream => stream.Write(new byte[4 * tensor.Shape.Aggregate(1L, (a, b) => a * b)]))))]);
        byte[] whole = File.ReadAllBytes(folder["seed.gguf"]);
        return whole;
    }
}
