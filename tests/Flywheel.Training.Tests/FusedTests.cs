using Flywheel.Model;
using TorchSharp;
using static TorchSharp.torch;

namespace Flywheel.Training.Tests;

/// <summary>Each fused piece against the same formula in libtorch's own operators: value and every gradient.</summary>
public sealed class FusedTests
{
    public FusedTests()
    {
        TorchLibrary.Load(2);
        random.manual_seed(11);
    }

    [Theory]
    [InlineData(3, 7)]
    [InlineData(700, 96)]
    public void RmsNorm_EqualsComposite(int rows, int channels) => Compare(
        (x, tensors) => (RmsNorm.Forward(x, tensors[1], 1e-6f), g =>
        {
            Tensor dx = ones_like(x); // what is there already is added to
            RmsNorm.Backward(x, tensors[1], g.clone(), dx, 1e-6f);
            return dx - 1;
        }),
        tensors => tensors[0] * (tensors[0].pow(2).mean([-1], true) + 1e-6).rsqrt() * tensors[1],
        randn(rows, channels), randn(channels));

    [Theory]
    [InlineData(3, 5)]
    [InlineData(500, 176)]
    public void SwiGlu_EqualsComposite(int rows, int width) => Compare(
        (x, _) =>
        {
            Tensor y = SwiGlu.Forward(x);
            return (y, g =>
            {
                (Tensor gradient, Tensor again) = (x.clone(), g.clone());
                SwiGlu.Backward(gradient, again);
                Assert.True(y.allclose(again));
                return gradient;
            });
        },
        tensors => nn.functional.silu(tensors[0].narrow(1, 0, width)) * tensors[0].narrow(1, width, width),
        randn(rows, 2 * width));

    [Fact]
    public void TokenEmbedding_EqualsIndexSelect()
    {
        long[] tokens = [4, 0, 4, 9, 4, 1];
        Compare(
            (table, _) => (TokenEmbedding.Forward(table, tokens), g =>
            {
                Tensor gradient = zeros_like(table);
                TokenEmbedding.Backward(g, tokens, gradient);
                return gradient;
            }),
            tensors => tensors[0].index_select(0, tensor(tokens)), randn(10, 6));
    }

    /// <summary>Documents from one token to more than a block of the way back; heads in groups, of every width.</summary>
    [Theory]
    [InlineData(4, 2, 8, true, new long[] { 4, 2, 1 })]
    [InlineData(3, 3, 10, true, new long[] { 70, 7, 130 })]
    [InlineData(4, 1, 6, false, new long[] { 65, 64, 63 })]
    [InlineData(2, 1, 64, true, new long[] { 300, 5 })]
    [InlineData(2, 2, 80, false, new long[] { 101 })]
    public void HeadAttention_EqualsComposite(int heads, int kvHeads, int dim, bool norm, long[] lengths)
    {
        var layout = new HeadLayout(heads, kvHeads, dim, 1e-6f, new RopeTable(TestModels.Tiny with { HeadDim = dim, MaxPositions = 300 }),
            lengths);
        float[] positions = [.. lengths.SelectMany(length => Enumerable.Range(0, (int)length).Select(p => (float)p))];
        Tensor angles = outer(tensor(positions),
            tensor(Enumerable.Range(0, dim / 2).Select(i => (float)Math.Pow(10_000, -2.0 * i / dim)).ToArray()));
        Tensor Turn(Tensor x) // [N, H, D]
        {
            Tensor a = x.narrow(2, 0, dim / 2), b = x.narrow(2, dim / 2, dim / 2), cos = angles.cos().unsqueeze(1),
                sin = angles.sin().unsqueeze(1);
            return cat([a * cos - b * sin, b * cos + a * sin], 2);
        }
        Tensor Normed(Tensor x, Tensor weight) => norm ? x * (x.pow(2).mean([-1], true) + 1e-6).rsqrt() * weight : x;
        Compare(
            (qkv, tensors) =>
            {
                (Tensor? qNorm, Tensor? kNorm) = norm ? (tensors[1], tensors[2]) : (null, null);
                (Tensor y, Tensor logSums) = HeadAttention.Forward(qkv, qNorm, kNorm, layout);
                return (y, g =>
                {
                    Tensor gradient = qkv.clone();
                    HeadAttention.Backward(gradient, qNorm, kNorm, g, logSums, layout);
                    return gradient;
                });
            },
            tensors =>
            {
                Tensor split = tensors[0].view(positions.Length, heads + 2 * kvHeads, dim);
                Tensor Grouped(Tensor x) => x.repeat_interleave(heads / kvHeads, 1);
                Tensor[][] parts =
                    [.. new[] { Turn(Normed(split.narrow(1, 0, heads), tensors[1])),
                        Grouped(Turn(Normed(split.narrow(1, heads, kvHeads), tensors[2]))),
                        Grouped(split.narrow(1, heads + kvHeads, kvHeads)) }.Select(x => x.transpose(0, 1).split(lengths, 1))];
                return cat(
                    [.. lengths.Select((length, i) =>
                        nn.functional.scaled_dot_product_attention(parts[0][i], parts[1][i], parts[2][i], is_casual: true).transpose(0, 1)
                            .reshape(length, heads * dim))], 0);
            },
            randn(positions.Length, (heads + 2 * kvHeads) * dim), randn(dim), randn(dim));
    }

