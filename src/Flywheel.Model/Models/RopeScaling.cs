using System.Text.Json.Nodes;

namespace Flywheel.Model;

/// <summary>How rotary positions are stretched beyond the length that a model was first trained on.</summary>
public enum RopeScalingType
{
    /// <summary>Every frequency is divided by the factor (Chen et al. 2023, arXiv 2306.15595).</summary>
    Linear,

    /// <summary>Low frequencies are divided, high ones kept, those between blended (Llama 3.1; Meta 2024, arXiv 2407.21783).</summary>
    Llama3,

    /// <summary>As Llama3 with a ramp over dimensions, and sharper attention (Peng et al. 2023, arXiv 2309.00071).</summary>
    Yarn,
}

/// <summary>The field <c>rope_scaling</c> of Hugging Face's config.json; names are those of its keys.</summary>
public sealed record RopeScaling
{
    public required RopeScalingType Type { get; init; }

    /// <summary>How much longer texts may be than those that the model was first trained on.</summary>
    public required double Factor { get; init; }

    /// <summary>Length in tokens that the model was first trained on; required by Llama3 and Yarn.</summary>
    public int? OriginalMaxPositions { get; init; }

    /// <summary>Llama3: frequencies that turn fewer times over the original length are divided.</summary>
    public double LowFreqFactor { get; init; } = 1;

    /// <summary>Llama3: frequencies that turn more times over the original length are kept.</summary>
    public double HighFreqFactor { get; init; } = 4;

    /// <summary>Yarn: dimensions that turn more often over the original length are kept.</summary>
    public double BetaFast { get; init; } = 32;

    /// <summary>Yarn: dimensions that turn less often over the original length are divided.</summary>
    public double BetaSlow { get; init; } = 1;

    /// <summary>Yarn: factor of cos and sin; null for the paper's 0.1 ln(factor) + 1.</summary>
    public double? AttentionFactor { get; init; }

    /// <summary>Yarn: with <see cref="MScaleAllDim"/>, another way to state the attention factor (DeepSeek's).</summary>
    public double? MScale { get; init; }

    public double? MScaleAllDim { get; init; }

    /// <summary>Yarn: the ramp's ends are whole dimensions.</summary>
    public bool Truncate { get; init; } = true;

    /// <param name="json">The object of config.json, or null.</param>
    /// <param name="source">Names the file in errors.</param>
    /// <param name="maxPositions">The model's length, which yarn takes as the original one where that is not given.</param>
    /// <exception cref="FlywheelException">Another type than those three, or a field of the wrong type; it is named.</exception>
    internal static RopeScaling? Parse(JsonObject? json, string source, int maxPositions)
    {
        if (json is null) return null;
        string type = Get<string>("rope_type", "a text") ?? Get<string>("type", "a text") ?? "default";
        if (type == "default") return null;
        RopeScalingType known = type switch
        {
            "linear" => RopeScalingType.Linear,
            "llama3" => RopeScalingType.Llama3,
            "yarn" => RopeScalingType.Yarn,
            _ => throw new FlywheelException(
                $"{source}: rope_scaling {json.ToJsonString()} is of type '{type}', which is not supported, expected linear, llama3, yarn or null"),
        };
        var scaling = new RopeScaling
        {
            Type = known,
            Factor = Number("factor") ?? throw new FlywheelException($"{source}: rope_scaling.factor is missing"),
            OriginalMaxPositions = (int?)Number("original_max_position_embeddings")
                ?? (known == RopeScalingType.Yarn ? maxPositions : null),
            AttentionFactor = Number("attention_factor"),
            MScale = Number("mscale"),
            MScaleAllDim = Number("mscale_all_dim"),
            Truncate = json["truncate"] is not JsonValue truncate || !truncate.TryGetValue(out bool given) || given,
        };
        return scaling with
        {
            LowFreqFactor = Number("low_freq_factor") ?? scaling.LowFreqFactor,
            HighFreqFactor = Number("high_freq_factor") ?? scaling.HighFreqFactor,
            BetaFast = Number("beta_fast") ?? scaling.BetaFast,
            BetaSlow = Number("beta_slow") ?? scaling.BetaSlow,
        };

        double? Number(string field) =>
            json[field] is null ? null : json[field] is JsonValue value && value.TryGetValue(out double number)
                ? number : throw Wrong(field, "a number");

        T? Get<T>(string field, string expected) where T : class =>
            json[field] is null ? null : json[field] is JsonValue value && value.TryGetValue(out T? found)
                ? found : throw Wrong(field, expected);

        FlywheelException Wrong(string field, string expected) =>
            new($"{source}: rope_scaling.{field} is {json[field]!.ToJsonString()}, expected {expected}");
    }

    internal JsonObject ToJson()
    {
        var json = new JsonObject { ["rope_type"] = Type.ToString().ToLowerInvariant(), ["factor"] = Factor };
        if (OriginalMaxPositions is { } original) json["original_max_position_embeddings"] = original;
        if (Type == RopeScalingType.Llama3) (json["low_freq_factor"], json["high_freq_factor"]) = (LowFreqFactor, HighFreqFactor);
        if (Type == RopeScalingType.Yarn)
        {
            (json["beta_fast"], json["beta_slow"]) = (BetaFast, BetaSlow);
            if (AttentionFactor is { } attention) json["attention_factor"] = attention;
            if (MScale is { } mScale) json["mscale"] = mScale;
            if (MScaleAllDim is { } all) json["mscale_all_dim"] = all;
            if (!Truncate) json["truncate"] = false;
        }
        return json;
    }

    /// <param name="source">Names the file in errors.</param>
    /// <exception cref="FlywheelException">A value is missing or out of range; it is named.</exception>
    public void Validate(string source)
    {
        Check("factor", Factor, Factor >= 1, "a number of at least 1");
        if (Type == RopeScalingType.Linear) return;
        if (OriginalMaxPositions is not > 0)
            throw new FlywheelException(
                $"{source}: rope_scaling.original_max_position_embeddings is {OriginalMaxPositions?.ToString() ?? "missing"}, expected a positive number");
        if (Type == RopeScalingType.Llama3)
        {
            Check("low_freq_factor", LowFreqFactor, LowFreqFactor > 0, "a positive number");
            Check("high_freq_factor", HighFreqFactor, HighFreqFactor > LowFreqFactor, $"a number above low_freq_factor {LowFreqFactor}");
            return;
        }
        Check("beta_slow", BetaSlow, BetaSlow > 0, "a positive number");
        Check("beta_fast", BetaFast, BetaFast >= BetaSlow, $"a number of at least beta_slow {BetaSlow}");
        foreach ((string name, double? value) in new[] { ("attention_factor", AttentionFactor), ("mscale", MScale),
            ("mscale_all_dim", MScaleAllDim) })
            if (value is { } given) Check(name, given, given > 0, "a positive number");

        void Check(string name, double value, bool holds, string expected)
        {
            if (!holds || !double.IsFinite(value))
                throw new FlywheelException($"{source}: rope_scaling.{name} is {value}, expected {expected}");
        }
    }
}
