using System.Globalization;
using Flywheel.Engine;
using Flywheel.Loop.Games;
using Flywheel.Loop.Tasks;
using Flywheel.Model;
using Flywheel.Studio.Serving;
using Flywheel.Studio.Shell;
using Microsoft.AspNetCore.Components;
using Microsoft.Extensions.Logging;
using Microsoft.JSInterop;
using MudBlazor;

namespace Flywheel.Studio.Apps.Tasks;

/// <summary>The page of one task, drawn from its file: fields, answers and what the person says of them, and how good the model is at
/// it.</summary>
public sealed partial class TaskPage
{
    private TaskFolder? _task;
    private TaskSheet _sheet = new();
    private TaskEvaluation? _evaluation;
    private GameCurve? _curve;
    private ServedModel _model = null!;
    private readonly Dictionary<string, string> _typed = [];
    private (string Field, string Message)? _error;
    private string? _fault, _problem;
    private string _announcement = "";
    private bool _trained, _busy;
    private ElementReference _answers;

    [Inject] private TaskDesk Desk { get; set; } = null!;

    [Inject] private TaskSheets Sheets { get; set; } = null!;

    [Inject] private ModelHost Host { get; set; } = null!;

    [Inject] private TimeProvider Time { get; set; } = null!;

    [Inject] private IJSRuntime Js { get; set; } = null!;

    [Inject] private ISnackbar Snackbar { get; set; } = null!;

    [Inject] private ILogger<TaskPage> Log { get; set; } = null!;

    [CascadingParameter] private Visit Visit { get; set; } = null!;

    [Parameter] public string Name { get; set; } = "";

    private Strings Words => Visit.Words;

    /// <summary>What the browser's own store calls the sheet.</summary>
    private string Key => $"task-{Name}";

    protected override void OnInitialized()
    {
        Host.Promoted += OnPromoted;
        Sheets.Changed += OnChanged;
    }

    protected override async Task OnParametersSetAsync()
    {
        if (_task?.Name == Name) return;
        (_task, _problem, _error) = (null, null, null);
        _typed.Clear();
        try
        {
            _task = Desk.Catalog.Find(Name);
        }
        catch (FlywheelException e)
        {
            _problem = e is UnknownTaskException ? Words["tasks.gone-why"] : e.Message;
            return;
        }
        ReadModel();
        await LoadAsync();
    }

    private void ReadModel()
    {
        _model = Host.Current;
        if (_task is null) return;
        (_fault, _trained, _evaluation) = (TaskDesk.FaultOf(_task, _model.Folder), TaskAsk.IsTrained(_task, _model.Folder),
            Desk.EvaluationOf(_task, _model));
        _curve = _task.Description.Game is null ? null : Desk.CurveOf(_task);
    }

    private GameCurve.Words CurveWords =>
        new(Words["game.curve"], Words["game.elo"], Words["game.turn"], Words["game.optimal"], Words["game.alone"], Words["game.search"],
            Words["game.legal"]);

    private async Task LoadAsync()
    {
        _sheet = await Sheets.ReadAsync(Visit.Person, Name);
        _busy = Sheets.IsAsking(TaskSheets.IdOf(Visit.Person, Name));
    }

    private string Value(TaskField field) => _typed.GetValueOrDefault(field.Name) ?? _sheet.Fields.GetValueOrDefault(field.Name) ?? "";

    private string Remark(TaskField field) => string.Join(" · ", new[]
    {
        field.Many ? Words["tasks.one-a-line"] : field.WidgetOrDefault switch
        {
            TaskField.Number when field is { Min: { } min, Max: { } max } => $"{Plain(min)}–{Plain(max)}",
            TaskField.Symbols => Words[ReservedTokens.IsOfLetters(field.Modality) ? "tasks.letters" : "tasks.symbols"],
            _ => "",
        },
        field.Required ? "" : Words["tasks.optional"],
    }.Where(remark => remark.Length > 0));

    private static string Plain(double number) => number.ToString("0.######", CultureInfo.InvariantCulture);

    private static string Short(IReadOnlyDictionary<string, string> fields)
    {
        const int most = 36;
        string text = "";
        foreach (string value in fields.Values.Select(value => value.Trim().ReplaceLineEndings(", ")))
        {
            string longer = text.Length == 0 ? value : $"{text} · {value}";
            if (longer.Length > most) return text.Length > 0 ? text : $"{value[..(most - 1)].TrimEnd()}…"; // whole values
            text = longer;
        }
        return text;
    }

    private string? ErrorOf(TaskField field) => _error is { } error && error.Field == field.Name ? error.Message : null;

    private EventCallback<string> Typed(TaskField field) => EventCallback.Factory.Create<string>(this, text =>
    {
        _typed[field.Name] = text;
        if (_error?.Field == field.Name) _error = null;
    });

    private Func<string, string, Task<string?>> SaveField(TaskField field) => async (text, over) =>
    {
        try
        {
            string? theirs = await Sheets.SaveFieldAsync(Visit.Person, Name, field.Name, text, over);
            _problem = null;
            return theirs;
        }
        catch (Exception e)
        {
            Log.LogError(e, "A field of a task could not be saved");
            _problem = Words["tasks.not-saved"];
            StateHasChanged();
            throw;
        }
    };

