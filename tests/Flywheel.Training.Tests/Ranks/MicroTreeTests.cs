using TorchSharp;
using static TorchSharp.torch;

namespace Flywheel.Training.Tests;

public sealed class MicroTreeTests
{
    [Theory]
    [InlineData(1, "0")]
    [InlineData(2, "(0+1)")]
    [InlineData(3, "((0+1)+2)")]
    [InlineData(6, "(((0+1)+(2+3))+(4+5))")]
    [InlineData(7, "(((0+1)+(2+3))+((4+5)+6))")]
    public void Sum_OfSomeMicroBatches_IsTheWrittenTree(int numMicros, string expected) => Assert.Equal(expected, SumOver(numMicros, 1));

    /// <summary>The brackets are the same however many ranks share the work.</summary>
    [Fact]
    public void Sum_OnAnyNumberOfRanks_IsTheSameTree()
    {
        for (int numMicros = 1; numMicros <= 40; numMicros++)
            for (int ranks = 2; ranks <= 9; ranks++) Assert.Equal(SumOver(numMicros, 1), SumOver(numMicros, ranks));
    }

    /// <summary>An even share of a power of two costs one partial sum a rank: no more is exchanged than in any all-reduce.</summary>
    [Theory]
    [InlineData(8, 4)]
    [InlineData(16, 2)]
    [InlineData(4, 4)]
    public void Nodes_OfEvenShares_AreOneARank(int numMicros, int ranks) =>
    Assert.All(Enumerable.Range(0, ranks), rank => Assert.Single(MicroTree.Nodes(numMicros, rank, ranks)));

    /// <summary>What a rank does with its gradients in memory is what the tree says, to the bit.</summary>
    [Fact]
    public void GradientExchange_OfManyMicroBatches_AddsInTheOrderOfTheTree()
    {
        TorchLibrary.Load(2);
        for (int numMicros = 1; numMicros <= 13; numMicros++)
        {
            using var scope = NewDisposeScope();
            var random = new SeededRandom(7, (ulong)numMicros);
            Parameter[] parameters = [new("matrix", zeros(5, 7, requires_grad: true)), new("gain", zeros(3, requires_grad: true))];
            float[][] micros =
                [.. Enumerable.Range(0, numMicros).Select(_ => Enumerable.Range(0, 38).Select(_ => (float)random.NextNormal()).ToArray())];
            using var exchange = new GradientExchange(parameters, new SingleRank());
            for (int repeat = 0; repeat < 2; repeat++)
            {
                exchange.Begin(numMicros);
                for (int micro = 0; micro < numMicros; micro++)
                {
                    parameters[0].Tensor.grad!.add_(tensor(micros[micro][..35]).view(5, 7));
                    parameters[1].Tensor.grad!.add_(tensor(micros[micro][35..]));
                    exchange.Add(micro);
                }
                double norm = exchange.Sum();
                float[] actual = [.. parameters[0].Tensor.grad!.data<float>(), .. parameters[1].Tensor.grad!.data<float>()];
                var parts = MicroTree.Nodes(numMicros, 0, numMicros)
                    .Concat(Enumerable.Range(1, numMicros - 1).SelectMany(rank => MicroTree.Nodes(numMicros, rank, numMicros)))
                    .ToDictionary(node => node, node => (float[])micros[node.Index].Clone());
                float[] expected = MicroTree.Sum(numMicros, parts, (to, from) =>
                {
                    for (int i = 0; i < to.Length; i++) to[i] += from[i];
                });
                Assert.Equal(expected, actual);
                Assert.Equal(Math.Sqrt(expected.Sum(value => (double)value * value)), norm, 1e-5);
            }
        }
    }

    private static string SumOver(int numMicros, int ranks)
    {
        Dictionary<MicroNode, Text> parts = [];
        for (int rank = 0; rank < ranks; rank++)
            foreach (MicroNode node in MicroTree.Nodes(numMicros, rank, ranks)) parts.Add(node, new Text(Local(node)));
        return MicroTree.Sum(numMicros, parts, (to, from) => to.Value = $"({to.Value}+{from.Value})").Value;

        static string Local(MicroNode node)
        {
            if (node.Level == 0) return $"{node.Index}";
            MicroNode left = new(node.Level - 1, node.Index * 2);
            return $"({Local(left)}+{Local(left with { Index = left.Index + 1 })})";
        }
    }

    private sealed record Text(string Initial)
    {
        public string Value { get; set; } = Initial;
    }
}
