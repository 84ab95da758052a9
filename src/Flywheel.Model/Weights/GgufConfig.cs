namespace Flywheel.Model;

/// <summary>A model's shape as GGUF metadata states it (keys of ggml-org/ggml, docs/gguf.md), read and written.</summary>
internal static class GgufConfig
{
    /// <summary>Llama 3's rope scaling: one divisor a frequency.</summary>
    public const string RopeFactors = "rope_freqs.weight";

    private static readonly string[] Architectures = ["llama", "qwen2", "qwen3"];

    /// <exception cref="FlywheelException">The architecture or something in it is not supported, or a key is missing.</exception>
    public static ModelConfig Read(GgufFile file)
    {
        GgufMetadata metadata = file.Metadata;
        if (metadata.Text("general.type") is { } kind && kind != "model")
            throw new FlywheelException($"{file.Path}: general.type is '{kind}', expected 'model'");
        string architecture = metadata.RequireText("general.architecture");
        if (!Architectures.Contains(architecture))
            throw new FlywheelException(
                $"{file.Path}: architecture '{architecture}' is not supported; supported are {NearestName.List(Architectures)} (Mistral and SmolLM files say llama)");
        if (metadata.Integer(Key("expert_count")) is > 0)
            throw new FlywheelException(
                $"{file.Path}: is a mixture of {metadata.Integer(Key("expert_count"))} experts, which is not supported");
        string? bias =
            file.Tensors.Keys.FirstOrDefault(name =>
                name.EndsWith(".bias", StringComparison.Ordinal)
                    && !(architecture == "qwen2" && name.Contains("self_attn.", StringComparison.Ordinal)));
        if (bias is not null)
            throw new FlywheelException($"{file.Path}: tensor '{bias}' is a bias, which {architecture} models have none of here");

        int hidden = metadata.RequireInteger(Key("embedding_length")), heads = metadata.RequireInteger(Key("attention.head_count"));
        if (heads == 0) throw new FlywheelException($"{file.Path}: metadata '{Key("attention.head_count")}' is 0, expected at least 1");
        int headDim = metadata.Integer(Key("attention.key_length")) ?? hidden / heads;
        foreach (string same in new[] { "attention.value_length", "rope.dimension_count" })
            if (metadata.Integer(Key(same)) is { } other && other != headDim)
                throw new FlywheelException($"{file.Path}: metadata '{Key(same)}' is {other}, expected the head width {headDim}");
        if (!file.Tensors.TryGetValue("model.embed_tokens.weight", out TensorInfo? embedding) || embedding.Shape.Length != 2)
            throw new FlywheelException($"{file.Path}: tensor 'token_embd.weight' is missing");
        var config = new ModelConfig
        {
            ModelType = architecture,
            HiddenSize = hidden,
            IntermediateSize = metadata.RequireInteger(Key("feed_forward_length")),
            NumLayers = metadata.RequireInteger(Key("block_count")),
            NumHeads = heads,
            NumKvHeads = metadata.Integer(Key("attention.head_count_kv")) ?? heads,
            HeadDim = headDim,
            VocabSize = (int)Math.Min(embedding.Shape[0], int.MaxValue),
            MaxPositions = metadata.RequireInteger(Key("context_length")),
            RmsNormEps = metadata.Number(Key("attention.layer_norm_rms_epsilon"))
                ?? throw metadata.Missing(Key("attention.layer_norm_rms_epsilon")),
            RopeTheta = metadata.Number(Key("rope.freq_base")) ?? 10_000f,
            TieEmbeddings = !file.Tensors.ContainsKey("lm_head.weight"),
            BosTokenId = metadata.Integer("tokenizer.ggml.bos_token_id"),
            EosTokenIds =
                [.. new[] { "eos", "eot", "eom" }.Select(name => metadata.Integer($"tokenizer.ggml.{name}_token_id")).OfType<int>()
                    .Distinct()],
        };
        config = config with { RopeScaling = ReadScaling(file, config, Key) };
        config.Validate(file.Path);
        return config;

        string Key(string name) => $"{architecture}.{name}";
    }

