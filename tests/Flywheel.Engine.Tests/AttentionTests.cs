using CsCheck;
using Flywheel.Engine.Kernels;

namespace Flywheel.Engine.Tests;

/// <summary>Attention over the cache: its number formats, every kernel table against the scalar loops, and those against fp64.</summary>
public unsafe class AttentionTests
{
    public static TheoryData<string, KvType> Tables
    {
        get
        {
            var data = new TheoryData<string, KvType>();
            foreach (string name in TestEngine.Kernels)
                foreach (KvType type in Enum.GetValues<KvType>()) data.Add(name, type);
            return data;
        }
    }

    private static readonly Gen<Shape> Shapes =
        Gen.Select(Gen.Int[1, 20], Gen.Int[1, 9], Gen.Int[0, 600], Gen.Int[1, 7], Gen.Int[0, 1_000_000], (eighths, group, start, rows, seed) => new Shape(8 * eighths, group, start, rows, seed));

    [Theory]
    [MemberData(nameof(Tables))]
    public void Attend_AnyShape_EqualsScalarAndDoesNotDependOnOtherLines(string name, KvType type)
    {
        KernelTable kernels = KernelTable.Select(name), scalar = KernelTable.Select("scalar");
        Shapes.Sample(shape =>
        {
            float[] together = Attend(kernels, type, shape, 0, shape.Rows), expected = Attend(scalar, type, shape, 0, shape.Rows);
            int row = shape.Seed % shape.Rows, width = shape.Group * shape.HeadDim;
            float[] alone = Attend(kernels, type, shape, row, row + 1);
            Assert.Equal(alone, together[(row * width)..((row + 1) * width)]);
            for (int i = 0; i < together.Length; i++) KernelTests.AssertSame(expected[i], together[i], 1e-5f);
        }, iter: 12);
    }

    [Theory]
    [InlineData(KvType.Fp32, 2e-6)]
    [InlineData(KvType.Fp16, 6e-4)]
    [InlineData(KvType.Int8, 2e-2)] // small shapes have 16 outputs only, whose error was once 1.2e-2
    public void Attend_AnyShape_CloseToFp64(KvType type, double tolerance)
    {
        Shapes.Sample(shape =>
        {
            float[] found = Attend(KernelTable.Select("scalar"), type, shape, 0, shape.Rows);
            double[] exact = Exact(new Problem(shape));
            double error = Math.Sqrt(found.Zip(exact, (a, b) => (a - b) * (a - b)).Average());
            Assert.True(error < tolerance, $"{shape}: root mean square error {error:G3}");
        }, iter: 20);
    }

    [Fact]
    public void Fp16_EveryHalfAndWhatLiesBetween_RoundsAsTheStandardSays()
    {
        using var arena = new NativeArena();
        float* x = arena.Allocate<float>(32), wide = arena.Allocate<float>(1024);
        byte* tile = arena.Allocate<byte>(KvTile.Bytes(KvType.Fp16));
        for (int bits = 0; bits < 0x7C00; bits += 8) // every finite half, 8 at a time
        {
            for (int i = 0; i < 8; i++)
            {
                float half = (float)BitConverter.UInt16BitsToHalf((ushort)(bits + i)), next = bits + i < 0x7BFF ? (float)BitConverter.UInt16BitsToHalf((ushort)(bits + i + 1)) : half;
                (x[i], x[8 + i], x[16 + i], x[24 + i]) = (half, (half + next) / 2, MathF.BitIncrement((half + next) / 2), -(half * 0.7f + next * 0.3f));
            }
            if (bits + 8 == 0x7C00) x[8 + 7] = x[16 + 7] = 65504; // beyond the largest there is no half to round to
            KvTile.Write(KvType.Fp16, tile, 3, x, 32, isKey: false);
            KvTile.Widen(KvType.Fp16, tile, wide, isKey: false);
            for (int i = 0; i < 32; i++)
            {
                Assert.Equal((float)(Half)x[i], KvTile.Read(KvType.Fp16, tile, 3, i, isKey: false));
                Assert.Equal((float)(Half)x[i], wide[3 * 32 + i]);
            }
        }
    }

    [Fact]
    public void Fp16_OutOfRange_Saturates()
    {
        using var arena = new NativeArena();
        float[] extremes = [1e30f, -1e30f, float.PositiveInfinity, float.NegativeInfinity, 65519, 65520, 1e-30f, float.NaN];
        float* x = KernelTests.Copy(arena, extremes);
        byte* tile = arena.Allocate<byte>(KvTile.Bytes(KvType.Fp16));
        KvTile.Write(KvType.Fp16, tile, 0, x, 8, isKey: true);
        Assert.Equal([65504, -65504, 65504, -65504, 65504, 65504, 0, float.NaN], Enumerable.Range(0, 8).Select(i => KvTile.Read(KvType.Fp16, tile, i, 0, isKey: true)));
    }

