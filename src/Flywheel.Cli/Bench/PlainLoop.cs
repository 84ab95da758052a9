// B sequences, T tokens each, C channels, H heads, D head dim, F feed-forward width, V vocabulary.
using Flywheel.Model;
using Flywheel.Training;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using Tensor = TorchSharp.torch.Tensor;

namespace Flywheel.Cli.Bench;

/// <summary>
/// The same decoder as one writes it with TorchSharp alone: norm, rotary positions and SwiGLU from small operators, logits of
/// the whole batch, and the library's AdamW. What <see cref="TrainingBenchmark"/> measures ours against.
/// </summary>
internal sealed class PlainLoop : IDisposable
{
    private readonly ModelConfig _config;
    private readonly Embedding _table;
    private readonly Tensor _finalNorm, _cos, _sin;
    private readonly Layer[] _layers;
    private readonly TorchSharp.Modules.AdamW _optimizer;

    private sealed record Layer(Tensor InputNorm, Tensor Qkv, Tensor Output, Tensor PostNorm, Tensor GateUp, Tensor Down);

    public PlainLoop(ModelConfig config, double learningRate)
    {
        _config = config;
        List<TorchSharp.Modules.Parameter> parameters = [];
        Tensor Add(params long[] shape)
        {
            var parameter = new TorchSharp.Modules.Parameter(shape.Length == 1 ? ones(shape) : randn(shape) * 0.02);
            parameters.Add(parameter);
            return parameter;
        }
        (long channels, long width, long heads) = (config.HiddenSize, config.IntermediateSize, (long)config.NumHeads * config.HeadDim);
        _table = nn.Embedding(config.VocabSize, channels);
        _table.weight = (TorchSharp.Modules.Parameter)Add(config.VocabSize, channels);
        _layers =
            [.. Enumerable.Range(0, config.NumLayers)
                .Select(_ => new Layer(Add(channels), Add(3 * heads, channels), Add(channels, heads), Add(channels),
                    Add(2 * width, channels), Add(channels, width)))];
        _finalNorm = Add(channels);
        Tensor angles = outer(arange(0, config.MaxPositions, ScalarType.Float32),
            pow((double)config.RopeTheta, arange(0, config.HeadDim / 2, ScalarType.Float32) * (-2.0 / config.HeadDim)));
        (_cos, _sin) = (angles.cos().contiguous(), angles.sin().contiguous());
        _optimizer = optim.AdamW(parameters, lr: learningRate, beta1: 0.9, beta2: 0.95, weight_decay: 0.1);
    }

    /// <summary>One optimiser step; returns its mean loss.</summary>
    /// <param name="sequences">Each T + 1 tokens.</param>
    /// <param name="atOnce">Sequences that go through the model together; the gradients of the rest are added.</param>
    public double Step(long[][] sequences, int atOnce)
    {
        double sum = 0;
        _optimizer.zero_grad();
        foreach (long[][] batch in sequences.Chunk(atOnce))
        {
            using var scope = NewDisposeScope();
            Tensor tokens = tensor(batch.SelectMany(sequence => sequence).ToArray(), [batch.Length, batch[0].Length]);
            Tensor loss =
                Loss(tokens.narrow(1, 0, batch[0].Length - 1), tokens.narrow(1, 1, batch[0].Length - 1))
                    * (batch.Length / (double)sequences.Length);
            loss.backward();
            sum += loss.item<float>();
        }
        nn.utils.clip_grad_norm_(_optimizer.parameters(), 1.0);
        _optimizer.step();
        return sum;
    }

    private Tensor Loss(Tensor inputs, Tensor targets)
    {
        (long b, long t) = (inputs.shape[0], inputs.shape[1]);
        Tensor x = _table.call(inputs); // [B, T, C]
        foreach (Layer layer in _layers)
        {
            // [3, B, H, T, D]
            Tensor qkv = nn.functional.linear(Norm(x, layer.InputNorm), layer.Qkv).view(b, t, 3, _config.NumHeads, _config.HeadDim)
                .permute(2, 0, 3, 1, 4);
            Tensor mixed = nn.functional.scaled_dot_product_attention(Turn(qkv[0]), Turn(qkv[1]), qkv[2], is_casual: true);
            x = x + nn.functional.linear(mixed.transpose(1, 2).reshape(b, t, -1), layer.Output);
            Tensor[] gateUp = nn.functional.linear(Norm(x, layer.PostNorm), layer.GateUp).chunk(2, -1);
            x = x + nn.functional.linear(nn.functional.silu(gateUp[0]) * gateUp[1], layer.Down);
        }
        Tensor logits = nn.functional.linear(Norm(x, _finalNorm), _table.weight!).view(b * t, -1); // [B T, V]
        return nn.functional.cross_entropy(logits, targets.reshape(-1));
    }

    private Tensor Norm(Tensor x, Tensor weight) => x * (x.pow(2).mean([-1], true) + _config.RmsNormEps).rsqrt() * weight;

    private Tensor Turn(Tensor x)
    {
        (long t, long half) = (x.shape[2], x.shape[3] / 2);
        Tensor a = x.narrow(3, 0, half), b = x.narrow(3, half, half), cos = _cos.narrow(0, 0, t), sin = _sin.narrow(0, 0, t);
        return cat([a * cos - b * sin, b * cos + a * sin], -1);
    }

    public void Dispose()
    {
        _optimizer.Dispose();
        _table.Dispose();
    }
}
