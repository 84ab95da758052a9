using CsCheck;
using Flywheel.Engine.Kernels;
using Flywheel.Engine.Weights;
using Flywheel.Model;

namespace Flywheel.Engine.Tests;

/// <summary>
/// Every kernel table against the scalar loops, bit for bit where multiply-add is fused in hardware, over random shapes.
/// </summary>
public unsafe class KernelTests
{
    /// <summary>Every type that has panels.</summary>
    private static readonly TensorType[] Types = [TensorType.F32, TensorType.F16, TensorType.BF16, TensorType.Q8_0, TensorType.Q4_0,
        TensorType.Q5_0, TensorType.Q4_K, TensorType.Q5_K, TensorType.Q6_K];

    public static TheoryData<string> Tables => [.. TestEngine.Kernels];

    private static readonly Gen<(int Rows, int Columns, int Count, int Seed)> Shapes =
        Gen.Select(Gen.Int[1, 70], Gen.Int[1, 130], Gen.Int[1, 30], Gen.Int[0, 1_000_000]);

    [Theory]
    [MemberData(nameof(Tables))]
    public void Multiply_AnyShape_EqualsScalarAndDoesNotDependOnOtherRows(string name)
    {
        KernelTable kernels = KernelTable.Select(name);
        Shapes.Sample((rows, columns, count, seed) =>
        {
            foreach (TensorType type in Types)
            {
                columns = Matrix.Pad(columns, type.BlockSize() > 32 ? 256 : 1);
                using var arena = new NativeArena();
                var random = new Random(seed);
                float[][] weights = [.. Enumerable.Range(0, rows).Select(_ => Values(random, columns))];
                Matrix Pack(KernelTable table) => Create(arena, table, type, weights);
                Matrix matrix = Pack(kernels);
                float[][] x = [.. Enumerable.Range(0, count).Select(_ => Values(random, columns))];
                float[] together = Product(kernels, arena, matrix, x, random.Next(2) == 0);
                float[] scalar = Product(KernelTable.Select("scalar"), arena, Pack(KernelTable.Select("scalar")), x, together[^1] != 0);
                for (int row = 0; row < count; row++)
                {
                    float[] alone = Product(kernels, arena, matrix, [x[row]], together[^1] != 0);
                    for (int output = 0; output < rows; output++)
                    {
                        float value = together[row * matrix.NumRows + output];
                        Assert.Equal(alone[output], value);
                        AssertSame(scalar[row * matrix.NumRows + output], value, 1e-4f);
                    }
                }
            }
        }, iter: 60);
    }

    /// <summary>Files may hold -128, which no rounding gives. More columns than are unpacked together, more rows than are multiplied
    /// together.</summary>
    [Theory]
    [MemberData(nameof(Tables))]
    public void MultiplyInt8_ExtremeWeights_DoesNotSaturate(string name)
    {
        const int columns = 4096 + 96, outputs = 16, blockBytes = 34;
        using var arena = new NativeArena();
        float[][] x =
            [.. Enumerable.Range(0, 9)
                .Select(row => Enumerable.Range(0, columns).Select(k => k % (row + 3) == 0 ? -127f : 127f).ToArray())];
        float[] actual = Product(KernelTable.Select(name), arena, Pack(KernelTable.Select(name)), x, add: true);
        float[] expected = Product(KernelTable.Select("scalar"), arena, Pack(KernelTable.Select("scalar")), x, add: true);
        for (int i = 0; i < actual.Length; i++) AssertSame(expected[i], actual[i], 1e-5f);
        double exact = columns / 3 * 128.0 * 127 + (columns - columns / 3) * 127.0 * 127; // signs of the first output and row agree
        Assert.Equal(exact, actual[0], exact * 1e-3);

        Matrix Pack(KernelTable table)
        {
            const int blocks = columns / 32;
            var band = new Band(TensorType.Q8_0, 0, outputs, (nint)arena.Allocate<byte>(columns * outputs),
                (nint)arena.Allocate<byte>(blocks * outputs * 2));
            byte[] row = new byte[blocks * blockBytes];
            for (int output = 0; output < outputs; output++)
            {
                for (int k = 0; k < columns; k++) row[k / 32 * blockBytes + 2 + k % 32] = (byte)(k % (output + 3) == 0 ? -128 : 127);
                for (int block = 0; block < blocks; block++) BitConverter.TryWriteBytes(row.AsSpan(block * blockBytes), (Half)1);
                Matrix.Pack(table, band, blocks, output, row);
            }
            return new Matrix(table, columns, [band]);
        }
    }

