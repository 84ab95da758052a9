using System.Text.Json;
using System.Text.Json.Nodes;
using Flywheel.Model;

namespace Flywheel.Data;

/// <summary>
/// JSON lines as OpenAI's fine-tuning takes them: conversations, <c>{"messages": [...]}</c>, or preference pairs,
/// <c>{"input": {"messages": [...]}, "preferred_output": [...], "non_preferred_output": [...]}</c>; a conversation with
/// <c>"label": true</c> or <c>false</c> is an answer that was liked or not; <c>{"messages": [...], "tokens": [ids], "logprobs":
/// [...], "reward": 1}</c> is a prompt with an answer as it was sampled. Further fields are lineage; of them <c>id</c> names the item,
/// <c>group</c> keeps items in one split and <c>licence</c> is kept.
/// </summary>
public static class JsonlSource
{
    /// <param name="path">The file.</param>
    /// <param name="split">Of every line; null leaves it to the group's hash.</param>
    /// <exception cref="FlywheelException">A line is not UTF-8, not JSON or has the wrong fields: names file, line and field.</exception>
    public static IEnumerable<SourceItem> Read(string path, Split? split = null)
    {
        if (!File.Exists(path)) throw new FlywheelException($"{path}: no such file; expected JSON lines");
        int number = 0;
        foreach (string read in Utf8File.ReadLines(path))
        {
            number++;
            string line = read.TrimStart('\uFEFF'); // files joined by cat keep the mark of each
            if (string.IsNullOrWhiteSpace(line)) continue;
            SourceItem item;
            try
            {
                item = Parse(line, $"jsonl:{Path.GetFileName(path)}:{number}") with { Split = split };
            }
            catch (FlywheelException e)
            {
                throw new FlywheelException($"{path}:{number}: {e.Message}", e);
            }
            yield return item;
        }
    }

    /// <summary>A folder that a turn curated and has split itself: train.jsonl and, where it held rows out, heldout.jsonl.</summary>
    public static IEnumerable<SourceItem> ReadCurated(string folder)
    {
        string heldOut = Path.Combine(folder, "heldout.jsonl");
        IEnumerable<SourceItem> train = Read(Path.Combine(folder, "train.jsonl"), Split.Train);
        return File.Exists(heldOut) ? train.Concat(Read(heldOut, Split.Validation)) : train;
    }

    /// <param name="line">One JSON object.</param>
    /// <param name="id">Where the line has none.</param>
    public static SourceItem Parse(string line, string id)
    {
        JsonNode? node;
        try
        {
            node = JsonNode.Parse(line);
        }
        catch (JsonException e)
        {
            throw new FlywheelException($"not valid JSON: {e.Message}", e);
        }
        if (node is not JsonObject row)
            throw new FlywheelException("is not a JSON object, expected {\"messages\": [...]} or a preference pair");
        try
        {
            Example example = row.ContainsKey("tokens") ? Sampled(row)
                : row.ContainsKey("label") ? Judged(row)
                : row.ContainsKey("messages") ? new ConversationExample(WithAnswer(Messages(row, "messages")))
                : row.ContainsKey("preferred_output") || row.ContainsKey("non_preferred_output") ? Pair(row)
                : throw new FlywheelException(
                    $"has the fields {string.Join(", ", row.Select(field => field.Key))}, expected messages, or input with preferred_output and non_preferred_output");
            Conversation asked = example switch
            {
                PairExample pair => pair.Preferred,
                JudgedExample judged => judged.Conversation,
                SampledExample sampled => sampled.Prompt,
                _ => ((ConversationExample)example).Conversation,
            };
            // Answers to one prompt stay together.
            string group =
                Text(row, "group")
                    ?? "prompt:"
                        + string.Join('\n',
                            asked.Messages.TakeWhile(message => message.Role != Role.Assistant).Select(message => message.Text));
            return new SourceItem(Text(row, "id") ?? id, group, [example], Text(row, "licence") ?? "");
        }
        catch (Exception e) when (e is ArgumentException or InvalidOperationException)
        {
            // A field twice, or half of a surrogate pair: found only when the object is first read.
            throw new FlywheelException($"not valid JSON: {e.Message}", e);
        }
    }

    private static JudgedExample Judged(JsonObject row) =>
        new(WithAnswer(Messages(row, "messages")), row["label"] is JsonValue value && value.TryGetValue(out bool liked)
            ? liked
            : throw new FlywheelException(
                $"field 'label' is {row["label"]?.ToJsonString(JsonText.Compact) ?? "null"}, expected true or false"));

    private static SampledExample Sampled(JsonObject row)
    {
        int[] tokens = Numbers<int>("tokens", "token ids");
        float[] logProbs = Numbers<float>("logprobs", "log-probabilities, at most 0, one for each token");
        if (tokens.Length == 0 || logProbs.Length != tokens.Length || logProbs.Any(value => !(value <= 0 && float.IsFinite(value))))
            throw new FlywheelException(
                $"fields 'tokens' and 'logprobs' have {tokens.Length} and {logProbs.Length} numbers, expected as many log-probabilities, at most 0, as tokens");
        float reward = row["reward"] is JsonValue value && value.TryGetValue(out float number) && float.IsFinite(number) ? number
            : throw new FlywheelException(
                $"field 'reward' is {row["reward"]?.ToJsonString(JsonText.Compact) ?? "missing"}, expected a number");
        return new SampledExample(Messages(row, "messages"), tokens, logProbs, reward);

        T[] Numbers<T>(string field, string expected) =>
            row[field] is JsonArray array && array.All(item => item is JsonValue number && number.TryGetValue<T>(out _))
            ? [.. array.Select(item => item!.GetValue<T>())]
            : throw new FlywheelException(
                $"field '{field}' is {(row.ContainsKey(field) ? "no list of numbers" : "missing")}, expected {expected}");
    }

    private static PairExample Pair(JsonObject row)
    {
        if (row["input"] is not JsonObject input) throw new FlywheelException("field 'input' is missing, expected {\"messages\": [...]}");
        Conversation prompt = Messages(input, "messages", "input.");
        Conversation Answered(string field) =>
            WithAnswer(prompt with { Messages = [.. prompt.Messages, .. Messages(row, field).Messages] }, field);
        return new PairExample(Answered("preferred_output"), Answered("non_preferred_output"));
    }

    private static Conversation Messages(JsonObject row, string field, string within = "") =>
        row[field] is JsonArray messages
            ? Conversation.FromJson(messages, row["tools"], row["chat_template_kwargs"], row["modalities"])
            : throw new FlywheelException(
                $"field '{within}{field}' is {(row.ContainsKey(field) ? "no array" : "missing")}, expected an array of messages");

    private static Conversation WithAnswer(Conversation conversation, string field = "messages") =>
        conversation.Messages[^1] is { Role: Role.Assistant, Text.Length: > 0 } or { Role: Role.Assistant, ToolCalls.Count: > 0 }
            ? conversation
            : throw new FlywheelException(
                $"field '{field}' ends with {(conversation.Messages[^1].Role == Role.Assistant ? "an empty answer" : $"a message of the {conversation.Messages[^1].Role.ToString().ToLowerInvariant()}")}, expected the assistant's answer");

    private static string? Text(JsonObject row, string field) =>
        row[field] is JsonValue value && value.TryGetValue(out string? text) ? text : null;
}
