using System.Text.Json.Nodes;
using Flywheel.Model;
using SkiaSharp;

namespace Flywheel.Loop.Tasks;

/// <summary>
/// From a picture file to what a codec reads: transparent parts become white, colours grey (Rec. 601), the longer side fits the square,
/// upright as the camera says, and a picture on
/// a bright ground is shown as its negative, because Fashion-MNIST is bright on black; what is left of the square is black. Of an animation
/// the first
/// picture is taken. A grey picture of the square's size on a dark ground stays as it is.
/// </summary>
public static class PictureReader
{
    /// <summary>Bytes of a file.</summary>
    public const int MaxBytes = 8 << 20;

    /// <summary>Pixels, which are known before any is decoded.</summary>
    public const int MaxPixels = 16_000_000;

    private const string Kinds = "PNG, JPEG, WebP, GIF or BMP", ImageUrl = "image_url";

    /// <summary>The symbols of a picture in a data URL.</summary>
    /// <param name="url">Such as <c>data:image/png;base64,...</c>.</param>
    /// <param name="codec">The model's.</param>
    /// <param name="what">Begins a message about a wrong one.</param>
    /// <exception cref="FlywheelException">It is no data URL, or no picture, or too large.</exception>
    public static string Symbols(string url, PictureCodec codec, string what)
    {
        const string begins = "data:", coded = ";base64,";
        int at = url.IndexOf(coded, StringComparison.Ordinal);
        if (!url.StartsWith(begins, StringComparison.Ordinal) || at < 0)
            throw new FlywheelException(
                $"{what} is '{(url.Length <= 40 ? url : url[..40] + "…")}', expected a data URL such as data:image/png;base64,...; addresses are not fetched");
        if (url.Length - at > MaxBytes / 3 * 4 + 100)
            throw new FlywheelException($"{what} has more than {MaxBytes >> 20} MiB, expected a smaller picture");
        byte[] file;
        try
        {
            file = Convert.FromBase64String(url[(at + coded.Length)..]);
        }
        catch (FormatException e)
        {
            throw new FlywheelException($"{what} is not valid base64: {e.Message}", e);
        }
        return codec.Encode(Grey(file, codec.Side, what));
    }

    /// <summary>Grey pixels of a square, a byte each.</summary>
    /// <param name="file">PNG, JPEG, WebP, GIF or BMP.</param>
    /// <param name="side">Of the square.</param>
    /// <param name="what">Begins a message about a wrong one.</param>
    /// <exception cref="FlywheelException">It is no picture, damaged or too large.</exception>
    public static byte[] Grey(byte[] file, int side, string what)
    {
        if (file.Length > MaxBytes) throw new FlywheelException($"{what} has {file.Length:N0} bytes, expected at most {MaxBytes:N0}");
        using SKData data = SKData.CreateCopy(file);
        using SKCodec codec = SKCodec.Create(data)
            ?? throw new FlywheelException($"{what} is no picture that can be read, expected {Kinds}");
        (int width, int height) = (codec.Info.Width, codec.Info.Height);
        if (width < 1 || height < 1 || (long)width * height > MaxPixels)
            throw new FlywheelException($"{what} has {width} by {height} pixels, expected at most {MaxPixels:N0} in all");
        using var bitmap = new SKBitmap(new SKImageInfo(width, height, SKColorType.Rgba8888, SKAlphaType.Unpremul));
        SKCodecResult result = codec.GetPixels(bitmap.Info, bitmap.GetPixels());
        if (result != SKCodecResult.Success) throw new FlywheelException($"{what} is damaged ({result}), expected a whole picture");
        (float[] grey, width, height) = Upright(Luma(bitmap.GetPixelSpan()), width, height, codec.EncodedOrigin);
        return Fit(grey, width, height, side);
    }

    private static float[] Luma(ReadOnlySpan<byte> rgba)
    {
        float[] grey = new float[rgba.Length / 4];
        for (int i = 0; i < grey.Length; i++)
        {
            ReadOnlySpan<byte> pixel = rgba.Slice(4 * i, 4);
            grey[i] = pixel[3] / 255f * (0.299f * pixel[0] + 0.587f * pixel[1] + 0.114f * pixel[2]) + (255 - pixel[3]);
        }
        return grey;
    }

    /// <summary>As the picture is meant to be seen: cameras store what the sensor saw, and say beside it how it was held (EXIF 2.32, tag
    /// 0x0112).</summary>
    private static (float[] Grey, int Width, int Height) Upright(float[] grey, int width, int height, SKEncodedOrigin origin)
    {
        if (origin == SKEncodedOrigin.TopLeft) return (grey, width, height);
        bool isTurned = origin is SKEncodedOrigin.LeftTop or SKEncodedOrigin.RightTop or SKEncodedOrigin.RightBottom
            or SKEncodedOrigin.LeftBottom;
        // Where the seen picture's first row and first column lie in the stored one.
        bool fromRight = origin is SKEncodedOrigin.TopRight or SKEncodedOrigin.BottomRight or SKEncodedOrigin.RightBottom
            or SKEncodedOrigin.LeftBottom;
        bool fromBottom = origin is SKEncodedOrigin.BottomRight or SKEncodedOrigin.BottomLeft or SKEncodedOrigin.RightTop
            or SKEncodedOrigin.RightBottom;
        (int across, int down) = isTurned ? (height, width) : (width, height);
        float[] seen = new float[grey.Length];
        for (int y = 0; y < down; y++)
            for (int x = 0; x < across; x++)
            {
                (int column, int row) = isTurned ? (y, x) : (x, y);
                seen[y * across + x] = grey[(fromBottom ? height - 1 - row : row) * width + (fromRight ? width - 1 - column : column)];
            }
        return (seen, across, down);
    }

