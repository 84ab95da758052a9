using Flywheel.Testing;
using TorchSharp;
using static TorchSharp.torch;

namespace Flywheel.Training.Tests;

[Collection(Alone.Name)]
public sealed class ArenaTests
{
    public ArenaTests() => TorchLibrary.Load(2);

    /// <summary>Pieces of changing sizes that live and die in no order: none overlaps another, and nothing piles up.</summary>
    [Fact]
    public void Empty_OverManyRounds_NeitherOverlapsNorGrows()
    {
        var random = new Random(4);
        long before = Arena.Taken;
        for (int round = 0; round < 60; round++)
        {
            using var others = NewDisposeScope(); // what indexing makes
            List<(Tensor Piece, float Mark)> live = [];
            for (int i = 0; i < 80; i++)
            {
                if (live.Count > 0 && random.Next(3) == 0)
                {
                    int at = random.Next(live.Count);
                    (Tensor piece, float mark) = live[at];
                    Assert.Equal(mark, piece[0, 0].item<float>());
                    Assert.Equal(mark, piece[-1, -1].item<float>());
                    live.RemoveAt(at);
                    piece.Dispose();
                }
                Tensor made = Arena.Empty(random.Next(40, 400), random.Next(400, 700)).fill_(i);
                live.Add((made, i));
            }
            foreach ((Tensor piece, float mark) in live)
            {
                Assert.Equal(mark, piece.min().item<float>());
                Assert.Equal(mark, piece.max().item<float>());
                piece.Dispose();
            }
            // 80 pieces of at most 1.1 MB: the highest that any round may reach, whatever was freed where.
            Assert.InRange(Arena.HighWater, 1, 80 * 400 * 700 * sizeof(float));
            others.Dispose();
            Assert.Equal(before, Arena.Taken);
        }
    }

    [Fact]
    public void GiveBack_AfterUse_LeavesNothingResident()
    {
        long before = ProcessMemory.Resident;
        using (Tensor large = Arena.Zeros(64 << 10, 1 << 10)) Assert.InRange(ProcessMemory.Resident - before, 200L << 20, 400L << 20);
        Arena.GiveBack();
        Assert.InRange(ProcessMemory.Resident - before, -(64L << 20), 64L << 20);
    }

    /// <summary>A tensor that others made a view of keeps its memory until the view is gone.</summary>
    [Fact]
    public void Empty_WithAViewOfIt_LivesAsLongAsTheView()
    {
        using var scope = NewDisposeScope();
        Tensor first = Arena.Empty(200, 200), view = first.narrow(0, 100, 100);
        first.fill_(7).Dispose();
        first.Dispose();
        Arena.Empty(200, 200).fill_(8);
        Assert.Equal(7, view.min().item<float>());
    }
}
