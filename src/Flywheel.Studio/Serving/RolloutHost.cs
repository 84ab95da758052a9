using System.Security.Cryptography;
using Flywheel.Engine;
using Flywheel.Loop;
using Flywheel.Loop.Rollouts;
using Flywheel.Model;
using Microsoft.Extensions.Logging;

namespace Flywheel.Studio.Serving;

/// <summary>A rollout that runs, with what answers for its arms.</summary>
/// <param name="Row">As the record has it.</param>
/// <param name="Split">Who falls where.</param>
/// <param name="Candidate">The second model in memory; null where the candidate is an upstream, or serves already.</param>
/// <param name="Upstreams">Of champion and candidate; null where it is a model of ours.</param>
internal sealed record LiveRollout(RolloutRow Row, RolloutSplit Split, ServedModel? Candidate,
    (Upstream? Champion, Upstream? Candidate) Upstreams)
{
    public bool NeedsUpstream => Upstreams.Champion is not null || Upstreams.Candidate is not null;
}

/// <summary>Where a request goes. A model of ours is acquired, and the caller's to release.</summary>
internal readonly record struct Destination(ServedModel? Model, Upstream? Upstream = null, long? Rollout = null, string? Variant = null,
    double? Propensity = null)
{
    /// <summary>A workspace's own, which answers where the request names no other.</summary>
    public string? Adapter { get; init; }
}

