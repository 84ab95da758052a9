using Flywheel.Model;

namespace Flywheel.Testing;

/// <summary>Whole model folders with random weights: milliseconds to make, and all the rest of the system is real.</summary>
internal static class TinyModel
{
    /// <param name="folder">Folder of models.</param>
    /// <param name="seed">Other seeds give other weights, hence other hashes.</param>
    /// <param name="context">Longest text in tokens.</param>
    /// <param name="name">Of the model.</param>
    /// <param name="tokenizer">Its own; null trains one.</param>
    /// <param name="codec">File of a codec of pictures that goes with it.</param>
    /// <param name="endless">Its answers end at their longest only: all tokens' logits are large, those of its ends are 0.</param>
    public static ModelFolder Create(string folder, int seed = 1, int context = 256, string? name = null, Tokenizer? tokenizer = null,
        bool endless = false, string? codec = null)
    {
        tokenizer ??= Tokenizer.Train(["Write a tagline. The wheel turns and turns; write, keep, edit, discard.",
            "die Räder drehen sich — 轮子在转 😀"], 320);
        var config = new ModelConfig
        {
            HiddenSize = 32,
            IntermediateSize = 64,
            NumLayers = 2,
            NumHeads = 2,
            NumKvHeads = 1,
            HeadDim = 32,
            VocabSize = tokenizer.VocabSize,
            MaxPositions = context,
            TieEmbeddings = !endless,
            EosTokenIds =
                [.. new[] { Tokenizer.MessageEnd, Tokenizer.EndOfText }.Where(tokenizer.SpecialTokens.ContainsKey)
                    .Select(token => tokenizer.SpecialTokens[token]).DefaultIfEmpty(0)],
        };
        var random = new Random(seed);
        Dictionary<string, float[]> weights = config.Tensors()
            .ToDictionary(tensor => tensor.Name, tensor => Values(tensor.Name, tensor.Shape));
        if (endless)
        {
            float[] head = weights["lm_head.weight"];
            for (int i = 0; i < head.Length; i++) head[i] *= config.EosTokenIds.Contains(i / config.HiddenSize) ? 0 : 40;
        }
        return ModelFolder.Create(folder, config, tokenizer, TensorType.F32, tensor => weights[tensor],
            new ModelManifest { Name = name ?? $"tiny-{seed}", Created = DateTimeOffset.UnixEpoch }, codec: codec);

        float[] Values(string tensor, long[] shape)
        {
            float[] values = new float[shape.Aggregate((a, b) => a * b)];
            bool norm = tensor.EndsWith("norm.weight", StringComparison.Ordinal);
            for (int i = 0; i < values.Length; i++) values[i] = norm ? 1 : (float)(random.NextDouble() - 0.5) * 0.5f;
            return values;
        }
    }
}
