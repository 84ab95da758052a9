using System.Text.Json;

namespace Flywheel.Model;

/// <summary>Writes the tokenizer.json of a vocabulary that was learnt here: byte-level, cut with Qwen's pattern.</summary>
internal static class TokenizerJsonWriter
{
    /// <summary>Special tokens get the first ids, then the 256 bytes, then the merges, then reserved tokens.</summary>
    /// <param name="specialTokens">In the order of their ids.</param>
    /// <param name="merges">Of bytes (0 to 255) and earlier merges (256 and on).</param>
    /// <param name="reserved">Special tokens too, which have no entry in the vocabulary, as llama.cpp and transformers expect of those that
    /// were added.</param>
    public static byte[] Write(IReadOnlyList<string> specialTokens, IReadOnlyList<(int Left, int Right)> merges,
        params IReadOnlyList<string> reserved)
    {
        var tokens = new List<string>(256 + merges.Count);
        for (int value = 0; value < 256; value++) tokens.Add(ByteAlphabet.FromBytes([(byte)value]));
        foreach ((int left, int right) in merges) tokens.Add(tokens[left] + tokens[right]);

        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true, Encoder = JsonText.Compact.Encoder }))
        {
            json.WriteStartObject();
            json.WriteString("version", "1.0");
            json.WriteNull("truncation");
            json.WriteNull("padding");
            json.WriteStartArray("added_tokens");
            foreach ((int id, string token) in specialTokens.Index()
                .Concat(reserved.Select((token, i) => (specialTokens.Count + tokens.Count + i, token))))
            {
                json.WriteStartObject();
                json.WriteNumber("id", id);
                json.WriteString("content", token);
                foreach (string flag in new[] { "single_word", "lstrip", "rstrip", "normalized" }) json.WriteBoolean(flag, false);
                json.WriteBoolean("special", true);
                json.WriteEndObject();
            }
            json.WriteEndArray();
            json.WriteNull("normalizer");
            json.WriteStartObject("pre_tokenizer");
            json.WriteString("type", "Sequence");
            json.WriteStartArray("pretokenizers");
            json.WriteStartObject();
            json.WriteString("type", "Split");
            json.WriteStartObject("pattern");
            json.WriteString("Regex", SplitPattern.Qwen);
            json.WriteEndObject();
            json.WriteString("behavior", "Isolated");
            json.WriteBoolean("invert", false);
            json.WriteEndObject();
            WriteByteLevel(null);
            json.WriteEndArray();
            json.WriteEndObject();
            WriteByteLevel("post_processor");
            WriteByteLevel("decoder");
            json.WriteStartObject("model");
            json.WriteString("type", "BPE");
            foreach (string none in new[] { "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix" })
                json.WriteNull(none);
            foreach (string flag in new[] { "fuse_unk", "byte_fallback", "ignore_merges" }) json.WriteBoolean(flag, false);
            json.WriteStartObject("vocab");
            for (int id = 0; id < specialTokens.Count; id++) json.WriteNumber(specialTokens[id], id);
            for (int i = 0; i < tokens.Count; i++) json.WriteNumber(tokens[i], specialTokens.Count + i);
            json.WriteEndObject();
            // "a b" is read by every version of the library and by llama.cpp; pairs only by newer ones.
            json.WriteStartArray("merges");
            foreach ((int left, int right) in merges) json.WriteStringValue($"{tokens[left]} {tokens[right]}");
            json.WriteEndArray();
            json.WriteEndObject();
            json.WriteEndObject();

            void WriteByteLevel(string? name)
            {
                if (name is null) json.WriteStartObject();
                else json.WriteStartObject(name);
                json.WriteString("type", "ByteLevel");
                foreach (string flag in new[] { "add_prefix_space", "trim_offsets", "use_regex" }) json.WriteBoolean(flag, false);
                json.WriteEndObject();
            }
        }
        return stream.ToArray();
    }
}
