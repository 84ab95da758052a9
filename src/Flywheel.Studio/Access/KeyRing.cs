using System.Data.Common;
using System.Security.Claims;
using System.Security.Cryptography;
using System.Text;
using Flywheel.Loop;
using Microsoft.Extensions.Logging;

namespace Flywheel.Studio.Access;

/// <summary>What a shown key is worth. A request whose key opens nothing carries it as a feature.</summary>
/// <param name="Caller">Whose it is; null: it opens nothing.</param>
/// <param name="Problem">Why it opens nothing.</param>
/// <param name="IsOurs">It has the form of our keys, so it was meant for this server.</param>
/// <param name="WasValid">It opened something once.</param>
internal sealed record KeyVerdict(ClaimsPrincipal? Caller, string? Problem = null, bool IsOurs = true, bool WasValid = false);

/// <summary>Judges keys. Nothing is remembered between requests, so a revoked key is one at once, whichever process revoked it.</summary>
internal sealed class KeyRing(string adminSecret, ApiKeys keys, Accounts accounts, Workspaces workspaces, ILogger<KeyRing> log)
{
    private readonly byte[] _adminHash = Hash(adminSecret);

    /// <summary>Of a key as the caller shows it.</summary>
    /// <param name="key">The key.</param>
    /// <param name="scheme">How it was shown.</param>
    /// <param name="cancellation">Stops it.</param>
    public async Task<KeyVerdict> JudgeAsync(string key, string scheme, CancellationToken cancellation)
    {
        // Of hashes, so that the lengths are equal; in constant time, so that nobody learns how much of one was right.
        if (CryptographicOperations.FixedTimeEquals(Hash(key), _adminHash))
            return new(Caller.Principal(scheme, "admin.secret", Scopes.All));
        return await JudgeAsync(await keys.FindAsync(key, cancellation), scheme, key.StartsWith(ApiKeys.Prefix, StringComparison.Ordinal),
            cancellation);
    }

    /// <summary>Of a key that was shown before, by its id.</summary>
    /// <param name="id">The key's.</param>
    /// <param name="scheme">How the caller is remembered.</param>
    /// <param name="cancellation">Stops it.</param>
    public async Task<KeyVerdict> JudgeAsync(Guid id, string scheme, CancellationToken cancellation) =>
        await JudgeAsync(await keys.FindAsync(id, cancellation), scheme, true, cancellation);

    /// <summary>Of somebody who signed in before, whichever way: as who they are now; null: they are signed in no more.</summary>
    /// <param name="caller">As who they signed in.</param>
    /// <param name="scheme">How.</param>
    /// <param name="workspace">Where they are now; who is nothing there is a guest.</param>
    /// <param name="cancellation">Stops it.</param>
    public async Task<ClaimsPrincipal?> LookAgainAsync(ClaimsPrincipal caller, string scheme, string workspace,
        CancellationToken cancellation)
    {
        if (Caller.KeyOf(caller) is { } key) return (await JudgeAsync(key, scheme, cancellation)).Caller;
        return Caller.AccountOf(caller) is { } id && await accounts.FindAsync(id, cancellation) is { Disabled: null } account
            && account.Stamp == Caller.StampOf(caller)
            ? Caller.Principal(scheme, account, workspace,
                await workspaces.RoleAsync(account, workspace, cancellation) ?? AccountRole.Guest) : null;
    }

    private async Task<KeyVerdict> JudgeAsync(KeyRow? row, string scheme, bool isOurs, CancellationToken cancellation)
    {
        if (row is null) return new(null, "the key is not known here", isOurs);
        if (keys.WhyDead(row) is { } problem) return new(null, problem, WasValid: true);
        try
        {
            await keys.NoteUseAsync(row, cancellation);
        }
        catch (Exception e) when (e is DbException || StoreFaults.Of(e) is not null)
        {
            // For want of a time stamp nobody is sent away; if the disk is full, what is to be recorded will tell.
            log.LogWarning("The use of key {Name} could not be noted: {Message}", row.Name, e.Message);
        }
        if (row.Workspace != WorkspaceRow.Default && await workspaces.FindAsync(row.Workspace, cancellation) is not { Archived: null })
            return new(null, $"the workspace of the key '{row.Name}' is archived", WasValid: true);
        string[] scopes = row.Scopes.Split(' ');
        // Of somebody with an account it opens no more than they may do themselves.
        if (row.User.Length > 0 && await accounts.FindByUserAsync(row.User, cancellation) is { } account)
        {
            if (account.Disabled is not null) return new(null, $"the account of the key '{row.Name}' is disabled", WasValid: true);
            if (await workspaces.RoleAsync(account, row.Workspace, cancellation) is not { } role)
                return new(null, $"the person of the key '{row.Name}' is not in its workspace any more", WasValid: true);
            scopes = [.. scopes.Intersect(Roles.ScopesOf(role))];
        }
        return new(Caller.Principal(scheme, row.Name, scopes, row.User, row.Id, row.Workspace, row.IsLimited));
    }

    private static byte[] Hash(string key) => SHA256.HashData(Encoding.UTF8.GetBytes(key));
}