/// <summary>
/// Splits requests between two models while a rollout runs. The record says what runs; this follows it, so that a server that was killed
/// goes on with the same people in the same arms.
/// </summary>
internal sealed class RolloutHost(ModelHost host, ModelSwitch models, FlywheelStore store, TimeProvider time, ILogger<RolloutHost> log)
    : IAsyncDisposable
{
    private readonly SemaphoreSlim _changes = new(1, 1);
    private LiveRollout? _live;
    private Upstream? _answering;
    private KnownUpstreams? _upstreams;
    private (int Answers, int Said, RolloutTracker Seen)? _read;
    private (long Id, string Why)? _apart;
    private long _unloadable;
    private string? _missing;
    private bool _gone;

    /// <summary>Null while none runs, or this server takes no part in it.</summary>
    public LiveRollout? Live => Volatile.Read(ref _live);

    /// <summary>A rollout has begun, stepped or ended.</summary>
    public event Action? Changed;

    /// <summary>The home's upstreams, read again when their file has changed. A file that is not valid leaves those of before: a slip of
    /// the pen
    /// ends nobody's answers.</summary>
    public Upstreams Upstreams
    {
        get
        {
            var file = new FileInfo(Path.Combine(store.Home.Path, Upstreams.FileName));
            (DateTime, long) state = file.Exists ? (file.LastWriteTimeUtc, file.Length) : default;
            KnownUpstreams? known = Volatile.Read(ref _upstreams);
            if (known is not null && known.State == state) return known.Upstreams;
            var read = new KnownUpstreams(state, known?.Upstreams ?? new(), known?.WasValid ?? false);
            try
            {
                read = new KnownUpstreams(state, Upstreams.Read(store.Home), WasValid: true);
            }
            catch (Exception e) when (IsLocalFault(e))
            {
                log.LogError("The upstreams of before go on: {Message}", e.Message);
            }
            Volatile.Write(ref _upstreams, read);
            return read.Upstreams;
        }
    }

    /// <param name="State">Of the file.</param>
    /// <param name="Upstreams">In it, or in the last valid one.</param>
    /// <param name="WasValid">There was one since the start.</param>
    private sealed record KnownUpstreams((DateTime, long) State, Upstreams Upstreams, bool WasValid);

    /// <summary>A file of this machine is wrong, missing or closed to the server.</summary>
    private static bool IsLocalFault(Exception e) => e is FlywheelException or IOException or UnauthorizedAccessException;

    private static bool IsUpstream(string arm) => arm.StartsWith(Upstream.Prefix, StringComparison.Ordinal);

    /// <summary>Where a request goes.</summary>
    /// <param name="unit">Who asks, or which conversation; empty when nobody says, null when the request names its model.</param>
    /// <param name="fitsUpstream">It can be asked of somebody else's model, too.</param>
    /// <param name="fitsBoth">Of the champion and the candidate, where both are ours: whether the request can be asked of either; null
    /// where any can. What one of them cannot be asked goes to the champion, outside the rollout, whichever arm it would fall to.</param>
    public Destination Assign(string? unit, bool fitsUpstream, Func<ModelFolder, ModelFolder, bool>? fitsBoth = null)
    {
        if (unit is null) return new(host.Acquire());
        // A workspace with a model of its own takes no part in what is tried on the model that all share.
        if (host.Current.OwnHere is not null)
        {
            ServedModel shared = host.Acquire(); // another one by now, it may be
            return new(shared) { Adapter = shared.OwnHere?.Adapter };
        }
        if (Live is not { } live)
            return fitsUpstream && Volatile.Read(ref _answering) is { } answering ? new(null, answering) : new(host.Acquire());
        if (live.NeedsUpstream && !fitsUpstream
            || live.Candidate is { } other && fitsBoth?.Invoke(host.Current.Folder, other.Folder) == false) return new(host.Acquire());
        double share = live.Row.Share;
        bool candidate = unit.Length > 0
            ? live.Split.IsCandidate(unit, share) : RandomNumberGenerator.GetInt32(1 << 30) < share * (1 << 30);
        (string variant, double propensity) = candidate ? (RolloutRow.CandidateArm, share) : (RolloutRow.ChampionArm, 1 - share);
        if ((candidate ? live.Upstreams.Candidate : live.Upstreams.Champion) is { } upstream)
            return new(null, upstream, live.Row.Id, variant, propensity);
        // Either may have been replaced this moment; then the request is answered and is no part of the rollout.
        ServedModel model = candidate && live.Candidate is { } second && second.TryAcquire() ? second : host.Acquire();
        return model.Hash == (candidate ? live.Row.Candidate : live.Row.Champion)
            ? new(model, null, live.Row.Id, variant, propensity) : new(model);
    }

    /// <summary>Both models of a rollout, held until the caller releases them; null while none runs, or one of them is somebody
    /// else's.</summary>
    public (LiveRollout Live, ServedModel Champion, ServedModel Candidate)? AcquireBoth()
    {
        if (host.Current.OwnHere is not null) return null;
        if (Live is not { NeedsUpstream: false, Candidate: { } second } live || !second.TryAcquire()) return null;
        ServedModel first = host.Acquire();
        if (first.Hash == live.Row.Champion) return (live, first, second);
        first.Release();
        second.Release();
        return null;
    }

    /// <summary>Begins a rollout: both arms can answer when it is in the record.</summary>
    /// <param name="candidate">A model's name, hash or folder, or an upstream's name.</param>
    /// <param name="champion">An upstream that answers so far; null: the model that serves.</param>
    /// <param name="share">Of the candidate at the beginning.</param>
    /// <param name="decider">What decides.</param>
    /// <exception cref="FlywheelException">Another runs, a name is not known, or the candidate does not fit.</exception>
    public async Task<RolloutRow> StartAsync(string candidate, string? champion, double share, RolloutDecider decider)
    {
        Actor.Demand(Scopes.Admin);
        await _changes.WaitAsync();
        try
        {
            if (await store.LastRolloutAsync() is { State: RolloutState.Running } running)
                throw new FlywheelException($"rollout {running.Id} runs; stop it before another begins");
            var upstreams = Upstreams.Read(store.Home); // who begins something is told what is wrong with the file
            Upstream? before = champion is null ? Volatile.Read(ref _answering) : upstreams.Find(champion)
                ?? throw new FlywheelException(
                    $"field 'champion' is '{champion}', expected an upstream of {Upstreams.FileName}, or nothing for the model that serves");
            Upstream? after = upstreams.Find(candidate);
            _ = (before?.Key, after?.Key); // a key that is not there is said now
            if (decider == RolloutDecider.Drafts && (before ?? after) is { } other)
                throw new FlywheelException(
                    $"field 'decide' is 'drafts', but '{other.Name}' is an upstream: drafts are compared between two models of one's own");
            string second = after?.Reference ?? await models.RegisterAsync(candidate);
            string serving = await ReleasedAsync();
            ServedModel? loaded = after is null && second != serving ? await LoadAsync(second) : null;
            RolloutRow row;
            try
            {
                row = await store.StartRolloutAsync(before?.Reference ?? serving, second, share, decider, time.GetUtcNow());
            }
            catch
            {
                loaded?.Release();
                throw;
            }
            await FollowAsync(row, loaded, before, after);
            return row;
        }
        finally
        {
            _changes.Release();
        }
    }

    /// <summary>Another share by hand.</summary>
    /// <exception cref="FlywheelException">None runs.</exception>
    public async Task StepAsync(double share, string who)
    {
        Actor.Demand(Scopes.Admin);
        RolloutRow row = await RunningAsync();
        await store.StepRolloutAsync(row.Id, share, $"{RolloutDecision.Percent(share)} by {who}", time.GetUtcNow());
        await RefreshAsync();
    }

    /// <summary>Ends the rollout that runs; the champion serves everybody.</summary>
    /// <exception cref="FlywheelException">None runs.</exception>
    public async Task StopAsync(string reason)
    {
        Actor.Demand(Scopes.Admin);
        await EndAsync(await RunningAsync(), RolloutState.Stopped, reason);
    }

    /// <summary>Makes the candidate the champion.</summary>
    /// <exception cref="FlywheelException">None runs, or it has ended meanwhile, or the candidate does not load: then the reason of the
    /// rollout,
    /// which goes on, says so.</exception>
    public async Task PromoteAsync(string reason)
    {
        Actor.Demand(Scopes.Admin);
        await EndAsync(await RunningAsync(), RolloutState.Promoted, reason);
    }

    /// <summary>Takes over what the record says.</summary>
    public async Task RefreshAsync()
    {
        await _changes.WaitAsync();
        try
        {
            await RefreshInsideAsync();
        }
        finally
        {
            _changes.Release();
        }
    }

    /// <summary>Looks at what happened, and does what the rules say.</summary>
    public async Task CheckAsync(CancellationToken cancellation = default)
    {
        await RefreshAsync();
        if (Live is not { Row: { } row } live) return;
        // By the record, which all servers share: what this one serves may be behind it.
        if (await store.ReleasesAsync(cancellation) is [var last, ..]
            && (IsUpstream(row.Champion) ? last.Time > row.Started : last.ModelHash != row.Champion))
        {
            if (last.ModelHash == row.Candidate) await TryPromoteAsync(row, "the candidate was released");
            else await EndAsync(row, RolloutState.Stopped,
                $"another model was released: {(await store.FindModelAsync(last.ModelHash, cancellation))?.Name} ({last.ModelHash[..12]})");
            return;
        }
        if (live.Candidate?.Engine.Defect is { } defect)
        {
            await EndAsync(row, RolloutState.RolledBack, $"the candidate's engine has failed: {defect.Message}");
            return;
        }
        if (live.Candidate is not null
            && !(await store.FindModelAsync(row.Candidate, cancellation) is { } known && Directory.Exists(store.FolderOf(known))))
        {
            await EndAsync(row, RolloutState.RolledBack, "the candidate's weights are gone: it was retired, or deleted");
            return;
        }
        RolloutVerdict verdict = RolloutDecision.Of(row, await SeenAsync(row, cancellation), time.GetUtcNow());
        switch (verdict.Move)
        {
            case RolloutMove.StepUp:
                await store.StepRolloutAsync(row.Id, row.NextShare!.Value, verdict.Reason, time.GetUtcNow(), cancellation);
                await RefreshAsync();
                break;
            case RolloutMove.Promote: await TryPromoteAsync(row, verdict.Reason); break;
            case RolloutMove.RollBack: await EndAsync(row, RolloutState.RolledBack, verdict.Reason); break;
            case RolloutMove.Stop: await EndAsync(row, RolloutState.Stopped, verdict.Reason); break;
        }
    }

    /// <summary>What is known of a rollout; read again only when something was added.</summary>
    private async Task<RolloutTracker> SeenAsync(RolloutRow row, CancellationToken cancellation)
    {
        (int answers, int said) = await RolloutHistory.CountAsync(store, row, cancellation);
        DateTimeOffset now = time.GetUtcNow();
        if (_read is { } known && known.Answers == answers && known.Said == said) known.Seen.Advance(now);
        else _read = (answers, said, await RolloutHistory.ReadAsync(store, row, now, cancellation));
        return _read.Value.Seen;
    }

    /// <summary>The rollout of the record that runs; this server need not take part in it.</summary>
    private async Task<RolloutRow> RunningAsync() =>
        await store.LastRolloutAsync() is { State: RolloutState.Running } row ? row : throw new FlywheelException("no rollout runs");

    /// <summary>Hash of the model that was released last.</summary>
    private async Task<string> ReleasedAsync() => (await store.ChampionAsync())?.Hash ?? host.Current.Hash;

    /// <summary>What fails is in the rollout's reason, and is tried again at the next look.</summary>
    private async Task TryPromoteAsync(RolloutRow row, string reason)
    {
        try
        {
            await EndAsync(row, RolloutState.Promoted, reason);
        }
        catch (Exception e) when (IsLocalFault(e))
        {
            // it is written down, or somebody has ended the rollout meanwhile
        }
    }

    private async Task EndAsync(RolloutRow row, RolloutState state, string reason)
    {
        bool ended = true;
        try
        {
            if (state != RolloutState.Promoted || IsUpstream(row.Candidate))
                ended = await store.EndRolloutAsync(row.Id, state, reason, time.GetUtcNow());
            else await models.ServeAsync(row.Candidate, _ => store.PromoteRolloutAsync(row.Id, reason, time.GetUtcNow()));
        }
        catch (Exception e) when (IsLocalFault(e))
        {
            string why = $"{reason}, but the candidate could not be promoted: {e.Message}";
            why = why[..Math.Min(1000, why.Length)];
            if (row.Reason != why && await store.NoteRolloutAsync(row.Id, why)) log.LogWarning("Rollout {Id}: {Reason}", row.Id, why);
            await RefreshAsync();
            throw;
        }
        if (ended) log.LogInformation("Rollout {Id} {State}: {Reason}", row.Id, state, reason);
        await RefreshAsync();
    }

    private async Task RefreshInsideAsync()
    {
        if (_gone) return;
        RolloutRow? row = await store.LastRolloutAsync();
        if (row is not { State: RolloutState.Running })
        {
            Volatile.Write(ref _answering, await store.AnsweringUpstreamAsync() is { } name ? Upstreams.Find(name) : null);
            Leave();
            return;
        }
        if (Live is { } other && other.Row.Id != row.Id) Leave();
        string[] arms = [.. new[] { row.Champion, row.Candidate }.Where(IsUpstream)];
        Upstreams known = arms.Length == 0 ? new() : Upstreams;
        if (arms.Length > 0 && Volatile.Read(ref _upstreams) is { WasValid: false }) return; // the file is waited for
        string? gone = arms.FirstOrDefault(arm => known.Find(arm) is null), missing = _missing;
        _missing = gone;
        if (gone is not null)
        {
            if (Live is not null && missing != gone) return; // who saves the file may have emptied it only for a moment
            await GiveUpAsync(row, gone == row.Candidate ? RolloutState.RolledBack : RolloutState.Stopped,
                $"{gone} is not in {Upstreams.FileName} any more");
            return;
        }
        (Upstream? before, Upstream? after) = (known.Find(row.Champion), known.Find(row.Candidate));
        if (Live is { } live)
        {
            if (live.Row.Share == row.Share && live.Row.StepStarted == row.StepStarted && live.Row.Reason == row.Reason
                && live.Upstreams == (before, after)) return;
            Volatile.Write(ref _live, live with { Row = row, Upstreams = (before, after) });
            Changed?.Invoke();
            return;
        }
        if (_unloadable == row.Id) return;
        try
        {
            await FollowAsync(row, after is null && row.Candidate != await ReleasedAsync() ? await LoadAsync(row.Candidate) : null, before,
                after);
        }
        catch (Exception e) when (IsLocalFault(e))
        {
            _unloadable = row.Id;
            await GiveUpAsync(row, RolloutState.RolledBack, $"the candidate could not be loaded again: {e.Message}");
        }
    }

    /// <summary>This server cannot send requests to both arms. Where the record is its own, the rollout ends; where others share it, they
    /// go
    /// on, and requests here are answered by the model that serves, outside the rollout.</summary>
    private async Task GiveUpAsync(RolloutRow row, RolloutState state, string why)
    {
        Leave();
        if (store.IsShared)
        {
            if (_apart != (row.Id, why))
                log.LogWarning("This server takes no part in rollout {Id}, which goes on elsewhere: {Reason}", row.Id, why);
            _apart = (row.Id, why);
            return;
        }
        if (await store.EndRolloutAsync(row.Id, state, why, time.GetUtcNow()))
            log.LogWarning("Rollout {Id} {State}: {Reason}", row.Id, state, why);
        await RefreshInsideAsync();
    }

    /// <summary>Requests are split no longer.</summary>
    private void Leave()
    {
        if (Interlocked.Exchange(ref _live, null) is not { } left) return;
        host.Second = null;
        if (left.Candidate is { } second) host.Retire(second);
        if (!_gone) Changed?.Invoke();
    }

    private async Task FollowAsync(RolloutRow row, ServedModel? loaded, Upstream? before, Upstream? after)
    {
        RolloutSplit split;
        try
        {
            split = new RolloutSplit(await store.SecretAsync(RolloutSplit.Secret), row.Id);
        }
        catch
        {
            loaded?.Release();
            throw;
        }
        Leave();
        _read = null;
        host.Second = loaded;
        Volatile.Write(ref _live, new LiveRollout(row, split, loaded, (before, after)));
        Changed?.Invoke();
    }

    /// <summary>Loads the second model into what memory the first one leaves, its cache at its largest.</summary>
    private async Task<ServedModel> LoadAsync(string hash)
    {
        ModelRow known = await store.FindModelAsync(hash) ?? throw new FlywheelException($"model {hash[..12]} is not known here");
        ModelFolder folder = ModelFolder.Open(store.FolderOf(known));
        if (host.Current.HasTemplate && folder.FindChatFault() is { } fault)
            throw new FlywheelException($"the candidate '{folder.Manifest.Name}' cannot be talked to, as the champion can: {fault}");
        return await host.LoadBesideAsync(folder, "the candidate");
    }

    /// <summary>Takes no more requests; the rollout stays in the record for the next start. What runs on the second model ends before the
    /// host does.</summary>
    public async ValueTask DisposeAsync()
    {
        await _changes.WaitAsync();
        _gone = true;
        Leave();
        _changes.Release();
    }
}