    [Fact]
    public void RmsNorm_OnMoreThreads_GivesTheSameBits()
    {
        using var scope = NewDisposeScope();
        Tensor x = randn(1000, 96), norm = randn(96), g = randn(1000, 96);
        TestModels.AssertThreadsChangeNothing(() =>
        {
            (Tensor weight, Tensor dx) = (norm.clone().requires_grad_(true), zeros_like(x));
            RmsNorm.Backward(x, weight, g.clone(), dx, 1e-6f);
            return [RmsNorm.Forward(x, weight, 1e-6f), dx, weight.grad!];
        });
    }

    [Fact]
    public void HeadAttention_OnMoreThreads_GivesTheSameBits()
    {
        using var scope = NewDisposeScope();
        var layout = new HeadLayout(4, 2, 16, 1e-6f, new RopeTable(TestModels.Tiny with { HeadDim = 16, MaxPositions = 300 }), [90, 3, 40]);
        Tensor qkv = randn(133, 8 * 16), norm = randn(16), g = randn(133, 64);
        TestModels.AssertThreadsChangeNothing(() =>
        {
            (Tensor dx, Tensor qNorm, Tensor kNorm) = (qkv.clone(), norm.clone().requires_grad_(true), norm.clone().requires_grad_(true));
            (Tensor y, Tensor logSums) = HeadAttention.Forward(dx, qNorm, kNorm, layout);
            HeadAttention.Backward(dx, qNorm, kNorm, g, logSums, layout);
            return [y, logSums, dx, qNorm.grad!, kNorm.grad!];
        });
    }

    [Theory]
    [InlineData(5, 9)]
    [InlineData(1100, 300)] // more than two chunks
    public void OutputHead_EqualsCrossEntropy(int rows, int vocabulary)
    {
        long[] targets = [.. Enumerable.Range(0, rows).Select(i => (long)(i * 7 % vocabulary))];
        // negative too, as preference training has them
        float[] weights = [.. Enumerable.Range(0, rows).Select(i => (i % 5 - 1) / (float)rows)];
        Compare(
            (x, tensors) => Head(x, tensors[1], targets, weights, 0),
            tensors =>
                (nn.functional.cross_entropy(tensors[0].mm(tensors[1].t()), tensor(targets), reduction: nn.Reduction.None)
                    * tensor(weights)).sum(),
            randn(rows, 12), randn(vocabulary, 12));
        using var scope = NewDisposeScope();
        Tensor x = randn(rows, 12), w = randn(vocabulary, 12);
        float[] expected = x.mm(w.t()).log_softmax(-1).gather(1, tensor(targets).unsqueeze(1)).squeeze(1).data<float>().ToArray();
        float[] actual = OutputHead.LogProbs(x, w, targets);
        for (int i = 0; i < rows; i++) Assert.Equal(expected[i], actual[i], 1e-4f);
    }

    /// <summary>The penalty on the softmax's denominator, beside weights of both signs.</summary>
    [Fact]
    public void OutputHead_WithZLoss_EqualsComposite()
    {
        long[] targets = [.. Enumerable.Range(0, 600).Select(i => i * 7L % 50)];
        float[] weights = [.. Enumerable.Range(0, 600).Select(i => (i % 3 - 1) / 600f)];
        Compare(
            (x, tensors) => Head(x, tensors[1], targets, weights, 0.3f / 600),
            tensors =>
            {
                Tensor logits = tensors[0].mm(tensors[1].t());
                return (nn.functional.cross_entropy(logits, tensor(targets), reduction: nn.Reduction.None) * tensor(weights)).sum()
                    + 0.3 * logits.logsumexp(1).pow(2).mean();
            },
            randn(600, 12), randn(50, 12));
    }

