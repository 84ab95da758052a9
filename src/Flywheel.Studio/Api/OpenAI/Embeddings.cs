using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using Flywheel.Engine;
using Flywheel.Loop;
using Flywheel.Studio.Serving;
using Microsoft.AspNetCore.Http;

namespace Flywheel.Studio.OpenAI;

/// <summary><c>POST /v1/embeddings</c>: texts as vectors of length 1. Nothing is generated, so nothing is recorded.</summary>
internal static class Embeddings
{
    private const int MaxTexts = 2048, TextsAtOnce = 16;

    public static async Task HandleAsync(HttpContext http, ModelHost host, ServingMetrics metrics, ApiKeys keys, TimeProvider time)
    {
        RequestBody body = await RequestBody.ReadAsync(http);
        GenerationFields.RefuseUnknownBut(body, "model", "input", "encoding_format", "dimensions", "user", "pooling");
        string format = body.Text("encoding_format") ?? "float";
        if (format is not ("float" or "base64")) throw RequestBody.Wrong("encoding_format", body["encoding_format"], "float or base64");
        Pooling pooling = body.Text("pooling") switch
        {
            null or "mean" => Pooling.Mean,
            "last" => Pooling.LastToken,
            _ => throw RequestBody.Wrong("pooling", body["pooling"], "mean or last"),
        };
        string? user = body.Text("user", maxLength: 200);
        long start = time.GetTimestamp();
        ServedModel model = host.Acquire();
        try
        {
            string? adapter = GenerationFields.Adapter(body, model);
            int size = model.Folder.Config.HiddenSize, dimensions = body.Count("dimensions", 1, size) ?? size;
            IReadOnlyList<int[]> texts = TextInput.Read(body, "input", model.Folder, MaxTexts);
            GenerationFields.CheckContext(model, texts, "input", left: 0);

            var vectors = new float[texts.Count][];
            // A few at a time, so that one long list does not fill the queue.
            await Parallel.ForAsync(0, texts.Count, new ParallelOptions { MaxDegreeOfParallelism = TextsAtOnce,
                CancellationToken = http.RequestAborted }, async (i, cancellation) =>
            {
                float[] vector =
                    (await model.Engine.EmbedAsync(texts[i], pooling, normalize: true, user, adapter, cancellation))[..dimensions];
                if (dimensions < size) TensorPrimitives.Divide(vector, Math.Max(TensorPrimitives.Norm(vector), float.Epsilon), vector);
                vectors[i] = vector;
            });
            int count = texts.Sum(text => text.Length);
            metrics.Request("embeddings", adapter ?? model.Name, "api", time.GetElapsedTime(start), error: null);
            metrics.Tokens("embeddings", adapter ?? model.Name, count, cached: 0, output: 0);
            if (Actor.LimitedKey is { } key) await keys.CountTokensAsync(key, count);
            await Answers.Json(http, new()
            {
                ["object"] = "list",
                ["data"] =
                    new JsonArray(
                        [.. vectors.Select((vector, i) => new JsonObject { ["object"] = "embedding", ["index"] = i,
                            ["embedding"] = format == "base64"
                                ? Base64(vector) : new JsonArray([.. vector.Select(value => JsonValue.Create(value))]) })]),
                ["model"] = adapter ?? model.Name,
                ["model_hash"] = model.Hash,
                ["usage"] = new JsonObject { ["prompt_tokens"] = count, ["total_tokens"] = count },
            });
        }
        finally
        {
            model.Release();
        }
    }

    // little-endian, as this machine is
    private static JsonValue Base64(float[] vector) => JsonValue.Create(Convert.ToBase64String(MemoryMarshal.AsBytes(vector.AsSpan())));
}
