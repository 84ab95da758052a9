using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Flywheel.Engine;
using Flywheel.Loop;
using Flywheel.Loop.Tasks;
using Flywheel.Model;
using Flywheel.Studio.Serving;
using Microsoft.Extensions.Logging;

namespace Flywheel.Studio.Apps.Tasks;

/// <summary>
/// What a person's page of a task holds: its fields as they are typed, and the answers, each with what the person said of it. One document
/// for a person and a task in a workspace.
/// </summary>
internal sealed class TaskSheets(Documents documents, FlywheelStore store, TaskDesk desk, TimeProvider time, ILogger<TaskSheets> log)
    : IDisposable
{
    public const string App = "tasks";

    private readonly SemaphoreSlim _making = new(1, 1);
    private readonly ConcurrentDictionary<Guid, byte> _asking = [];

    /// <summary>A sheet was changed, or an answer begun or ended.</summary>
    public event Action<Guid>? Changed
    {
        add => _changed.Add(value);
        remove => _changed.Remove(value);
    }

    private readonly Bell _changed = new();

    public bool IsAsking(Guid id) => _asking.ContainsKey(id);

    /// <summary>The same in every tab of the workspace where this is called, so that two tabs have one sheet.</summary>
    public static Guid IdOf(string person, string task)
    {
        // ids in the default one are older than workspaces
        string where = Actor.Workspace is null or WorkspaceRow.Default ? "" : $"\n{Actor.Workspace}";
        return new(SHA256.HashData(Encoding.UTF8.GetBytes($"{App}\n{person}\n{task}{where}")).AsSpan(0, 16));
    }

    /// <summary>What it says; of a damaged one nothing.</summary>
    public async Task<TaskSheet> ReadAsync(string person, string task) =>
        Stored.Read((await DocumentAsync(person, task)).Body, TaskSheet.Parse) ?? new TaskSheet();

    private async Task<Document> DocumentAsync(string person, string task)
    {
        Guid id = IdOf(person, task);
        await _making.WaitAsync();
        try
        {
            return await documents.FindAsync(id, person) ?? await documents.AddAsync(id, person, App, task, task, new TaskSheet().ToJson())
                ?? throw new InvalidOperationException($"document {id} is another person's");
        }
        finally
        {
            _making.Release();
        }
    }

    /// <summary>Puts one field on disk if it still says what it said when it was typed over; else nothing is changed.</summary>
    /// <returns>Null, or what another window has written there.</returns>
    public async Task<string?> SaveFieldAsync(string person, string task, string field, string text, string over)
    {
        string? theirs = null;
        await ChangeAsync(person, task, sheet =>
        {
            string now = sheet.Fields.GetValueOrDefault(field) ?? "";
            if (now != over && now != text)
            {
                theirs = now;
                return sheet;
            }
            return sheet with { Fields = new(sheet.Fields) { [field] = text } };
        });
        return theirs;
    }

    /// <summary>Has the model answer; what it says is recorded, and on the sheet, also when the page is gone by then.</summary>
    /// <exception cref="FlywheelException">The model cannot be asked this.</exception>
    /// <exception cref="QueueFullException">Too many wait.</exception>
    public async Task AskAsync(string person, TaskFolder task, IReadOnlyDictionary<string, string> values)
    {
        Guid id = IdOf(person, task.Name);
        await using GenerationGroup group = desk.Start(task, values, person, (_, order) => order with { User = person },
            CancellationToken.None);
        _asking[id] = 0;
        _changed.Ring(id);
        try
        {
            await foreach (ChoiceEvent _ in group.Events) { } // ends recorded
            Choice choice = group.Choices[0];
            string said = choice.Text.Trim();
            var answer = new TaskAnswer
            {
                Generation = choice.Id, Time = time.GetUtcNow(), Fields = new(values), Said = said, Output = task.Output(said),
                Model = group.Model.Name,
                Whole = choice.FinishReason == FinishReason.Stop,
            };
            await ChangeAsync(person, task.Name,
                sheet => sheet with { Answers = [answer, .. sheet.Answers.Take(TaskSheet.MaxAnswers - 1)] });
        }
        catch (Exception e) when (e is not FlywheelException)
        {
            log.LogError(e, "An answer to the task {Task} failed", task.Name);
            throw;
        }
        finally
        {
            _asking.TryRemove(id, out _);
            _changed.Ring(id);
        }
    }

    /// <summary>What a person says of an answer: recorded first, then shown.</summary>
    /// <param name="person">Who.</param>
    /// <param name="task">The task.</param>
    /// <param name="generation">The answer.</param>
    /// <param name="state">Right, wrong, corrected; Open takes back what was said.</param>
    /// <param name="correction">The right output, where it is corrected.</param>
    /// <exception cref="FlywheelException">The correction is no output of the task.</exception>
    public async Task ActAsync(string person, TaskFolder task, Guid generation, TaskAnswerState state, string correction = "")
    {
        TaskSheet sheet = await ReadAsync(person, task.Name);
        if (sheet.Answers.FirstOrDefault(answer => answer.Generation == generation) is not { } about) return;
        // As the assistant would have said it, and what of that is the output: what is learnt is what is shown.
        string said = state == TaskAnswerState.Corrected ? task.Answer(about.Fields, correction.Trim()) : "";
        correction = state == TaskAnswerState.Corrected ? task.Output(said) : "";
        if (state == TaskAnswerState.Corrected && correction == about.Output) state = TaskAnswerState.Right;
        (string metric, JsonNode value) = state switch
        {
            TaskAnswerState.Right => (Metrics.Keep, (JsonNode)true),
            TaskAnswerState.Wrong => (Metrics.Discard, true),
            TaskAnswerState.Corrected => (Metrics.Demonstration, said),
            _ => (Metrics.Retract, true),
        };
        var tags = new JsonObject { ["application"] = App, ["task"] = task.Name };
        await store.AddFeedbackAsync(new FeedbackInput(generation, metric, value, person, tags));
        await ChangeAsync(person, task.Name, now => now with
        {
            Answers =
                [.. now.Answers.Select(answer => answer.Generation == generation
                    ? answer with { State = state, Correction = state == TaskAnswerState.Corrected ? correction : "" } : answer)],
        });
    }

    public void Dispose() => _making.Dispose();

    public Task ClearAsync(string person, string task) => ChangeAsync(person, task, sheet => sheet with { Answers = [] });

    private async Task ChangeAsync(string person, string task, Func<TaskSheet, TaskSheet> change)
    {
        Document known = await DocumentAsync(person, task);
        Guid id = known.Id;
        await documents.ChangeAsync(id, person, document =>
        {
            document.Body = change(Stored.Read(document.Body, TaskSheet.Parse) ?? new TaskSheet()).ToJson();
            return true;
        }, keepVersion: Stored.Read(known.Body, TaskSheet.Parse) is null); // a damaged one stays as a version
        _changed.Ring(id);
    }
}

