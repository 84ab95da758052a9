using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Flywheel.Model;

/// <summary>
/// The shape of a decoder in the Qwen3 layout: RMSNorm, rotary positions, grouped-query attention, SwiGLU; Llama and
/// Qwen2 are variants of it. Read from and written to Hugging Face's <c>config.json</c>.
/// </summary>
public sealed record ModelConfig
{
    /// <summary>What is read; mistral is a llama by another name. SmolLM and SmolLM2 are llama.</summary>
    public static readonly IReadOnlyList<string> ModelTypes = ["qwen3", "llama", "qwen2", "mistral"];

    /// <summary>Hugging Face's model_type: one of <see cref="ModelTypes"/>.</summary>
    public string ModelType { get; init; } = "qwen3";

    /// <summary>Width of the residual stream, C.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>Width of the SwiGLU branch.</summary>
    public required int IntermediateSize { get; init; }

    public required int NumLayers { get; init; }

    /// <summary>Query heads, H.</summary>
    public required int NumHeads { get; init; }

    /// <summary>Key/value heads; divides <see cref="NumHeads"/>.</summary>
    public required int NumKvHeads { get; init; }

    /// <summary>Width of one head, D; H x D need not equal the hidden size.</summary>
    public required int HeadDim { get; init; }

    /// <summary>Vocabulary size, V.</summary>
    public required int VocabSize { get; init; }

    /// <summary>Longest sequence in tokens.</summary>
    public required int MaxPositions { get; init; }

    public float RmsNormEps { get; init; } = 1e-6f;

    public float RopeTheta { get; init; } = 10_000f;

    /// <summary>How rotary positions are stretched to longer texts; null when they are not.</summary>
    public RopeScaling? RopeScaling { get; init; }

    /// <summary>The output matrix is the embedding.</summary>
    public bool TieEmbeddings { get; init; } = true;

    /// <summary>Token that starts a text, if the model was trained with one.</summary>
    public int? BosTokenId { get; init; }

    /// <summary>Tokens that end a generation.</summary>
    public IReadOnlyList<int> EosTokenIds { get; init; } = [];

    /// <summary>RMSNorm on every query and key head (Qwen3).</summary>
    public bool HasQkNorm => ModelType == "qwen3";

    /// <summary>Bias on the q, k and v projections (Qwen2).</summary>
    public bool HasQkvBias => ModelType == "qwen2";

    /// <summary>Weights, counted once when tied.</summary>
    public long NumParameters
    {
        get
        {
            long attention = 2L * HiddenSize * HeadDim * ((long)NumHeads + NumKvHeads)
                + (HasQkNorm ? 2L * HeadDim : 0) + (HasQkvBias ? HeadDim * (NumHeads + 2L * NumKvHeads) : 0);
            long feedForward = 3L * HiddenSize * IntermediateSize;
            long embedding = (long)VocabSize * HiddenSize * (TieEmbeddings ? 1 : 2);
            return embedding + HiddenSize + NumLayers * (attention + feedForward + 2L * HiddenSize);
        }
    }

    /// <summary>Names and shapes of every tensor, in Hugging Face's naming, in a fixed order.</summary>
    public IEnumerable<(string Name, long[] Shape)> Tensors()
    {
        yield return ("model.embed_tokens.weight", [VocabSize, HiddenSize]);
        for (int layer = 0; layer < NumLayers; layer++)
        {
            string prefix = $"model.layers.{layer}.";
            yield return (prefix + "input_layernorm.weight", [HiddenSize]);
            foreach ((string name, int heads) in new[] { ("q", NumHeads), ("k", NumKvHeads), ("v", NumKvHeads) })
            {
                yield return ($"{prefix}self_attn.{name}_proj.weight", [(long)heads * HeadDim, HiddenSize]);
                if (HasQkvBias) yield return ($"{prefix}self_attn.{name}_proj.bias", [(long)heads * HeadDim]);
                if (HasQkNorm && name != "v") yield return ($"{prefix}self_attn.{name}_norm.weight", [HeadDim]);
            }
            yield return (prefix + "self_attn.o_proj.weight", [HiddenSize, (long)NumHeads * HeadDim]);
            yield return (prefix + "post_attention_layernorm.weight", [HiddenSize]);
            yield return (prefix + "mlp.gate_proj.weight", [IntermediateSize, HiddenSize]);
            yield return (prefix + "mlp.up_proj.weight", [IntermediateSize, HiddenSize]);
            yield return (prefix + "mlp.down_proj.weight", [HiddenSize, IntermediateSize]);
        }
        yield return ("model.norm.weight", [HiddenSize]);
        if (!TieEmbeddings) yield return ("lm_head.weight", [VocabSize, HiddenSize]);
    }

