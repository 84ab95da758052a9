using System.Globalization;
using Flywheel.Loop;
using Flywheel.Loop.Rollouts;
using Flywheel.Model;
using Flywheel.Studio.Serving;
using Flywheel.Studio.Shell;
using Microsoft.AspNetCore.Components;
using Microsoft.Extensions.Logging;

namespace Flywheel.Studio.Apps.Turns;

/// <summary>Where a rollout stands: which models, at what share, what is known of the difference, and the ways to end it.</summary>
public sealed partial class RolloutCard : IDisposable
{
    /// <summary>What has ended is shown so long.</summary>
    private static readonly TimeSpan s_shownAfter = TimeSpan.FromDays(7);

    private readonly CancellationTokenSource _left = new();
    private RolloutRow? _row;
    private RolloutTracker? _seen;
    private Interval _interval;
    private IReadOnlyList<(string Id, string Name)> _others = [];
    private IReadOnlyDictionary<string, ModelRow> _models = new Dictionary<string, ModelRow>();
    private (int, int, double, RolloutState) _known;
    private double _reach = 0.1;
    private int _counted;
    private bool _busy;
    private string _sure = "", _candidate = "", _share = "0.05";
    private RolloutDecider _decider;
    private string? _problem;

    [Inject] private Generator Generator { get; set; } = null!;

    [Inject] private FlywheelStore Store { get; set; } = null!;

    [Inject] private TimeProvider Time { get; set; } = null!;

    [Inject] private ILogger<RolloutCard> Log { get; set; } = null!;

    [CascadingParameter] private Visit Visit { get; set; } = null!;

    private Strings Words => Visit.Words;

    private RolloutHost Rollouts => Generator.Rollouts;

    private bool Drafts => _row?.Decider == RolloutDecider.Drafts;

    private bool Barred => _busy || !RendererInfo.IsInteractive || !Visit.MayAdminister;

    private bool HasCost => _seen!.Champion.Cost is not null || _seen.Candidate.Cost is not null;

    /// <summary>Which way it is certain.</summary>
    private string Verdict => _interval.Low > 0 ? "better" : _interval.High < 0 ? "worse" : "";

    private string Caption =>
        Words.Format(Drafts ? "rollout.preferred" : "rollout.difference", Shown(_interval.Estimate), Shown(_interval.Low),
            Shown(_interval.High));

    protected override async Task OnInitializedAsync()
    {
        Rollouts.Changed += OnChanged;
        await LoadAsync();
    }

    private async Task LoadAsync()
    {
        RolloutRow? last = await Store.LastRolloutAsync();
        if (last is { Ended: { } ended } && Time.GetUtcNow() - ended > s_shownAfter) last = null;
        _models = (await Store.ModelsAsync()).ToDictionary(model => model.Hash);
        string serves = Generator.Host.Current.Hash;
        _others =
            [.. _models.Values
                .Where(model => model.Hash != serves && Directory.Exists(Store.FolderOf(model))
                    && File.Exists(Path.Combine(Store.FolderOf(model), "config.json")))
            .Select(model => (model.Hash, $"{NameOf(model.Hash)} {model.ShortHash}")),
            .. Upstreams().Select(upstream => (upstream.Name, upstream.Name))];
        if (_candidate.Length == 0 || _others.All(other => other.Id != _candidate))
            _candidate = _others is [var (first, _), ..] ? first : "";
        if (last is null)
        {
            (_row, _seen) = (null, null);
            return;
        }
        (int answers, int said) = await RolloutHistory.CountAsync(Store, last);
        _known = (answers, said, last.Share, last.State);
        RolloutTracker seen = await Task.Run(() => RolloutHistory.ReadAsync(Store, last, last.Ended ?? Time.GetUtcNow()));
        _interval = last.Decider == RolloutDecider.Drafts ? seen.PreferenceInterval() : await Task.Run(() => seen.Acceptance.Interval());
        _counted = last.Decider == RolloutDecider.Drafts ? seen.Preferred.Count : seen.Acceptance.Count;
        double widest = Math.Max(Math.Abs(_interval.Low), Math.Abs(_interval.High));
        _reach = new[] { 0.05, 0.1, 0.2, 0.5, 1 }.First(reach => widest <= reach + 1e-9 || reach == 1);
        (_row, _seen) = (last, seen);
    }

    private IReadOnlyList<Upstream> Upstreams()
    {
        try
        {
            return Rollouts.Upstreams.All;
        }
        catch (FlywheelException e)
        {
            _problem = e.Message; // the file is not valid; the message says where
            return [];
        }
    }

    private Task StartAsync() =>
        DoAsync(() => Rollouts.StartAsync(_candidate, null, double.Parse(_share, CultureInfo.InvariantCulture), _decider));

    private async Task DoAsync(Func<Task> act)
    {
        if (Barred) return;
        (_busy, _problem, _sure) = (true, null, "");
        try
        {
            await Task.Run(act);
        }
        catch (Exception e)
        {
            if (e is not FlywheelException) Log.LogError(e, "The rollout could not do that");
            _problem = e is FlywheelException ? e.Message : Words["loop.failed-log"];
        }
        _busy = false;
        await LoadAsync();
    }

    /// <summary>What the rollout waits for.</summary>
    private string Next(RolloutRow row) => row.NextShare is null || Drafts ? Words["rollout.next.decide"]
        : Words.Format("rollout.next.step", Math.Min(RolloutDecision.MinGuarded, _seen!.Guarded.GetValueOrDefault(row.Share)),
            RolloutDecision.MinGuarded, RolloutDecision.Percent(row.NextShare.Value));

    private string NameOf(string model) => model.StartsWith(Upstream.Prefix, StringComparison.Ordinal) ? model[Upstream.Prefix.Length..]
        : _models.TryGetValue(model, out ModelRow? known) && known.Name.Length > 0 ? known.Name : Words["loop.model"];

    private static string HashOf(string model) => model.StartsWith(Upstream.Prefix, StringComparison.Ordinal) ? "" : model[..12];

    private string Shown(double value) =>
        (Drafts ? value : 100 * value).ToString(Drafts ? "+0.##;−0.##;0" : "+0.#;−0.#;0", CultureInfo.InvariantCulture);

    private static string Seconds(double milliseconds) => string.Create(CultureInfo.InvariantCulture, $"{milliseconds / 1000:0.0#} s");

    private string Place(double value) =>
        string.Create(CultureInfo.InvariantCulture, $"{50 + 50 * Math.Clamp(value / _reach, -1, 1):0.##}%");

    private string Rest(double value) =>
        string.Create(CultureInfo.InvariantCulture, $"{50 - 50 * Math.Clamp(value / _reach, -1, 1):0.##}%");

    protected override void OnAfterRender(bool firstRender)
    {
        if (firstRender) _ = Following.RunAsync(TimeSpan.FromSeconds(3), Time, LookAsync, Log, _left.Token);
    }

    /// <summary>People go on judging while the page is open.</summary>
    private async Task<bool> LookAsync()
    {
        if (_row is not { State: RolloutState.Running } row) return true;
        (int answers, int said) = await RolloutHistory.CountAsync(Store, row, _left.Token);
        if (_known != (answers, said, row.Share, row.State)) await InvokeAsync(ShowAsync);
        return true;
    }

    private async Task ShowAsync()
    {
        if (_left.IsCancellationRequested) return;
        await LoadAsync();
        StateHasChanged();
    }

    private void OnChanged() => _ = InvokeAsync(ShowAsync);

    public void Dispose()
    {
        Rollouts.Changed -= OnChanged;
        _left.Cancel();
    }
}
