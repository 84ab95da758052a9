// How llama.cpp keeps a tokenizer (ggml-org/llama.cpp, src/llama-vocab.cpp), against Hugging Face's tokenizer.json:
//   tokenizer.ggml.model       "gpt2": byte-level BPE        "llama": SentencePiece with byte fallback
//   tokenizer.ggml.pre         byte-level: which way of cutting text into words
//   tokenizer.ggml.tokens      text of each id               tokenizer.ggml.token_type  what kind each is
//   tokenizer.ggml.merges      byte-level: "a b" by rank     tokenizer.ggml.scores      SentencePiece: what is merged first
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Flywheel.Model;

/// <summary>A tokenizer as GGUF metadata, from tokenizer.json and back.</summary>
internal static class GgufTokenizer
{
    private const string Space = "\u2581", Prefix = "tokenizer.ggml.";

    private enum Kind { Normal = 1, Unknown = 2, Control = 3, UserDefined = 4, Unused = 5, Byte = 6 }

    /// <summary>Adds the keys for a model's tokenizer and chat template.</summary>
    /// <exception cref="FlywheelException">llama.cpp has no such tokenizer.</exception>
    public static void Write(ModelFolder model, GgufMetadata metadata)
    {
        string path = Path.Combine(model.Path, "tokenizer.json");
        JsonNode json = JsonNode.Parse(File.ReadAllBytes(path))!;
        JsonNode bpe = json["model"]!;
        var vocab = bpe["vocab"]!.AsObject().ToDictionary(entry => entry.Key, entry => entry.Value!.GetValue<int>(),
            StringComparer.Ordinal);
        bool sentencePiece = bpe["byte_fallback"]?.GetValue<bool>() == true;
        int size = model.Config.VocabSize;
        string[] tokens = [.. Enumerable.Range(0, size).Select(id => $"[PAD{id}]")];
        int[] kinds = new int[size];
        Array.Fill(kinds, (int)Kind.Unused);
        foreach ((string token, int id) in vocab) Set(id, token, sentencePiece && IsByte(token) ? Kind.Byte : Kind.Normal);
        foreach (JsonNode? added in json["added_tokens"]?.AsArray() ?? [])
            Set(added!["id"]!.GetValue<int>(), added["content"]!.GetValue<string>(),
                added["special"]?.GetValue<bool>() == true ? Kind.Control : Kind.UserDefined);
        string[] merges =
            [.. bpe["merges"]!.AsArray().Select(merge => merge is JsonArray pair ? $"{pair[0]} {pair[1]}" : merge!.GetValue<string>())];
        int? unknown = bpe["unk_token"]?.GetValue<string>() is { } unk && vocab.TryGetValue(unk, out int unkId) ? unkId : null;
        if (unknown is { } known) kinds[known] = (int)Kind.Unknown;

        metadata.Add(Prefix + "model", sentencePiece ? "llama" : "gpt2");
        metadata.Add(Prefix + "pre", sentencePiece ? "default" : GgufPreTokenizer.NameOf(json, path));
        metadata.Add(Prefix + "tokens", tokens);
        if (sentencePiece) metadata.Add(Prefix + "scores", Scores(tokens, merges));
        metadata.Add(Prefix + "token_type", kinds);
        if (!sentencePiece) metadata.Add(Prefix + "merges", merges);
        if (model.Config.BosTokenId is { } bos) metadata.Add(Prefix + "bos_token_id", (uint)bos);
        foreach ((int i, string name) in new[] { "eos", "eot", "eom" }.Index())
            if (i < model.Config.EosTokenIds.Count) metadata.Add($"{Prefix}{name}_token_id", (uint)model.Config.EosTokenIds[i]);
        if (unknown is { } id0) metadata.Add(Prefix + "unknown_token_id", (uint)id0);
        metadata.Add(Prefix + "add_bos_token", BeginsWithBos(json));
        metadata.Add(Prefix + "add_eos_token", false);
        if (sentencePiece)
            metadata.Add(Prefix + "add_space_prefix",
                json["normalizer"]?["normalizers"]?.AsArray().Any(step => step?["type"]?.GetValue<string>() == "Prepend") == true);
        if (model.ReadChatTemplate() is { } template) metadata.Add("tokenizer.chat_template", template);

        void Set(int id, string token, Kind kind)
        {
            if (id >= size) throw new FlywheelException($"{path}: '{token}' has id {id}, but the model has {size} ids");
            (tokens[id], kinds[id]) = (token, (int)kind);
        }
    }

