namespace Flywheel.Model;

/// <summary>Tensor names of llama.cpp and of Hugging Face; the same for the architectures llama, qwen2 and qwen3.</summary>
public static class GgufNames
{
    private const string HfLayer = "model.layers.", Layer = "blk.";

    private static readonly (string Hf, string Gguf)[] Outside = [("model.embed_tokens", "token_embd"), ("model.norm", "output_norm"),
        ("lm_head", "output")];

    private static readonly (string Hf, string Gguf)[] Inside =
    [
        ("input_layernorm", "attn_norm"),
        ("self_attn.q_proj", "attn_q"), ("self_attn.k_proj", "attn_k"), ("self_attn.v_proj", "attn_v"), ("self_attn.o_proj", "attn_output"),
        ("self_attn.q_norm", "attn_q_norm"), ("self_attn.k_norm", "attn_k_norm"),
        ("post_attention_layernorm", "ffn_norm"),
        ("mlp.gate_proj", "ffn_gate"), ("mlp.up_proj", "ffn_up"), ("mlp.down_proj", "ffn_down"),
    ];

    /// <summary><c>model.layers.3.self_attn.q_proj.weight</c> to <c>blk.3.attn_q.weight</c>. A name that is not known stays.</summary>
    public static string ToGguf(string name) => Translate(name, HfLayer, Layer, [.. Outside], [.. Inside]);

    /// <summary>The way back. A name that is not known stays, so that an error can name it.</summary>
    public static string ToHf(string name) => Translate(name, Layer, HfLayer, [.. Outside.Select(Swap)], [.. Inside.Select(Swap)]);

    private static (string, string) Swap((string Hf, string Gguf) pair) => (pair.Gguf, pair.Hf);

    private static string Translate(string name, string fromLayer, string toLayer, (string From, string To)[] outside,
        (string From, string To)[] inside)
    {
        int dot = name.LastIndexOf('.');
        if (dot < 0) return name;
        (string module, string kind) = (name[..dot], name[dot..]); // kind: .weight or .bias
        if (!module.StartsWith(fromLayer, StringComparison.Ordinal)) return Find(outside, module) is { } outer ? outer + kind : name;
        string rest = module[fromLayer.Length..];
        int end = rest.IndexOf('.', StringComparison.Ordinal);
        return end > 0 && Find(inside, rest[(end + 1)..]) is { } inner ? $"{toLayer}{rest[..end]}.{inner}{kind}" : name;
    }

    private static string? Find((string From, string To)[] pairs, string module)
    {
        foreach ((string from, string to) in pairs)
            if (from == module) return to;
        return null;
    }
}
