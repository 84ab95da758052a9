using Flywheel.Engine.Kernels;
using Flywheel.Engine.Weights;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Engine.Tests;

public sealed unsafe class PanelCacheTests : IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly ModelConfig _config = TestEngine.Config(tied: false);

    public PanelCacheTests() => TestEngine.WriteWeights(_folder["model.safetensors"], _config, seed: 3);

    private string Panels => _folder["panels"];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Load_Twice_SecondReadsTheSameBytes()
    {
        byte[] packed = Load(out bool first), read = Load(out bool second);
        Assert.False(first);
        Assert.True(second);
        Assert.Equal(packed, read);
    }

    [Fact]
    public void Load_AnyByteOfTheFileDamaged_IsPackedAgain()
    {
        byte[] packed = Load(out _);
        string path = Directory.GetFiles(Panels).Single();
        byte[] good = File.ReadAllBytes(path);
        var random = new Random(7);
        for (int i = 0; i < 20; i++)
        {
            byte[] bad = [.. good];
            bad[i < 10 ? random.Next(60) : random.Next(bad.Length)] ^= (byte)(1 << random.Next(8));
            if (i == 18) bad = good[..^random.Next(1, 4000)];
            if (i == 19) bad = [];
            File.WriteAllBytes(path, bad);
            Assert.Equal(packed, Load(out bool kept));
            Assert.False(kept);
            Assert.Equal(good, File.ReadAllBytes(path));
        }
    }

    [Fact]
    public void Save_MoreThanTheLimit_DropsTheLeastUsed()
    {
        Load(out _, "a");
        long size = new FileInfo(Directory.GetFiles(Panels).Single()).Length;
        foreach (string model in new[] { "b", "c", "a", "d" })
        {
            Thread.Sleep(20); // file times
            Load(out bool kept, model, maxBytes: 3 * size);
            Assert.Equal(model == "a", kept);
        }
        Assert.Equal(["a", "c", "d"], Directory.GetFiles(Panels).Select(path => Path.GetFileName(path)[..1]).Order());
    }

    [Fact]
    public void Save_FolderCannotBeMade_LoadsAllTheSame()
    {
        File.WriteAllText(Panels, "in the way");
        Assert.NotEmpty(Load(out bool kept));
        Assert.False(kept);
    }

    /// <summary>All rows of the embedding and the output, and whether they come from the cache.</summary>
    private byte[] Load(out bool kept, string model = "model", long maxBytes = 1 << 30)
    {
        using var arena = new NativeArena();
        using SafetensorsFile file = SafetensorsFile.Open(_folder["model.safetensors"]);
        KernelTable kernels = KernelTable.Select(null);
        var cache = new PanelCache(Panels, minBytes: 1, maxBytes);
        using (var probe = new NativeArena()) kept =
            cache.TryOpen(probe, $"{model}-{WeightFormat.Q4_0}-{KernelTable.Panel}x{kernels.Int8Bias}") is not null;
        DecoderWeights weights = DecoderWeights.Load(arena, kernels, _config, file, WeightFormat.Q4_0, model, cache);
        float[] row = new float[weights.Shape.Hidden];
        var bytes = new MemoryStream();
        foreach (Matrix matrix in new[] { weights.Embedding, weights.Head, weights.Layers[0].Qkv, weights.Layers[1].GateUp })
        {
            for (int i = 0; i < matrix.NumRows; i++)
            {
                fixed (float* destination = row) matrix.ReadRow(i, destination);
                foreach (float value in row) bytes.Write(BitConverter.GetBytes(value));
            }
        }
        return bytes.ToArray();
    }
}
