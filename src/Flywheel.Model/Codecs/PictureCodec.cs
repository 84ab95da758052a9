using System.Globalization;
using System.Security.Cryptography;

namespace Flywheel.Model;

/// <summary>
/// Between a small grey picture and tokens of the range <c>image</c>: the picture is cut into patches, and each is the nearest of as many
/// centres as
/// the range has tokens (vector quantisation by k-means; Lloyd 1982). Fitted on training pictures only; a safetensors file, whose hash is
/// the codec's name.
/// </summary>
public sealed class PictureCodec
{
    public const string Modality = "image";

    /// <summary>What a model's folder calls the codec that it was trained with.</summary>
    public const string File = "image-codec.safetensors";

    private const string Centres = "centres", SideField = "side", PatchField = "patch";

    private readonly float[] _centres;

    private PictureCodec(int side, int patch, float[] centres, string hash) => (Side, Patch, _centres, Hash) = (side, patch, centres, hash);

    /// <summary>Pixels of a side of the picture.</summary>
    public int Side { get; }

    /// <summary>Pixels of a side of a patch.</summary>
    public int Patch { get; }

    /// <summary>SHA-256 of the file.</summary>
    public string Hash { get; }

    /// <summary>Tokens of a picture.</summary>
    public int Length => Side / Patch * (Side / Patch);

    public int NumCentres => _centres.Length / (Patch * Patch);