    /// <summary>A tokenizer.json of the same tokenizer.</summary>
    /// <exception cref="FlywheelException">A key is missing, or the tokenizer is of another kind; it is named.</exception>
    public static byte[] Read(GgufMetadata metadata)
    {
        string model = metadata.RequireText(Prefix + "model");
        if (model is not ("gpt2" or "llama"))
            throw new FlywheelException(
                $"{metadata.Source}: tokenizer.ggml.model is '{model}', which is not supported; supported are gpt2 (byte-level BPE) and llama (SentencePiece BPE)");
        bool sentencePiece = model == "llama";
        string[] tokens = metadata.Texts(Prefix + "tokens") ?? throw metadata.Missing(Prefix + "tokens");
        int[] kinds = metadata.Integers(Prefix + "token_type") ?? throw metadata.Missing(Prefix + "token_type");
        if (kinds.Length != tokens.Length)
            throw new FlywheelException(
                $"{metadata.Source}: {Prefix}token_type has {kinds.Length} entries, {Prefix}tokens {tokens.Length}");
        var vocab = new JsonObject();
        var ids = new Dictionary<string, int>(StringComparer.Ordinal);
        var added = new JsonArray();
        for (int id = 0; id < tokens.Length; id++)
        {
            var kind = (Kind)kinds[id];
            if (kind == Kind.Unused) continue;
            if (!ids.TryAdd(tokens[id], id))
                throw new FlywheelException($"{metadata.Source}: {Prefix}tokens has '{tokens[id]}' twice, as {ids[tokens[id]]} and {id}");
            vocab[tokens[id]] = id;
            if (kind is Kind.Control or Kind.UserDefined or Kind.Unknown) added.Add(AddedToken(id, tokens[id], kind != Kind.UserDefined));
        }
        string[] merges = sentencePiece
            ? Merges(tokens, kinds, metadata.Numbers(Prefix + "scores") ?? throw metadata.Missing(Prefix + "scores"), ids, metadata.Source)
            : metadata.Texts(Prefix + "merges") ?? throw metadata.Missing(Prefix + "merges");

        int unknown = Array.IndexOf(kinds, (int)Kind.Unknown);
        string? bos = metadata.Integer(Prefix + "bos_token_id") is { } bosId && bosId < tokens.Length
            && (metadata.Flag(Prefix + "add_bos_token") ?? sentencePiece) ? tokens[bosId] : null;
        if (bos is not null && !ids.ContainsKey(bos))
            throw new FlywheelException(
                $"{metadata.Source}: {Prefix}bos_token_id is {metadata.Integer(Prefix + "bos_token_id")}, whose token '{bos}' is of the kind unused; expected a token that is used");
        string pre = metadata.Text(Prefix + "pre") ?? "default";
        (JsonArray? steps, bool ignoreMerges) = sentencePiece ? (null, false) : GgufPreTokenizer.Named(pre, metadata.Source);
        var json = new JsonObject
        {
            ["version"] = "1.0", ["truncation"] = null, ["padding"] = null, ["added_tokens"] = added,
            ["normalizer"] = sentencePiece ? SentencePieceNormalizer(metadata.Flag(Prefix + "add_space_prefix") ?? true) : null,
            ["pre_tokenizer"] = steps is null ? null : steps.Count == 1
                ? steps[0]!.DeepClone() : new JsonObject { ["type"] = "Sequence", ["pretokenizers"] = steps.DeepClone() },
            ["post_processor"] = bos is not null ? BosProcessor(bos, ids[bos]) : sentencePiece
                ? null : GgufPreTokenizer.ByteLevel(useRegex: false),
            ["decoder"] = sentencePiece
                ? SentencePieceDecoder(metadata.Flag(Prefix + "add_space_prefix") ?? true) : GgufPreTokenizer.ByteLevel(useRegex: false),
            ["model"] = new JsonObject
            {
                ["type"] = "BPE", ["dropout"] = null, ["unk_token"] = unknown >= 0 && sentencePiece ? tokens[unknown] : null,
                ["continuing_subword_prefix"] = null, ["end_of_word_suffix"] = null,
                ["fuse_unk"] = sentencePiece, ["byte_fallback"] = sentencePiece, ["ignore_merges"] = ignoreMerges, ["vocab"] = vocab,
                ["merges"] = new JsonArray([.. merges.Select(merge => JsonValue.Create(merge))]),
            },
        };
        return JsonSerializer.SerializeToUtf8Bytes(json, JsonText.Compact);
    }

    /// <summary>What the special tokens are for, as tokenizer_config.json says it.</summary>
    public static Dictionary<string, string> SpecialTokens(GgufMetadata metadata)
    {
        var special = new Dictionary<string, string>();
        string[] tokens = metadata.Texts(Prefix + "tokens") ?? throw metadata.Missing(Prefix + "tokens");
        foreach ((string role, string key) in new[] { ("bos_token", "bos"), ("eos_token", "eos"), ("unk_token", "unknown"),
            ("pad_token", "padding") })
            if (metadata.Integer($"{Prefix}{key}_token_id") is { } id && id < tokens.Length) special[role] = tokens[id];
        return special;
    }

