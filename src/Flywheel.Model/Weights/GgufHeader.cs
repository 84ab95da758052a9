// GGUF (ggml-org/ggml, docs/gguf.md), versions 2 and 3, little endian:
//   "GGUF", u32 version, u64 number of tensors, u64 number of pairs
//   pairs     string key, u32 value type, value        string: u64 length, UTF-8   array: u32 type, u64 length, elements
//   tensors   string name, u32 number of dimensions, u64 dimensions (innermost first), u32 type, u64 offset into the data
//   padding to general.alignment (32 if not given), then the data; each tensor begins aligned
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Unicode;

namespace Flywheel.Model;

/// <summary>A tensor as the header states it: ggml's name, dimensions with the innermost first, place in the file.</summary>
internal sealed record GgufTensor(string Name, long[] Dimensions, TensorType Type, long Offset, long NumBytes);

/// <summary>
/// What stands before the data of a GGUF file, checked: nothing reaches beyond the file, no size overflows, no name is
/// twice. However hostile the file, reading allocates at most <see cref="MaxAllocation"/> bytes: every array and text is
/// checked against the bytes that are left before it is made.
/// </summary>
internal sealed class GgufHeader
{
    public const string AlignmentKey = "general.alignment";

    public const uint Magic = 0x46554747; // "GGUF"

    /// <summary>Metadata and tensor table; the largest published vocabularies take 20 MB.</summary>
    public const int MaxHeaderBytes = 100_000_000;

    private const int MaxDimensions = 4;

    public required GgufMetadata Metadata { get; init; }

    public required IReadOnlyList<GgufTensor> Tensors { get; init; }

    /// <summary>The most that reading a header from a file of so many bytes may allocate: an entry of the tensor table takes 33 bytes there
    /// and some hundreds here.</summary>
    public static long MaxAllocation(long fileBytes) => 64 * 1024 + 16 * Math.Min(fileBytes, MaxHeaderBytes);

    /// <param name="path">Names the file in errors.</param>
    /// <param name="stream">At its begin.</param>
    /// <exception cref="FlywheelException">Not GGUF, of another version, truncated or malformed; the message names the fault.</exception>
    public static GgufHeader Read(string path, Stream stream) => new Reader(path, stream).Read();

    private sealed class Reader(string path, Stream stream)
    {
        private readonly byte[] _number = new byte[8];
        private long _position;

        /// <summary>Bytes that the header may still take.</summary>
        private long Left => Math.Min(stream.Length, MaxHeaderBytes) - _position;

        public GgufHeader Read()
        {
            if (stream.Length < 24) throw new FlywheelException($"{path}: {stream.Length} bytes is too short for a GGUF file");
            if (UInt32() != Magic) throw new FlywheelException($"{path}: does not begin with 'GGUF'; expected a GGUF file");
            uint version = UInt32();
            if (version is not (2 or 3))
                throw new FlywheelException(BinaryPrimitives.ReverseEndianness(version) is 2 or 3
                    ? $"{path}: is a big-endian GGUF file, expected little-endian"
                    : $"{path}: GGUF version {version} is not supported, expected 2 or 3");
            ulong numTensors = UInt64(), numPairs = UInt64();
            // A pair takes at least 13 bytes and a tensor 33.
            if (numPairs > (ulong)Left / 13)
                throw new FlywheelException($"{path}: {numPairs} metadata pairs do not fit in the file; it is truncated or not GGUF");
            if (numTensors > (ulong)Left / 33)
                throw new FlywheelException($"{path}: {numTensors} tensors do not fit in the file; it is truncated or not GGUF");

            var metadata = new GgufMetadata(path);
            for (ulong i = 0; i < numPairs; i++)
            {
                string key = Text("a metadata key");
                if (!metadata.TryAdd(key, Value(key, UInt32()))) throw new FlywheelException($"{path}: metadata '{key}' is there twice");
            }
            int alignment = metadata.Integer(AlignmentKey) ?? 32;
            if (alignment is < 1 or > 1 << 20 || !int.IsPow2(alignment))
                throw new FlywheelException($"{path}: {AlignmentKey} is {alignment}, expected a power of two up to {1 << 20}");
            return new GgufHeader { Metadata = metadata, Tensors = Tensors((int)numTensors, alignment) };
        }

