using System.Text.Json.Nodes;
using Flywheel.Model;

namespace Flywheel.Engine;

/// <summary>How a model is sampled when the request does not say: its <c>generation_config.json</c>.</summary>
public static class SamplingDefaults
{
    /// <exception cref="FlywheelException">A field is out of its range.</exception>
    public static SamplerOptions Read(ModelFolder model)
    {
        JsonObject json = model.ReadGenerationConfig();
        bool greedy = json["do_sample"] is JsonValue sample && sample.TryGetValue(out bool on) && !on;
        return new SamplerOptions
        {
            Temperature = greedy ? 0 : Number("temperature", 1, 0, 2),
            TopK = (int)Number("top_k", 0, 0, int.MaxValue),
            TopP = Number("top_p", 1, 0, 1),
            MinP = Number("min_p", 0, 0, 1),
            RepetitionPenalty = Number("repetition_penalty", 1, 0.01f, 10),
        };

        float Number(string name, float absent, float min, float max) => json[name] switch
        {
            null => absent,
            JsonValue value when value.TryGetValue(out float number) && number >= min && number <= max => number,
            var other =>
                throw new FlywheelException(
                    $"{Path.Combine(model.Path, "generation_config.json")}: field '{name}' is {other.ToJsonString()}, expected a number from {min} to {max}"),
        };
    }
}