    [Theory]
    [InlineData(7, false)]
    [InlineData(300, true)]
    public void Projection_WithAdapters_EqualsComposite(int rows, bool everyPart)
    {
        using var scope = NewDisposeScope();
        Tensor weight = randn(20 + 8 + 8, 24);
        Compare(
            (x, tensors) => Project(x, new Projection(weight, null, everyPart
                ? [new LoraPart("q", tensors[1], tensors[2], 0), new LoraPart("k", tensors[3], tensors[4], 20),
                    new LoraPart("v", tensors[5], tensors[6], 28)]
                : [new LoraPart("k", tensors[3], tensors[4], 20)], 1.7f)),
            tensors =>
            {
                Tensor Part(int i) => 1.7 * tensors[0].mm(tensors[i].t()).mm(tensors[i + 1].t());
                Tensor added = everyPart ? cat([Part(1), Part(3), Part(5)], 1) : cat([zeros(rows, 20), Part(3), zeros(rows, 8)], 1);
                return tensors[0].mm(weight.t()) + added;
            },
            randn(rows, 24), randn(3, 24), randn(20, 3), randn(3, 24), randn(8, 3), randn(3, 24), randn(8, 3));
    }

    [Fact]
    public void Projection_WithBiasAndResidual_EqualsComposite()
    {
        using var scope = NewDisposeScope();
        Tensor residual = randn(50, 30);
        Compare(
            (x, tensors) => Project(x, new Projection(tensors[1], tensors[2]), residual),
            tensors => residual + tensors[0].mm(tensors[1].t()) + tensors[2],
            randn(50, 24), randn(30, 24), randn(30));
    }

    /// <summary>Mixed precision rounds factors to 8 bits: the result stays within that of the exact one.</summary>
    [Fact]
    public void Projection_InHalfPrecision_StaysWithinBfloat16Rounding()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor x = randn(40, 64), w = randn(24, 64).requires_grad_(true), g = randn(40, 24);
        var projection = new Projection(w, HalfStep: 16);
        Tensor y = projection.Forward(x);
        projection.Learn(x, g);
        Close(x.mm(w.t()), y, 0.02 * 8);
        Close(g.mm(w), projection.InputGradient(g), 0.02 * 5);
        Close(g.t().mm(x), w.grad!, 0.02 * 6.5);
        Assert.Equal(ScalarType.Float32, y.dtype);

        static void Close(Tensor expected, Tensor actual, double tolerance) =>
            Assert.InRange((expected - actual).abs().max().item<float>(), 0, tolerance);
    }

    private static (Tensor, Func<Tensor, Tensor>) Project(Tensor x, Projection projection, Tensor? residual = null) =>
        (projection.Forward(x, residual), g =>
    {
        projection.Learn(x, g);
        return projection.InputGradient(g);
    });

    /// <summary>The loss's gradients come with it, for an upstream gradient of 1.</summary>
    private static (Tensor, Func<Tensor, Tensor>) Head(Tensor x, Tensor matrix, long[] targets, float[] weights, float zWeight)
    {
        (double loss, Tensor dx, Tensor? dMatrix) =
            OutputHead.Learn(x, matrix, targets, weights, zWeight, new float[targets.Length], half: false);
        return (tensor((float)loss), _ =>
        {
            Gradient.Add(matrix, dMatrix!);
            return dx;
        });
    }

    /// <param name="fused">Takes the first input and all of them; gives the value, and what its gradient does to the first input's, the
    /// others collecting theirs.</param>
    /// <param name="composite">The same from libtorch's operators, which differentiates it.</param>
    /// <param name="inputs">Of both.</param>
    private static void Compare(Func<Tensor, Tensor[], (Tensor Value, Func<Tensor, Tensor> Back)> fused, Func<Tensor[], Tensor> composite,
        params Tensor[] inputs)
    {
        using var scope = NewDisposeScope();
        Tensor[] Leaves() => [.. inputs.Select(input => input.clone().requires_grad_(true))];
        Tensor[] leaves = Leaves();
        // randn_like follows the strides
        Tensor expected = composite(leaves).contiguous(), g = expected.dim() == 0 ? ones_like(expected) : randn_like(expected);
        expected.backward([g]);
        Tensor[] learnt = Leaves();
        using var noGrad = no_grad();
        (Tensor value, Func<Tensor, Tensor> back) = fused(learnt[0].detach(), learnt);
        Close("value", expected, value);
        Close("gradient 0", leaves[0].grad!, back(g));
        for (int i = 1; i < inputs.Length; i++)
            // none: the norms of a layout without them
            Close($"gradient {i}", leaves[i].grad ?? zeros_like(leaves[i]), learnt[i].grad ?? zeros_like(learnt[i]));

        static void Close(string what, Tensor expected, Tensor actual)
        {
            Assert.Equal(expected.shape, actual.shape);
            double difference = (expected - actual).abs().max().item<float>(), scale = Math.Max(1, expected.abs().max().item<float>());
            Assert.True(difference < 2e-5 * scale, $"{what}: largest difference {difference:g3} at scale {scale:g3}");
        }
    }
}
