using System.Text.Json.Nodes;

namespace Flywheel.Testing;

/// <summary>Small tokenizers of kinds that are not learnt here.</summary>
internal static class TestTokenizers
{
    /// <summary>SentencePiece's kind as tokenizer.json: spaces stand before words, and every byte is a token beside the letters.</summary>
    public static string SentencePieceJson
    {
        get
        {
            string[] words = ["\u2581", "a", "b", "t", "h", "e", "\u2581t", "\u2581a", "he", "\u2581the", "\u2581\u2581", "ä", "😀", "."];
            string[] tokens = ["<unk>", "<s>", "</s>", .. Enumerable.Range(0, 256).Select(value => $"<0x{value:X2}>"), .. words];
            var json = JsonNode.Parse("""
                {"version":"1.0","truncation":null,"padding":null,
                 "added_tokens":[{"id":0,"content":"<unk>","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true},
                  {"id":1,"content":"<s>","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true},
                  {"id":2,"content":"</s>","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}],
                 "normalizer":{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}]},
                 "pre_tokenizer":null,"post_processor":null,
                 "decoder":{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]},
                 "model":{"type":"BPE","dropout":null,"unk_token":"<unk>","continuing_subword_prefix":null,"end_of_word_suffix":null,"fuse_unk":true,"byte_fallback":true,"vocab":{},"merges":["▁ t","▁ a","h e","▁t he","▁ ▁"]}}
                """)!;
            for (int id = 0; id < tokens.Length; id++) json["model"]!["vocab"]![tokens[id]] = id;
            return json.ToJsonString();
        }
    }
}