    /// <summary>Learns the centres from pictures and writes them to a file.</summary>
    /// <param name="pictures">Grey, row by row, a byte a pixel.</param>
    /// <param name="side">Pixels of a side, a multiple of <paramref name="patch"/>.</param>
    /// <param name="patch">Pixels of a side of a patch.</param>
    /// <param name="numCentres">At most as many as the range has tokens.</param>
    /// <param name="seed">The same pictures and seed give the same file.</param>
    /// <param name="path">The file.</param>
    /// <param name="rounds">Of k-means.</param>
    /// <param name="samples">Patches that are looked at.</param>
    public static PictureCodec Fit(IReadOnlyList<byte[]> pictures, int side, int patch, int numCentres, int seed, string path,
        int rounds = 10, int samples = 24_000)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(side % patch, 0);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(numCentres, ReservedTokens.Groups[Modality].Count);
        var random = new Random(seed);
        int width = patch * patch, across = side / patch;
        float[] values = new float[samples * width];
        for (int i = 0; i < samples; i++)
        {
            byte[] picture = pictures[random.Next(pictures.Count)];
            Read(picture, side, patch, random.Next(across * across), values.AsSpan(i * width, width));
        }
        float[] centres = new float[numCentres * width]; // the first begins blank, as most patches of most pictures are
        for (int i = 1; i < numCentres; i++) values.AsSpan(random.Next(samples) * width, width).CopyTo(centres.AsSpan(i * width));
        double[] sums = new double[centres.Length];
        int[] counts = new int[numCentres];
        for (int round = 0; round < rounds; round++)
        {
            Array.Clear(sums);
            Array.Clear(counts);
            for (int i = 0; i < samples; i++)
            {
                ReadOnlySpan<float> sample = values.AsSpan(i * width, width);
                int nearest = Nearest(centres, sample);
                counts[nearest]++;
                for (int k = 0; k < width; k++) sums[nearest * width + k] += sample[k];
            }
            for (int centre = 0; centre < numCentres; centre++)
                // nobody's: begins anew
                if (counts[centre] == 0) values.AsSpan(random.Next(samples) * width, width).CopyTo(centres.AsSpan(centre * width));
                else for (int k = 0; k < width; k++) centres[centre * width + k] = (float)(sums[centre * width + k] / counts[centre]);
        }
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        SafetensorsWriter.Write(path,
            [(Centres, TensorType.F32, [numCentres, width], stream => SafetensorsWriter.WriteFloats(stream, centres, TensorType.F32))],
            new Dictionary<string, string> { [SideField] = $"{side}", [PatchField] = $"{patch}",
                ["fitted"] = $"k-means, {rounds} rounds over {samples} patches of {pictures.Count} pictures, seed {seed}" });
        return Load(path);
    }

    /// <exception cref="FlywheelException">Not a codec's file.</exception>
    public static PictureCodec Load(string path)
    {
        using SafetensorsFile file = SafetensorsFile.Open(path);
        int side = Number(SideField), patch = Number(PatchField);
        if (!file.Tensors.TryGetValue(Centres, out TensorInfo? tensor) || tensor.Type != TensorType.F32 || side % patch != 0
            || tensor.Shape is not [> 0, var width] || width != patch * patch
            || tensor.Shape[0] > ReservedTokens.Groups[Modality].Count)
            throw new FlywheelException(
                $"{path}: is no codec of pictures; expected a tensor '{Centres}' of fp32 with a row for each token and {patch * patch} values in each, and a side that is a multiple of the patch");
        float[] centres = new float[tensor.Shape[0] * tensor.Shape[1]];
        file.ReadFloats(tensor, 0, centres);
        if (!Array.TrueForAll(centres, float.IsFinite)) throw new FlywheelException($"{path}: holds a value that is not finite");
        using FileStream bytes = System.IO.File.OpenRead(path);
        return new PictureCodec(side, patch, centres, Convert.ToHexStringLower(SHA256.HashData(bytes)));

        int Number(string field) =>
            file.Metadata.TryGetValue(field, out string? text) && int.TryParse(text, CultureInfo.InvariantCulture, out int number)
                && number is > 0 and <= 1024
            ? number : throw new FlywheelException(
                $"{path}: field '{field}' is {(text is null ? "missing" : $"'{text}'")}, expected a number from 1 to 1024");
    }

    /// <summary>The codec that a model was trained with; null where it has none.</summary>
    /// <exception cref="FlywheelException">The file is damaged.</exception>
    public static PictureCodec? Of(ModelFolder model) => FileOf(model) is { } path ? Load(path) : null;

    /// <summary>The file of that codec.</summary>
    public static string? FileOf(ModelFolder model) =>
        Path.Combine(model.Path, File) is var path && System.IO.File.Exists(path) ? path : null;

    /// <summary>Symbols of <see cref="Modality"/>, patch by patch.</summary>
    /// <param name="picture">Grey, row by row, a byte a pixel.</param>
    /// <exception cref="ArgumentException">It has another size.</exception>
    public string Encode(ReadOnlySpan<byte> picture)
    {
        if (picture.Length != Side * Side) throw new ArgumentException($"{picture.Length} pixels, expected {Side * Side}", nameof(picture));
        float[] values = new float[Patch * Patch];
        string[] symbols = new string[Length];
        for (int i = 0; i < symbols.Length; i++)
        {
            Read(picture, Side, Patch, i, values);
            symbols[i] = Nearest(_centres, values).ToString(CultureInfo.InvariantCulture);
        }
        return string.Join(' ', symbols);
    }

    /// <summary>The picture that symbols stand for: what a model sees.</summary>
    /// <exception cref="FlywheelException">They are no picture of this codec.</exception>
    public byte[] Decode(string symbols)
    {
        int[] tokens = Tokens(symbols);
        byte[] picture = new byte[Side * Side];
        int across = Side / Patch;
        for (int i = 0; i < tokens.Length; i++)
            for (int y = 0; y < Patch; y++)
                for (int x = 0; x < Patch; x++)
                    picture[(i / across * Patch + y) * Side + i % across * Patch + x] =
                        (byte)Math.Clamp(MathF.Round(_centres[tokens[i] * Patch * Patch + y * Patch + x] * 255), 0, 255);
        return picture;
    }

    /// <summary>Numbers of the centres.</summary>
    /// <exception cref="FlywheelException">They are no picture of this codec.</exception>
    public int[] Tokens(string symbols)
    {
        int[] tokens =
            [.. new SymbolsPart(Modality, symbols,
                "the picture").Symbols.Select(symbol => int.Parse(symbol, CultureInfo.InvariantCulture))];
        return tokens.Length == Length && tokens.All(token => token < NumCentres) ? tokens
            : throw new FlywheelException(
                $"the picture has {tokens.Length} tokens up to {(tokens.Length > 0 ? tokens.Max() : 0)}, expected {Length} below {NumCentres}");
    }

    /// <summary>Squared distances between each two centres: pictures are near where the sum over their patches is small.</summary>
    public float[] Distances()
    {
        int width = Patch * Patch, n = NumCentres;
        float[] distances = new float[n * n];
        for (int a = 0; a < n; a++)
            for (int b = 0; b < n; b++)
                distances[a * n + b] = Distance(_centres.AsSpan(a * width, width), _centres.AsSpan(b * width, width), float.MaxValue);
        return distances;
    }

    private static void Read(ReadOnlySpan<byte> picture, int side, int patch, int index, Span<float> into)
    {
        int across = side / patch, top = index / across * patch, left = index % across * patch;
        for (int y = 0; y < patch; y++)
            for (int x = 0; x < patch; x++) into[y * patch + x] = picture[(top + y) * side + left + x] / 255f;
    }

    private static int Nearest(float[] centres, ReadOnlySpan<float> values)
    {
        int best = 0;
        float least = float.MaxValue;
        for (int centre = 0; centre < centres.Length / values.Length; centre++)
        {
            float distance = Distance(centres.AsSpan(centre * values.Length, values.Length), values, least);
            if (distance < least) (best, least) = (centre, distance);
        }
        return best;
    }

    /// <summary>Added in one order, so that the same picture has the same tokens everywhere; beyond the bound any larger number.</summary>
    private static float Distance(ReadOnlySpan<float> a, ReadOnlySpan<float> b, float bound)
    {
        float sum = 0;
        for (int k = 0; k < a.Length; k++)
        {
            float difference = a[k] - b[k];
            sum += difference * difference;
            if (sum > bound) break;
        }
        return sum;
    }
}
