using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Studio.OpenAI;
using Flywheel.Studio.Shell;
using Microsoft.AspNetCore.Http;

namespace Flywheel.Studio.Access;

/// <summary>Who looks after keys.</summary>
/// <param name="User">Whose their own keys are; empty: they have none of their own.</param>
/// <param name="Scopes">What they may do themselves: no key that they make opens more.</param>
/// <param name="IsOwner">Sees everybody's keys, and may make one for anybody.</param>
/// <param name="Workspace">Where they are, and what the keys that they make open.</param>
internal sealed record KeyHolder(string User, IReadOnlyCollection<string> Scopes, bool IsOwner, string Workspace)
{
    /// <summary>Who calls an endpoint: an account, the home's secret, or a key.</summary>
    /// <exception cref="ApiException">Nobody is known to call.</exception>
    public static KeyHolder Of(HttpContext http)
    {
        if (!Caller.IsKnown(http.User))
            throw new ApiException(401,
                $"{http.Request.Path} was called by nobody in particular; expected who it is: sign in with an account, or send 'Authorization: Bearer ' and the secret in the file "
                + "admin.secret of the server's home, or a key", code: "invalid_api_key", type: "authentication_error");
        return new(Caller.UserOf(http.User) ?? "", Caller.ScopesOf(http.User), Caller.May(http.User, Loop.Scopes.Admin),
            Caller.WorkspaceOf(http.User));
    }

    /// <summary>Who looks at a page: with an account what its role allows, else whoever may administer does.</summary>
    public static KeyHolder Of(Visit visit) =>
        new(visit.Role is null ? "" : visit.Person,
            visit.Role is { } role ? Roles.ScopesOf(Roles.Parse(role)) : visit.MayAdminister ? Loop.Scopes.All : [], visit.MayAdminister,
            visit.Workspace);

    public bool MaySee(KeyRow key) => IsOwner || (User.Length > 0 && key.User == User);
}

/// <summary>Keys as people look after them, on the page and by the API alike: an owner after all, everybody else after their own.</summary>
internal sealed class KeyDesk(ApiKeys keys, Accounts accounts)
{
    /// <summary>Those that the holder may see, newest first.</summary>
    public async Task<IReadOnlyList<KeyRow>> ListAsync(KeyHolder holder, CancellationToken cancellation = default) =>
        [.. (await keys.ListAsync(cancellation)).Where(holder.MaySee)];

    /// <summary>Makes a key in the holder's workspace.</summary>
    /// <param name="holder">Who makes it.</param>
    /// <param name="made">What it is to be; of its user the sign-in name of an account stands for that account.</param>
    /// <param name="cancellation">Stops it.</param>
    /// <exception cref="NotAllowedException">It would open more than they may do themselves, or be another's.</exception>
    /// <exception cref="FlywheelException">Something is not as expected; the message names it.</exception>
    public async Task<(KeyRow Row, string Key)> CreateAsync(KeyHolder holder, NewKey made, CancellationToken cancellation = default)
    {
        foreach (string scope in made.Scopes.Where(Scopes.All.Contains))
        {
            if (!holder.Scopes.Contains(scope)) throw new NotAllowedException(scope);
            Actor.Demand(scope);
        }
        string user = made.User;
        if (user.Length > 0)
            user = (await accounts.ListAsync(cancellation)).FirstOrDefault(row =>
                string.Equals(row.Name, user, StringComparison.OrdinalIgnoreCase))?.User ?? user;
        if (!holder.IsOwner && (holder.User.Length == 0 || user != holder.User)) throw new NotAllowedException(Scopes.Admin);
        return await keys.CreateAsync(made with { User = user, Workspace = holder.Workspace }, cancellation);
    }

    /// <returns>The key; null: there is none of that id that they may revoke.</returns>
    public async Task<KeyRow?> RevokeAsync(KeyHolder holder, Guid id, CancellationToken cancellation = default) =>
        await keys.FindAsync(id, cancellation) is { } row && holder.MaySee(row) ? await keys.RevokeAsync(id, cancellation) : null;
}
