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
        Gen.Select(Gen.Int[1, 20], Gen.Int[1, 9], Gen.Int[0, 600], Gen.Int[1, 7], Gen.Int[0, 1_000_000],
            (eighths, group, start, rows, seed) => new Shape(8 * eighths, group, start, rows, seed));

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
            // without fused additions an integer may round the other way
            for (int i = 0; i < together.Length; i++) KernelTests.AssertSame(expected[i], together[i], type == KvType.Fp32 ? 1e-5f : 1e-3f);
        }, iter: 12);
    }

    [Theory]
    [InlineData(KvType.Fp32, 2e-6)]
    [InlineData(KvType.Int16, 6e-4)]
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

    [Theory]
    [InlineData(KvType.Int16, 8191)]
    [InlineData(KvType.Int8, 127)]
    public void Integers_AnyNumbers_ErrorIsHalfAStepOfTheBlock(KvType type, int most)
    {
        Gen.Select(Gen.Int[1, 16], Gen.Float[1e-25f, 1e30f], Gen.Bool, Gen.Int[0, 1_000_000]).Sample((eighths, scale, isKey, seed) =>
        {
            using var arena = new NativeArena();
            int n = 8 * eighths, token = seed % 32;
            float* x = KernelTests.Copy(arena, KernelTests.Values(new Random(seed), n, scale));
            byte* tiles = arena.Allocate<byte>(4 * KvTile.Bytes(type));
            KvTile.Write(type, tiles, token, x, n, isKey);
            for (int i = 0; i < n; i++)
            {
                // a value has one scale for the whole head
                (int from, int to) = isKey ? (i / 32 * 32, Math.Min(n, i / 32 * 32 + 32)) : (0, n);
                float largest = new Span<float>(x + from, to - from).ToArray().Max(MathF.Abs);
                byte* tile = tiles + i / 32 * KvTile.Bytes(type);
                float found = isKey ? KvTile.Read(type, tile, i % 32, token, true) : KvTile.Read(type, tile, token, i % 32, false);
                Assert.Equal(x[i], found, largest / most * 0.502f); // the scale is itself rounded, and is taken up to 8191 times
            }
        }, iter: 200);
    }

    // The largest sums that there can be: they must fit 32 bits, and no number may be turned over.
    [Theory]
    [MemberData(nameof(Tables))]
    public void Attend_AllNumbersTheLargest_IsExact(string name, KvType type)
    {
        KernelTable kernels = KernelTable.Select(name);
        foreach (float sign in new[] { 1f, -1f })
        {
            var problem = new Problem(new Shape(128, 2, 300, 5, 0));
            Array.Fill(problem.Queries, 0.25f);
            Array.Fill(problem.Keys, sign * 3);
            Array.Fill(problem.Values, sign * 7);
            Assert.All(Attend(kernels, type, problem, 0, 5), found => Assert.Equal(sign * 7, found, 1e-4f));
        }
    }

    // Zeros have no scale; and what is far below the largest must not spoil it.
    [Theory]
    [MemberData(nameof(Tables))]
    public void Attend_ZerosAndExtremes_GivesNumbers(string name, KvType type)
    {
        KernelTable kernels = KernelTable.Select(name);
        foreach (float scale in new[] { 0, 1e-38f, 1e-20f, 1e10f })
        {
            var problem = new Problem(new Shape(64, 3, 70, 3, 1));
            foreach (float[] numbers in new[] { problem.Queries, problem.Keys, problem.Values })
                for (int i = 0; i < numbers.Length; i++) numbers[i] *= scale;
            float most = problem.Values.Max(MathF.Abs);
            Assert.All(Attend(kernels, type, problem, 0, 3), found => Assert.InRange(found, -1.01f * most, 1.01f * most));
        }
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
            double[] scores =
                [.. Enumerable.Range(0, start + line / group + 1)
                    .Select(j =>
                        Enumerable.Range(0, d).Sum(i => (double)problem.Queries[line * d + i] * problem.Keys[j * d + i]) / Math.Sqrt(d))];
            double most = scores.Max(), total = scores.Sum(score => Math.Exp(score - most));
            for (int j = 0; j < scores.Length; j++)
                for (int i = 0; i < d; i++) result[line * d + i] += Math.Exp(scores[j] - most) / total * problem.Values[j * d + i];
        }
        return result;
    }

    /// <summary>[rows, group, D]: rows <paramref name="from"/> to <paramref name="to"/>.</summary>
    private static float[] Attend(KernelTable kernels, KvType type, Shape shape, int from, int to) =>
        Attend(kernels, type, new Problem(shape), from, to);

    private static float[] Attend(KernelTable kernels, KvType type, Problem problem, int from, int to)
    {
        using var arena = new NativeArena();
        (int d, int group, int start, int rows, _) = problem.Shape;
        int positions = start + rows, blocks = (d + 31) / 32, lines = (to - from) * group, numPages = KvPool.PagesFor(positions),
            bytes = KvTile.Bytes(type);
        var pages = (byte**)arena.Allocate<nint>(numPages);
        for (int page = 0; page < numPages; page++) pages[page] = arena.Allocate<byte>(2 * blocks * bytes);
        float* queries = KernelTests.Copy(arena, problem.Queries), keys = KernelTests.Copy(arena, problem.Keys),
            values = KernelTests.Copy(arena, problem.Values);
        for (int j = 0; j < positions; j++)
        {
            KvTile.Write(type, pages[j / 32], j % 32, keys + j * d, d, isKey: true);
            KvTile.Write(type, pages[j / 32] + blocks * bytes, j % 32, values + j * d, d, isKey: false);
        }
        var job = new AttentionJob
        {
            Type = type, Pages = pages, ValueOffset = blocks * bytes, NumBlocks = blocks, NumLines = lines,
            Queries = arena.Allocate<byte>(blocks * lines * 128),
            QueryScales = arena.Allocate<float>(lines), Limits = arena.Allocate<int>(lines),
            Scores = arena.Allocate<float>(lines * AttentionJob.SpanTokens),
            Weights = arena.Allocate<short>(lines * AttentionJob.SpanTokens),
            WeightScales = arena.Allocate<float>(lines * AttentionJob.SpanPages), Wide = arena.Allocate<short>(1024),
        };
        for (int line = 0; line < lines; line++)
        {
            job.Limits[line] = start + from + line / group + 1;
            job.SetQuery(line, queries + (from * group + line) * d, d, 1 / MathF.Sqrt(d));
        }
        float* result = arena.Allocate<float>(AttentionJob.ResultFloats(blocks, lines)),
            next = arena.Allocate<float>(AttentionJob.ResultFloats(blocks, lines));
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