    /// <summary>SentencePiece's pairs, from its scores: every way to cut a token into two, the best token first (as transformers converts
    /// them).</summary>
    private static string[] Merges(string[] tokens, int[] kinds, float[] scores, Dictionary<string, int> ids, string source)
    {
        if (scores.Length != tokens.Length)
            throw new FlywheelException($"{source}: {Prefix}scores has {scores.Length} entries, {Prefix}tokens {tokens.Length}");
        List<(string Left, string Right, float Score)> merges = [];
        for (int id = 0; id < tokens.Length; id++)
        {
            if (!CanMerge(id)) continue;
            string token = tokens[id];
            for (int cut = 1; cut < token.Length; cut++)
                if (!char.IsLowSurrogate(token[cut]) && IsPiece(token[..cut]) && IsPiece(token[cut..]))
                    merges.Add((token[..cut], token[cut..], scores[id]));
        }
        return [.. merges.OrderByDescending(merge => merge.Score).ThenBy(merge => ids[merge.Left]).ThenBy(merge => ids[merge.Right])
            .Select(merge => $"{merge.Left} {merge.Right}")];

        bool IsPiece(string text) => ids.TryGetValue(text, out int id) && CanMerge(id);

        // Gemma's runs of spaces are tokens of the user's, and merged from spaces too.
        bool CanMerge(int id) => kinds[id] is (int)Kind.Normal or (int)Kind.UserDefined;
    }

    /// <summary>The earlier a token's first merge, the higher its score.</summary>
    private static float[] Scores(string[] tokens, string[] merges)
    {
        var rank = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach ((int i, string merge) in merges.Index()) rank.TryAdd(merge.Replace(" ", "", StringComparison.Ordinal), i);
        return [.. tokens.Select((token, id) => rank.TryGetValue(token, out int first) ? -(float)first : -(float)(merges.Length + id))];
    }

    private static bool BeginsWithBos(JsonNode json)
    {
        JsonNode? processor = json["post_processor"];
        return (processor?["processors"] as JsonArray ?? Enumerable.Repeat(processor, 1)).Any(one =>
            one?["single"] is JsonArray { Count: > 0 } single && single[0]?["SpecialToken"] is not null);
    }

    private static bool IsByte(string token) => token.Length == 6 && token.StartsWith("<0x", StringComparison.Ordinal) && token[5] == '>';

    private static JsonObject AddedToken(int id, string content, bool special) => new()
    {
        ["id"] = id, ["content"] = content, ["single_word"] = false, ["lstrip"] = false, ["rstrip"] = false, ["normalized"] = false,
        ["special"] = special,
    };

    private static JsonObject SentencePieceNormalizer(bool addSpace)
    {
        var replace = new JsonObject { ["type"] = "Replace", ["pattern"] = new JsonObject { ["String"] = " " }, ["content"] = Space };
        return new JsonObject { ["type"] = "Sequence",
            ["normalizers"] = addSpace ? new JsonArray(new JsonObject { ["type"] = "Prepend", ["prepend"] = Space },
                replace) : new JsonArray(replace) };
    }

    private static JsonObject SentencePieceDecoder(bool addSpace)
    {
        JsonArray decoders =
        [
            new JsonObject { ["type"] = "Replace", ["pattern"] = new JsonObject { ["String"] = Space }, ["content"] = " " },
            new JsonObject { ["type"] = "ByteFallback" }, new JsonObject { ["type"] = "Fuse" },
        ];
        if (addSpace) decoders.Add(new JsonObject { ["type"] = "Strip", ["content"] = " ", ["start"] = 1, ["stop"] = 0 });
        return new JsonObject { ["type"] = "Sequence", ["decoders"] = decoders };
    }

    private static JsonObject BosProcessor(string bos, int id)
    {
        JsonObject Special(int type) => new() { ["SpecialToken"] = new JsonObject { ["id"] = bos, ["type_id"] = type } };
        JsonObject Sequence(string name, int type) => new() { ["Sequence"] = new JsonObject { ["id"] = name, ["type_id"] = type } };
        return new JsonObject
        {
            ["type"] = "TemplateProcessing",
            ["single"] = new JsonArray(Special(0), Sequence("A", 0)),
            ["pair"] = new JsonArray(Special(0), Sequence("A", 0), Special(1), Sequence("B", 1)),
            ["special_tokens"] =
                new JsonObject { [bos] = new JsonObject { ["id"] = bos, ["ids"] = new JsonArray(id), ["tokens"] = new JsonArray(bos) } },
        };
    }
}
