using System.Runtime.Intrinsics.X86;
using TorchSharp;
using static TorchSharp.torch;

namespace Flywheel.Training.Tests;

/// <summary>Our products against sums in double precision, with every instruction set that this processor has.</summary>
public sealed class MatrixProductTests
{
    public MatrixProductTests()
    {
        TorchLibrary.Load(2);
        random.manual_seed(21);
    }

    public static TheoryData<string> Tiles => [.. Tile.Keys];

    private static Dictionary<string, MatrixTile> Tile { get; } = new (string Name, bool IsSupported, Func<MatrixTile> Make)[]
    {
        ("plain", true, () => PlainTile.Tile), ("avx2", Fma.IsSupported, () => Avx2Tile.Tile),
        ("avx512", Avx512F.IsSupported, () => Avx512Tile.Tile),
    }.Where(set => set.IsSupported).ToDictionary(set => set.Name, set => set.Make());

    /// <summary>Every edge: fewer rows than a tile, columns that fill no vector, and more of each than a block holds.</summary>
    [Theory]
    [MemberData(nameof(Tiles))]
    public void Multiply_OfEveryShape_EqualsDoublePrecision(string name)
    {
        var sizes = new Random(5);
        (int M, int N, int K)[] shapes = [(1, 1, 1), (6, 64, 8), (7, 65, 9), (5, 3, 400), (100, 300, 800), (211, 70, 391),
            .. Enumerable.Range(0, 12).Select(_ => (sizes.Next(1, 130), sizes.Next(1, 290), sizes.Next(1, 420)))];
        foreach ((int m, int n, int k) in shapes)
            foreach ((bool aTurned, bool bTurned, bool adds) in new[] { (false, false, false), (false, true, true), (true, false, true),
                (true, true, false) })
                Check(Tile[name], m, n, k, aTurned, bTurned, adds);
    }

    private static void Check(MatrixTile tile, int m, int n, int k, bool aTurned, bool bTurned, bool adds)
    {
        using var scope = NewDisposeScope();
        Tensor a = aTurned ? randn(k, m) : randn(m, k), b = bTurned ? randn(n, k) : randn(k, n), c = randn(m, n);
        Tensor expected = (aTurned ? a.t() : a).to(float64).mm((bTurned ? b.t() : b).to(float64));
        if (adds) expected += c.to(float64);
        MatrixView View(Tensor x, bool turned) => turned ? MatrixView.Of(x).Transposed : MatrixView.Of(x);
        MatrixProduct.Multiply(tile, m, n, k, View(a, aTurned), View(b, bTurned), MatrixView.Of(c), adds ? MatrixView.Of(c) : null);
        double difference = (expected - c).abs().max().item<double>();
        Assert.True(difference < 3e-6 * (k + 10),
            $"[{m}, {k}] [{k}, {n}], turned {aTurned} {bTurned}, adds {adds}: off by {difference:g3}");
    }

    [Theory]
    [MemberData(nameof(Tiles))]
    public void Multiply_OnMoreThreads_GivesTheSameBits(string name)
    {
        using var scope = NewDisposeScope();
        Tensor a = randn(333, 500), b = randn(500, 410);
        TestModels.AssertThreadsChangeNothing(() =>
        {
            Tensor c = zeros(333, 410);
            MatrixProduct.Multiply(Tile[name], 333, 410, 500, MatrixView.Of(a), MatrixView.Of(b), MatrixView.Of(c));
            return [c];
        });
    }

    /// <summary>A gradient that is there already is not lost, and without gradient a weight gets none.</summary>
    [Fact]
    public void Projection_ThatLearns_AddsToItsGradient()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor x = randn(40, 24), w = randn(30, 24).requires_grad_(true), g = randn(40, 30), before = randn(30, 24), frozen = randn(30, 24);
        w.grad = before.clone();
        new Projection(w).Learn(x, g);
        Assert.InRange((before + g.t().mm(x) - w.grad!).abs().max().item<float>(), 0, 1e-4f);
        new Projection(frozen).Learn(x, g);
        Assert.Null(frozen.grad);
    }

    [Fact]
    public void ThreadTeam_OfManyRounds_RunsEveryPartOnce()
    {
        var team = new ThreadTeam();
        for (int round = 0; round < 2000; round++)
        {
            int[] calls = new int[1 + round % 5];
            if (round % 500 == 7) Thread.Sleep(5); // long enough for its threads to fall asleep
            team.Run(calls.Length, part => Interlocked.Increment(ref calls[part]));
            Assert.All(calls, count => Assert.Equal(1, count));
        }
        Assert.Throws<InvalidOperationException>(() => team.Run(3, part => throw new InvalidOperationException($"{part}")));
        int ran = 0;
        team.Run(3, _ => Interlocked.Increment(ref ran));
        Assert.Equal(3, ran);
    }
}