    private static byte[] Fit(float[] grey, int width, int height, int side)
    {
        double border = 0;
        for (int x = 0; x < width; x++) border += grey[x] + grey[(height - 1) * width + x];
        for (int y = 0; y < height; y++) border += grey[y * width] + grey[y * width + width - 1];
        bool negative = border / (2.0 * (width + height)) > 127.5;
        double scale = (double)Math.Max(width, height) / side;
        int across = Math.Max(1, (int)Math.Round(width / scale)), down = Math.Max(1, (int)Math.Round(height / scale)),
            left = (side - across) / 2, top = (side - down) / 2;
        byte[] fitted = new byte[side * side];
        for (int y = 0; y < down; y++)
            for (int x = 0; x < across; x++)
            {
                double value = Mean(grey, width, (double)x * width / across, (double)(x + 1) * width / across, (double)y * height / down,
                    (double)(y + 1) * height / down);
                fitted[(top + y) * side + left + x] = (byte)Math.Clamp(Math.Round(negative ? 255 - value : value), 0, 255);
            }
        return fitted;
    }

    /// <summary>Of a rectangle whose edges may lie within pixels.</summary>
    private static double Mean(float[] grey, int width, double left, double right, double top, double bottom)
    {
        double sum = 0, area = 0;
        for (int y = (int)top; y < bottom; y++)
        {
            double tall = Math.Min(bottom, y + 1) - Math.Max(top, y);
            for (int x = (int)left; x < right; x++)
            {
                double weight = tall * (Math.Min(right, x + 1) - Math.Max(left, x));
                if (weight <= 0 || (y + 1) * width <= x || y * width + x >= grey.Length) continue;
                sum += weight * grey[y * width + x];
                area += weight;
            }
        }
        return area > 0 ? sum / area : 0;
    }

    /// <summary>Grey pixels of a square as a picture that a page shows.</summary>
    public static string ToDataUrl(byte[] grey)
    {
        int side = (int)Math.Round(Math.Sqrt(grey.Length));
        using var bitmap = new SKBitmap(new SKImageInfo(side, side, SKColorType.Gray8, SKAlphaType.Opaque));
        grey.CopyTo(bitmap.GetPixelSpan());
        using SKData png = bitmap.Encode(SKEncodedImageFormat.Png, 100);
        return $"data:image/png;base64,{Convert.ToBase64String(png.Span)}";
    }

    /// <summary>A request's fields, with pictures in data URLs as the symbols that the model reads.</summary>
    /// <exception cref="FlywheelException">One is no picture, or the model has no codec; the message begins with the field's
    /// name.</exception>
    public static JsonObject Fields(TaskFolder task, JsonObject given, ModelFolder model)
    {
        foreach (TaskField field in task.Description.Fields.Where(field => field.WidgetOrDefault == TaskField.Picture))
            if (given[field.Name] is JsonValue value && value.TryGetValue(out string? text) && text.Contains(':', StringComparison.Ordinal))
                given[field.Name] =
                    Symbols(text,
                        PictureCodec.Of(model)
                            ?? throw new FlywheelException(
                                $"field '{field.Name}' is a picture, which this model cannot read: it was trained without a codec of pictures"), $"field '{field.Name}'");
        return given;
    }

    /// <summary>A request's messages, with parts <c>image_url</c> as the symbols that the model reads; as they are where it has no
    /// codec.</summary>
    /// <exception cref="FlywheelException">One is no picture; the message names its place.</exception>
    public static JsonArray Messages(JsonArray messages, ModelFolder model)
    {
        if (PictureCodec.Of(model) is not { } codec) return messages;
        var read = (JsonArray)messages.DeepClone();
        for (int i = 0; i < read.Count; i++)
        {
            if (read[i] is not JsonObject message || message["content"] is not JsonArray parts) continue;
            for (int k = 0; k < parts.Count; k++)
            {
                if (parts[k] is not JsonObject part || part["type"] is not JsonValue type || !type.TryGetValue(out string? name)
                    || name != ImageUrl) continue;
                string where = $"messages[{i}].content[{k}].{ImageUrl}";
                if (part.FirstOrDefault(field => field.Key is not ("type" or ImageUrl)) is { Key: { } other })
                    throw new FlywheelException(
                        $"field 'messages[{i}].content[{k}].{other}' stands in a part of type '{ImageUrl}', expected only '{ImageUrl}' beside the type");
                string url = (part[ImageUrl] is JsonObject inner ? inner["url"] : part[ImageUrl]) is JsonValue value
                    && value.TryGetValue(out string? text)
                    ? text : throw new FlywheelException($"field '{where}.url' is missing, expected a data URL");
                parts[k] = new JsonObject { ["type"] = PictureCodec.Modality,
                    [PictureCodec.Modality] = Symbols(url, codec, $"field '{where}.url'") };
            }
        }
        return read;
    }
}