    /// <summary>What is chosen, or comes from an example, is on disk at once.</summary>
    private async Task ChooseAsync(TaskField field, string value)
    {
        string over = _sheet.Fields.GetValueOrDefault(field.Name) ?? "";
        _typed[field.Name] = value;
        if (_error?.Field == field.Name) _error = null;
        if (await SaveField(field)(value, over) is { } theirs) await SaveField(field)(value, theirs);
    }

    private async Task TryAsync(TaskExample example)
    {
        if (_task is null || _busy) return;
        foreach (TaskField field in _task.Description.Fields)
            await ChooseAsync(field, (example.Fields.GetValueOrDefault(field.Name) ?? "").Trim());
        _sheet = await Sheets.ReadAsync(Visit.Person, Name);
        await AskAsync();
    }

    private async Task AskAsync()
    {
        if (_task is null || _busy || _fault is not null) return;
        (_problem, _error) = (null, null);
        IReadOnlyDictionary<string, string> values;
        try
        {
            values = _task.Check(_task.Description.Fields.ToDictionary(field => field.Name, Value));
        }
        catch (FlywheelException e)
        {
            TaskField wrong =
                _task.Description.Fields.First(field => e.Message.StartsWith($"field '{field.Name}'", StringComparison.Ordinal));
            _error = (wrong.Name, Say(wrong, e.Message));
            await Js.InvokeVoidAsync("flywheel.focus", $"field-{wrong.Name}");
            return;
        }
        _busy = true;
        _announcement = Words["tasks.announce-asking"];
        try
        {
            await Js.InvokeVoidAsync("flywheel.reveal", _answers);
            await Sheets.AskAsync(Visit.Person, _task, values);
            _announcement = Words["tasks.announce-ready"];
        }
        catch (Exception e)
        {
            if (e is not (FlywheelException or QueueFullException)) Log.LogError(e, "A task could not be asked");
            _problem = e switch { QueueFullException => Words["tasks.queue-full"], FlywheelException => e.Message,
                _ => Words["tasks.failed"] };
        }
        await LoadAsync();
    }

    /// <summary>What is wrong with a field, in the person's language.</summary>
    private string Say(TaskField field, string message)
    {
        string value = Value(field).Trim();
        if (value.Length == 0) return Words["tasks.missing"];
        return field.WidgetOrDefault switch
        {
            TaskField.Number => field is { Min: { } min, Max: { } max }
                ? Words.Format("tasks.number-between", Plain(min), Plain(max)) : Words["tasks.number"],
            TaskField.Symbols when ReservedTokens.IsOfLetters(field.Modality) =>
                SayLetters(field, string.Concat(value.Where(c => !char.IsWhiteSpace(c)))),
            TaskField.Symbols =>
                Words.Format("tasks.wrong-symbols", field.Modality, string.Join(' ', ReservedTokens.Symbols(field.Modality).Keys.Take(12))),
            TaskField.Lines when field.Many && TaskFolder.Items(value).Length > field.MaxItems =>
                Words.Format("tasks.many", field.MaxItems),
            _ => value.Length > field.MaxLength ? Words.Format("tasks.long", field.MaxLength) : message,
        };
    }

    /// <summary>The first letter that is none of the alphabet's, by its place; else there are too many.</summary>
    private string SayLetters(TaskField field, string letters)
    {
        IReadOnlyDictionary<string, string> known = ReservedTokens.Symbols(field.Modality);
        int wrong = letters.Select(char.ToUpperInvariant).TakeWhile(letter => known.ContainsKey($"{letter}")).Count();
        return wrong < letters.Length
            ? Words.Format("tasks.wrong-letter", letters[wrong], wrong + 1, string.Concat(known.Keys)) : Words.Format("tasks.long",
                field.Places > 0 ? field.Places : field.MaxLength);
    }

    private async Task ActAsync(TaskAnswer answer, TaskAnswerState state, string correction)
    {
        if (_task is null) return;
        try
        {
            await Sheets.ActAsync(Visit.Person, _task, answer.Generation, state, correction);
            _announcement = Words[state switch { TaskAnswerState.Open => "tasks.announce-undone",
                TaskAnswerState.Right => "tasks.announce-right", TaskAnswerState.Wrong => "tasks.announce-wrong",
                _ => "tasks.announce-corrected" }];
        }
        catch (Exception e)
        {
            if (e is not FlywheelException) Log.LogError(e, "What a person said of an answer could not be recorded");
            Snackbar.Add(e is FlywheelException ? Words.Format("tasks.no-output", e.Message) : Words["tasks.not-saved"], Severity.Error);
        }
        await LoadAsync();
        StateHasChanged();
    }

    private async Task ClearAsync()
    {
        await Sheets.ClearAsync(Visit.Person, Name);
        await LoadAsync();
    }

    // Another tab, or an answer that ended after a reload.
    private void OnChanged(Guid id)
    {
        if (id == TaskSheets.IdOf(Visit.Person, Name)) Refresh(LoadAsync);
    }

    private void OnPromoted() => Refresh(() =>
    {
        ReadModel();
        return Task.CompletedTask;
    });

    private void Refresh(Func<Task> read) => _ = InvokeAsync(async () =>
    {
        try
        {
            await read();
            StateHasChanged();
        }
        catch (Exception e)
        {
            Log.LogError(e, "A task's sheet could not be read");
        }
    });

    public void Dispose()
    {
        Host.Promoted -= OnPromoted;
        Sheets.Changed -= OnChanged;
    }
}
