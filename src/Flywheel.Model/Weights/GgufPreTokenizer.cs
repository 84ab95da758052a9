using System.Text.Json.Nodes;

namespace Flywheel.Model;

/// <summary>
/// tokenizer.ggml.pre: llama.cpp's names of ways to cut text into words (ggml-org/llama.cpp, src/llama-vocab.cpp), and
/// tokenizer.json's pre_tokenizer for each, as its first model published it.
/// </summary>
internal static class GgufPreTokenizer
{
    private const string Contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)", Spaces = @"\s*[\r\n]+|\s+(?!\S)|\s+";
    private const string Upper = @"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", Lower = @"[\p{Ll}\p{Lm}\p{Lo}\p{M}]", Before = @"[^\r\n\p{L}\p{N}]?";
    private const string Gpt2 = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    private static readonly string s_llama3 = SplitPattern.Qwen.Replace(@"|\p{N}|", @"|\p{N}{1,3}|", StringComparison.Ordinal);

    /// <summary>Of several names for the same the first is the one that is written.</summary>
    private static readonly Entry[] s_known =
    [
        new(["qwen2", "deepseek-r1-qwen", "megrez", "stablelm2", "hunyuan", "grok-2"], Split(SplitPattern.Qwen)),
        new(["llama-bpe", "llama3", "llama-v3", "falcon3", "pixtral"], Split(s_llama3), IgnoreMerges: true),
        new(["smaug-bpe", "dbrx", "glm4", "chatglm-bpe"], Split(s_llama3)),
        new(["gpt-4o", "llama4", "kanana2"],
            Split($@"{Before}{Upper}*{Lower}+{Contractions}?|{Before}{Upper}+{Lower}*{Contractions}?|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{Spaces}")),
        new(["tekken"], Split($@"{Before}{Upper}*{Lower}+|{Before}{Upper}+{Lower}*|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{Spaces}"),
            IgnoreMerges: true),
        new(["qwen35"], Split($@"{Contractions}|{Before}[\p{{L}}\p{{M}}]+|\p{{N}}| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*|{Spaces}")),
        new(["deepseek-v3", "hunyuan-dense"], Split(@"\p{N}{1,3}", "[一-龥\u3040-ゟ゠-ヿ]+",
            "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+")),
        new(["deepseek-coder"], [SplitStep("[\r\n]"), SplitStep(@"\s?\p{L}+"), SplitStep(@"\s?\p{P}+"), SplitStep("[一-龥ࠀ-一가-\uD7FF]+"),
            Digits(), ByteLevel(useRegex: false)]),
        new(["seed-coder"], Split($@"{Contractions}|{Before}\p{{L}}+|\p{{N}}{{1}}| ?[^\s\p{{L}}\p{{N}}\r\n]+|{Spaces}")),
        new(["smollm", "starcoder", "refact", "command-r", "codeshell"], [Digits(), ByteLevel(useRegex: true)]),
        new(["gpt-2", "phi-2", "mpt", "olmo", "gigachat"], [ByteLevel(useRegex: true)]),
        new(["gpt-2"], Split(Gpt2)),
        // what files from before the key was there get
        new(["default"], Split(@"[\p{P}\$\+<=>\^~\|]+", Gpt2, @"\p{N}+", "[0-9][0-9][0-9]")),
    ];

    /// <param name="Names">llama.cpp's.</param>
    /// <param name="Steps">tokenizer.json's.</param>
    /// <param name="IgnoreMerges">A word that is a token is that token, whatever the merges make of it.</param>
    private sealed record Entry(string[] Names, JsonArray Steps, bool IgnoreMerges = false);

    public static IEnumerable<string> Names => s_known.SelectMany(entry => entry.Names).Distinct();

    /// <exception cref="FlywheelException">The name is not known; it is named.</exception>
    public static (JsonArray Steps, bool IgnoreMerges) Named(string name, string source) =>
        s_known.FirstOrDefault(entry => entry.Names.Contains(name)) is { } found ? (found.Steps, found.IgnoreMerges)
            : throw new FlywheelException(
                $"{source}: tokenizer.ggml.pre is '{name}', which is not supported; supported are {NearestName.List([.. Names])}");

    /// <exception cref="FlywheelException">llama.cpp has no such pre-tokenizer.</exception>
    public static string NameOf(JsonNode json, string path)
    {
        JsonNode? node = json["pre_tokenizer"];
        JsonArray steps = node?["pretokenizers"] as JsonArray ?? [node?.DeepClone()];
        bool ignoreMerges = json["model"]?["ignore_merges"]?.GetValue<bool>() == true;
        Entry[] fitting =
            [.. s_known.Where(entry => steps.Count == entry.Steps.Count
                && steps.Zip(entry.Steps).All(pair => Same(pair.First, pair.Second)))];
        // A vocabulary that has no word beside its merges is cut the same either way (GPT-4o's pattern with and without the flag).
        return (fitting.FirstOrDefault(entry => entry.IgnoreMerges == ignoreMerges) ?? fitting.FirstOrDefault())?.Names[0]
            ?? throw new FlywheelException(
                $"{path}: llama.cpp has no name for the pre_tokenizer {node?.ToJsonString() ?? "null"}; known are those of {NearestName.List([.. Names])}");

        // trim_offsets and the like change no ids.
        static bool Same(JsonNode? a, JsonNode? b) =>
            Text(a, "type") == Text(b, "type") && Text(a, "pattern") == Text(b, "pattern")
                && Text(a, "individual_digits") == Text(b, "individual_digits")
            && Text(a, "add_prefix_space") == Text(b, "add_prefix_space")
            && (Text(a, "use_regex") ?? "true") == (Text(b, "use_regex") ?? "true") && KeepsAll(a) == KeepsAll(b);

        static string? Text(JsonNode? node, string field) => node?[field]?.ToJsonString();

        // A pattern that matches every character may as well say that what it does not match is removed.
        static bool KeepsAll(JsonNode? step) =>
            (step?["behavior"]?.GetValue<string>(), step?["invert"]?.GetValue<bool>() == true) is (null or "Isolated", _) or ("Removed",
                true);
    }

    public static JsonObject ByteLevel(bool useRegex) =>
        new() { ["type"] = "ByteLevel", ["add_prefix_space"] = false, ["trim_offsets"] = true, ["use_regex"] = useRegex };

    private static JsonObject Digits() => new() { ["type"] = "Digits", ["individual_digits"] = true };

    private static JsonArray Split(params string[] patterns) => [.. patterns.Select(SplitStep), ByteLevel(useRegex: false)];

    private static JsonObject SplitStep(string pattern) =>
        new() { ["type"] = "Split", ["pattern"] = new JsonObject { ["Regex"] = pattern }, ["behavior"] = "Isolated", ["invert"] = false };
}
