using System.Globalization;
using System.Text.RegularExpressions;

namespace Flywheel.Model;

/// <summary>A GGUF model in several files, as llama.cpp's gguf-split makes them: <c>NAME-00001-of-00003.gguf</c>, the metadata in the
/// first.</summary>
internal static partial class GgufSet
{
    /// <summary>All files of the set that a file belongs to, in order; the file itself where it is whole.</summary>
    /// <exception cref="FlywheelException">One of them is not there.</exception>
    public static IReadOnlyList<string> FilesOf(string path)
    {
        if (Part().Match(Path.GetFileName(path)) is not { Success: true } name) return [path];
        int count = int.Parse(name.Groups["count"].Value, CultureInfo.InvariantCulture);
        string folder = Path.GetDirectoryName(path) is { Length: > 0 } own ? own : ".";
        string[] files =
            [.. Enumerable.Range(1, count)
                .Select(number =>
                    Path.Combine(folder,
                        string.Create(CultureInfo.InvariantCulture, $"{name.Groups["name"].Value}-{number:00000}-of-{count:00000}.gguf")))];
        string? missing = Array.Find(files, file => !File.Exists(file));
        return missing is not null
            ? throw new FlywheelException(
                $"{missing}: no such file; {Path.GetFileName(path)} is one of a set of {count} files, which belong together in one folder")
            : files.Length > 0 ? files : [path];
    }

    /// <summary>The name that all files of a set share; a whole file's own.</summary>
    public static string NameOf(string file) => Part().Match(file) is { Success: true } name ? name.Groups["name"].Value + ".gguf" : file;

    /// <summary>Checks that the files are those of one set, in this order, and all of it.</summary>
    public static void Check(IReadOnlyList<string> files, IReadOnlyList<GgufHeader> headers)
    {
        for (int i = 0; i < files.Count; i++)
        {
            GgufMetadata metadata = headers[i].Metadata;
            if (files.Count == 1 && !metadata.Contains("split.count")) return;
            if (metadata.RequireInteger("split.count") is var count && count != files.Count)
                throw new FlywheelException($"{files[i]}: split.count is {count}, expected {files.Count}, which its name says");
            if (metadata.RequireInteger("split.no") is var number && number != i)
                throw new FlywheelException($"{files[i]}: split.no is {number}, expected {i}, which its name says");
        }
        if (headers[0].Metadata.Integer("split.tensors.count") is { } expected && headers.Sum(header => header.Tensors.Count) is var found
            && found != expected)
            throw new FlywheelException($"{files[0]}: split.tensors.count is {expected}, the {files.Count} files hold {found} tensors");
    }

    /// <summary>Puts a set together to one file.</summary>
    public static void Join(IReadOnlyList<string> files, string target)
    {
        var tensors = new List<(string, TensorType, long[], Action<Stream>)>();
        GgufMetadata? first = null;
        foreach (string file in files)
        {
            using FileStream stream = File.OpenRead(file);
            GgufHeader header = GgufHeader.Read(file, stream);
            first ??= header.Metadata;
            foreach (GgufTensor tensor in header.Tensors)
                tensors.Add((tensor.Name, tensor.Type, [.. tensor.Dimensions.Reverse()], output => Copy(file, tensor, output)));
        }
        var metadata = new GgufMetadata(target);
        foreach ((string key, object value) in first!)
            if (!key.StartsWith("split.", StringComparison.Ordinal) && key != GgufHeader.AlignmentKey) metadata.Add(key, value);
        GgufWriter.Write(target, metadata, tensors);
    }

    private static void Copy(string file, GgufTensor tensor, Stream output)
    {
        using FileStream stream = File.OpenRead(file);
        stream.Position = tensor.Offset;
        byte[] buffer = new byte[1 << 20];
        for (long left = tensor.NumBytes; left > 0;)
        {
            int count = (int)Math.Min(left, buffer.Length);
            stream.ReadExactly(buffer, 0, count);
            output.Write(buffer, 0, count);
            left -= count;
        }
    }

    [GeneratedRegex(@"\A(?<name>.+)-\d{5}-of-(?<count>\d{5})\.gguf\z", RegexOptions.CultureInvariant)]
    private static partial Regex Part();
}
