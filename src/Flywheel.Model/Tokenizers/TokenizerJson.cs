using System.Text.Json;

namespace Flywheel.Model;

/// <summary>
/// Hugging Face's tokenizer.json (huggingface/tokenizers), the parts of it that byte pair encoding needs, checked. What is not
/// known is refused by name: ids that are almost right are worse than none. Truncation and padding are the caller's.
/// </summary>
internal sealed class TokenizerJson
{
    public required Normalizer Normalizer { get; init; }

    public required PreTokenizer PreTokenizer { get; init; }

    public required BytePairModel Model { get; init; }

    public required TokenDecoder Decoder { get; init; }

    public required IReadOnlyList<AddedToken> AddedTokens { get; init; }

    /// <summary>Ids that stand before and after a text by itself, such as BOS.</summary>
    public required (int[] Before, int[] After) Frame { get; init; }

    /// <exception cref="FlywheelException">Not JSON, or not a tokenizer of this kind; the message names the field.</exception>
    public static TokenizerJson Read(byte[] json, string source)
    {
        Utf8File.Check(json, source);
        try
        {
            using JsonDocument document = JsonDocument.Parse(json);
            return Read(new JsonField(document.RootElement, source, ""));
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            throw new FlywheelException($"{source}: malformed tokenizer.json: {e.Message}", e);
        }
    }

    private static TokenizerJson Read(JsonField root)
    {
        PreTokenizer preTokenizer = PreTokenizer.Read(root.Find("pre_tokenizer"));
        var model = new BytePairModel(root["model"], preTokenizer.IsByteLevel);
        List<AddedToken> added = ReadAddedTokens(root, model.Vocab);
        return new TokenizerJson
        {
            Normalizer = Normalizer.Read(root.Find("normalizer")),
            PreTokenizer = preTokenizer,
            Model = model,
            Decoder = TokenDecoder.Read(root["decoder"]),
            AddedTokens = added,
            Frame = root.Find("post_processor") is { } processor ? ReadFrame(processor) : ([], []),
        };
    }

    private static List<AddedToken> ReadAddedTokens(JsonField root, IReadOnlyDictionary<string, int> vocab)
    {
        var tokens = new List<AddedToken>();
        if (root.Find("added_tokens") is not { } added) return tokens;
        var ids = new HashSet<int>();
        var contents = new HashSet<string>(StringComparer.Ordinal);
        Dictionary<int, string> tokensById = vocab.ToDictionary(entry => entry.Value, entry => entry.Key);
        foreach (JsonField item in added.Items())
        {
            string content = item["content"].Text();
            int id = item["id"].Number(0, BytePairModel.MaxVocabSize - 1);
            if (content.Length == 0) throw item["content"].Wrong("a text");
            if (!contents.Add(content)) throw item["content"].Wrong("each token once");
            if (!ids.Add(id)) throw item["id"].Wrong("each id once");
            if (vocab.TryGetValue(content, out int known) && known != id)
                throw item["id"].Wrong($"{known}, as model.vocab has for '{content}'");
            if (tokensById.TryGetValue(id, out string? other) && other != content)
                throw item["id"].Wrong($"another id for '{content}', model.vocab has '{other}' there");
            bool special = item.Flag("special");
            tokens.Add(new AddedToken(id, content, special, item.Flag("normalized", !special), item.Flag("single_word"),
                item.Flag("lstrip"), item.Flag("rstrip")));
        }
        return tokens;
    }

    /// <summary>The template of a single text; that of a pair is for other models.</summary>
    private static (int[] Before, int[] After) ReadFrame(JsonField processor)
    {
        switch (processor["type"].Text())
        {
            case "ByteLevel": // only about offsets
                return ([], []);
            case "Sequence":
                (int[] Before, int[] After) frame = ([], []);
                foreach (JsonField item in processor["processors"].Items())
                {
                    (int[] before, int[] after) = ReadFrame(item);
                    frame = ([.. before, .. frame.Before], [.. frame.After, .. after]);
                }
                return frame;
            case "TemplateProcessing":
                List<int> begin = [], end = [];
                bool seen = false;
                foreach (JsonField item in processor["single"].Items())
                {
                    if (item.Find("Sequence") is not null) seen = true;
                    else
                        foreach (JsonField id in processor["special_tokens"][item["SpecialToken"]["id"].Text()]["ids"].Items())
                            (seen ? end : begin).Add(id.Number(0, BytePairModel.MaxVocabSize - 1));
                }
                return ([.. begin], [.. end]);
            default:
                throw processor["type"].Wrong("'ByteLevel', 'TemplateProcessing' or 'Sequence'");
        }
    }
}