    [Fact]
    public void Int8_AnyNumbers_ErrorIsHalfAStepOfTheBlock()
    {
        Gen.Select(Gen.Int[1, 16], Gen.Float[1e-30f, 1e30f], Gen.Bool, Gen.Int[0, 1_000_000]).Sample((eighths, scale, isKey, seed) =>
        {
            using var arena = new NativeArena();
            float* x = KernelTests.Copy(arena, KernelTests.Values(new Random(seed), 8 * eighths, scale));
            byte* tiles = arena.Allocate<byte>(4 * KvTile.Bytes(KvType.Int8));
            KvTile.Write(KvType.Int8, tiles, seed % 32, x, 8 * eighths, isKey);
            for (int i = 0; i < 8 * eighths; i++)
            {
                float largest = 0;
                for (int j = i / 32 * 32; j < Math.Min(8 * eighths, i / 32 * 32 + 32); j++) largest = MathF.Max(largest, MathF.Abs(x[j]));
                byte* tile = tiles + i / 32 * KvTile.Bytes(KvType.Int8);
                Assert.Equal(x[i], isKey ? KvTile.Read(KvType.Int8, tile, i % 32, seed % 32, true) : KvTile.Read(KvType.Int8, tile, seed % 32, i % 32, false), largest / 127 * 0.5001f);
            }
        }, iter: 200);
    }

    private sealed record Shape(int HeadDim, int Group, int Start, int Rows, int Seed);

    /// <summary>Queries [rows, group, D] of the positions after Start, keys and values [positions, D].</summary>
    private sealed class Problem
    {
        public Problem(Shape shape)
        {
            Shape = shape;
            var random = new Random(shape.Seed);
            Queries = KernelTests.Values(random, shape.Rows * shape.Group * shape.HeadDim, 2);
            Keys = KernelTests.Values(random, (shape.Start + shape.Rows) * shape.HeadDim);
            Values = KernelTests.Values(random, (shape.Start + shape.Rows) * shape.HeadDim);
        }

        public Shape Shape { get; }
        public float[] Queries { get; }
        public float[] Keys { get; }
        public float[] Values { get; }
    }

    /// <summary>[rows, group, D], by the textbook.</summary>
    private static double[] Exact(Problem problem)
    {
        (int d, int group, int start, int rows, _) = problem.Shape;
        var result = new double[rows * group * d];
        for (int line = 0; line < rows * group; line++)
        {
            double[] scores = [.. Enumerable.Range(0, start + line / group + 1).Select(j => Enumerable.Range(0, d).Sum(i => (double)problem.Queries[line * d + i] * problem.Keys[j * d + i]) / Math.Sqrt(d))];
            double most = scores.Max(), total = scores.Sum(score => Math.Exp(score - most));
            for (int j = 0; j < scores.Length; j++)
                for (int i = 0; i < d; i++) result[line * d + i] += Math.Exp(scores[j] - most) / total * problem.Values[j * d + i];
        }
        return result;
    }

    /// <summary>[rows, group, D]: rows <paramref name="from"/> to <paramref name="to"/>.</summary>
    private static float[] Attend(KernelTable kernels, KvType type, Shape shape, int from, int to)
    {
        using var arena = new NativeArena();
        var problem = new Problem(shape);
        (int d, int group, int start, int rows, _) = shape;
        int positions = start + rows, blocks = (d + 31) / 32, lines = (to - from) * group, numPages = KvPool.PagesFor(positions), bytes = KvTile.Bytes(type);
        var pages = (byte**)arena.Allocate<nint>(numPages);
        for (int page = 0; page < numPages; page++) pages[page] = arena.Allocate<byte>(2 * blocks * bytes);
        float* keys = KernelTests.Copy(arena, problem.Keys), values = KernelTests.Copy(arena, problem.Values);
        for (int j = 0; j < positions; j++)
        {
            KvTile.Write(type, pages[j / 32], j % 32, keys + j * d, d, isKey: true);
            KvTile.Write(type, pages[j / 32] + blocks * bytes, j % 32, values + j * d, d, isKey: false);
        }
        var job = new AttentionJob
        {
            Type = type, Pages = pages, ValueOffset = blocks * bytes, NumBlocks = blocks, NumLines = lines, Queries = arena.Allocate<float>(blocks * lines * 32),
            Limits = arena.Allocate<int>(lines), Scores = arena.Allocate<float>(lines * AttentionJob.SpanTokens), Wide = arena.Allocate<float>(1024),
        };
        for (int line = 0; line < lines; line++)
        {
            job.Limits[line] = start + from + line / group + 1;
            for (int i = 0; i < d; i++) job.Queries[i / 32 * lines * 32 + line * 32 + i % 32] = problem.Queries[(from * group + line) * d + i] * (1 / MathF.Sqrt(d));
        }
        float* result = arena.Allocate<float>(AttentionJob.ResultFloats(blocks, lines)), next = arena.Allocate<float>(AttentionJob.ResultFloats(blocks, lines));
        kernels.AttendSpan(&job, 0, result);
        for (int span = 1; span < AttentionJob.NumSpans(job.Longest); span++)
        {
            kernels.AttendSpan(&job, span, next);
            kernels.FoldSpans(&job, result, next);
        }
        float[] output = new float[lines * d];
        for (int line = 0; line < lines; line++)
            for (int i = 0; i < d; i++) output[line * d + i] = result[i / 32 * lines * 32 + line * 32 + i % 32] / job.Total(result)[line];
        return output;
    }
}