    /// <summary>Number of the layer that a tensor belongs to; null for the embedding, the last norm and the head.</summary>
    internal static int? LayerOf(string tensor) =>
        tensor.Split('.') is ["model", "layers", var number, ..]
            && int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out int layer) ? layer : null;

    /// <exception cref="FlywheelException">A field is missing, of the wrong type, or not supported; it is named.</exception>
    public static ModelConfig Load(string path) =>
        File.Exists(path)
            ? Parse(Utf8File.ReadText(path), path) : throw new FlywheelException($"{path}: no such file; expected a model's config.json");

    /// <param name="text">Content of config.json.</param>
    /// <param name="path">Names the file in errors.</param>
    internal static ModelConfig Parse(string text, string path)
    {
        JsonObject json = JsonText.ParseObject(Encoding.UTF8.GetBytes(text), path);

        T Get<T>(string field, T? fallback = default, bool required = true) where T : notnull
        {
            if (json[field] is not { } node)
                return required ? throw new FlywheelException($"{path}: field '{field}' is missing") : fallback!;
            return node is JsonValue value && value.TryGetValue(out T? typed)
                ? typed : throw Wrong(field, node, typeof(T) == typeof(int) ? "a whole number" : typeof(T) == typeof(float)
                    ? "a number" : typeof(T) == typeof(bool) ? "true or false" : "a text");
        }

        int TokenId(string field, JsonNode? node) =>
            node is JsonValue value && value.TryGetValue(out int id) ? id : throw Wrong(field, json[field]!, "a token id");

        FlywheelException Wrong(string field, JsonNode node, string expected) =>
            new($"{path}: field '{field}' is {node.ToJsonString()}, expected {expected}");

        string type = Get<string>("model_type");
        if (!ModelTypes.Contains(type))
            throw new FlywheelException($"{path}: model_type '{type}' is not supported; supported are {NearestName.List(ModelTypes)}");
        if (json["quantization_config"] is JsonObject quantized)
            throw new FlywheelException(
                $"{path}: quantization_config {quantized["quant_method"]?.ToJsonString() ?? ""} is not supported in this layout, expected plain weights, or a GGUF file");
        if (Get("use_sliding_window", false, required: false))
            throw new FlywheelException($"{path}: use_sliding_window true is not supported, expected false");
        JsonObject? rope = RopeFields(json, path);
        json["rope_theta"] ??= rope?["rope_theta"]?.DeepClone();
        RopeScaling? scaling = RopeScaling.Parse(rope, path, Get("max_position_embeddings", 0, required: false));
        // Within its window attention is attention: a Mistral that looks back so far is one whose texts are so long.
        int window = type == "mistral" ? Get("sliding_window", int.MaxValue, required: false) : int.MaxValue;
        if (Get("hidden_act", "silu", required: false) != "silu")
            throw new FlywheelException($"{path}: hidden_act '{json["hidden_act"]}' is not supported, expected silu");
        foreach (string bias in new[] { "attention_bias", "mlp_bias" })
            if (type != "qwen2" && Get(bias, false, required: false))
                throw new FlywheelException($"{path}: {bias} true is not supported for {type}, expected false");
        int hidden = Get<int>("hidden_size"), heads = Get<int>("num_attention_heads");
        var config = new ModelConfig
        {
            ModelType = type,
            HiddenSize = hidden,
            IntermediateSize = Get<int>("intermediate_size"),
            NumLayers = Get<int>("num_hidden_layers"),
            NumHeads = heads,
            NumKvHeads = Get("num_key_value_heads", heads, required: false),
            HeadDim = Get("head_dim", heads > 0 ? hidden / heads : 0, required: false),
            VocabSize = Get<int>("vocab_size"),
            MaxPositions = Math.Min(Get<int>("max_position_embeddings"), window),
            RmsNormEps = Get("rms_norm_eps", 1e-6f, required: false),
            RopeTheta = Get("rope_theta", 10_000f, required: false),
            RopeScaling = scaling,
            TieEmbeddings = Get("tie_word_embeddings", false, required: false),
            BosTokenId = json["bos_token_id"] is { } bos ? TokenId("bos_token_id", bos) : null,
            EosTokenIds = json["eos_token_id"] switch
            {
                null => [],
                JsonArray many => [.. many.Select(id => TokenId("eos_token_id", id))],
                var one => [TokenId("eos_token_id", one)],
            },
        };
        config.Validate(path);
        return config;
    }

    /// <summary>Where rope scaling is written: rope_scaling, or rope_parameters beside theta since transformers 5.</summary>
    private static JsonObject? RopeFields(JsonObject json, string path)
    {
        foreach (string name in new[] { "rope_parameters", "rope_scaling" })
            if (json[name] is { } node)
                return node as JsonObject
                    ?? throw new FlywheelException($"{path}: field '{name}' is {node.ToJsonString()}, expected an object");
        return null;
    }

    /// <exception cref="FlywheelException">A size is not positive or sizes do not fit each other.</exception>
    public void Validate(string source)
    {
        void Positive(string name, int value)
        {
            if (value <= 0) throw new FlywheelException($"{source}: {name} is {value}, expected a positive number");
        }
        Positive("hidden_size", HiddenSize);
        Positive("intermediate_size", IntermediateSize);
        Positive("num_hidden_layers", NumLayers);
        Positive("num_attention_heads", NumHeads);
        Positive("num_key_value_heads", NumKvHeads);
        Positive("head_dim", HeadDim);
        Positive("vocab_size", VocabSize);
        Positive("max_position_embeddings", MaxPositions);
        if (NumHeads % NumKvHeads != 0)
            throw new FlywheelException($"{source}: num_attention_heads {NumHeads} is no multiple of num_key_value_heads {NumKvHeads}");
        if (HeadDim % 2 != 0)
            throw new FlywheelException($"{source}: head_dim {HeadDim} is odd, expected an even number");
        if (!(RmsNormEps > 0 && float.IsFinite(RmsNormEps)))
            throw new FlywheelException($"{source}: rms_norm_eps is {RmsNormEps}, expected a positive number");
        if (!(RopeTheta > 0 && float.IsFinite(RopeTheta)))
            throw new FlywheelException($"{source}: rope_theta is {RopeTheta}, expected a positive number");
        RopeScaling?.Validate(source);
        if (RopeScaling?.Type == RopeScalingType.Yarn && RopeTheta <= 1)
            throw new FlywheelException($"{source}: rope_theta is {RopeTheta}, expected more than 1 for yarn");
        if (BosTokenId is { } bos && (bos < 0 || bos >= VocabSize))
            throw new FlywheelException($"{source}: bos_token_id is {bos}, expected an id below vocab_size {VocabSize}");
        foreach (int eos in EosTokenIds)
            if (eos < 0 || eos >= VocabSize)
                throw new FlywheelException($"{source}: eos_token_id is {eos}, expected an id below vocab_size {VocabSize}");
    }

    /// <summary>Writes the config.json that transformers and llama.cpp's converter read.</summary>
    public void Save(string path, string dtype = "float32")
    {
        string architecture = char.ToUpperInvariant(ModelType[0]) + ModelType[1..] + "ForCausalLM";
        var json = new JsonObject
        {
            ["architectures"] = new JsonArray(architecture),
            ["attention_bias"] = HasQkvBias,
            ["attention_dropout"] = 0.0,
            ["bos_token_id"] = BosTokenId,
            ["eos_token_id"] = EosTokenIds.Count == 1 ? EosTokenIds[0] : new JsonArray([.. EosTokenIds.Select(id => JsonValue.Create(id))]),
            ["head_dim"] = HeadDim,
            ["hidden_act"] = "silu",
            ["hidden_size"] = HiddenSize,
            ["initializer_range"] = 0.02,
            ["intermediate_size"] = IntermediateSize,
            ["max_position_embeddings"] = MaxPositions,
            ["model_type"] = ModelType,
            ["num_attention_heads"] = NumHeads,
            ["num_hidden_layers"] = NumLayers,
            ["num_key_value_heads"] = NumKvHeads,
            ["rms_norm_eps"] = RmsNormEps,
            ["rope_scaling"] = RopeScaling?.ToJson(),
            ["rope_theta"] = RopeTheta,
            ["tie_word_embeddings"] = TieEmbeddings,
            ["torch_dtype"] = dtype,
            ["use_cache"] = true,
            ["vocab_size"] = VocabSize,
        };
        if (ModelType == "mistral") json["sliding_window"] = null; // transformers takes 4096 where nothing is said
        AtomicFile.WriteText(path, json.ToJsonString(new JsonSerializerOptions { WriteIndented = true }) + "\n");
    }
}
