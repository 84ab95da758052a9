// C hidden, L layers, H query heads, G key/value heads, D head dim, F feed-forward width, V vocabulary, T context.
using Flywheel.Model;

namespace Flywheel.Loop.Planning;

/// <summary>Shapes and what a token costs in them.</summary>
public static class ModelShape
{
    private const int NarrowUnit = 32, WideUnit = 512, Wide = 1024, Widest = 32_768, FeedForwardUnit = 32;

    /// <summary>How much a depth other than the families' costs beside a size other than the wanted one.</summary>
    private const double DepthWeight = 0.2;

    /// <summary>
    /// The shape of a decoder with about so many parameters, embedding included. Depth follows width as in published
    /// families: 64 channels a layer up to C = 768 (GPT-2), 128 from C = 4096 on (Llama).
    /// </summary>
    /// <param name="parameters">Wanted parameters.</param>
    /// <param name="context">T.</param>
    /// <param name="vocab">V; 0 grows it with the model (Tao et al. 2024, arXiv 2407.13623).</param>
    public static ModelConfig For(double parameters, int context, int vocab = 0)
    {
        if (vocab == 0)
            vocab = parameters switch { < 3e6 => 4_096, < 30e6 => 8_192, < 300e6 => 16_384, < 1.5e9 => 32_768, < 15e9 => 65_536,
                _ => 131_072 };
        return Widths().SelectMany(Candidates).MinBy(candidate => candidate.Distance).Config;

        static IEnumerable<int> Widths()
        {
            for (int width = 2 * NarrowUnit; width <= Widest; width += width < Wide ? NarrowUnit : WideUnit) yield return width;
        }

        IEnumerable<(ModelConfig Config, double Distance)> Candidates(int width)
        {
            double usual = width / (64 * Math.Pow(2, Math.Clamp(Math.Log(width / 768.0) / Math.Log(4096 / 768.0), 0, 1)));
            for (int depth = Math.Max(2, (int)(usual / 1.4)); depth <= Math.Max(2, usual * 1.4); depth++)
            {
                ModelConfig config = Of(width, depth);
                yield return (config,
                    Math.Abs(Math.Log(config.NumParameters / parameters)) + DepthWeight * Math.Abs(Math.Log(depth / Math.Max(2, usual))));
            }
        }

        ModelConfig Of(int width, int depth)
        {
            int headDim = width < 256 ? 32 : width < Wide ? 64 : 128, heads = Math.Max(1, width / headDim);
            return new ModelConfig
            {
                HiddenSize = width,
                IntermediateSize = (int)Math.Round(width * 8 / 3.0 / FeedForwardUnit) * FeedForwardUnit,
                NumLayers = depth,
                NumHeads = heads,
                NumKvHeads = heads % 4 == 0 ? heads / 4 : heads % 3 == 0 ? heads / 3 : heads % 2 == 0 ? heads / 2 : heads,
                HeadDim = headDim,
                VocabSize = vocab,
                MaxPositions = context,
                TieEmbeddings = parameters < 1.5e9,
            };
        }
    }

    /// <summary>
    /// Operations to train on one token: two a weight forward and four backward, and causal attention over T / 2 tokens
    /// on average (Kaplan et al. 2020, arXiv 2001.08361, appendix B; the embedding's look-up is none).
    /// </summary>
    public static double TrainingFlops(ModelConfig config, int context)
    {
        double layers = config.NumLayers, attention = 2.0 * config.HiddenSize * config.HeadDim * (config.NumHeads + config.NumKvHeads),
            feedForward = 3.0 * config.HiddenSize * config.IntermediateSize;
        double products = layers * (attention + feedForward) + (double)config.VocabSize * config.HiddenSize;
        return 6 * products + 6 * layers * context * config.NumHeads * config.HeadDim;
    }
}
