using System.Numerics.Tensors;
using Flywheel.Model;
using Microsoft.Extensions.AI;

namespace Flywheel.Engine.Chat;

/// <summary>An engine as Microsoft.Extensions.AI's embedding generator, in process: vectors of length 1.</summary>
/// <param name="engine">Reads the texts; it stays its owner's to dispose.</param>
/// <param name="pooling">How a text's states become one vector.</param>
public sealed class EngineEmbeddingGenerator(InferenceEngine engine, Pooling pooling = Pooling.Mean)
    : IEmbeddingGenerator<string, Embedding<float>>
{
    private readonly EmbeddingGeneratorMetadata _metadata = new("flywheel", null, EngineChatClient.NameOf(engine.Model),
        engine.Model.Config.HiddenSize);

    /// <exception cref="FlywheelException">A text is empty or too long, or the options ask for what is not there.</exception>
    /// <exception cref="QueueFullException">Too many wait.</exception>
    public async Task<GeneratedEmbeddings<Embedding<float>>> GenerateAsync(IEnumerable<string> values,
        EmbeddingGenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(values);
        int size = engine.Model.Config.HiddenSize, dimensions = options?.Dimensions ?? size;
        if (dimensions < 1 || dimensions > size) throw new FlywheelException($"dimensions is {dimensions}, expected 1 to {size}");
        string? adapter = EngineChatClient.AdapterOf(engine, options?.ModelId);
        int[][] texts = [.. values.Select(text => engine.Model.Tokenizer.EncodeWhole(text))];
        float[][] vectors =
            await Task.WhenAll(texts.Select(text => engine.EmbedAsync(text, pooling, adapter: adapter, cancellation: cancellationToken)))
                .ConfigureAwait(false);
        int count = texts.Sum(text => text.Length);
        return new GeneratedEmbeddings<Embedding<float>>(vectors.Select(Embedded))
            { Usage = new UsageDetails { InputTokenCount = count, TotalTokenCount = count } };

        Embedding<float> Embedded(float[] vector)
        {
            float[] cut = vector[..dimensions];
            if (dimensions < size) TensorPrimitives.Divide(cut, Math.Max(TensorPrimitives.Norm(cut), float.Epsilon), cut);
            return new Embedding<float>(cut) { ModelId = adapter ?? _metadata.DefaultModelId };
        }
    }

    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(serviceType);
        return serviceKey is not null ? null
            : serviceType == typeof(EmbeddingGeneratorMetadata) ? _metadata
            : serviceType.IsInstanceOfType(this) ? this
            : serviceType.IsInstanceOfType(engine) ? engine
            : null;
    }

    public void Dispose()
    {
        // the engine is not ours
    }
}
