using System.Text.Json.Nodes;
using Flywheel.Engine;
using Flywheel.Engine.Grammars;
using Flywheel.Loop;
using Flywheel.Loop.Games;
using Flywheel.Loop.Tasks;
using Flywheel.Model;
using Flywheel.Studio.Serving;
using Flywheel.Studio.Shell;
using Microsoft.AspNetCore.Components;
using Microsoft.Extensions.Logging;

namespace Flywheel.Studio.Apps.Tasks;

/// <summary>
/// A game of a person against the served model. Its moves are generations of the task like any other; when the game is over the referee
/// rates the model's. The moves so far are kept on the task's sheet, so that a reload goes on.
/// </summary>
public sealed partial class GameBoard
{
    /// <summary>As many as the recipe's measure has.</summary>
    private const int Simulations = 64;

    /// <summary>The model's moves of this game, each by the moves before it.</summary>
    private Dictionary<int, Guid> _generations = [];

    /// <summary>The game that went on when a new one was begun, which taking back brings back.</summary>
    private (bool Begins, List<int> History, Dictionary<int, Guid> Generations)? _former;
    private List<int> _history = [];
    private IReadOnlyDictionary<int, double>? _shares;
    private double? _value;
    private string? _problem;
    private bool _begins = true, _searches = true, _showsThoughts = true, _busy, _loaded;

    [Inject] private TaskDesk Desk { get; set; } = null!;

    [Inject] private TaskSheets Sheets { get; set; } = null!;

    [Inject] private ModelHost Host { get; set; } = null!;

    [Inject] private FlywheelStore Store { get; set; } = null!;

    [Inject] private ILogger<GameBoard> Log { get; set; } = null!;

    [CascadingParameter] private Visit Visit { get; set; } = null!;

    [Parameter, EditorRequired] public TaskFolder Folder { get; set; } = null!;

    private Strings Words => Visit.Words;

    private Game Rules => Folder.Game!;

    private GamePosition Position => Rules.After(_history);

    /// <summary>It is the person's move.</summary>
    private bool IsTheirs => !_busy && _loaded && !Position.IsOver && Position.IsFirstToMove == _begins;

    private bool Ready => RendererInfo.IsInteractive && _loaded && !_busy;

    /// <summary>How the game has ended for the person: 1, 0 or -1; null while it goes on.</summary>
    private int? Result => Position is var position && position.IsFirstToMove == _begins ? position.Result : -position.Result;

    private string State => Words[Result switch
    {
        1 => "game.won", -1 => "game.lost", 0 => "game.drawn",
        _ => _busy ? "game.thinking"
            : Position.Moves is [var only] && Rules.IsPass(only) ? "game.must-pass"
            : _history is [.., var last] && Rules.IsPass(last) ? "game.model-passed" : "game.your-move",
    }];

    /// <summary>Nothing of the person's is played yet, and a game before was left.</summary>
    private bool IsFormerNext => _former is not null && _history.Count <= (_begins ? 0 : 1);

    private bool CanUndo => Ready && (_history.Count > 0 || IsFormerNext);

    private string? StateClass => Result switch { 1 => "won", -1 => "lost", 0 => "drawn", _ => null };

    protected override async Task OnInitializedAsync()
    {
        TaskSheet sheet = await Sheets.ReadAsync(Visit.Person, Folder.Name);
        _begins = sheet.Fields.GetValueOrDefault(GameTask.ToMove) != Rules.Sides.Second;
        _history = Legal(sheet.Fields.GetValueOrDefault(GameTask.History) ?? "");
        if (!RendererInfo.IsInteractive) return;
        _loaded = true;
        await GoOnAsync();
    }

    /// <summary>The moves of a text as far as the rules allow them.</summary>
    private List<int> Legal(string text)
    {
        var history = new List<int>();
        GamePosition position = Rules.Start;
        foreach (string symbol in text.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            if (Rules.FindMove(symbol) is not { } move || !position.Moves.Contains(move)) break;
            history.Add(move);
            position = position.Play(move);
        }
        return history;
    }

    private Task PlayAsync(int move) => DoAsync(async () =>
    {
        if (!Position.Moves.Contains(move)) return;
        _history.Add(move);
        await KeepAsync();
        await AnswerAsync();
    });

    private Task NewAsync(bool begins) => DoAsync(async () =>
    {
        // One key or a slip of the mouse begins a new game, so that one which goes on is kept.
        if (!IsFormerNext) _former = _history.Count > 0 && !Position.IsOver ? (_begins, _history, _generations) : null;
        (_begins, _history, _generations) = (begins, [], []);
        await KeepAsync();
        await AnswerAsync();
    });

