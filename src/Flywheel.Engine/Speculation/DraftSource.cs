using Flywheel.Engine.Kernels;
using Flywheel.Engine.Weights;
using Flywheel.Model;

namespace Flywheel.Engine;

/// <summary>Where the weights of a draft model come from.</summary>
internal sealed record DraftSource(Func<NativeArena, KernelTable, DecoderWeights> Load)
{
    public static DraftSource Of(IWeightFile file, ModelConfig config, WeightFormat format) =>
        new((arena, table) => DecoderWeights.Load(arena, PanelMemory.Fresh(arena), table, config, file, format));

    /// <summary>A token must be the same bytes for both: otherwise every guess is noise.</summary>
    /// <exception cref="FlywheelException">The vocabularies differ.</exception>
    public static void CheckVocabulary(Tokenizer model, Tokenizer draft, string draftPath)
    {
        if (model.VocabSize != draft.VocabSize)
            throw new FlywheelException(
                $"{draftPath}: the draft has {draft.VocabSize} tokens, the model {model.VocabSize}; expected the model's vocabulary");
        for (int id = 0; id < model.VocabSize; id++)
            if (!model.Bytes(id).SequenceEqual(draft.Bytes(id)))
                throw new FlywheelException(
                    $"{draftPath}: token {id} of the draft is '{draft.Decode([id])}', of the model '{model.Decode([id])}'; expected the model's vocabulary");
    }
}
