using System.Buffers.Text;
using System.Linq.Expressions;
using System.Security.Cryptography;
using System.Text;
using Flywheel.Loop;
using Microsoft.AspNetCore.Identity;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Studio.Access;

/// <summary>Links by which people come in, or choose a new password.</summary>
public sealed partial class Accounts
{
    /// <summary>Makes a link by which somebody comes in.</summary>
    /// <param name="role">What they may do then.</param>
    /// <param name="label">Whom it is for, as the inviter calls them.</param>
    /// <param name="lives">How long it can be used.</param>
    /// <param name="cancellation">Stops it.</param>
    /// <returns>The row, and the link's secret, which is nowhere else.</returns>
    /// <exception cref="AccountException">The label will not do; or there is no account yet, and it is not for an owner.</exception>
    public async Task<(InvitationRow Row, string Token)> InviteAsync(AccountRole role, string label = "", TimeSpan? lives = null,
        CancellationToken cancellation = default)
    {
        Actor.Demand(Scopes.Admin);
        if (label.Length > 0) CheckText("label", label, MaxDisplayName);
        await using FlywheelDb db = store.Tables();
        await using var transaction = await db.Database.BeginTransactionAsync(cancellation);
        bool first = !await db.Accounts.AnyAsync(cancellation);
        if (first && role != AccountRole.Owner)
            throw new AccountException("owner-first",
                $"there is no account yet and the first one is an owner's, so the role '{Roles.NameOf(role)}' has to wait; expected owner");
        (InvitationRow row, string token) = Add(db, role, label, lives ?? InvitationLives, first);
        db.Audit.Add(AuditAct.Row(AuditAct.Invite, row.Created, about: Roles.NameOf(role)));
        await db.SaveChangesAsync(cancellation);
        await transaction.CommitAsync(cancellation);
        Changed?.Invoke();
        return (row, token);
    }

    /// <summary>A link that makes the first account, an owner's. Each start and each server has one; all are worth nothing once there is an
    /// account, and then this is null.</summary>
    public async Task<string?> InviteFirstAsync(CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.Tables();
        await using var transaction = await db.Database.BeginTransactionAsync(cancellation);
        if (await db.Accounts.AnyAsync(cancellation)) return null;
        (_, string token) = Add(db, AccountRole.Owner, "", FirstLinkLives, first: true);
        await db.SaveChangesAsync(cancellation);
        await transaction.CommitAsync(cancellation);
        Changed?.Invoke();
        return token;
    }

    /// <summary>Makes a link by which a person chooses a new password.</summary>
    public async Task<(InvitationRow Row, string Token)> ResetAsync(Guid id, CancellationToken cancellation = default)
    {
        Actor.Demand(Scopes.Admin);
        await using FlywheelDb db = store.Tables();
        await using var transaction = await db.Database.BeginTransactionAsync(cancellation);
        AccountRow account = await FindAsync(db, id, cancellation);
        if (account.Disabled is not null) throw new AccountException("disabled", $"{account.Name} is disabled; enable them first");
        (InvitationRow row, string token) = Add(db, account.Role, account.DisplayName, FirstLinkLives, account: id);
        db.Audit.Add(AuditAct.Row(AuditAct.ResetLink, row.Created, account.User));
        await db.SaveChangesAsync(cancellation);
        await transaction.CommitAsync(cancellation);
        Changed?.Invoke();
        return (row, token);
    }

    /// <summary>Links that can still be used, the latest first.</summary>
    public async Task<IReadOnlyList<InvitationRow>> InvitationsAsync(CancellationToken cancellation = default)
    {
        DateTimeOffset now = time.GetUtcNow();
        await using FlywheelDb db = store.Tables();
        return await db.Invitations.AsNoTracking()
            .Where(row => row.Used == null && row.Revoked == null && row.Expires > now && !row.IsFirst)
            .OrderByDescending(row => row.Created).ThenByDescending(row => row.Id).ToListAsync(cancellation);
    }

    /// <exception cref="AccountException">There is no such link that could still be used.</exception>
    public async Task RevokeInvitationAsync(Guid id, CancellationToken cancellation = default)
    {
        Actor.Demand(Scopes.Admin);
        await using FlywheelDb db = store.Tables();
        await using var transaction = await db.Database.BeginTransactionAsync(cancellation);
        if (await db.Invitations.SingleOrDefaultAsync(row => row.Id == id && row.Used == null && row.Revoked == null,
            cancellation) is not { } row)
            throw new AccountException("no-link", $"there is no invitation {id} that could be taken back");
        row.Revoked = time.GetUtcNow();
        db.Audit.Add(AuditAct.Row(AuditAct.Uninvite, row.Revoked.Value, about: Roles.NameOf(row.Role)));
        await db.SaveChangesAsync(cancellation);
        await transaction.CommitAsync(cancellation);
        Changed?.Invoke();
    }