/// <summary>What a sheet's document says.</summary>
internal sealed record TaskSheet
{
    public const int MaxAnswers = 30;

    public Dictionary<string, string> Fields { get; init; } = [];

    /// <summary>The latest first.</summary>
    public List<TaskAnswer> Answers { get; init; } = [];

    private static readonly JsonSerializerOptions s_options = WholeLists.Of(JsonText.Compact);

    public static TaskSheet Parse(string json) => JsonSerializer.Deserialize<TaskSheet>(json, s_options)!;

    public string ToJson() => JsonSerializer.Serialize(this, JsonText.Compact);
}

/// <summary>One answer on a sheet.</summary>
public sealed record TaskAnswer
{
    public required Guid Generation { get; init; }

    public required DateTimeOffset Time { get; init; }

    public required Dictionary<string, string> Fields { get; init; }

    /// <summary>What the model said.</summary>
    public required string Said { get; init; }

    public required string Output { get; init; }

    /// <summary>Name of the model.</summary>
    public required string Model { get; init; }

    /// <summary>It ended by itself.</summary>
    public bool Whole { get; init; } = true;

    public TaskAnswerState State { get; init; }

    /// <summary>What the person wants instead.</summary>
    public string Correction { get; init; } = "";
}

/// <summary>What the person said of an answer.</summary>
public enum TaskAnswerState
{
    /// <summary>Nothing was said of it.</summary>
    Open,

    Right,

    Wrong,

    Corrected,
}
