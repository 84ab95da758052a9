using Flywheel.Testing;
using TorchSharp;
using static TorchSharp.torch;

namespace Flywheel.Training.Tests;

[Collection(Alone.Name)]
public sealed class HalfProductsTests
{
    public HalfProductsTests() => TorchLibrary.Load(2);

    /// <summary>The oracle multiplies what is rounded to bfloat16 in double precision.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(127)]
    [InlineData(128)]
    [InlineData(301)]
    public void Of_AnyNumberOfRows_IsTheProductOfTheRounded(int rows)
    {
        using var scope = NewDisposeScope();
        var generator = new Generator(7);
        Tensor a = rand([rows, 48], generator: generator) - 0.5, b = rand([48, 24], generator: generator) - 0.5,
            other = rand([rows, 40], generator: generator) - 0.5;
        Near(Rounded(a).mm(Rounded(b)), HalfProducts.Of(a, b, 128));
        Near(Rounded(a).t().mm(Rounded(other)), HalfProducts.OverRows(a, other, 128));

        static Tensor Rounded(Tensor tensor) => tensor.to(bfloat16).to(float64);

        static void Near(Tensor expected, Tensor actual)
        {
            double error = (expected - actual.to(float64)).abs().max().item<double>(), size = expected.abs().max().item<double>();
            Assert.True(error <= size / 128, $"off by {error} of {size}"); // the product is rounded to bfloat16 once
        }
    }

    /// <summary>
    /// Micro-batches differ in their number of rows, and libtorch keeps a compiled kernel for every shape: a run of hours must not
    /// grow by them.
    /// </summary>
    [Fact]
    public void Of_ManyNumbersOfRows_DoesNotGrow()
    {
        int step = HalfProducts.RowStep(4096);
        using Tensor weight = rand(256, 640), wide = rand(4096, 640), input = rand(4096, 256);
        Multiply(4096); // what comes once
        ProcessMemory.Release();
        long before = ProcessMemory.Resident;
        for (int rows = 3970; rows < 4096; rows += 3) Multiply(rows);
        ProcessMemory.Release();
        long grown = ProcessMemory.Resident - before;
        // Two kernels of 2 MB for each number would be 168 MB; the process itself moves by a few.
        Assert.True(grown < 48 << 20, $"grown by {grown >> 10:N0} KiB over 42 numbers of rows");

        void Multiply(int rows)
        {
            using Tensor x = input.narrow(0, 0, rows), g = wide.narrow(0, 0, rows);
            HalfProducts.Of(x, weight, step).Dispose();
            HalfProducts.OverRows(g, x, step).Dispose();
        }
    }
}