    [Theory]
    [InlineData(TensorType.F16, 1e-3, 2e-3)]
    [InlineData(TensorType.BF16, 3e-3, 0.02)]
    [InlineData(TensorType.Q8_0, 0.012, 0.03)]
    [InlineData(TensorType.Q6_K, 0.03, 0.15)]
    [InlineData(TensorType.Q5_K, 0.06, 0.3)]
    [InlineData(TensorType.Q5_0, 0.06, 0.3)]
    [InlineData(TensorType.Q4_K, 0.12, 0.6)]
    [InlineData(TensorType.Q4_0, 0.12, 0.6)]
    public void Quantized_RandomWeights_ErrorIsThatOfRounding(TensorType type, double bound, double largest)
    {
        using var arena = new NativeArena();
        var random = new Random(5);
        const int columns = 512, rows = 64;
        float[][] weights = [.. Enumerable.Range(0, rows).Select(_ => Values(random, columns))];
        float[] x = Values(random, columns);
        Matrix matrix = Create(arena, KernelTable.Select(null), type, weights);
        float[] y = Product(KernelTable.Select(null), arena, matrix, [x], add: false);
        double error = 0, size = 0;
        for (int row = 0; row < rows; row++)
        {
            double exact = weights[row].Zip(x, (a, b) => (double)a * b).Sum();
            error += (y[row] - exact) * (y[row] - exact);
            size += exact * exact;
            float* unpacked = arena.Allocate<float>(columns);
            matrix.ReadRow(row, unpacked);
            for (int k = 0; k < columns; k++) Assert.Equal(weights[row][k], unpacked[k], largest);
        }
        Assert.True(Math.Sqrt(error / size) < bound, $"relative error {Math.Sqrt(error / size):G3}");
    }

    [Theory]
    [MemberData(nameof(Tables))]
    public void Elementwise_AnyLength_EqualsScalar(string name)
    {
        KernelTable kernels = KernelTable.Select(name), scalar = KernelTable.Select("scalar");
        Gen.Select(Gen.Int[1, 40], Gen.Int[0, 1_000_000]).Sample((blocks, seed) =>
        {
            using var arena = new NativeArena();
            var random = new Random(seed);
            int n = blocks * 32, odd = n - random.Next(32);
            float* x = Copy(arena, Values(random, n, 3)), w = Copy(arena, Values(random, n));
            float* a = arena.Allocate<float>(n), b = arena.Allocate<float>(n);
            kernels.RmsNorm(x, w, a, n, odd, 1e-6f);
            scalar.RmsNorm(x, w, b, n, odd, 1e-6f);
            AssertSame(b, a, n);
            kernels.SwiGlu(x, w, a, n);
            scalar.SwiGlu(x, w, b, n);
            AssertSame(b, a, n);
            float* turned = Copy(arena, new Span<float>(x, n).ToArray()), expected = Copy(arena, new Span<float>(x, n).ToArray());
            kernels.Rotate(turned, w, x, odd / 2);
            scalar.Rotate(expected, w, x, odd / 2);
            AssertSame(expected, turned, n);
            kernels.LogSumExp(x, odd, a);
            scalar.LogSumExp(x, odd, b);
            AssertSame(b, a, 2);
            kernels.Exponentials(x, a, odd, 2, 7);
            scalar.Exponentials(x, b, odd, 2, 7);
            AssertSame(b, a, odd);
            sbyte* q = arena.Allocate<sbyte>(n), r = arena.Allocate<sbyte>(n);
            Int8Block* qBlocks = arena.Allocate<Int8Block>(blocks), rBlocks = arena.Allocate<Int8Block>(blocks);
            kernels.Quantize(x, n, q, qBlocks);
            scalar.Quantize(x, n, r, rBlocks);
            Assert.Equal(new Span<Int8Block>(rBlocks, blocks).ToArray(), new Span<Int8Block>(qBlocks, blocks).ToArray());
            Assert.True(new Span<sbyte>(q, n).SequenceEqual(new Span<sbyte>(r, n)), "quantised values differ");
        }, iter: 100);
    }