    /// <summary>What a link does; null: nothing (any more).</summary>
    /// <returns>The link, and the account whose password it changes.</returns>
    public async Task<(InvitationRow Invitation, AccountRow? Account)?> OpenAsync(string token, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.Tables();
        return await OpenAsync(db, token, cancellation);
    }

    /// <summary>Uses a link: makes the account, or gives it the new password.</summary>
    /// <param name="token">The link's secret.</param>
    /// <param name="name">What to sign in with; passed over where the account is there already.</param>
    /// <param name="displayName">What others see; passed over likewise.</param>
    /// <param name="password">The password.</param>
    /// <param name="user">As whom the first administrator was recorded so far, alone at the machine: what they made stays theirs.</param>
    /// <param name="cancellation">Stops it.</param>
    /// <exception cref="AccountException">The link is worth nothing, or name or password will not do; then the link can still be
    /// used.</exception>
    public async Task<AccountRow> AcceptAsync(string token, string name, string displayName, string password, string? user = null,
        CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.Tables();
        await using var transaction = await db.Database.BeginTransactionAsync(cancellation);
        if (await OpenAsync(db, token, cancellation) is not var (found, account))
            throw new AccountException("no-link", "this link was used, taken back or has expired, or it never was one");
        InvitationRow invitation = await db.Invitations.SingleAsync(row => row.Id == found.Id, cancellation);
        DateTimeOffset now = time.GetUtcNow();
        using UserManager<AccountRow> users = Manager(db);
        if (account is not null)
        {
            account = await FindAsync(db, account.Id, cancellation);
            await SetPasswordAsync(users, account, password);
            (account.Failed, account.LockedUntil) = (0, null);
            await EndLinksAsync(db, row => row.AccountId == found.AccountId && row.Id != found.Id, cancellation);
        }
        else
        {
            if (!invitation.IsFirst || (user is not null && await db.Accounts.AnyAsync(row => row.User == user, cancellation))) user = null;
            var id = Guid.CreateVersion7(now);
            account = new AccountRow { Id = id, Name = name.Trim(), DisplayName = displayName.Trim(), User = user ?? id.ToString(),
                Role = invitation.Role, Created = now };
            CheckText("name", account.Name, MaxName);
            CheckText("display-name", account.DisplayName, MaxDisplayName);
            CheckPassword(account, password);
            Check(await users.CreateAsync(account, password));
        }
        (invitation.Used, invitation.Label, account.LastSignIn) = (now, "", now);
        Actor.Is(account.User); // nobody was signed in
        db.Audit.Add(AuditAct.Row(invitation.AccountId is null ? AuditAct.Join : AuditAct.Password, now, account.User,
            invitation.AccountId is null ? Roles.NameOf(account.Role) : ""));
        await db.SaveChangesAsync(cancellation);
        await transaction.CommitAsync(cancellation);
        Changed?.Invoke();
        return account;
    }

    /// <summary>Takes links back that could still be used.</summary>
    private Task EndLinksAsync(FlywheelDb db, Expression<Func<InvitationRow, bool>> which, CancellationToken cancellation)
    {
        DateTimeOffset? now = time.GetUtcNow();
        return db.Invitations.Where(which).Where(row => row.Used == null && row.Revoked == null)
            .ExecuteUpdateAsync(row => row.SetProperty(link => link.Revoked, now), cancellation);
    }

    private async Task<(InvitationRow Invitation, AccountRow? Account)?> OpenAsync(FlywheelDb db, string token,
        CancellationToken cancellation)
    {
        string hash = HashOf(token);
        DateTimeOffset now = time.GetUtcNow();
        InvitationRow? row = await db.Invitations.AsNoTracking().SingleOrDefaultAsync(one => one.Hash == hash, cancellation);
        if (row is not { Used: null, Revoked: null } || row.Expires <= now) return null;
        if (row.IsFirst && await db.Accounts.AnyAsync(cancellation)) return null;
        if (row.AccountId is not { } id) return (row, null);
        return await db.Accounts.AsNoTracking().SingleOrDefaultAsync(one => one.Id == id && one.Disabled == null,
            cancellation) is { } account ? (row, account) : null;
    }

    private (InvitationRow Row, string Token) Add(FlywheelDb db, AccountRole role, string label, TimeSpan lives, bool first = false,
        Guid? account = null)
    {
        string token = Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(32));
        DateTimeOffset now = time.GetUtcNow();
        var row = new InvitationRow
        {
            Id = Guid.CreateVersion7(now), Hash = HashOf(token), Role = role, Label = label, IsFirst = first, AccountId = account,
            By = Actor.Name, Created = now, Expires = now + lives,
        };
        db.Invitations.Add(row);
        return (row, token);
    }

    private static string HashOf(string token) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(token)));
}
