using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Flywheel.Model;
using Flywheel.Training;

namespace Flywheel.Studio.OpenAI;

/// <summary>What a fine-tuning job has said: <c>events.jsonl</c> in its folder, one line each, oldest first.</summary>
internal sealed class FineTuneEvents(string folder, TimeProvider time)
{
    private string File => Path.Combine(folder, "events.jsonl");

    public void Say(string message, string level = "info") => Append(level, message, null);

    public void Measured(LogLine line, int numSteps)
    {
        var data = new JsonObject { ["step"] = line.Step, ["total_steps"] = numSteps };
        void Put(string name, double? value)
        {
            if (value is { } known && double.IsFinite(known)) data[name] = known;
        }

        Put("train_loss", line.Loss);
        Put("train_accuracy", line.Accuracy);
        Put("valid_loss", line.ValidationLoss);
        Put("valid_accuracy", line.ValidationAccuracy);
        Append("info",
            string.Create(CultureInfo.InvariantCulture,
                $"Step {line.Step}/{numSteps}: {(line.Loss is { } loss ? $"training loss={loss:F3}" : $"validation loss={line.ValidationLoss:F3}")}"), data);
    }

    /// <summary>All, oldest first, as the API gives them.</summary>
    public IReadOnlyList<JsonObject> Read()
    {
        List<JsonObject> events = [];
        if (!System.IO.File.Exists(File)) return events;
        foreach (string line in System.IO.File.ReadLines(File))
            try
            {
                events.Add(JsonNode.Parse(line)!.AsObject());
            }
            catch (JsonException)
            {
                // A crash cut it short.
            }
        return events;
    }

    private void Append(string level, string message, JsonObject? data)
    {
        DateTimeOffset now = time.GetUtcNow();
        string line = new JsonObject
        {
            ["id"] = $"ftevent-{Guid.CreateVersion7(now):N}",
            ["object"] = "fine_tuning.job.event",
            ["created_at"] = now.ToUnixTimeSeconds(),
            ["level"] = level,
            ["message"] = message,
            ["type"] = data is null ? "message" : "metrics",
            ["data"] = data,
        }.ToJsonString(JsonText.Compact);
        Directory.CreateDirectory(folder);
        // A line that a crash cut short must not swallow this one.
        System.IO.File.AppendAllText(File, "\n" + line);
    }
}
