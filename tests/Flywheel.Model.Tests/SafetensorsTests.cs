using System.Buffers.Binary;
using System.Text;
using CsCheck;
using Flywheel.Testing;

namespace Flywheel.Model.Tests;

public sealed class SafetensorsTests : IDisposable
{
    private readonly TempFolder _folder = new();

    private string FilePath => _folder["model.safetensors"];

    public void Dispose() => _folder.Dispose();

    private static (string, TensorType, long[], Action<Stream>) Floats(string name, TensorType dtype, long[] shape,
        params float[] values) =>
        (name, dtype, shape, stream => SafetensorsWriter.WriteFloats(stream, values, dtype));

    /// <summary>A file with this header (padded) and so many bytes of data.</summary>
    private string FileWith(string header, int dataBytes)
    {
        byte[] json = Encoding.UTF8.GetBytes(header);
        byte[] bytes = new byte[8 + json.Length + dataBytes];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, json.Length);
        json.CopyTo(bytes, 8);
        File.WriteAllBytes(FilePath, bytes);
        return FilePath;
    }

    private static string OpenError(string path) => Assert.Throws<FlywheelException>(() => SafetensorsFile.Open(path)).Message;

    [Fact]
    public void Write_SeveralTensors_ReadBack()
    {
        SafetensorsWriter.Write(FilePath, [Floats("a", TensorType.F32, [2, 3], 1, 2, 3, 4, 5, -6.5f),
            Floats("empty", TensorType.F32, [0, 7]), Floats("b", TensorType.BF16, [2], 1.5f, -2), Floats("scalar", TensorType.F32, [], 9)],
            new Dictionary<string, string> { ["format"] = "pt" });
        using var file = SafetensorsFile.Open(FilePath);
        Assert.Equal([1, 2, 3, 4, 5, -6.5f], file.ReadFloats(file.Require("a", 2, 3)));
        Assert.Equal([1.5f, -2], file.ReadFloats(file.Require("b", 2)));
        Assert.Equal([9], file.ReadFloats(file.Require("scalar")));
        Assert.Empty(file.ReadFloats(file.Require("empty", 0, 7)));
        Assert.Equal("pt", file.Metadata["format"]);
        float[] tail = new float[2];
        file.ReadFloats(file.Tensors["a"], 4, tail);
        Assert.Equal([5, -6.5f], tail);
    }

    [Fact]
    public void Write_SameTensors_GivesTheSameBytes()
    {
        byte[] Once()
        {
            SafetensorsWriter.Write(FilePath, [Floats("a", TensorType.F32, [1], 1)],
                new Dictionary<string, string> { ["y"] = "1", ["x"] = "2" });
            return File.ReadAllBytes(FilePath);
        }
        Assert.Equal(Once(), Once());
    }

    [Fact]
    public void Write_TensorOfAnotherSize_LeavesTheOldFile()
    {
        File.WriteAllText(FilePath, "old");
        Assert.Throws<InvalidOperationException>(() => SafetensorsWriter.Write(FilePath, [Floats("a", TensorType.F32, [3], 1, 2)]));
        Assert.Equal("old", File.ReadAllText(FilePath));
        Assert.Single(Directory.GetFiles(_folder.Path));
    }

    [Fact]
    public void Read_OutsideTheTensor_IsRefused()
    {
        SafetensorsWriter.Write(FilePath, [Floats("a", TensorType.F32, [2], 1, 2), Floats("b", TensorType.F32, [2], 3, 4)]);
        using var file = SafetensorsFile.Open(FilePath);
        TensorInfo a = file.Tensors["a"];
        Assert.Throws<ArgumentOutOfRangeException>(() => file.ReadFloats(a, 1, new float[2]));
        Assert.Throws<ArgumentOutOfRangeException>(() => file.ReadFloats(a, -1, new float[1]));
        Assert.Throws<ArgumentOutOfRangeException>(() => file.ReadBytes(a, long.MaxValue, new byte[8]));
        Assert.Throws<ArgumentOutOfRangeException>(() => file.ReadFloats(a, long.MaxValue / 2, new float[1]));
    }

    [Fact]
    public void WriteFloats_AsBFloat16_RoundsToTheNearestAndTiesToEven() =>
    Gen.UInt.Select(BitConverter.UInt32BitsToSingle).Where(float.IsFinite).Sample(value =>
    {
        using var stream = new MemoryStream();
        SafetensorsWriter.WriteFloats(stream, [value], TensorType.BF16);
        ushort bits = BinaryPrimitives.ReadUInt16LittleEndian(stream.ToArray());
        // The two neighbours of the value, and how far they are, in exact arithmetic.
        uint below = BitConverter.SingleToUInt32Bits(value) >> 16, above = below + 1;
        double low = Widen(below), high = Widen(above), distanceLow = Math.Abs(value - low), distanceHigh = Math.Abs(high - value);
        uint expected = distanceLow < distanceHigh || (distanceLow == distanceHigh && below % 2 == 0) ? below : above;
        Assert.Equal(expected, bits);

        // Beyond the largest finite number the next step counts as if the exponent went on (IEEE 754, 4.3.1).
        static double Widen(uint half) =>
            (half & 0x7FFF) == 0x7F80
                ? Math.CopySign(Math.Pow(2, 128), (half & 0x8000) == 0 ? 1 : -1) : BitConverter.UInt32BitsToSingle(half << 16);
    });

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    [InlineData(float.NegativeInfinity)]
    [InlineData(-0f)]
    public void WriteFloats_SpecialValuesAsBFloat16_Stay(float value)
    {
        SafetensorsWriter.Write(FilePath, [Floats("a", TensorType.BF16, [1], value)]);
        using var file = SafetensorsFile.Open(FilePath);
        Assert.Equal(value, file.ReadFloats(file.Tensors["a"])[0]);
    }

    [Fact]
    public void ReadFloats_Float16_IsExact()
    {
        Half[] values = [.. Enumerable.Range(0, 1 << 16).Select(bits => BitConverter.UInt16BitsToHalf((ushort)bits))];
        SafetensorsWriter.Write(FilePath,
            [("a", TensorType.F16, [values.Length],
                stream => stream.Write(System.Runtime.InteropServices.MemoryMarshal.AsBytes<Half>(values)))]);
        using var file = SafetensorsFile.Open(FilePath);
        Assert.Equal(values.Select(value => (float)value), file.ReadFloats(file.Tensors["a"]));
    }

    [Theory]
    [InlineData("", "malformed")]
    [InlineData("[]", "malformed")]
    [InlineData("{\"a\":5}", "malformed")]
    [InlineData("{\"a\":{}}", "malformed")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}} trailing", "malformed")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", "malformed")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"dtype\":\"I32\",\"shape\":[1],\"data_offsets\":[0,4]}}", "malformed")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,4]}}", "malformed")]
    [InlineData("{\"a\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[0,8]}}", "dtype 'F64'")]
    [InlineData("{\"a\":{\"dtype\":\"F32, F16\",\"shape\":[2],\"data_offsets\":[0,4]}}", "dtype 'F32, F16'")]
    [InlineData("{\"a\":{\"dtype\":\"2\",\"shape\":[2],\"data_offsets\":[0,4]}}", "dtype '2'")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", "impossible shape [-1]")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[-1,-1],\"data_offsets\":[0,4]}}", "impossible shape")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,4]}}", "impossible shape")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", "needs 8 bytes")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", "data_offsets are [4, 0]")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}", "data_offsets")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]}}", "truncated")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[9223372036854775803,9223372036854775807]}}", "truncated")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", "hole or overlap")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", "the tensors end at byte")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", "hole or overlap")]
    public void Open_WrongHeader_SaysWhatIsWrong(string header, string expected) =>
    Assert.Contains(expected, OpenError(FileWith(header, 8)));

    [Theory]
    [InlineData(new byte[0])]
    [InlineData(new byte[] { 1, 2, 3 })]
    [InlineData(new byte[] { 255, 255, 255, 255, 255, 255, 255, 255, 123 })]
    [InlineData(new byte[] { 0, 0, 0, 0, 0, 0, 0, 128, 123 })]
    [InlineData(new byte[] { 3, 0, 0, 0, 0, 0, 0, 0, 123, 125 })]
    public void Open_NoSafetensors_SaysSo(byte[] bytes)
    {
        File.WriteAllBytes(FilePath, bytes);
        Assert.Contains("safetensors", OpenError(FilePath));
    }

    [Fact]
    public void Open_Missing_NamesTheFile() => Assert.Contains("nowhere.safetensors", OpenError(_folder["nowhere.safetensors"]));

    [Fact]
    public void Open_AnyTruncation_IsAClearError()
    {
        SafetensorsWriter.Write(FilePath, [Floats("a", TensorType.F32, [2, 3], 1, 2, 3, 4, 5, 6),
            Floats("b", TensorType.BF16, [4], 1, 2, 3, 4)]);
        byte[] whole = File.ReadAllBytes(FilePath);
        for (int length = 0; length < whole.Length; length++)
        {
            File.WriteAllBytes(FilePath, whole[..length]);
            Assert.Contains(FilePath, OpenError(FilePath));
        }
    }

    [Fact]
    public void Open_MutatedFile_FailsOnlyWithAFlywheelExceptionAndStaysSmall()
    {
        SafetensorsWriter.Write(FilePath, [Floats("a", TensorType.F32, [2, 3], 1, 2, 3, 4, 5, 6),
            Floats("b", TensorType.BF16, [4], 1, 2, 3, 4)], new Dictionary<string, string> { ["format"] = "pt" });
        byte[] whole = File.ReadAllBytes(FilePath);
        int headerEnd = 8 + (int)BinaryPrimitives.ReadInt64LittleEndian(whole);
        string mutated = _folder["mutated.safetensors"];
        Gen.Select(Gen.Int[0, headerEnd - 1],
            Gen.OneOf(Gen.Byte, Gen.OneOf("0123456789-e.[]{}\",:\\u".Select(c => Gen.Const((byte)c)).ToArray()))).Array[1, 8].Sample(
                changes =>
        {
            byte[] bytes = [.. whole];
            foreach ((int at, byte value) in changes) bytes[at] = value;
            File.WriteAllBytes(mutated, bytes);
            long before = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                using var file = SafetensorsFile.Open(mutated);
                foreach (TensorInfo tensor in file.Tensors.Values) file.ReadBytes(tensor, 0, new byte[tensor.NumBytes]);
            }
            catch (FlywheelException)
            {
            }
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
        }, iter: 600, threads: 1);
    }
}
