using System.Buffers.Binary;
using System.IO.Compression;
using System.Text.Json.Nodes;
using CsCheck;
using Flywheel.Data;
using Flywheel.Loop.Runs;
using Flywheel.Loop.Tasks;
using Flywheel.Model;
using Flywheel.Testing;
using SkiaSharp;

namespace Flywheel.Loop.Tests;

/// <summary>Pictures from files to tokens, and a task on them from its data to a model that is asked.</summary>
public sealed class PictureTaskTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private static byte[] Encoded(SKEncodedImageFormat format, int width, int height, Func<int, int, SKColor> colour)
    {
        using var bitmap = new SKBitmap(new SKImageInfo(width, height, SKColorType.Rgba8888, SKAlphaType.Unpremul));
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++) bitmap.SetPixel(x, y, colour(x, y));
        using SKData data = bitmap.Encode(format, 100);
        return data.ToArray();
    }

    private static SKColor Grey(int value) => new((byte)value, (byte)value, (byte)value);

    /// <summary>A grey picture of the square's size with a dark border comes through as it is, and back out for the page.</summary>
    [Fact]
    public void Grey_PictureOfTheSquaresSize_StaysAsItIs()
    {
        byte[] expected = [.. Enumerable.Range(0, 28 * 28).Select(i => (byte)(i / 28 is 0 or 27 || i % 28 is 0 or 27 ? 0 : i * 7 % 256))];
        byte[] read = PictureReader.Grey(Encoded(SKEncodedImageFormat.Png, 28, 28, (x, y) => Grey(expected[y * 28 + x])), 28, "it");
        Assert.Equal(expected, read);
        Assert.Equal(expected, PictureReader.Grey(Convert.FromBase64String(PictureReader.ToDataUrl(read).Split(',')[1]), 28, "it"));
    }

    /// <summary>Colour becomes grey, transparent white, a bright ground dark, and what is wider than tall gets black above and
    /// below.</summary>
    [Fact]
    public void Grey_ColourTransparencyGroundAndShape_AreConvertedAsStated()
    {
        byte[] red = PictureReader.Grey(Encoded(SKEncodedImageFormat.Png, 28, 28, (_, _) => new SKColor(255, 0, 0)), 28, "it");
        Assert.All(red, value => Assert.Equal(76, value)); // 0.299 of 255, on a dark ground
        // white, so its negative
        Assert.All(PictureReader.Grey(Encoded(SKEncodedImageFormat.Png, 8, 8, (_, _) => SKColors.Transparent), 8, "it"),
            value => Assert.Equal(0, value));
        // dark on bright
        byte[] wide = PictureReader.Grey(Encoded(SKEncodedImageFormat.Png, 56, 28, (x, y) => Grey(x is 0 or 55 || y is 0 or 27 ? 255 : 0)),
            28, "it");
        Assert.All(Enumerable.Range(0, 28), x => Assert.Equal((0, 0), (wide[x], wide[27 * 28 + x])));
        Assert.Equal(255, wide[14 * 28 + 14]);
        foreach (SKEncodedImageFormat format in new[] { SKEncodedImageFormat.Jpeg, SKEncodedImageFormat.Webp })
            Assert.All(PictureReader.Grey(Encoded(format, 40, 40, (_, _) => Grey(50)), 28, "it"), value => Assert.InRange(value, 48, 52));
    }

    /// <summary>A picture with a mark in its seen top left corner and a longer top edge, stored in each of the eight ways of EXIF, is read
    /// as it is seen.</summary>
    [Fact]
    public void Grey_PhotoHeldInAnyWay_IsUpright()
    {
        // What EXIF's values say of a stored picture: where the seen pixel (x, y) of a picture of 32 by 16 lies in it.
        const int Across = 32, Down = 16;
        Func<int, int, (int X, int Y)>[] stored = [(x, y) => (x, y), (x, y) => (Across - 1 - x, y),
            (x, y) => (Across - 1 - x, Down - 1 - y), (x, y) => (x, Down - 1 - y),
            (x, y) => (y, x), (x, y) => (y, Across - 1 - x), (x, y) => (Down - 1 - y, Across - 1 - x), (x, y) => (Down - 1 - y, x)];
        static int Seen(int x, int y) => x < 8 && y < 8 ? 240 : x >= 24 && y < 8 ? 140 : x < 8 ? 70 : 10;
        byte[]? upright = null;
        for (int value = 1; value <= 8; value++)
        {
            (int width, int height) = value > 4 ? (Down, Across) : (Across, Down);
            int[,] pixels = new int[width, height];
            for (int y = 0; y < Down; y++)
                for (int x = 0; x < Across; x++)
                {
                    (int column, int row) = stored[value - 1](x, y);
                    pixels[column, row] = Seen(x, y);
                }
            byte[] jpeg = Encoded(SKEncodedImageFormat.Jpeg, width, height, (x, y) => Grey(pixels[x, y]));
            byte[] exif = [0xFF, 0xE1, 0, 34, .. "Exif\0\0MM\0*"u8, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, (byte)value, 0, 0, 0,
                0, 0, 0];
            byte[] read = PictureReader.Grey([.. jpeg[..2], .. exif, .. jpeg[2..]], 32, "it");
            upright ??= read;
            Assert.True(read.Zip(upright).All(pair => Math.Abs(pair.First - pair.Second) <= 8), $"orientation {value}");
        }
        Assert.InRange(upright![12 * 32 + 4], 230, 250);
        Assert.InRange(upright[12 * 32 + 28], 130, 150);
    }

    [Fact]
    public void Grey_NoPictureHugeOrCutOff_IsRefusedByName()
    {
        byte[] whole = Encoded(SKEncodedImageFormat.Png, 64, 64, (x, y) => Grey(x * y % 256));
        Assert.Equal("it is no picture that can be read, expected PNG, JPEG, WebP, GIF or BMP", Fault([1, 2, 3]));
        Assert.Matches(@"^it is (damaged \(\w+\), expected a whole picture|no picture)", Fault(whole[..(whole.Length / 2)]));
        Assert.StartsWith("it has 8,388,609 bytes", Fault(new byte[PictureReader.MaxBytes + 1]), StringComparison.Ordinal);
        byte[] huge = [.. whole];
        BinaryPrimitives.WriteInt32BigEndian(huge.AsSpan(16), 30_000);
        BinaryPrimitives.WriteInt32BigEndian(huge.AsSpan(20), 30_000);
        BinaryPrimitives.WriteUInt32BigEndian(huge.AsSpan(29), Crc32(huge.AsSpan(12, 17)));
        Assert.Equal("it has 30000 by 30000 pixels, expected at most 16,000,000 in all", Fault(huge));

        static string Fault(byte[] file) => Assert.Throws<FlywheelException>(() => PictureReader.Grey(file, 28, "it")).Message;
    }

    /// <summary>PNG's check sum (ISO 3309), bit by bit.</summary>
    private static uint Crc32(ReadOnlySpan<byte> bytes)
    {
        uint sum = ~0u;
        foreach (byte one in bytes)
        {
            sum ^= one;
            for (int bit = 0; bit < 8; bit++) sum = (sum & 1) == 0 ? sum >> 1 : sum >> 1 ^ 0xEDB88320;
        }
        return ~sum;
    }

    /// <summary>A file with bytes changed or cut off, or any bytes at all: a picture of the square's size, or refused; nothing
    /// else.</summary>
    [Fact]
    public void Grey_AnyBytes_AreAPictureOrRefused()
    {
        byte[][] files =
            [.. new[] { SKEncodedImageFormat.Png, SKEncodedImageFormat.Jpeg,
                SKEncodedImageFormat.Webp }.Select(format => Encoded(format, 20, 16, (x, y) => Grey(x * y % 256)))];
        Gen.Select(Gen.Int[0, 2], Gen.Select(Gen.Int[0, 4000], Gen.Byte).Array[0, 6], Gen.Int[0, 4000]).Sample((which, changes, cut) =>
        {
            byte[] file = files[which][..Math.Min(files[which].Length, Math.Max(1, cut))];
            foreach ((int at, byte with) in changes) file[at % file.Length] = with;
            try
            {
                Assert.Equal(28 * 28, PictureReader.Grey(file, 28, "it").Length);
            }
            catch (FlywheelException e)
            {
                Assert.StartsWith("it ", e.Message, StringComparison.Ordinal);
            }
        }, iter: 400);
    }

    private FlywheelHome Clothes()
    {
        var home = new FlywheelHome(_folder["home"]);
        string data = Directory.CreateDirectory(Path.Combine(home.Sources, FashionMnist.Name)).FullName;
        var random = new Random(1);
        foreach ((string set, int count) in new[] { ("train", 60), ("t10k", 12) })
        {
            byte[] labels = [.. Enumerable.Range(0, count).Select(i => (byte)(i % 2 * 8))]; // t-shirts are bright above, bags below
            byte[] pixels =
                [.. labels.SelectMany(label =>
                    Enumerable.Range(0, 28 * 28)
                        .Select(at =>
                            (byte)(at / 28 is > 2 and < 25 && at % 28 is > 2 and < 25 && at / 28 < 14 == (label == 0)
                                ? 200 + random.Next(50) : 0)))];
            Write($"{set}-images-idx3-ubyte.gz", pixels, count, 28, 28);
            Write($"{set}-labels-idx1-ubyte.gz", labels, count);
        }
        return home;

        void Write(string name, byte[] values, params int[] shape)
        {
            using var file = new GZipStream(File.Create(Path.Combine(data, name)), CompressionLevel.Fastest);
            byte[] head = new byte[4 + 4 * shape.Length];
            (head[2], head[3]) = (8, (byte)shape.Length);
            for (int i = 0; i < shape.Length; i++) BinaryPrimitives.WriteInt32BigEndian(head.AsSpan(4 + 4 * i), shape[i]);
            file.Write(head);
            file.Write(values);
        }
    }

    /// <summary>Test pictures are held out and measured, the codec is of the training pictures alone, and it goes into data set and model;
    /// the model is asked with a file.</summary>
    [Fact]
    public async Task Task_FromPicturesToAModel_CarriesTheCodec()
    {
        FlywheelHome home = Clothes();
        TaskFolder task = TaskFolder.Open(Path.Combine(TestFiles.Root, "tasks", "picture-class"));
        TaskItem[] items = [.. TaskItems.Read(task, home)];
        Assert.All(items, item => Assert.Equal(item.Split == Data.Split.Validation, int.Parse(item.Id.Split(':')[^1]) > 60));
        TaskItem[] held = [.. TaskItems.HeldOut(task, home)];
        Assert.Equal(held.Select(item => item.Answer), TaskExam.Baseline(task, held, home)); // the nearest picture is of the same kind
        string recipe = _folder["clothes.yaml"];
        File.WriteAllText(recipe, $$"""
            name: clothes
            tokenizer: {vocab: 280, reserve: [image]}
            model: {hidden: 16, intermediate: 24, layers: 1, heads: 2, kv_heads: 1, head_dim: 8, context: 128}
            data: [{source: task, path: {{Path.GetRelativePath(_folder.Path, task.Path)}}}]
            train: {objective: supervised, steps: 3, batch_tokens: 512, micro_tokens: 256}
            """);
        FinishedRun run = new RecipeRunner(home) { NumThreads = 1 }.Run(recipe, [], TestContext.Current.CancellationToken);
        ModelFolder model = run.Result.Model!;
        string hash = PictureCodec.Load(FashionMnist.CodecFile(home)).Hash;
        Assert.Equal(hash, PictureCodec.Of(model)!.Hash);
        Assert.Contains(hash, File.ReadAllText(Path.Combine(run.Data.TrainPath, "dataset.json")), StringComparison.Ordinal);
        string url =
            $"data:image/png;base64,{Convert.ToBase64String(Encoded(SKEncodedImageFormat.Png, 60, 60, (x, y) => Grey(y < 30 ? 20 : 250)))}";
        JsonObject fields = PictureReader.Fields(task, new JsonObject { ["picture"] = url }, model);
        TaskAsk ask = TaskAsk.For(task, task.Read(fields), model, new Engine.SamplerOptions());
        Assert.Equal(49, ask.Conversation.Messages[0].Parts.OfType<SymbolsPart>().Single().Symbols.Count());
        Assert.Equal(2,
            (await TaskExam.TakeAsync(task, model, home, 2, DateTimeOffset.UnixEpoch, withBaseline: false,
                cancellation: TestContext.Current.CancellationToken)).NumItems);

        ModelFolder blind = TinyModel.Create(_folder["models"], tokenizer: model.Tokenizer);
        Assert.Equal("the task 'picture-class' needs a codec of pictures, which this model was not trained with",
            TaskAsk.Fault(task, blind));
        Assert.Contains("was trained without a codec",
            Assert.Throws<FlywheelException>(() => PictureReader.Fields(task, new JsonObject { ["picture"] = url }, blind)).Message,
            StringComparison.Ordinal);
        foreach ((string wrong, string expected) in new[] { ("https://example.org/a.png",
            "field 'picture' is 'https://example.org/a.png', expected a data URL"),
            ("data:image/png;base64,AA*A", "field 'picture' is not valid base64"),
            ("data:image/png;base64,AAAA", "field 'picture' is no picture") })
            Assert.StartsWith(expected,
                Assert.Throws<FlywheelException>(() => PictureReader.Fields(task, new JsonObject { ["picture"] = wrong }, model)).Message,
                StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("train-images-idx3-ubyte.gz", 4, "has the shape")]
    [InlineData("train-images-idx3-ubyte.gz", 2, "does not begin as IDX")]
    [InlineData("t10k-labels-idx1-ubyte.gz", 7, "its shape")]
    [InlineData("t10k-labels-idx1-ubyte.gz", 9, "label 2 is 77, expected 0 to 9")]
    public void Read_WrongFile_IsNamed(string file, int at, string expected)
    {
        FlywheelHome home = Clothes();
        if (file[0] == 't' && file[1] == '1') FashionMnist.CodecFile(home);
        string path = Path.Combine(home.Sources, FashionMnist.Name, file);
        using var plain = new MemoryStream();
        using (var zipped = new GZipStream(File.OpenRead(path), CompressionMode.Decompress)) zipped.CopyTo(plain);
        byte[] bytes = plain.ToArray();
        bytes[at] = 77;
        if (expected == "has the shape") bytes = [0, 0, 8, 1, 0, 0, 0, 3, 1, 2, 3];
        using (var zipped = new GZipStream(File.Create(path), CompressionLevel.Fastest)) zipped.Write(bytes);
        string message = Assert.Throws<FlywheelException>(() => FashionMnist.Read(home).ToArray()).Message;
        Assert.Contains(file, message, StringComparison.Ordinal);
        Assert.Contains(expected, message, StringComparison.Ordinal);
    }
}