    [Fact]
    public void Exp_WholeRange_Within2Ulp()
    {
        for (double x = -87; x < 88; x += 0.00371)
        {
            float exact = (float)Math.Exp((float)x);
            Assert.InRange(ScalarKernels.Exp((float)x), exact - 2 * (exact - MathF.BitDecrement(exact)),
                exact + 2 * (MathF.BitIncrement(exact) - exact));
        }
        Assert.Equal(0, ScalarKernels.Exp(float.NegativeInfinity));
        Assert.Equal(1, ScalarKernels.Exp(0));
    }

    [Fact]
    public void Select_UnknownName_NamesTheChoices()
    {
        var error = Assert.Throws<FlywheelException>(() => KernelTable.Select("sse9"));
        Assert.Contains("sse9", error.Message);
        Assert.Contains("scalar", error.Message);
    }

    /// <summary>[count, padded rows], computed in two halves as two threads would.</summary>
    private static float[] Product(KernelTable kernels, NativeArena arena, Matrix matrix, float[][] x, bool add)
    {
        int k = matrix.NumColumns, n = matrix.NumRows;
        float* floats = arena.Allocate<float>((long)x.Length * k), y = arena.Allocate<float>((long)x.Length * n);
        var input = new StepInput { Floats = floats,
            Quantized = new() { Values = arena.Allocate<sbyte>((long)x.Length * k),
                Blocks = arena.Allocate<Int8Block>((long)x.Length * k / 32) } };
        for (int row = 0; row < x.Length; row++) x[row].CopyTo(new Span<float>(floats + (long)row * k, k));
        kernels.Quantize(floats, x.Length * k, input.Quantized.Values, input.Quantized.Blocks);
        if (add) new Span<float>(y, x.Length * n).Fill(0.25f);
        int half = n / 32 * 16;
        matrix.Multiply(input, x.Length, y, n, add, 0, half);
        matrix.Multiply(input, x.Length, y, n, add, half, n);
        float[] result = new float[x.Length * n + 1];
        new Span<float>(y, x.Length * n).CopyTo(result);
        result[^1] = add ? 1 : 0;
        return result;
    }

    private static Matrix Create(NativeArena arena, KernelTable kernels, TensorType type, float[][] rows) =>
        Matrix.Create(arena, kernels, type, rows.Length, rows[0].Length, (row, values) => rows[row].CopyTo(values));

    internal static float[] Values(Random random, int n, float scale = 1)
    {
        float[] values = new float[n];
        for (int i = 0; i < n; i++) values[i] = scale * (float)TestEngine.Normal(random);
        return values;
    }

    internal static float* Copy(NativeArena arena, float[] values)
    {
        float* copy = arena.Allocate<float>(values.Length);
        values.CopyTo(new Span<float>(copy, values.Length));
        return copy;
    }

    private static void AssertSame(float* expected, float* actual, int n)
    {
        for (int i = 0; i < n; i++) AssertSame(expected[i], actual[i], 1e-5f);
    }

    internal static void AssertSame(float expected, float actual, float tolerance)
    {
        if (KernelTable.IsExact) Assert.Equal(expected, actual);
        else Assert.Equal(expected, actual, Math.Max(tolerance, tolerance * Math.Abs(expected)));
    }
}