        private List<GgufTensor> Tensors(int count, int alignment)
        {
            var tensors = new List<GgufTensor>(count);
            var names = new HashSet<string>(StringComparer.Ordinal);
            for (int i = 0; i < count; i++)
            {
                string name = Text("a tensor name");
                if (!names.Add(name)) throw new FlywheelException($"{path}: tensor '{name}' is there twice");
                uint numDimensions = UInt32();
                if (numDimensions > MaxDimensions)
                    throw new FlywheelException(
                        $"{path}: tensor '{name}' has {numDimensions} dimensions, expected at most {MaxDimensions}");
                ulong[] sizes = new ulong[numDimensions];
                for (int d = 0; d < sizes.Length; d++) sizes[d] = UInt64();
                TensorType type = GgufTypes.Parse(path, name, UInt32());
                ulong offset = UInt64();

                UInt128 elements = 1;
                foreach (ulong size in sizes)
                {
                    elements *= size;
                    if (elements > long.MaxValue / 8)
                        throw new FlywheelException($"{path}: tensor '{name}' has the impossible shape [{string.Join(", ", sizes)}]");
                }
                ulong columns = sizes.Length == 0 ? 1 : sizes[0];
                if (columns % (ulong)type.BlockSize() != 0)
                    throw new FlywheelException(
                        $"{path}: tensor '{name}' has rows of {columns} numbers, which are no whole blocks of {type.BlockSize()} ({type})");
                if (offset % (ulong)alignment != 0)
                    throw new FlywheelException(
                        $"{path}: tensor '{name}' begins at byte {offset} of the data, expected a multiple of {alignment}");
                if (offset > long.MaxValue)
                    throw new FlywheelException($"{path}: tensor '{name}' begins at byte {offset} of the data, beyond any file");
                tensors.Add(new GgufTensor(name, [.. sizes.Select(size => (long)size)], type, (long)offset, type.NumBytes((long)elements)));
            }

            long dataStart = (_position + alignment - 1) / alignment * alignment, end = 0;
            foreach (GgufTensor tensor in tensors.OrderBy(tensor => tensor.Offset).ThenBy(tensor => tensor.NumBytes))
            {
                if (tensor.Offset < end)
                    throw new FlywheelException(
                        $"{path}: tensor '{tensor.Name}' begins at byte {tensor.Offset} of the data, inside another tensor");
                end = tensor.Offset + Math.Min(tensor.NumBytes, long.MaxValue - tensor.Offset);
                if (end > stream.Length - dataStart)
                    throw new FlywheelException(
                        $"{path}: tensor '{tensor.Name}' ends at byte {end} of the data, but the file has {Math.Max(0, stream.Length - dataStart)} bytes of data; the file is truncated");
            }
            return [.. tensors.Select(tensor => tensor with { Offset = dataStart + tensor.Offset })];
        }

        private object Value(string key, uint type)
        {
            if (type != GgufTypes.Array) return Scalar(key, type);
            uint elementType = UInt32();
            ulong count = UInt64();
            if (elementType == GgufTypes.Array)
                throw new FlywheelException($"{path}: metadata '{key}' is an array of arrays, expected numbers, texts or flags");
            int size = GgufTypes.MinValueBytes(elementType);
            if (size == 0) throw UnknownType(key, elementType);
            if (count > (ulong)Left / (ulong)size)
                throw new FlywheelException(
                    $"{path}: metadata '{key}' is an array of {count} elements, which do not fit in the file; it is truncated or damaged");
            int length = (int)count;
            return elementType switch
            {
                0 => Numbers<byte>(length),
                1 => Numbers<sbyte>(length),
                2 => Numbers<ushort>(length),
                3 => Numbers<short>(length),
                4 => Numbers<uint>(length),
                5 => Numbers<int>(length),
                6 => Numbers<float>(length),
                7 => Array.ConvertAll(Numbers<byte>(length), one => one != 0),
                GgufTypes.Text => Texts(key, length),
                10 => Numbers<ulong>(length),
                11 => Numbers<long>(length),
                _ => Numbers<double>(length),
            };
        }

        private object Scalar(string key, uint type) => type switch
        {
            0 => Numbers<byte>(1)[0],
            1 => Numbers<sbyte>(1)[0],
            2 => Numbers<ushort>(1)[0],
            3 => Numbers<short>(1)[0],
            4 => UInt32(),
            5 => Numbers<int>(1)[0],
            6 => Numbers<float>(1)[0],
            7 => Numbers<byte>(1)[0] != 0,
            GgufTypes.Text => Text($"metadata '{key}'"),
            10 => UInt64(),
            11 => Numbers<long>(1)[0],
            12 => Numbers<double>(1)[0],
            _ => throw UnknownType(key, type),
        };

