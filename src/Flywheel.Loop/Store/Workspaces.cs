using System.Text.RegularExpressions;
using Flywheel.Model;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop;

/// <summary>
/// Workspaces of a home, and who is in them. What is done in one is seen in it alone (<see cref="FlywheelDb.Workspace"/>); the model and
/// its turns are
/// the home's. Owners of the home look after them, and are in each of them.
/// </summary>
public sealed partial class Workspaces(FlywheelStore store, TimeProvider time)
{
    public const int MaxId = 40, MaxName = 80;

    /// <summary>Roles that somebody may have in a workspace; its owners are the home's.</summary>
    public static IReadOnlyList<AccountRole> MemberRoles { get; } = [AccountRole.Viewer, AccountRole.Reviewer, AccountRole.Editor];

    /// <summary>All of them, archived ones last, by name.</summary>
    public async Task<IReadOnlyList<WorkspaceRow>> ListAsync(CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.Tables();
        List<WorkspaceRow> rows = await db.Workspaces.AsNoTracking().ToListAsync(cancellation);
        return [.. rows.OrderBy(row => row.Archived is not null).ThenBy(row => row.Id != WorkspaceRow.Default)
            .ThenBy(row => row.Name, StringComparer.OrdinalIgnoreCase)];
    }

    public async Task<WorkspaceRow?> FindAsync(string id, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.Tables();
        return await db.Workspaces.AsNoTracking().SingleOrDefaultAsync(row => row.Id == id, cancellation);
    }

    /// <summary>Makes one, without anybody in it but the owners; the shared model does not learn from it until somebody says so.</summary>
    /// <param name="id">As it stands in addresses; null: made from the name.</param>
    /// <param name="name">What people call it.</param>
    /// <param name="cancellation">Stops it.</param>
    /// <exception cref="FlywheelException">Id or name will not do, or there is such a one.</exception>
    public async Task<WorkspaceRow> CreateAsync(string? id, string name, CancellationToken cancellation = default)
    {
        Actor.Demand(Scopes.Admin);
        name = CheckName(name);
        id ??= NoLetters().Replace(name.ToLowerInvariant(), "-").Trim('-') is { Length: > 0 } made
            ? made[..Math.Min(made.Length, MaxId)].Trim('-') : "team";
        if (!Id().IsMatch(id) || id.Length > MaxId)
            throw new FlywheelException(
                $"the workspace's id is '{Short(id)}', expected 1 to {MaxId} of a-z, 0-9 and - between them, such as copy-team");
        await using FlywheelDb db = store.Tables();
        await using var transaction = await db.Database.BeginTransactionAsync(cancellation);
        if (await db.Workspaces.AnyAsync(known => known.Id == id, cancellation))
            throw new FlywheelException($"there is a workspace with the id '{id}' already; choose another id");
        var row = new WorkspaceRow { Id = id, Name = name, Created = time.GetUtcNow() };
        db.Workspaces.Add(row);
        db.Audit.Add(AuditAct.Row(AuditAct.WorkspaceMade, time.GetUtcNow(), about: id));
        await db.SaveChangesAsync(cancellation);
        await transaction.CommitAsync(cancellation);
        return row;
    }

    /// <summary>Changes what is given, all of it or nothing.</summary>
    /// <param name="id">Its id.</param>
    /// <param name="name">Its new name.</param>
    /// <param name="archived">Whether nobody opens it any more; what is in it stays. The default one cannot be.</param>
    /// <param name="trainsShared">Whether the model that all share learns from it.</param>
    /// <param name="cancellation">Stops it.</param>
    /// <returns>It; null: there is none of that id.</returns>
    /// <exception cref="FlywheelException">The name will not do, or the default workspace would be archived.</exception>
    public async Task<WorkspaceRow?> ChangeAsync(string id, string? name = null, bool? archived = null, bool? trainsShared = null,
        CancellationToken cancellation = default)
    {
        Actor.Demand(Scopes.Admin);
        if (name is not null) name = CheckName(name);
        if (archived is true && id == WorkspaceRow.Default)
            throw new FlywheelException("the workspace 'default' cannot be archived: who has a role in the home is in it");
        await using FlywheelDb db = store.Tables();
        await using var transaction = await db.Database.BeginTransactionAsync(cancellation);
        if (await db.Workspaces.SingleOrDefaultAsync(row => row.Id == id, cancellation) is not { } found) return null;
        found.Name = name ?? found.Name;
        if (archived is { } closed) found.Archived = closed ? found.Archived ?? time.GetUtcNow() : null;
        found.TrainsShared = trainsShared ?? found.TrainsShared;
        string[] what = [id, .. name is null ? Array.Empty<string>() : ["renamed"],
            .. archived switch { true => ["archived"], false => ["opened again"], null => Array.Empty<string>() },
            .. trainsShared switch { true => ["trains the shared model"], false => ["does not train the shared model"],
                null => Array.Empty<string>() }];
        db.Audit.Add(AuditAct.Row(AuditAct.WorkspaceChanged, time.GetUtcNow(), about: string.Join(", ", what)));
        await db.SaveChangesAsync(cancellation);
        await transaction.CommitAsync(cancellation);
        return found;
    }