    /// <summary>The keys of a model's shape; tokenizer and description are added by the caller.</summary>
    public static void Write(ModelConfig config, GgufMetadata metadata)
    {
        string architecture = Architecture(config);
        Add("vocab_size", config.VocabSize);
        Add("context_length", config.MaxPositions);
        Add("embedding_length", config.HiddenSize);
        Add("block_count", config.NumLayers);
        Add("feed_forward_length", config.IntermediateSize);
        Add("attention.head_count", config.NumHeads);
        Add("attention.head_count_kv", config.NumKvHeads);
        Add("attention.key_length", config.HeadDim);
        Add("attention.value_length", config.HeadDim);
        Add("rope.dimension_count", config.HeadDim);
        metadata.Add($"{architecture}.attention.layer_norm_rms_epsilon", config.RmsNormEps);
        metadata.Add($"{architecture}.rope.freq_base", config.RopeTheta);
        if (config.RopeScaling is not { Type: not RopeScalingType.Llama3 } scaling) return; // Llama 3's is a tensor
        metadata.Add(Scaling("type"), scaling.Type == RopeScalingType.Linear ? "linear" : "yarn");
        metadata.Add(Scaling("factor"), (float)scaling.Factor);
        if (scaling.Type == RopeScalingType.Linear) return;
        if (!scaling.Truncate) throw new FlywheelException("rope_scaling.truncate is false, which GGUF cannot say");
        metadata.Add(Scaling("original_context_length"), (uint)scaling.OriginalMaxPositions!);
        metadata.Add(Scaling("yarn_beta_fast"), (float)scaling.BetaFast);
        metadata.Add(Scaling("yarn_beta_slow"), (float)scaling.BetaSlow);
        // llama.cpp multiplies the paper's factor by this one.
        double relative = RopeFrequencies.Compute(config).AttentionFactor / PaperFactor(scaling.Factor);
        if (Math.Abs(relative - 1) > 1e-6) metadata.Add(Scaling("attn_factor"), (float)relative);

        void Add(string name, int value) => metadata.Add($"{architecture}.{name}", (uint)value);

        string Scaling(string name) => $"{architecture}.rope.scaling.{name}";
    }

    /// <summary>llama.cpp's name: Mistral is a Llama there.</summary>
    public static string Architecture(ModelConfig config) => config.ModelType == "mistral" ? "llama" : config.ModelType;

    /// <summary>[D / 2]: what Llama 3's scaling divides each frequency by.</summary>
    public static float[] Llama3Factors(ModelConfig config)
    {
        double[] plain = RopeFrequencies.Compute(config with { RopeScaling = null }).Inverse,
            scaled = RopeFrequencies.Compute(config).Inverse;
        return [.. plain.Zip(scaled, (before, after) => (float)(before / after))];
    }

    private static double PaperFactor(double factor) => factor <= 1 ? 1 : 0.1 * Math.Log(factor) + 1;

    private static RopeScaling? ReadScaling(GgufFile file, ModelConfig config, Func<string, string> key)
    {
        GgufMetadata metadata = file.Metadata;
        if (file.RopeFactors is { } tensor) return FindLlama3(file, config, file.ReadFloats(tensor));
        float? factor = metadata.Number(key("rope.scaling.factor")) ?? metadata.Number(key("rope.scale_linear"));
        switch (metadata.Text(key("rope.scaling.type")) ?? (factor is > 1 ? "linear" : "none"))
        {
            case "none":
            case "linear" when factor is null or 1 or 0:
                return null;
            case "linear":
                return new RopeScaling { Type = RopeScalingType.Linear, Factor = factor.Value };
            case "yarn":
                double given = factor ?? throw metadata.Missing(key("rope.scaling.factor"));
                return new RopeScaling
                {
                    Type = RopeScalingType.Yarn,
                    Factor = given,
                    OriginalMaxPositions = metadata.Integer(key("rope.scaling.original_context_length")) ?? config.MaxPositions,
                    BetaFast = metadata.Number(key("rope.scaling.yarn_beta_fast")) ?? 32,
                    BetaSlow = metadata.Number(key("rope.scaling.yarn_beta_slow")) ?? 1,
                    AttentionFactor = metadata.Number(key("rope.scaling.attn_factor")) is { } relative and not 1
                        ? relative * PaperFactor(given) : null,
                };
            case var other:
                throw new FlywheelException(
                    $"{file.Path}: metadata '{key("rope.scaling.type")}' is '{other}', expected none, linear or yarn");
        }
    }

    /// <summary>
    /// GGUF keeps the divisors, not the numbers that they come from. All of Llama 3.1 to 3.3 share 1, 4 and 8192, so that
    /// the largest divisor is the factor; a file with others is refused and not misread.
    /// </summary>
    private static RopeScaling FindLlama3(GgufFile file, ModelConfig config, float[] factors)
    {
        double largest = factors.Length == 0 ? 0 : factors.Max();
        if (factors.Length == config.HeadDim / 2 && largest >= 1)
        {
            foreach (int original in new[] { 8192, 4096, 16_384, 32_768, config.MaxPositions })
            {
                var scaling = new RopeScaling { Type = RopeScalingType.Llama3, Factor = largest, OriginalMaxPositions = original };
                float[] expected = Llama3Factors(config with { RopeScaling = scaling });
                if (expected.Zip(factors).All(pair => MathF.Abs(pair.First - pair.Second) <= 1e-4f * pair.First)) return scaling;
            }
        }
        throw new FlywheelException(
            $"{file.Path}: tensor '{RopeFactors}' holds [{string.Join(", ", factors.Take(8))}{(factors.Length > 8 ? ", ..." : "")}], expected {config.HeadDim / 2} divisors of Llama 3's rope scaling with low_freq_factor 1 and high_freq_factor 4");
    }
}
