using System.Globalization;
using Flywheel.Loop;
using Flywheel.Loop.Rollouts;
using Flywheel.Model;
using Flywheel.Studio.Serving;
using Flywheel.Studio.Shell;
using Microsoft.AspNetCore.Components;
using Microsoft.Extensions.Logging;

namespace Flywheel.Studio.Apps.Turns;

/// <summary>Where the wheel stands: what came in, what it changed, who taught it, one button; and the way back.</summary>
public sealed partial class LoopPage
{
    private IReadOnlyList<TurnRow> _turns = [];
    private IReadOnlyList<Released> _releases = [];
    private IReadOnlyDictionary<string, ModelRow> _models = new Dictionary<string, ModelRow>();
    private IReadOnlyList<EvaluationRow> _evaluations = [];
    private IReadOnlyList<(string User, ExampleKind Kind, Split? Split, string? Drop, int Count)> _learnt = [];
    private IReadOnlyList<(Answer Champion, Answer Candidate)> _drafts = [];
    private IReadOnlyList<Alarm> _alarms = [];
    private ServedModel _model = null!;
    private TeachProgress? _teacher;
    private TurnRow? _waiting, _last;
    private GateDecision? _decision;
    private PowerStatement? _power;
    private CurateRecipe? _needs;
    private string? _missing, _problem;
    private string _confirm = "";
    private int _train, _test;
    private bool _ready, _interrupted, _busy, _all, _gone;

    /// <summary>Fires when nobody looks any more.</summary>
    private readonly CancellationTokenSource _left = new();

    [Inject] private Generator Generator { get; set; } = null!;

    [Inject] private Teacher Teacher { get; set; } = null!;

    [Inject] private ModelSwitch Models { get; set; } = null!;

    [Inject] private OwnModels Own { get; set; } = null!;

    [Inject] private FlywheelStore Store { get; set; } = null!;

    [Inject] private TimeProvider Time { get; set; } = null!;

    [Inject] private ILogger<LoopPage> Log { get; set; } = null!;

    [CascadingParameter] private Visit Visit { get; set; } = null!;

    private Strings Words => Visit.Words;

    /// <summary>The loop is that of the model that all share, or in another workspace that of its own.</summary>
    private bool IsOwn => Visit.Workspace != WorkspaceRow.Default;

    /// <summary>What answers here.</summary>
    private ModelFolder Answering => _model.OwnIn(Visit.Workspace)?.Whole ?? _model.Folder;

    /// <summary>What the list of models that served shows of a release.</summary>
    /// <param name="ModelHash">Null: the model that all share, in a workspace that had one of its own.</param>
    private sealed record Released(long Id, string? ModelHash, string Reason, DateTimeOffset Time);

    [Inject] private Access.Accounts Accounts { get; set; } = null!;

    private Access.NameBook _names = Access.NameBook.Empty;

    private string Headline => _interrupted ? Words["loop.interrupted"]
        : _needs is null ? _missing is null ? Words["loop.counting"] : Words["loop.not-yet"]
        : _ready ? Words.Count("loop.ready", _train)
        : Words.Format("loop.so-far", Math.Min(_train, _needs.MinTrain) + Math.Min(_test, _needs.MinHeldOut),
            _needs.MinTrain + _needs.MinHeldOut);

    protected override async Task OnInitializedAsync()
    {
        _model = Generator.Host.Current;
        Generator.Host.Promoted += OnPromoted;
        Own.Changed += OnPromoted;
        await LoadAsync();
    }

    private async Task LoadAsync()
    {
        _model = Generator.Host.Current;
        _names = await Accounts.NamesAsync();
        _teacher = await Teacher.ProgressAsync();
        _alarms = await Alarms.ReadAsync(Store, Time.GetUtcNow());
        _turns = await Teacher.TurnsAsync(Visit.Workspace);
        _releases = IsOwn
            ? [.. (await Store.WorkspaceReleasesAsync(Visit.Workspace))
                .Select(row => new Released(row.Id, row.ModelHash, row.Reason, row.Time))]
            : [.. (await Store.ReleasesAsync()).Select(row => new Released(row.Id, row.ModelHash, row.Reason, row.Time))];
        _models = (await Store.ModelsAsync()).ToDictionary(model => model.Hash);
        _waiting = _turns.FirstOrDefault(turn => turn.State == TurnState.Waiting);
        _interrupted = !IsMoving && _turns is [{ State: TurnState.Training or TurnState.Evaluating or TurnState.Promoting }, ..];
        _last = _waiting ?? _turns.FirstOrDefault(turn => turn.Ended is not null);
        (_learnt, _evaluations, _drafts, _decision) = ([], [], [], null);
        if (_last is { } last)
        {
            (_learnt, _evaluations) = (await Teacher.LearntAsync(last.Id), await Teacher.EvaluationsAsync(last.Id));
            try
            {
                _drafts = (await new TurnRunner(Store, time: Time).SideBySideAsync(last.Number)).Drafts;
                _decision = await new TurnRunner(Store, time: Time).DecisionAsync(last.Number);
            }
            catch (Exception e) when (e is FlywheelException or IOException)
            {
                // Its folder was tidied away; the record still says what it learnt.
            }
        }
        if (!IsMoving && _waiting is null) await PreviewAsync();
    }

    private async Task PreviewAsync()
    {
        try
        {
            TurnPreview preview = await Teacher.PreviewAsync(Visit.Workspace);
            (_needs, _missing, _power) = (preview.Needs, preview.Missing, preview.Missing is null ? preview.Power : null);
            _train = preview.Dataset.Of(ExampleKind.Supervised, Split.Train).Count();
            _test = preview.Dataset.Of(ExampleKind.Supervised, Split.HeldOut).Count();
            _ready = preview.Missing is null || _interrupted;
        }
        catch (FlywheelException e)
        {
            (_needs, _missing, _power, _ready) = (null, e.Message, null, false);
        }
    }