    /// <summary>Who is in a workspace other than the default one, beside the owners.</summary>
    public async Task<IReadOnlyList<(AccountRow Account, AccountRole Role)>> MembersAsync(string id,
        CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.Tables();
        var rows = await (from member in db.Members
            join account in db.Accounts on member.AccountId equals account.Id
            where member.Workspace == id
            orderby account.NormalizedName
            select new { account, member.Role }).AsNoTracking().ToListAsync(cancellation);
        return [.. rows.Select(row => (row.account, row.Role))];
    }

    /// <summary>Puts somebody into a workspace, gives them another role there, or (null) takes them out.</summary>
    /// <exception cref="FlywheelException">There is no such workspace or person, or the role is none of a workspace's.</exception>
    public async Task PutAsync(string id, Guid account, AccountRole? role, CancellationToken cancellation = default)
    {
        Actor.Demand(Scopes.Admin);
        if (id == WorkspaceRow.Default)
            throw new FlywheelException("in the workspace 'default' everybody has the role of their account; change that one");
        if (role is { } named && !MemberRoles.Contains(named))
            throw new FlywheelException(
                $"the role is '{named.ToString().ToLowerInvariant()}', expected one of {string.Join(", ", MemberRoles).ToLowerInvariant()}; owners of the home are in every workspace");
        await using FlywheelDb db = store.Tables();
        await using var transaction = await db.Database.BeginTransactionAsync(cancellation);
        if (!await db.Workspaces.AnyAsync(row => row.Id == id, cancellation))
            throw new FlywheelException($"there is no workspace with the id '{Short(id)}'");
        AccountRow who = await db.Accounts.AsNoTracking().SingleOrDefaultAsync(row => row.Id == account, cancellation)
            ?? throw new FlywheelException($"no account has the id {account}");
        MemberRow? known = await db.Members.SingleOrDefaultAsync(row => row.AccountId == account && row.Workspace == id, cancellation);
        if (role is { } given)
        {
            if (known is null)
                db.Members.Add(new MemberRow { AccountId = account, Workspace = id, Role = given, Created = time.GetUtcNow() });
            else known.Role = given;
        }
        else if (known is not null) db.Members.Remove(known);
        db.Audit.Add(AuditAct.Row(AuditAct.Member, time.GetUtcNow(), who.User,
            $"{id}, {role?.ToString().ToLowerInvariant() ?? "taken out"}"));
        await db.SaveChangesAsync(cancellation);
        await transaction.CommitAsync(cancellation);
    }

    /// <summary>What somebody is in a workspace; null: nothing, or nobody opens it any more.</summary>
    public async Task<AccountRole?> RoleAsync(AccountRow account, string id, CancellationToken cancellation = default)
    {
        if (id == WorkspaceRow.Default) return account.Role == AccountRole.Guest ? null : account.Role;
        await using FlywheelDb db = store.Tables();
        if (!await db.Workspaces.AnyAsync(row => row.Id == id && row.Archived == null, cancellation)) return null;
        if (account.Role == AccountRole.Owner) return AccountRole.Owner;
        return await db.Members.Where(row => row.AccountId == account.Id && row.Workspace == id).Select(row => (AccountRole?)row.Role)
            .SingleOrDefaultAsync(cancellation);
    }

    /// <summary>Workspaces that somebody opens, the default one first.</summary>
    public async Task<IReadOnlyList<WorkspaceRow>> OfAsync(AccountRow account, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.Tables();
        HashSet<string> member =
            [.. await db.Members.Where(row => row.AccountId == account.Id).Select(row => row.Workspace).ToListAsync(cancellation)];
        return [.. (await ListAsync(cancellation)).Where(row => row.Archived is null
            && (account.Role == AccountRole.Owner
                || (row.Id == WorkspaceRow.Default ? account.Role != AccountRole.Guest : member.Contains(row.Id))))];
    }

    private static string CheckName(string name) => name.Trim() is { Length: > 0 and <= MaxName } text && !text.Any(char.IsControl) ? text
        : throw new FlywheelException($"the workspace's name is '{Short(name)}', expected 1 to {MaxName} characters that can be seen");

    private static string Short(string text) => text.Length <= 80 ? text : text[..77] + "...";

    [GeneratedRegex("^[a-z0-9]+(-[a-z0-9]+)*$")]
    private static partial Regex Id();

    [GeneratedRegex("[^a-z0-9]+")]
    private static partial Regex NoLetters();
}
