using System.Text;
using System.Text.Json.Nodes;

namespace Flywheel.Model;

/// <summary>
/// What a low-rank adapter is (Hu 2021, arXiv 2106.09685): every adapted matrix W [out, in] becomes W + Scale B A with
/// A [r, in] and B [out, r]. Read from and written to PEFT's <c>adapter_config.json</c>.
/// </summary>
public sealed record AdapterConfig
{
    /// <summary>The projections of a layer that can carry an adapter.</summary>
    public static readonly IReadOnlyList<string> Modules = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

    /// <summary>r.</summary>
    public required int Rank { get; init; }

    public required double Alpha { get; init; }

    /// <summary>Scale by alpha / sqrt(r), so that a larger rank does not learn more slowly (Kalajdzievski 2023, arXiv
    /// 2312.03732).</summary>
    public bool RsLora { get; init; }

    /// <summary>Some of <see cref="Modules"/>.</summary>
    public required IReadOnlyList<string> TargetModules { get; init; }

    /// <summary>What the file calls the base: the hash of one of our models, or a name from elsewhere.</summary>
    public string Base { get; init; } = "";

    /// <summary>The base's content hash, where the adapter was made here.</summary>
    public string? BaseHash => Base.Length == 64 && Base.All(char.IsAsciiHexDigitLower) ? Base : null;

    /// <summary>What B A is multiplied by.</summary>
    public float Scale => (float)(RsLora ? Alpha / Math.Sqrt(Rank) : Alpha / Rank);

    /// <param name="text">Content of adapter_config.json.</param>
    /// <param name="path">Names the file in errors.</param>
    /// <exception cref="FlywheelException">A field is missing, of the wrong type, or asks for what is not supported; it is
    /// named.</exception>
    internal static AdapterConfig Parse(string text, string path)
    {
        JsonObject json = JsonText.ParseObject(Encoding.UTF8.GetBytes(text), path);
        FlywheelException Wrong(string field, string expected) =>
            new($"{path}: field '{field}' is {json[field]?.ToJsonString(JsonText.Compact) ?? "missing"}, expected {expected}");
        T Get<T>(string field, string expected) where T : notnull =>
            json[field] is JsonValue value && value.TryGetValue(out T? typed) ? typed : throw Wrong(field, expected);
        bool Flag(string field) => json[field] is not null && Get<bool>(field, "true or false");

        foreach ((string field, string only) in new[] { ("peft_type", "LORA"), ("bias", "none") })
            if (json[field] is not null && Get<string>(field, $"\"{only}\"") != only) throw Wrong(field, $"\"{only}\"");
        foreach (string off in new[] { "use_dora", "fan_in_fan_out", "lora_bias", "use_qalora" })
            if (Flag(off)) throw Wrong(off, "false");
        foreach (string empty in new[] { "rank_pattern", "alpha_pattern", "modules_to_save", "layer_replication" })
            if (json[empty] is not (null or JsonObject { Count: 0 } or JsonArray { Count: 0 }))
                throw Wrong(empty, "nothing: one rank and one alpha for all matrices, and no others trained");
        var config = new AdapterConfig
        {
            Rank = Get<int>("r", "a whole number above 0"),
            Alpha = Get<double>("lora_alpha", "a number above 0"),
            RsLora = Flag("use_rslora"),
            TargetModules = json["target_modules"] switch
            {
                JsonArray list when list.All(item => item is JsonValue value && value.TryGetValue<string>(out _)) =>
                    [.. list.Select(item => item!.GetValue<string>())],
                JsonValue value when value.TryGetValue(out string? all) && all == "all-linear" => Modules,
                _ => throw Wrong("target_modules", $"a list of {NearestName.List(Modules)}"),
            },
            Base = json["base_model_name_or_path"] is null ? "" : Get<string>("base_model_name_or_path", "a text"),
        };
        config.Validate(path);
        return config;
    }

    /// <exception cref="FlywheelException">A value is out of range; the field is named.</exception>
    public void Validate(string source)
    {
        if (Rank <= 0) throw new FlywheelException($"{source}: field 'r' is {Rank}, expected a whole number above 0");
        if (!(Alpha > 0 && double.IsFinite(Alpha)))
            throw new FlywheelException($"{source}: field 'lora_alpha' is {Alpha}, expected a number above 0");
        if (TargetModules.Count == 0)
            throw new FlywheelException($"{source}: field 'target_modules' is empty, expected some of {NearestName.List(Modules)}");
        if (TargetModules.FirstOrDefault(module => !Modules.Contains(module)) is { } unknown)
            throw new FlywheelException(
                $"{source}: field 'target_modules' holds '{unknown}', expected some of {NearestName.List(Modules)}");
    }

    internal string ToJson() => new JsonObject
    {
        ["base_model_name_or_path"] = Base,
        ["bias"] = "none",
        ["fan_in_fan_out"] = false,
        ["inference_mode"] = true,
        ["init_lora_weights"] = true,
        ["lora_alpha"] = Alpha,
        ["lora_dropout"] = 0.0,
        ["modules_to_save"] = null,
        ["peft_type"] = "LORA",
        ["r"] = Rank,
        ["target_modules"] = new JsonArray([.. TargetModules.Select(module => JsonValue.Create(module))]),
        ["task_type"] = "CAUSAL_LM",
        ["use_dora"] = false,
        ["use_rslora"] = RsLora,
    }.ToJsonString(JsonText.Indented) + "\n";
}