    /// <summary>Back to the person's move before, or to the game before.</summary>
    private Task UndoAsync() => DoAsync(async () =>
    {
        if (IsFormerNext) ((_begins, _history, _generations), _former) = (_former!.Value, null);
        else
            do
            {
                _history.RemoveAt(_history.Count - 1);
                _generations.Remove(_history.Count); // what was taken back is not rated by another game's end
            }
            while (_history.Count > 0 && Position.IsFirstToMove != _begins);
        await KeepAsync();
        await AnswerAsync();
    });

    private Task SetAsync(bool? searches = null, bool? shows = null)
    {
        (_searches, _showsThoughts) = (searches ?? _searches, shows ?? _showsThoughts);
        return DoAsync(ThinkAsync);
    }

    private Task GoOnAsync() => DoAsync(AnswerAsync);

    /// <summary>The model moves where it is its turn; then what it thinks of the position is shown.</summary>
    private async Task AnswerAsync()
    {
        if (!Position.IsOver && Position.IsFirstToMove != _begins)
        {
            StateHasChanged();
            GameAdvice advice = await AdviceAsync();
            IReadOnlyDictionary<string, string> values =
                Folder.Check(new Dictionary<string, string> { [GameTask.History] = Rules.Spell(_history) });
            // What the search chose is asked of the model like any answer, so that the move is a generation with its own log-probability.
            string only = Grammar.Parse($"root ::= {ReservedTokens.Symbols(Rules.MoveTokens)[Rules.Symbol(advice.Best)]}").Source;
            await using GenerationGroup group = Desk.Start(Folder, values, unit: null, // a game is one opponent's
                (_, order) => order with { User = Visit.Person, Sampler = order.Sampler with { Grammar = only } }, CancellationToken.None);
            await foreach (ChoiceEvent _ in group.Events) { } // ends recorded
            _generations[_history.Count] = group.Choices[0].Id;
            _history.Add(advice.Best);
            await KeepAsync();
        }
        if (Position.IsOver) await RateAsync();
        await ThinkAsync();
    }

    private async Task ThinkAsync()
    {
        (_shares, _value) = (null, null);
        if (Position.IsOver || !_showsThoughts) return;
        GameAdvice advice = await AdviceAsync();
        (_shares, _value) = (advice.Shares, advice.Value);
    }

    private async Task<GameAdvice> AdviceAsync()
    {
        ServedModel model = Host.Acquire();
        try
        {
            return await GameAdvice.AskAsync(Folder, model.Folder, model.Engine, Position, _searches ? Simulations : 0);
        }
        finally
        {
            model.Release();
        }
    }

    /// <summary>The game's result is the referee's word on each of the model's moves.</summary>
    private async Task RateAsync()
    {
        double rating = (1 - Result!.Value) / 2.0;
        foreach (Guid generation in _generations.Values)
            await Store.AddFeedbackAsync(new FeedbackInput(generation, Metrics.Rating, JsonValue.Create(rating), "referee",
                new JsonObject { ["application"] = "tasks", ["task"] = Folder.Name }) { Source = FeedbackSource.Referee });
        _generations.Clear();
    }

    /// <summary>Shows and keeps what was played or taken back. What the model thought was of the position before.</summary>
    private async Task KeepAsync()
    {
        (_shares, _value) = (null, null);
        StateHasChanged();
        await SaveAsync(GameTask.History, Rules.Spell(_history));
        await SaveAsync(GameTask.ToMove, _begins ? Rules.Sides.First : Rules.Sides.Second);
    }

    private async Task SaveAsync(string field, string value)
    {
        string? over = (await Sheets.ReadAsync(Visit.Person, Folder.Name)).Fields.GetValueOrDefault(field) ?? "";
        // another tab's last word is overwritten
        while (over is not null && over != value) over = await Sheets.SaveFieldAsync(Visit.Person, Folder.Name, field, value, over);
    }

    private async Task DoAsync(Func<Task> what)
    {
        if (_busy) return;
        (_busy, _problem) = (true, null);
        try
        {
            await what();
        }
        catch (Exception e)
        {
            if (e is not (FlywheelException or QueueFullException)) Log.LogError(e, "A game could not go on");
            _problem = e switch { QueueFullException => Words["tasks.queue-full"], FlywheelException => e.Message,
                _ => Words["tasks.failed"] };
        }
        finally
        {
            _busy = false;
        }
    }
}
