using System.Buffers.Binary;
using System.IO.Compression;
using System.Text.Json.Nodes;
using Flywheel.Model;

namespace Flywheel.Data;

/// <summary>
/// Fashion-MNIST (Xiao, Rasul and Vollgraf 2017, arXiv 1708.07747; MIT): 60,000 training and 10,000 test pictures of clothes, 28x28, grey,
/// white on
/// black, in ten classes. Files in IDX form (http://yann.lecun.com/exdb/mnist), as Debian's package dataset-fashion-mnist installs them.
/// Rows:
/// <c>{"id", "set", "picture", "label"}</c>, the picture as symbols of a codec that is fitted on the training pictures.
/// </summary>
public static class FashionMnist
{
    public const string Name = "fashion-mnist",
        Publisher = "https://github.com/zalandoresearch/fashion-mnist, or Debian's package dataset-fashion-mnist";

    private const string Installed = "/usr/share/datasets/fashion-mnist";

    private const int Side = 28, Patch = 4;

    /// <summary>By their numbers.</summary>
    public static IReadOnlyList<string> Labels { get; } = ["t-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker",
        "bag", "ankle boot"];

    /// <summary>The codec of these pictures: the file in the home's <c>codecs/</c>, made when it is not there.</summary>
    /// <exception cref="FlywheelException">The pictures are not there.</exception>
    public static string CodecFile(FlywheelHome home)
    {
        string path = Path.Combine(home.Path, "codecs", $"{Name}-{Patch}x{Patch}.safetensors");
        if (!File.Exists(path))
            PictureCodec.Fit(Pictures(Find(home, "train-images-idx3-ubyte.gz")), Side, Patch,
                ReservedTokens.Groups[PictureCodec.Modality].Count, seed: 1, path);
        return path;
    }

    /// <exception cref="FlywheelException">A file is missing or has another form.</exception>
    public static IEnumerable<JsonObject> Read(FlywheelHome home)
    {
        PictureCodec codec = PictureCodec.Load(CodecFile(home));
        foreach ((string set, string file) in new[] { ("train", "train"), ("test", "t10k") })
        {
            List<byte[]> pictures = Pictures(Find(home, $"{file}-images-idx3-ubyte.gz"));
            string path = Find(home, $"{file}-labels-idx1-ubyte.gz");
            byte[] labels = Idx(path, out int[] shape);
            if (shape.Length != 1 || labels.Length != pictures.Count)
                throw new FlywheelException($"{path}: has {labels.Length} labels, expected {pictures.Count}");
            for (int i = 0; i < labels.Length; i++)
            {
                if (labels[i] >= Labels.Count)
                    throw new FlywheelException($"{path}: label {i + 1} is {labels[i]}, expected 0 to {Labels.Count - 1}");
                yield return new JsonObject { ["id"] = $"{set}-{i}", ["set"] = set, ["picture"] = codec.Encode(pictures[i]),
                    ["label"] = Labels[labels[i]] };
            }
        }
    }

    private static string Find(FlywheelHome home, string file) =>
        new SourceFiles(home).TryFind(Name, file) ?? (File.Exists(Path.Combine(Installed, file)) ? Path.Combine(Installed, file)
        : throw new FlywheelException(
            $"{file} of Fashion-MNIST is not there; expected it in the folder {Name} of a mirror that FLYWHEEL_MIRROR names or of {home.Sources}, or Debian's package: apt-get install dataset-fashion-mnist"));

    /// <exception cref="FlywheelException">Not pictures of 28x28.</exception>
    public static List<byte[]> Pictures(string path)
    {
        byte[] all = Idx(path, out int[] shape);
        if (shape is not [var count, Side, Side])
            throw new FlywheelException($"{path}: has the shape [{string.Join(", ", shape)}], expected pictures of {Side} by {Side}");
        return [.. Enumerable.Range(0, count).Select(i => all[(i * Side * Side)..((i + 1) * Side * Side)])];
    }

    /// <summary>Bytes and their shape: two zeros, 8 (bytes), the number of sizes, each size as 32 bits, big end first, then all
    /// values.</summary>
    private static byte[] Idx(string path, out int[] shape)
    {
        using var plain = new MemoryStream();
        try
        {
            using var zipped = new GZipStream(File.OpenRead(path), CompressionMode.Decompress);
            zipped.CopyTo(plain);
        }
        catch (InvalidDataException e)
        {
            throw new FlywheelException($"{path}: is damaged: {e.Message}; expected gzipped IDX", e);
        }
        ReadOnlySpan<byte> bytes = plain.GetBuffer().AsSpan(0, (int)plain.Length);
        if (bytes.Length < 4 || bytes[0] != 0 || bytes[1] != 0 || bytes[2] != 8 || bytes[3] is 0 or > 4 || bytes.Length < 4 + 4 * bytes[3])
            throw new FlywheelException($"{path}: does not begin as IDX of bytes");
        shape = new int[bytes[3]];
        long size = 1;
        for (int i = 0; i < shape.Length; i++) size *= shape[i] = BinaryPrimitives.ReadInt32BigEndian(bytes[(4 + 4 * i)..]);
        int begin = 4 + 4 * shape.Length;
        if (shape.Any(one => one < 0) || size != bytes.Length - begin)
            throw new FlywheelException($"{path}: has {bytes.Length - begin} values, its shape [{string.Join(", ", shape)}] needs {size}");
        return bytes[begin..].ToArray();
    }
}
