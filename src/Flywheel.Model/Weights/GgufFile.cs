namespace Flywheel.Model;

/// <summary>
/// The weights in a GGUF file, seen as Hugging Face has them: their names and shapes, and for the architecture llama the
/// rows of q and k in half-split order (llama.cpp stores them with the two halves of each head interleaved). The file is
/// mapped into memory and its blocks are left as they are.
/// </summary>
public sealed class GgufFile : IWeightFile
{
    private readonly MappedFile[] _files;
    private readonly Dictionary<string, int> _headDims = new(StringComparer.Ordinal); // of tensors with interleaved rows

    private GgufFile(string path, MappedFile[] files, IReadOnlyList<GgufHeader> headers)
    {
        (Path, _files, Metadata) = (path, files, headers[0].Metadata);
        string? architecture = Metadata.Text("general.architecture");
        var tensors = new Dictionary<string, TensorInfo>(StringComparer.Ordinal);
        foreach ((int shard, GgufTensor tensor) in headers.Index()
            .SelectMany(header => header.Item.Tensors.Select(tensor => (header.Index, tensor))))
        {
            string name = GgufNames.ToHf(tensor.Name);
            // Some writers state all four dimensions of ggml; a 1 at the outer end is none.
            long[] shape = [.. tensor.Dimensions.Reverse().SkipWhile((size, i) => size == 1 && i < tensor.Dimensions.Length - 1)];
            var info = new TensorInfo(name, tensor.Type, shape, tensor.Offset, tensor.NumBytes) { Shard = shard };
            if (name == GgufConfig.RopeFactors)
            {
                RopeFactors = info;
                continue;
            }
            if (!tensors.TryAdd(name, info))
                throw new FlywheelException($"{path}: tensors '{tensor.Name}' and '{name}' are the same");
            if (architecture == "llama" && NumHeads(name) is { } heads)
            {
                if (heads == 0 || shape.Length == 0 || shape[0] % (2L * heads) != 0)
                    throw new FlywheelException(
                        $"{path}: tensor '{tensor.Name}' has shape [{string.Join(", ", shape)}], whose rows are not {heads} heads of an even width");
                _headDims[name] = (int)Math.Min(shape[0] / heads, int.MaxValue);
            }
        }
        Tensors = tensors;
    }

    public string Path { get; }

    public GgufMetadata Metadata { get; }

    /// <summary>By Hugging Face name.</summary>
    public IReadOnlyDictionary<string, TensorInfo> Tensors { get; }

    /// <summary>Llama 3's rope scaling, which Hugging Face keeps in the config.</summary>
    internal TensorInfo? RopeFactors { get; }

    /// <summary>The model's shape, from the metadata.</summary>
    /// <exception cref="FlywheelException">The architecture or something in it is not supported, or a key is missing.</exception>
    public ModelConfig ReadConfig() => GgufConfig.Read(this);

    /// <param name="path">The file, or any of a set that the model was split into.</param>
    /// <exception cref="FlywheelException">Missing, truncated or malformed, or a type that is not supported; the message names the file and
    /// the fault.</exception>
    public static GgufFile Open(string path)
    {
        if (!File.Exists(path)) throw new FlywheelException($"{path}: no such file; expected model weights in GGUF format");
        try
        {
            IReadOnlyList<string> files = GgufSet.FilesOf(path);
            var headers = new List<GgufHeader>();
            var mapped = new List<MappedFile>();
            try
            {
                foreach (string file in files)
                {
                    using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 16);
                    headers.Add(GgufHeader.Read(file, stream));
                    mapped.Add(new MappedFile(stream));
                }
                GgufSet.Check(files, headers);
                return new GgufFile(path, [.. mapped], headers);
            }
            catch
            {
                foreach (MappedFile file in mapped) file.Dispose();
                throw;
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new FlywheelException($"{path}: cannot be read: {e.Message}", e);
        }
    }

    public void ReadRow(TensorInfo tensor, long row, Span<byte> destination)
    {
        if (destination.Length != tensor.RowBytes)
            throw new ArgumentException($"a row of '{tensor.Name}' has {tensor.RowBytes} bytes, not {destination.Length}",
                nameof(destination));
        _files[tensor.Shard].Read(tensor, checked(StoredRow(tensor, row) * tensor.RowBytes), destination);
    }

    public void ReadFloats(TensorInfo tensor, long start, Span<float> destination)
    {
        if (!tensor.Type.IsReal())
            throw new FlywheelException($"{Path}: tensor '{tensor.Name}' is {tensor.Type}, expected numbers of a weight");
        if (!_headDims.ContainsKey(tensor.Name))
        {
            _files[tensor.Shard].ReadFloats(tensor, start, destination);
            return;
        }
        if (start < 0 || start > tensor.NumElements - destination.Length) throw new ArgumentOutOfRangeException(nameof(start));
        long columns = tensor.Shape.Length == 1 ? 1 : tensor.NumColumns; // a bias is moved like the rows that it belongs to
        while (destination.Length > 0)
        {
            (long row, long column) = Math.DivRem(start, columns);
            int count = (int)Math.Min(columns - column, destination.Length);
            _files[tensor.Shard].ReadFloats(tensor, StoredRow(tensor, row) * columns + column, destination[..count]);
            start += count;
            destination = destination[count..];
        }
    }

    public void Dispose()
    {
        foreach (MappedFile file in _files) file.Dispose();
    }

    /// <summary>Row (head, half, i) of Hugging Face's order is stored as (head, i, half).</summary>
    internal static long Interleave(long row, int headDim)
    {
        (long head, long within) = Math.DivRem(row, headDim);
        (long half, long i) = Math.DivRem(within, headDim / 2);
        return head * headDim + 2 * i + half;
    }

    /// <summary>The row of Hugging Face's order that is stored as this one.</summary>
    internal static long Deinterleave(long stored, int headDim)
    {
        (long head, long within) = Math.DivRem(stored, headDim);
        return head * headDim + within % 2 * (headDim / 2) + within / 2;
    }

    private long StoredRow(TensorInfo tensor, long row) =>
        _headDims.TryGetValue(tensor.Name, out int headDim) ? Interleave(row, headDim) : row;

    /// <summary>How many heads the rows of a tensor are, if llama.cpp interleaves them.</summary>
    private int? NumHeads(string name) =>
        name.Contains(".self_attn.q_proj.", StringComparison.Ordinal) ? Metadata.RequireInteger("llama.attention.head_count")
        : name.Contains(".self_attn.k_proj.", StringComparison.Ordinal)
        ? Metadata.Integer("llama.attention.head_count_kv") ?? Metadata.RequireInteger("llama.attention.head_count")
        : null;
}
