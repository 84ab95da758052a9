using Flywheel.Model;

namespace Flywheel.Training.Tests;

/// <summary>
/// The decoder again, in plain C# and double precision, one document at a time and one number at a time: written from the
/// architecture's definition, sharing nothing with the trainer but the names of the tensors.
/// </summary>
internal sealed class PlainDecoder(ModelConfig config, Dictionary<string, double[]> weights)
{
    public static PlainDecoder Copy(DecoderModel model) =>
        new(model.Config,
            model.Config.Tensors().ToDictionary(tensor => tensor.Name,
                tensor => Array.ConvertAll(model.Read(tensor.Name), value => (double)value)));

    public Dictionary<string, double[]> Weights => weights;

    /// <summary>Log-probability of each token but the first, given those before it.</summary>
    public double[] LogProbs(long[] tokens)
    {
        int n = tokens.Length - 1, width = config.HiddenSize;
        var x = new double[n][];
        for (int t = 0; t < n; t++) x[t] = weights["model.embed_tokens.weight"][(int)(tokens[t] * width)..(int)((tokens[t] + 1) * width)];
        for (int layer = 0; layer < config.NumLayers; layer++)
        {
            string prefix = $"model.layers.{layer}.";
            double[][] attention = Attention([.. x.Select(row => Norm(row, prefix + "input_layernorm.weight"))], prefix + "self_attn.");
            for (int t = 0; t < n; t++)
            {
                x[t] = Add(x[t], Multiply(prefix + "self_attn.o_proj.weight", attention[t]));
                double[] h = Norm(x[t], prefix + "post_attention_layernorm.weight");
                double[] gate = Multiply(prefix + "mlp.gate_proj.weight", h), up = Multiply(prefix + "mlp.up_proj.weight", h);
                x[t] = Add(x[t], Multiply(prefix + "mlp.down_proj.weight", [.. gate.Select((g, i) => g / (1 + Math.Exp(-g)) * up[i])]));
            }
        }
        var result = new double[n];
        for (int t = 0; t < n; t++)
        {
            double[] logits = Multiply(config.TieEmbeddings ? "model.embed_tokens.weight" : "lm_head.weight",
                Norm(x[t], "model.norm.weight"));
            double max = logits.Max();
            result[t] = logits[tokens[t + 1]] - max - Math.Log(logits.Sum(logit => Math.Exp(logit - max)));
        }
        return result;
    }

    private double[][] Attention(double[][] h, string prefix)
    {
        int dim = config.HeadDim, group = config.NumHeads / config.NumKvHeads;
        double[][] Project(string kind) =>
            [.. h.Select(row =>
                config.HasQkvBias
                    ? Add(Multiply($"{prefix}{kind}_proj.weight", row),
                        weights[$"{prefix}{kind}_proj.bias"]) : Multiply($"{prefix}{kind}_proj.weight", row))];
        double[][] q = Project("q"), k = Project("k"), v = Project("v");
        double[] Head(double[][] rows, int t, int head, string? norm)
        {
            double[] part = rows[t][(head * dim)..((head + 1) * dim)];
            if (norm is null) return part;
            if (config.HasQkNorm) part = Norm(part, prefix + norm);
            var turned = new double[dim];
            for (int i = 0; i < dim / 2; i++)
            {
                double angle = t * Math.Pow(config.RopeTheta, -2.0 * i / dim);
                turned[i] = part[i] * Math.Cos(angle) - part[i + dim / 2] * Math.Sin(angle);
                turned[i + dim / 2] = part[i + dim / 2] * Math.Cos(angle) + part[i] * Math.Sin(angle);
            }
            return turned;
        }
        return [.. Enumerable.Range(0, h.Length).Select(t => Enumerable.Range(0, config.NumHeads).SelectMany(head =>
        {
            double[] query = Head(q, t, head, "q_norm.weight");
            double[] scores =
                [.. Enumerable.Range(0, t + 1).Select(s => Dot(query, Head(k, s, head / group, "k_norm.weight")) / Math.Sqrt(dim))];
            double max = scores.Max(), sum = scores.Sum(score => Math.Exp(score - max));
            var mixed = new double[dim];
            for (int s = 0; s <= t; s++)
            {
                double[] value = Head(v, s, head / group, null);
                for (int i = 0; i < dim; i++) mixed[i] += Math.Exp(scores[s] - max) / sum * value[i];
            }
            return mixed;
        }).ToArray())];
    }

    private double[] Norm(double[] x, string name)
    {
        double scale = 1 / Math.Sqrt(x.Sum(value => value * value) / x.Length + config.RmsNormEps);
        return [.. x.Select((value, i) => value * scale * weights[name][i])];
    }

    private double[] Multiply(string name, double[] x)
    {
        double[] matrix = weights[name];
        return [.. Enumerable.Range(0, matrix.Length / x.Length).Select(row => Dot(matrix.AsSpan(row * x.Length, x.Length), x))];
    }

    private static double Dot(ReadOnlySpan<double> a, ReadOnlySpan<double> b)
    {
        double sum = 0;
        for (int i = 0; i < a.Length; i++) sum += a[i] * b[i];
        return sum;
    }

    private static double[] Add(double[] a, double[] b) => [.. a.Select((value, i) => value + b[i])];
}
