// Hugging Face's tokenizer.json (huggingface/tokenizers), the parts of it that two kinds of BPE need:
//   added_tokens   special tokens, matched before anything else
//   model          BPE: vocab {token: id}, merges ["a b", ...] or [["a", "b"], ...]
// byte-level (GPT-2, Qwen; what we write):
//   pre_tokenizer  Sequence(Split with the pattern of PreTokenizer, ByteLevel); tokens are in the byte alphabet
// SentencePiece with byte fallback (Llama 2; only read): model.byte_fallback is true
//   normalizer     Sequence(Prepend U+2581, Replace space by U+2581); tokens are text, or <0x00> to <0xFF>
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Flywheel.Model;

/// <summary>What tokenizer.json says, checked.</summary>
/// <param name="Bytes">Bytes of each id; empty for special tokens and gaps.</param>
/// <param name="ByteIds">Id of each byte.</param>
/// <param name="Merges">Rank and result of each pair that merges.</param>
/// <param name="SpecialTokens">Ids of the added tokens.</param>
/// <param name="CharacterIds">SentencePiece: ids of the tokens of one character, which merging starts from. Byte-level: null.</param>
internal sealed record TokenizerJson(
    byte[][] Bytes, int[] ByteIds, Dictionary<(int Left, int Right), (int Rank, int Id)> Merges, Dictionary<string, int> SpecialTokens, Dictionary<Rune, int>? CharacterIds)
{
    /// <summary>What SentencePiece writes for a space: U+2581.</summary>
    public const char VisibleSpace = '\u2581';

    /// <summary>No published vocabulary comes near; a larger id would only waste memory.</summary>
    private const int MaxVocabSize = 1 << 22;

    /// <exception cref="FlywheelException">Not JSON, or not a tokenizer of this kind; the message names the field.</exception>
    public static TokenizerJson Read(byte[] json, string source)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(json);
            return new Reader(source).Read(document.RootElement);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException or KeyNotFoundException)
        {
            throw new FlywheelException($"{source}: malformed tokenizer.json: {e.Message}", e);
        }
    }

    /// <summary>Special tokens get the first ids, then the 256 bytes, then the merges.</summary>
    /// <param name="specialTokens">In the order of their ids.</param>
    /// <param name="merges">Of bytes (0 to 255) and earlier merges (256 and on).</param>
    public static byte[] Write(IReadOnlyList<string> specialTokens, IReadOnlyList<(int Left, int Right)> merges)
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
            for (int id = 0; id < specialTokens.Count; id++)
            {
                json.WriteStartObject();
                json.WriteNumber("id", id);
                json.WriteString("content", specialTokens[id]);
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
            json.WriteString("Regex", PreTokenizer.Pattern);
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
            foreach (string none in new[] { "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix" }) json.WriteNull(none);
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

    private sealed class Reader(string source)
    {
        public TokenizerJson Read(JsonElement root)
        {
            if (root.ValueKind != JsonValueKind.Object) throw Wrong("the file", root, "a JSON object");
            JsonElement model = Field(root, "model");
            Expect(model, "model.type", "type", "BPE");
            foreach (string name in new[] { "continuing_subword_prefix", "end_of_word_suffix" })
                if (model.TryGetProperty(name, out JsonElement affix) && affix.ValueKind == JsonValueKind.String && affix.GetString() != "") throw Wrong($"model.{name}", affix, "null");
            if (model.TryGetProperty("ignore_merges", out JsonElement ignore) && ignore.ValueKind == JsonValueKind.True) throw Wrong("model.ignore_merges", ignore, "false");
            bool sentencePiece = model.TryGetProperty("byte_fallback", out JsonElement fallback) && fallback.ValueKind == JsonValueKind.True;
            if (sentencePiece) CheckSentencePiece(root);
            else CheckByteLevel(root);

            Dictionary<string, int> vocab = ReadVocab(Field(model, "vocab"));
            Dictionary<string, int> special = ReadSpecialTokens(root, vocab);
            byte[][] bytes = new byte[vocab.Values.Concat(special.Values).Max() + 1][];
            Array.Fill(bytes, []);
            int[] byteIds = new int[256];
            Array.Fill(byteIds, -1);
            var characterIds = new Dictionary<Rune, int>();
            foreach ((string token, int id) in vocab)
            {
                if (special.ContainsKey(token)) continue;
                bool isByte = TryByte(token, sentencePiece, out byte value);
                if (isByte) byteIds[value] = id;
                else if (Rune.TryGetRuneAt(token, 0, out Rune character) && character.Utf16SequenceLength == token.Length) characterIds[character] = id;
                if (bytes[id].Length > 0) throw new FlywheelException($"{source}: model.vocab gives id {id} twice");
                bytes[id] = isByte ? [value]
                    : sentencePiece ? Encoding.UTF8.GetBytes(token.Replace(VisibleSpace, ' '))
                    : ByteAlphabet.ToBytes(token) ?? throw new FlywheelException($"{source}: model.vocab has '{token}', which is not in the byte alphabet of byte-level BPE");
            }
            int lacking = byteIds.IndexOf(-1);
            if (lacking >= 0) throw new FlywheelException($"{source}: model.vocab has no token for byte {lacking}, expected all 256");
            return new TokenizerJson(bytes, byteIds, ReadMerges(Field(model, "merges"), vocab), special, sentencePiece ? characterIds : null);
        }

        /// <summary>Whether a token stands for one byte: <c>&lt;0x0A&gt;</c>, or one letter of the byte alphabet.</summary>
        private static bool TryByte(string token, bool sentencePiece, out byte value)
        {
            value = 0;
            if (sentencePiece)
                return token.Length == 6 && token.StartsWith("<0x", StringComparison.Ordinal) && token[5] == '>' && byte.TryParse(token.AsSpan(3, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value);
            if (ByteAlphabet.ToBytes(token) is not [byte only]) return false;
            value = only;
            return true;
        }

        private void CheckSentencePiece(JsonElement root)
        {
            if (root.TryGetProperty("pre_tokenizer", out JsonElement preTokenizer) && preTokenizer.ValueKind != JsonValueKind.Null) throw Wrong("pre_tokenizer", preTokenizer, "null (SentencePiece with byte fallback)");
            JsonElement normalizer = Field(root, "normalizer");
            if (normalizer.ValueKind != JsonValueKind.Object) throw Wrong("normalizer", normalizer, "Sequence(Prepend, Replace)");
            Expect(normalizer, "normalizer.type", "type", "Sequence");
            JsonElement[] steps = [.. Field(normalizer, "normalizers").EnumerateArray()];
            if (steps.Length != 2) throw Wrong("normalizer.normalizers", normalizer, "Prepend, Replace");
            Expect(steps[0], "normalizer.normalizers[0].type", "type", "Prepend");
            Expect(steps[0], "normalizer.normalizers[0].prepend", "prepend", $"{VisibleSpace}");
            Expect(steps[1], "normalizer.normalizers[1].type", "type", "Replace");
            Expect(Field(steps[1], "pattern"), "normalizer.normalizers[1].pattern.String", "String", " ");
            Expect(steps[1], "normalizer.normalizers[1].content", "content", $"{VisibleSpace}");
        }

        private void CheckByteLevel(JsonElement root)
        {
            if (root.TryGetProperty("normalizer", out JsonElement normalizer) && normalizer.ValueKind != JsonValueKind.Null) throw Wrong("normalizer", normalizer, "null");
            JsonElement preTokenizer = Field(root, "pre_tokenizer");
            const string Expected = "Sequence(Split with the pattern of Qwen2, ByteLevel)";
            if (preTokenizer.ValueKind != JsonValueKind.Object) throw Wrong("pre_tokenizer", preTokenizer, Expected);
            Expect(preTokenizer, "pre_tokenizer.type", "type", "Sequence");
            JsonElement[] steps = [.. Field(preTokenizer, "pretokenizers").EnumerateArray()];
            if (steps.Length != 2) throw Wrong("pre_tokenizer.pretokenizers", preTokenizer, Expected);
            Expect(steps[0], "pre_tokenizer.pretokenizers[0].type", "type", "Split");
            Expect(Field(steps[0], "pattern"), "pre_tokenizer.pretokenizers[0].pattern.Regex", "Regex", PreTokenizer.Pattern);
            Expect(steps[1], "pre_tokenizer.pretokenizers[1].type", "type", "ByteLevel");
            foreach (string name in new[] { "add_prefix_space", "use_regex" })
                if (Field(steps[1], name) is { ValueKind: not JsonValueKind.False } flag) throw Wrong($"pre_tokenizer.pretokenizers[1].{name}", flag, "false");
        }

        private Dictionary<string, int> ReadVocab(JsonElement element)
        {
            if (element.ValueKind != JsonValueKind.Object) throw Wrong("model.vocab", element, "an object of tokens and ids");
            var vocab = new Dictionary<string, int>(StringComparer.Ordinal);
            foreach (JsonProperty entry in element.EnumerateObject())
                if (!vocab.TryAdd(entry.Name, Id($"model.vocab['{entry.Name}']", entry.Value)))
                    throw new FlywheelException($"{source}: model.vocab has '{entry.Name}' twice");
            return vocab;
        }

        private Dictionary<string, int> ReadSpecialTokens(JsonElement root, Dictionary<string, int> vocab)
        {
            var special = new Dictionary<string, int>(StringComparer.Ordinal);
            if (!root.TryGetProperty("added_tokens", out JsonElement added) || added.ValueKind == JsonValueKind.Null) return special;
            foreach (JsonElement token in added.EnumerateArray())
            {
                string content = Field(token, "content").GetString() ?? "";
                int id = Id($"added_tokens '{content}'", Field(token, "id"));
                if (content.Length == 0) throw new FlywheelException($"{source}: added_tokens has an empty token with id {id}");
                if (vocab.TryGetValue(content, out int other) && other != id)
                    throw new FlywheelException($"{source}: '{content}' has id {id} in added_tokens and {other} in model.vocab");
                if (!special.TryAdd(content, id)) throw new FlywheelException($"{source}: added_tokens has '{content}' twice");
            }
            return special;
        }

        private Dictionary<(int Left, int Right), (int Rank, int Id)> ReadMerges(JsonElement element, Dictionary<string, int> vocab)
        {
            if (element.ValueKind != JsonValueKind.Array) throw Wrong("model.merges", element, "an array");
            var merges = new Dictionary<(int Left, int Right), (int Rank, int Id)>(element.GetArrayLength());
            foreach (JsonElement merge in element.EnumerateArray())
            {
                int rank = merges.Count;
                string[] pair = merge.ValueKind == JsonValueKind.String ? merge.GetString()!.Split(' ') : [.. merge.EnumerateArray().Select(part => part.GetString() ?? "")];
                if (pair.Length != 2) throw Wrong($"model.merges[{rank}]", merge, "two tokens");
                int Token(string token) => vocab.TryGetValue(token, out int id) ? id : throw new FlywheelException($"{source}: model.merges[{rank}] needs '{token}', which is not in model.vocab");
                if (!merges.TryAdd((Token(pair[0]), Token(pair[1])), (rank, Token(pair[0] + pair[1]))))
                    throw Wrong($"model.merges[{rank}]", merge, "a pair that is not yet in the list");
            }
            return merges;
        }

        private JsonElement Field(JsonElement parent, string name) =>
            parent.ValueKind == JsonValueKind.Object && parent.TryGetProperty(name, out JsonElement value) ? value : throw new FlywheelException($"{source}: field '{name}' is missing");

        private void Expect(JsonElement parent, string where, string name, string expected)
        {
            if (Field(parent, name) is var value && (value.ValueKind != JsonValueKind.String || value.GetString() != expected)) throw Wrong(where, value, $"'{expected}'");
        }

        private int Id(string where, JsonElement value) =>
            value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int id) && id is >= 0 and < MaxVocabSize ? id : throw Wrong(where, value, $"a number from 0 to {MaxVocabSize - 1}");

        private FlywheelException Wrong(string where, JsonElement value, string expected)
        {
            string text = value.GetRawText();
            return new FlywheelException($"{source}: {where} is {(text.Length > 200 ? text[..200] + "..." : text)}, expected {expected}");
        }
    }
}
