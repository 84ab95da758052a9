using Flywheel.Model;

namespace Flywheel.Loop;

/// <summary>Makes a model the champion again that was one before: in the record, and in the server that runs on the home.</summary>
public static class Rollback
{
    /// <param name="store">Of the home.</param>
    /// <param name="wanted">The beginning of the hash of a released model; null for the one before the champion.</param>
    /// <param name="cancellation">Stops.</param>
    /// <returns>The champion that was, and the one that is.</returns>
    /// <exception cref="FlywheelException">Nothing was released before, the hash names no released model, or its folder is
    /// gone.</exception>
    public static async Task<(ModelRow From, ModelRow To)> RunAsync(FlywheelStore store, string? wanted,
        CancellationToken cancellation = default)
    {
        IReadOnlyList<ReleaseRow> releases = await store.ReleasesAsync(cancellation);
        if (releases.Count == 0)
            throw new FlywheelException($"{store.Home.Path}: no model was released yet, so there is none to go back to");
        string champion = releases[0].ModelHash;
        string[] earlier = [.. releases.Select(release => release.ModelHash).Where(hash => hash != champion).Distinct()];
        string[] found = wanted is null
            ? [.. earlier.Take(1)] : [.. earlier.Where(hash => hash.StartsWith(wanted, StringComparison.OrdinalIgnoreCase))];
        string choice = earlier.Length == 0
            ? "no other model was released" : $"released before were {string.Join(", ", earlier.Select(hash => hash[..12]))}";
        string hash = found switch
        {
            [var one] => one,
            [] when wanted is not null && champion.StartsWith(wanted, StringComparison.OrdinalIgnoreCase) =>
                throw new FlywheelException($"'{wanted}' is the champion already; {choice}"),
            [] when wanted is not null => throw new FlywheelException($"'{wanted}' is no released model; {choice}"),
            [] => throw new FlywheelException(
                $"{champion[..12]} is the only model that was ever released; ./flywheel up --starter goes back to the starter"),
            _ => throw new FlywheelException($"'{wanted}' names {found.Length} released models; {choice}"),
        };
        ModelRow from = (await store.FindModelAsync(champion, cancellation))!, to = (await store.FindModelAsync(hash, cancellation))!;
        ModelFolder.Open(store.FolderOf(to)); // whole, before anything is changed
        string reason = $"rolled back by hand from {champion[..12]}";
        await ServerPromotion.ReleaseAsync(store.Home, hash, reason, () => store.ReleaseAsync(hash, reason, cancellation: cancellation),
            cancellation: cancellation);
        return (from, to);
    }

    /// <summary>What <see cref="RunInAsync"/> calls the model that all share.</summary>
    public const string Shared = "shared";

    /// <summary>Makes a model of a workspace's own the one that answers there again, or the model that all share.</summary>
    /// <param name="store">Of the home.</param>
    /// <param name="workspace">Its id.</param>
    /// <param name="wanted">The beginning of the hash of a model that was released there, or <see cref="Shared"/>; null for what answered
    /// before the last release.</param>
    /// <param name="reason">What the release says.</param>
    /// <param name="cancellation">Stops.</param>
    /// <returns>The model that answers there now: null where it is the one that all share.</returns>
    /// <exception cref="FlywheelException">Nothing was released there, or the hash names none that was and still fits the shared
    /// model.</exception>
    public static async Task<ModelRow?> RunInAsync(FlywheelStore store, string workspace, string? wanted, string reason,
        CancellationToken cancellation = default)
    {
        Actor.Demand(Scopes.Admin);
        IReadOnlyList<WorkspaceReleaseRow> releases = await store.WorkspaceReleasesAsync(workspace, cancellation);
        if (releases.Count == 0)
            throw new FlywheelException(
                $"no model of its own was released in the workspace '{workspace}' yet, so there is none to go back to");
        string? now = releases[0].ModelHash, shared = (await store.ChampionAsync(cancellation))?.Hash;
        List<ModelRow> fit = [];
        foreach (string hash in releases.Select(release => release.ModelHash).OfType<string>().Where(hash => hash != now).Distinct())
            if (await store.FindModelAsync(hash, cancellation) is { } known && known.Parent == shared) fit.Add(known);
        ModelRow? to = wanted switch
        {
            Shared => null,
            null => releases.Count == 1 ? null : fit.Find(row => row.Hash == releases[1].ModelHash),
            _ => fit.FindAll(row => row.Hash.StartsWith(wanted, StringComparison.OrdinalIgnoreCase)) is [var one] ? one
                : throw new FlywheelException(
                    $"'{wanted}' names no earlier model of the workspace '{workspace}' on the shared model of now, "
                    + $"expected {string.Join(", ", fit.Select(row => row.ShortHash).Append(Shared))}"),
        };
        if (to is null && now is null)
            throw new FlywheelException($"the shared model answers in the workspace '{workspace}' already");
        if (to is not null) ModelFolder.Open(store.FolderOf(to)); // whole, before anything is changed
        await store.ReleaseInAsync(workspace, to?.Hash, reason, cancellation: cancellation);
        return to;
    }
}
