using CsCheck;
using Flywheel.Testing;

namespace Flywheel.Model.Tests.Codecs;

/// <summary>Small grey pictures as tokens and back.</summary>
public sealed class PictureCodecTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <summary>Pictures of four kinds of patches: black, white, left half, top half.</summary>
    private static byte[] Picture(int seed)
    {
        var random = new Random(seed);
        byte[] picture = new byte[64];
        for (int patch = 0; patch < 4; patch++)
        {
            int kind = random.Next(4);
            for (int y = 0; y < 4; y++)
                for (int x = 0; x < 4; x++)
                    picture[(patch / 2 * 4 + y) * 8 + patch % 2 * 4 + x] = kind switch { 0 => 0, 1 => 255, 2 => (byte)(x < 2 ? 255 : 0),
                        _ => (byte)(y < 2 ? 255 : 0) };
        }
        return picture;
    }

    private PictureCodec Fitted(string name = "codec.safetensors", int seed = 1, int centres = 8) =>
        PictureCodec.Fit([.. Enumerable.Range(0, 50).Select(Picture)], side: 8, patch: 4, centres, seed, _folder[name], rounds: 8,
            samples: 200);

    /// <summary>Where there are more centres than kinds of patches, nothing is lost; each kind is one token.</summary>
    [Fact]
    public void Decode_OfWhatWasEncoded_IsThePictureWhereCentresSuffice()
    {
        PictureCodec codec = Fitted();
        foreach (int i in Enumerable.Range(100, 20))
        {
            string symbols = codec.Encode(Picture(i));
            Assert.Equal(4, symbols.Split(' ').Length);
            Assert.Equal(Picture(i), codec.Decode(symbols));
        }
    }

    /// <summary>Any picture: each patch's token is the centre that no other is nearer than, and decoding and encoding again gives the same
    /// tokens.</summary>
    [Fact]
    public void Encode_AnyPicture_TakesTheNearestCentres()
    {
        PictureCodec codec = Fitted(centres: 5);
        float[] distances = codec.Distances();
        Gen.Byte.Array[64].Sample(picture =>
        {
            string symbols = codec.Encode(picture);
            Assert.Equal(symbols, codec.Encode(codec.Decode(symbols)));
        }, iter: 100);
        for (int a = 0; a < 5; a++)
            for (int b = 0; b < 5; b++) Assert.Equal(distances[a * 5 + b], distances[b * 5 + a]);
        Assert.All(Enumerable.Range(0, 5), i => Assert.Equal(0, distances[i * 6]));
    }

    [Fact]
    public void Fit_SameSeed_IsTheSameFileAndAnotherIsAnother()
    {
        Assert.Equal(Fitted("a").Hash, Fitted("b").Hash);
        Assert.NotEqual(Fitted("a").Hash, Fitted("c", seed: 2).Hash);
        Assert.Equal(Fitted("a").Encode(Picture(7)), PictureCodec.Load(_folder["a"]).Encode(Picture(7)));
    }

    [Theory]
    [InlineData("1 2 3", "the picture has 3 tokens up to 3, expected 4 below 8")]
    [InlineData("1 2 3 8", "the picture has 4 tokens up to 8, expected 4 below 8")]
    [InlineData("1 2 3 x", "the picture holds 'x', expected symbols of 'image'")]
    public void Decode_NoPictureOfThisCodec_IsRefused(string symbols, string expected) =>
        Assert.StartsWith(expected, Assert.Throws<FlywheelException>(() => Fitted().Decode(symbols)).Message, StringComparison.Ordinal);

    /// <summary>A file with any byte changed, or cut off: it is a codec, or refused by its path, and never anything else.</summary>
    [Fact]
    public void Load_DamagedFile_IsRefusedByItsPathOrACodec()
    {
        Fitted();
        byte[] whole = File.ReadAllBytes(_folder["codec.safetensors"]);
        Gen.Select(Gen.Int[0, whole.Length - 1], Gen.Byte, Gen.Bool).Sample((at, with, cut) =>
        {
            byte[] damaged = cut ? whole[..at] : [.. whole];
            if (!cut) damaged[at] = with;
            File.WriteAllBytes(_folder["damaged"], damaged);
            try
            {
                PictureCodec.Load(_folder["damaged"]).Encode(new byte[64]);
            }
            catch (FlywheelException e)
            {
                Assert.Contains(_folder["damaged"], e.Message, StringComparison.Ordinal);
            }
            catch (ArgumentException e)
            {
                Assert.Contains("pixels, expected", e.Message, StringComparison.Ordinal); // another side is a codec, too
            }
        }, iter: 300, threads: 1);
    }

    /// <summary>The codec is a part of the model: of its hash, and of what is made from it.</summary>
    [Fact]
    public void Create_WithACodec_IsAnotherModelAndItsChildrenKeepIt()
    {
        PictureCodec codec = Fitted();
        ModelFolder plain = TinyModel.Create(_folder["models"]),
            reads = TinyModel.Create(_folder["models"], codec: _folder["codec.safetensors"]);
        Assert.NotEqual(plain.Hash, reads.Hash);
        Assert.Null(PictureCodec.Of(plain));
        Assert.Equal(codec.Hash, PictureCodec.Of(reads)!.Hash);
        using IWeightFile weights = reads.OpenWeights();
        ModelFolder child = ModelFolder.Create(_folder["children"], reads.Config, reads.Tokenizer, TensorType.F32, name =>
        {
            float[] values = new float[weights.Tensors[name].Shape.Aggregate((a, b) => a * b)];
            weights.ReadFloats(weights.Tensors[name], 0, values);
            return values;
        }, new ModelManifest { Name = "child" }, reads);
        Assert.Equal(codec.Hash, PictureCodec.Of(child)!.Hash);
        Fitted("codec.safetensors", seed: 2);
        File.Copy(_folder["codec.safetensors"], Path.Combine(reads.Path, PictureCodec.File), overwrite: true);
        Assert.Contains("a file was changed or damaged", Assert.Throws<FlywheelException>(() => ModelFolder.Open(reads.Path)).Message,
            StringComparison.Ordinal);
    }
}