    /// <summary>A turn runs, or waits to run.</summary>
    private bool IsMoving => _teacher is { IsMoving: true };

    private Task TeachAsync() => DoAsync(() => Teacher.StartAsync(Visit.Person, Visit.Workspace), Visit.MayTeach);

    private Task StopAsync() => DoAsync(Teacher.StopAsync, Visit.MayTeach);

    /// <summary>A turn that was stopped is given up; the next one begins anew.</summary>
    private Task GiveUpAsync() => AnswerAsync(_turns[0], false);

    private Task AnswerAsync(TurnRow turn, bool accept) => DoAsync(async () =>
    {
        await new TurnRunner(Store, time: Time).AnswerAsync($"{turn.Number}", accept, Visit.Person, Models.ServeAsync);
        await Own.FollowAsync();
    });

    /// <summary>An earlier champion answers again, from now on and after a restart.</summary>
    private Task ServeAsync(string? hash) => DoAsync(async () =>
    {
        string reason = $"served again by {Visit.Person}";
        if (IsOwn) await Rollback.RunInAsync(Store, Visit.Workspace, hash ?? Rollback.Shared, reason);
        else await Models.ServeAsync(hash!, reason);
        await Own.FollowAsync();
    });

    private Task DoAsync(Func<Task> act) => DoAsync(act, Visit.MayAdminister);

    private async Task DoAsync(Func<Task> act, bool may)
    {
        if (_busy || !may) return;
        (_busy, _problem, _confirm) = (true, null, "");
        try
        {
            await Task.Run(act);
        }
        catch (Exception e)
        {
            if (e is not FlywheelException) Log.LogError(e, "The loop could not do that");
            _problem = e is FlywheelException ? e.Message : Words["loop.failed-log"];
        }
        _busy = false;
        await LoadAsync();
    }

    private string NameOf(string? hash) => hash is null ? Words["loop.shared"]
        : _models.TryGetValue(hash, out ModelRow? model) && model.Name.Length > 0 ? model.Name : Words["loop.model"];

    private string StepName(string name) => name switch
    {
        "champion" => Words["loop.step.champion"],
        "candidate" => Words["loop.step.candidate"],
        _ when Objective.Names.FirstOrDefault(objective => name.EndsWith(objective, StringComparison.Ordinal)) is { } objective =>
            Words[$"loop.step.{objective}"],
        _ => name,
    };

    /// <summary>Why a person is asked about the waiting turn.</summary>
    private string WhyAsked =>
        Words[$"loop.compare-why.{(_decision?.Asks is { } why and not AskWhy.Nobody ? why : AskWhy.FewPeople).ToString().ToLowerInvariant()}"];

    /// <summary>What the next turn can show.</summary>
    private string PowerText(PowerStatement power) => power.Gain is { } gain
        ? Words.Format("loop.power", power.People, power.Briefs, gain.ToString("0.00", CultureInfo.InvariantCulture), power.Look)
        : Words.Format("loop.power-none", power.People);

    /// <summary>What the gate measured, with how certain each interval is; of a turn before that was written down, from the
    /// record.</summary>
    private IEnumerable<(string Rule, string Basis, bool IsShare, double Before, double After, Interval Gain, double Level,
        bool? Passed)> Measured =>
        _decision is { } decision
            ? decision.Rules.Select(rule => (rule.Name, rule.Basis, rule.Unit.StartsWith("share", StringComparison.Ordinal), rule.Champion,
                rule.Candidate, rule.Improvement, rule.Level, rule.Passed))
            : _evaluations.Select(row => (row.Rule, "", false, row.ChampionValue, row.CandidateValue,
                new Interval(row.Observed, row.Low, row.High), 0.95, row.Passed));

    /// <summary>What was found, and by which rule.</summary>
    private string AlarmText(Alarm alarm)
    {
        string Of(double value) =>
            value.ToString(alarm.Kind is AlarmKind.Repetition or AlarmKind.OnePerson ? "0%" : "0.#", CultureInfo.InvariantCulture);
        return Words.Format($"rollout.alarm.{alarm.Kind.ToString().ToLowerInvariant()}", Of(alarm.Found), Of(alarm.Usual));
    }

    private static int Percent(double share) => (int)Math.Round(100 * share);

    private static string Figure(double value, bool isShare = false) =>
        value.ToString(isShare ? "0%" : "0.###", CultureInfo.InvariantCulture);

    protected override void OnAfterRender(bool firstRender)
    {
        if (firstRender) _ = Following.RunAsync(TimeSpan.FromSeconds(1), Time, LookAsync, Log, _left.Token);
    }

    /// <summary>A turn may be begun, and end, without this page: in another tab, or with the server's next start.</summary>
    private async Task<bool> LookAsync()
    {
        await InvokeAsync(async () =>
        {
            bool moved = IsMoving;
            TeachProgress? now = await Teacher.ProgressAsync();
            if (now?.Id == _teacher?.Id && !moved) return;
            if (now is { IsMoving: true }) _teacher = now;
            else await LoadAsync();
            StateHasChanged();
        });
        return true;
    }

    private void OnPromoted() => _ = InvokeAsync(async () =>
    {
        if (_gone) return;
        await LoadAsync();
        StateHasChanged();
    });

    public void Dispose()
    {
        _gone = true;
        _left.Cancel();
        _left.Dispose();
        Generator.Host.Promoted -= OnPromoted;
        Own.Changed -= OnPromoted;
    }
}