        private FlywheelException UnknownType(string key, uint type) =>
            new($"{path}: metadata '{key}' has value type {type}, expected 0 to 12");

        private T[] Numbers<T>(int count) where T : unmanaged
        {
            T[] numbers = new T[count];
            Fill(MemoryMarshal.AsBytes(numbers.AsSpan()));
            return numbers;
        }

        private string[] Texts(string key, int count)
        {
            string[] texts = new string[count];
            for (int i = 0; i < count; i++) texts[i] = Text($"metadata '{key}'[{i}]");
            return texts;
        }

        private string Text(string what)
        {
            ulong length = UInt64();
            if (length > (ulong)Left)
                throw new FlywheelException($"{path}: {what} has {length} bytes, but the file has {Left} left; it is truncated or damaged");
            if (length == 0) return "";
            Span<byte> bytes = length <= 256 ? stackalloc byte[(int)length] : new byte[length];
            Fill(bytes);
            // What was replaced here would be tokens that no text holds.
            return Utf8.IsValid(bytes)
                ? Encoding.UTF8.GetString(bytes) : throw new FlywheelException(
                    $"{path}: {what} is not UTF-8: '{Encoding.UTF8.GetString(bytes)[..Math.Min(80, Encoding.UTF8.GetCharCount(bytes))]}'");
        }

        private uint UInt32()
        {
            Fill(_number.AsSpan(0, 4));
            return BinaryPrimitives.ReadUInt32LittleEndian(_number);
        }

        private ulong UInt64()
        {
            Fill(_number);
            return BinaryPrimitives.ReadUInt64LittleEndian(_number);
        }

        private void Fill(Span<byte> bytes)
        {
            if (bytes.Length > Left)
                throw new FlywheelException(
                    $"{path}: ends inside the header{(stream.Length > MaxHeaderBytes ? $", which is larger than {MaxHeaderBytes} bytes" : "")}; the file is truncated");
            stream.ReadExactly(bytes);
            _position += bytes.Length;
        }
    }
}

/// <summary>Numbers that stand for types in a GGUF file.</summary>
internal static class GgufTypes
{
    public const uint Text = 8, Array = 9;

    private static readonly (TensorType Type, uint Id)[] Tensors =
    [
        (TensorType.F32, 0), (TensorType.F16, 1), (TensorType.Q4_0, 2), (TensorType.Q5_0, 6), (TensorType.Q5_1, 7), (TensorType.Q8_0, 8),
        (TensorType.Q4_K, 12), (TensorType.Q5_K, 13),
        (TensorType.Q6_K, 14), (TensorType.I8, 24), (TensorType.I32, 26), (TensorType.I64, 27), (TensorType.BF16, 30),
    ];

    /// <summary>Types that exist and are not read, for the error.</summary>
    private static readonly Dictionary<uint, string> Others = new()
    {
        [3] = "Q4_1", [9] = "Q8_1", [10] = "Q2_K", [11] = "Q3_K", [15] = "Q8_K", [16] = "IQ2_XXS", [17] = "IQ2_XS", [18] = "IQ3_XXS",
        [19] = "IQ1_S", [20] = "IQ4_NL", [21] = "IQ3_S",
        [22] = "IQ2_S", [23] = "IQ4_XS", [25] = "I16", [28] = "F64", [29] = "IQ1_M", [34] = "TQ1_0", [35] = "TQ2_0", [39] = "MXFP4",
        [40] = "NVFP4",
    };

    public static uint Id(TensorType type) => Tensors.First(entry => entry.Type == type).Id;

    public static TensorType Parse(string path, string tensor, uint id)
    {
        foreach ((TensorType type, uint known) in Tensors)
            if (known == id) return type;
        string name = Others.TryGetValue(id, out string? other) ? other : $"number {id}";
        throw new FlywheelException(
            $"{path}: tensor '{tensor}' has type {name}, which is not supported; supported are {NearestName.List([.. Tensors.Select(entry => entry.Type.ToString())])}");
    }

    /// <summary>Fewest bytes of a metadata value; 0 for a type that does not exist.</summary>
    public static int MinValueBytes(uint type) => type switch
    {
        0 or 1 or 7 => 1,
        2 or 3 => 2,
        4 or 5 or 6 => 4,
        Text or 10 or 11 or 12 => 8,
        _ => 0,
    };
}
