using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Flywheel.Loop;
using Flywheel.Loop.Rollouts;
using Flywheel.Model;

namespace Flywheel.Studio.Serving;

/// <summary>Starts generations for the API and the pages alike: one way in, and everything on it is recorded.</summary>
/// <param name="host">Gives the model.</param>
/// <param name="serving">Takes the record and counts.</param>
/// <param name="drawSeed">Gives a seed to a request that brings none; it is recorded like any other.</param>
/// <param name="rollouts">Sends it elsewhere, while a rollout runs.</param>
/// <param name="upstreams">Reaches other people's models.</param>
internal sealed class Generator(ModelHost host, ServingContext serving, Func<ulong> drawSeed, RolloutHost rollouts,
    UpstreamClient upstreams)
{
    public ModelHost Host => host;

    public RolloutHost Rollouts => rollouts;

    public ulong DrawSeed() => drawSeed();

    /// <summary>Starts an order that is made for the model that answers it (its tokenizer, its defaults).</summary>
    /// <param name="makeOrder">Makes it.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <param name="unit">Who asks, where a rollout may choose the model: empty when nobody says; null when the request names its
    /// model.</param>
    /// <param name="fitsBoth">Whether both models of a rollout can be asked it; null where any model can.</param>
    /// <exception cref="Engine.QueueFullException">Too many wait.</exception>
    public GenerationGroup Start(Func<ServedModel, GenerationOrder> makeOrder, CancellationToken cancellation, string? unit = null,
        Func<ModelFolder, ModelFolder, bool>? fitsBoth = null)
    {
        Actor.Demand(Scopes.Inference);
        serving.Ending.RefuseWhenStopping();
        return Start(rollouts.Assign(unit, fitsUpstream: false, fitsBoth), makeOrder, cancellation);
    }

    /// <summary>The same where somebody else's model may answer.</summary>
    /// <param name="makeOrder">For a model of ours.</param>
    /// <param name="makeAsk">For an upstream: the request in OpenAI's words, and for the record. Throws what it cannot be asked.</param>
    /// <param name="fitsUpstream">It can be asked of an upstream.</param>
    /// <param name="upstream">The one that the request names; null when it names none.</param>
    /// <param name="unit">As above.</param>
    /// <param name="cancellation">Ends it.</param>
    public GenerationGroup StartChat(Func<ServedModel, GenerationOrder> makeOrder, Func<(JsonObject Ask, GenerationOrder Order)> makeAsk,
        bool fitsUpstream, Upstream? upstream, string? unit,
        CancellationToken cancellation)
    {
        Actor.Demand(Scopes.Inference);
        serving.Ending.RefuseWhenStopping();
        return Start(upstream is not null ? new(null, upstream) : rollouts.Assign(unit, fitsUpstream), makeOrder, makeAsk, cancellation);
    }

    /// <summary>Asks the one that was chosen. A model of ours was acquired for it, and is released when it has answered, or
    /// cannot.</summary>
    public GenerationGroup Start(Destination to, Func<ServedModel, GenerationOrder> makeOrder,
        Func<(JsonObject Ask, GenerationOrder Order)> makeAsk, CancellationToken cancellation)
    {
        try
        {
            Actor.Demand(Scopes.Inference);
            serving.Ending.RefuseWhenStopping();
        }
        catch
        {
            to.Model?.Release();
            throw;
        }
        if (to.Upstream is null) return Start(to, makeOrder, cancellation);
        (JsonObject ask, GenerationOrder order) = makeAsk();
        return GenerationGroup.Start(upstreams, to.Upstream, ask,
            order with { Rollout = to.Rollout, Variant = to.Variant, Propensity = to.Propensity }, serving, cancellation);
    }

    /// <summary>Asks both models of a rollout the same; what each writes is shown at places drawn by lot. Null while there are not
    /// two.</summary>
    /// <param name="makeOrder">For each model.</param>
    /// <param name="cancellation">Ends both.</param>
    /// <returns>Both groups, the one whose first answer is shown before the other's first.</returns>
    public GenerationGroup[]? StartPair(Func<ServedModel, GenerationOrder> makeOrder, CancellationToken cancellation)
    {
        Actor.Demand(Scopes.Inference);
        serving.Ending.RefuseWhenStopping();
        if (rollouts.AcquireBoth() is not var (live, champion, candidate)) return null;
        (GenerationOrder Champion, GenerationOrder Candidate) order;
        try
        {
            order = (makeOrder(champion), makeOrder(candidate));
        }
        catch
        {
            champion.Release();
            candidate.Release();
            throw;
        }
        int[] places = [.. Enumerable.Range(0, order.Champion.NumChoices + order.Candidate.NumChoices)];
        RandomNumberGenerator.Shuffle<int>(places);
        var request = Guid.CreateVersion7();
        GenerationGroup before, after;
        try
        {
            before = GenerationGroup.Start(champion, Arm(order.Champion, RolloutRow.ChampionArm, places[..order.Champion.NumChoices]),
                serving, cancellation);
        }
        catch
        {
            candidate.Release();
            throw;
        }
        try
        {
            after = GenerationGroup.Start(candidate, Arm(order.Candidate, RolloutRow.CandidateArm, places[order.Champion.NumChoices..]),
                serving, cancellation);
        }
        catch
        {
            before.Cancel(); // it ends, recorded as cancelled
            throw;
        }
        return before.PlaceOf(0) < after.PlaceOf(0) ? [before, after] : [after, before];

        // Both are shown, so that either's propensity is 1.
        GenerationOrder Arm(GenerationOrder made, string variant, int[] shown) => made with
        {
            Group = request, Places = shown, Rollout = live.Row.Id, Variant = variant, Propensity = 1,
            MachinePerHour = rollouts.Upstreams.MachinePerHour,
        };
    }

    private GenerationGroup Start(Destination to, Func<ServedModel, GenerationOrder> makeOrder, CancellationToken cancellation)
    {
        ServedModel model = to.Model!;
        GenerationOrder order;
        try
        {
            order = makeOrder(model);
            order = order with { Adapter = order.Adapter ?? to.Adapter };
            if (to.Rollout is not null)
                order = order with { Rollout = to.Rollout, Variant = to.Variant, Propensity = to.Propensity,
                    MachinePerHour = rollouts.Upstreams.MachinePerHour };
        }
        catch
        {
            model.Release();
            throw;
        }
        return GenerationGroup.Start(model, order, serving, cancellation);
    }
}
