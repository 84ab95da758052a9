using System.Globalization;
using System.Text;
using Flywheel.Loop;
using Flywheel.Model;
using Microsoft.AspNetCore.Identity;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace Flywheel.Studio.Access;

/// <summary>
/// The people of a home, by ASP.NET Core Identity: how they come in, sign in, and are kept out. Every change is one transaction, and
/// transactions of a record follow each other, so that of two who want the same at once one comes too late.
/// </summary>
public sealed partial class Accounts(FlywheelStore store, TimeProvider time)
{
    public const int MinPassword = 12, MaxPassword = 200, MaxGuesses = 5, MaxName = 64, MaxDisplayName = 80;

    public static readonly TimeSpan Lockout = TimeSpan.FromMinutes(5), FirstLinkLives = TimeSpan.FromDays(1),
        InvitationLives = TimeSpan.FromDays(7);

    private static readonly IdentityOptions s_options = new()
    {
        // Length is what makes a password hard to guess; rules about signs make it hard to keep (NIST SP 800-63B, 3.1.1.2).
        Password = { RequiredLength = MinPassword, RequiredUniqueChars = 5, RequireDigit = false, RequireLowercase = false,
            RequireUppercase = false, RequireNonAlphanumeric = false },
    };

    private static readonly PasswordHasher<AccountRow> s_hasher = new();

    /// <summary>A name that nobody has takes as long as a wrong password.</summary>
    private static readonly Lazy<string> s_nobody = new(() => s_hasher.HashPassword(null!, Guid.NewGuid().ToString()));

    /// <summary>Somebody came, was changed or was invited: for pages that show them.</summary>
    public event Action? Changed;

    public async Task<bool> AnyAsync(CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.Tables();
        return await db.Accounts.AnyAsync(cancellation);
    }

    /// <summary>Everybody, by name.</summary>
    public async Task<IReadOnlyList<AccountRow>> ListAsync(CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.Tables();
        return await db.Accounts.AsNoTracking().OrderBy(row => row.NormalizedName).ToListAsync(cancellation);
    }

    /// <summary>What they are called.</summary>
    public async Task<NameBook> NamesAsync(CancellationToken cancellation = default) =>
        new((await ListAsync(cancellation)).ToDictionary(row => row.User, row => row.DisplayName));

    public async Task<AccountRow?> FindAsync(Guid id, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.Tables();
        return await db.Accounts.AsNoTracking().SingleOrDefaultAsync(row => row.Id == id, cancellation);
    }

    /// <summary>Whose acts are recorded as this user's; null: nobody's with an account.</summary>
    public async Task<AccountRow?> FindByUserAsync(string user, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.Tables();
        return await db.Accounts.AsNoTracking().SingleOrDefaultAsync(row => row.User == user, cancellation);
    }

    /// <summary>By what they sign in with, or by id.</summary>
    /// <exception cref="AccountException">There is nobody.</exception>
    public async Task<AccountRow> GetAsync(string which, CancellationToken cancellation = default)
    {
        IReadOnlyList<AccountRow> all = await ListAsync(cancellation);
        return all.FirstOrDefault(row => string.Equals(row.Name, which, StringComparison.OrdinalIgnoreCase) || row.Id.ToString() == which)
            ?? throw new AccountException("nobody", $"nobody here is called '{(which.Length <= 80 ? which : which[..77] + "...")}'; "
                + (all.Count == 0 ? "there is no account yet" : $"there are {string.Join(", ", all.Take(20).Select(row => row.Name))}"));
    }

    /// <summary>Judges a name and a password. Each guess is counted before it is looked at, so that many at once do not get around the
    /// count.</summary>
    /// <returns>The account; null: they open nothing, whatever the reason.</returns>
    public async Task<AccountRow?> SignInAsync(string name, string password, CancellationToken cancellation = default)
    {
        if (name.Length > MaxName || password.Length > MaxPassword) return null;
        string normalized = name.Trim().ToUpperInvariant();
        AccountRow? row;
        await using (FlywheelDb db = store.Tables())
        {
            row = await db.Accounts.AsNoTracking().SingleOrDefaultAsync(one => one.NormalizedName == normalized, cancellation);
        }
        if (row is null || !await CountGuessAsync(row.Id, cancellation))
        {
            s_hasher.VerifyHashedPassword(null!, s_nobody.Value, password);
            return null;
        }
        if (s_hasher.VerifyHashedPassword(row, row.PasswordHash, password) == PasswordVerificationResult.Failed || row.Disabled is not null)
            return null;
        return await ChangeAsync(row.Id, (_, known) => (known.Failed, known.LockedUntil, known.LastSignIn) = (0, null, time.GetUtcNow()),
            cancellation);
    }

    /// <summary>Changes one's own password: every session that was begun with the old one is over.</summary>
    /// <exception cref="AccountException">The old one is wrong, or the new one will not do.</exception>
    public async Task<AccountRow> ChangePasswordAsync(Guid id, string old, string password, CancellationToken cancellation = default)
    {
        await CheckNewPasswordAsync(id, password, cancellation); // first, for whoever chose badly has guessed nothing
        bool counted = await CountGuessAsync(id, cancellation);
        if (!counted || await FindAsync(id, cancellation) is not { } known || old.Length > MaxPassword
            || s_hasher.VerifyHashedPassword(known, known.PasswordHash, old) == PasswordVerificationResult.Failed)
            throw new AccountException("wrong-password", "this is not the password of now");
        return await ChangeAsync(id, async (users, account) =>
        {
            await SetPasswordAsync(users, account, password);
            (account.Failed, account.LockedUntil) = (0, null);
        }, [(AuditAct.Password, "")], endsLinks: true, cancellation);
    }

    /// <summary>Ends every session of a person.</summary>
    public Task<AccountRow> EndSessionsAsync(Guid id, CancellationToken cancellation = default) =>
        ChangeAsync(id, (users, account) => users.UpdateSecurityStampAsync(account), [(AuditAct.SignOut, "everywhere")],
            cancellation: cancellation);

    /// <exception cref="AccountException">The name will not do.</exception>
    public Task<AccountRow> RenameAsync(Guid id, string displayName, CancellationToken cancellation = default)
    {
        CheckText("display-name", displayName.Trim(), MaxDisplayName);
        return ChangeAsync(id, (_, account) => account.DisplayName = displayName.Trim(), cancellation);
    }

    /// <summary>Links that they made as an owner end when they no longer are one.</summary>
    /// <exception cref="AccountException">It is the only owner.</exception>
    public Task<AccountRow> SetRoleAsync(Guid id, AccountRole role, CancellationToken cancellation = default) =>
        SetAsync(id, role, disabled: null, cancellation);

    /// <summary>The account opens nothing from now on, nor do keys of the person or links that give it a password.</summary>
    /// <exception cref="AccountException">It is the only owner.</exception>
    public Task<AccountRow> DisableAsync(Guid id, CancellationToken cancellation = default) =>
        SetAsync(id, role: null, disabled: true, cancellation);

    public Task<AccountRow> EnableAsync(Guid id, CancellationToken cancellation = default) =>
        SetAsync(id, role: null, disabled: false, cancellation);

    /// <summary>Changes all of it, or nothing when a part is refused.</summary>
    /// <param name="id">The account's.</param>
    /// <param name="role">The new role; null: as it is.</param>
    /// <param name="disabled">Whether it opens nothing; null: as it is.</param>
    /// <param name="cancellation">Stops it.</param>
    /// <exception cref="AccountException">It is the only owner.</exception>
    public Task<AccountRow> SetAsync(Guid id, AccountRole? role, bool? disabled, CancellationToken cancellation = default)
    {
        Actor.Demand(Scopes.Admin);
        List<(string Act, string About)> acts = [];
        if (role is { } named) acts.Add((AuditAct.Role, Roles.NameOf(named)));
        if (disabled is { } off) acts.Add((off ? AuditAct.Disable : AuditAct.Enable, ""));
        return ChangeAsync(id, async (users, account) =>
        {
            account.Role = role ?? account.Role;
            if (disabled is false) account.Disabled = null;
            if (disabled is not true) return;
            account.Disabled ??= time.GetUtcNow();
            await users.UpdateSecurityStampAsync(account); // sessions of before stay over when it is enabled again
        }, acts, endsLinks: disabled is true, cancellation);
    }

    private Task<AccountRow> ChangeAsync(Guid id, Action<UserManager<AccountRow>, AccountRow> change, CancellationToken cancellation) =>
        ChangeAsync(id, (users, account) =>
    {
        change(users, account);
        return Task.CompletedTask;
    }, [], cancellation: cancellation);

    /// <param name="id">The account's.</param>
    /// <param name="change">What is changed.</param>
    /// <param name="acts">What the audit says of it.</param>
    /// <param name="endsLinks">Links by which the account gets a new password are worth nothing from then on.</param>
    /// <param name="cancellation">Stops it.</param>
    private async Task<AccountRow> ChangeAsync(Guid id, Func<UserManager<AccountRow>, AccountRow, Task> change,
        IReadOnlyList<(string Act, string About)> acts,
        bool endsLinks = false, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.Tables();
        await using var transaction = await db.Database.BeginTransactionAsync(cancellation);
        AccountRow account = await FindAsync(db, id, cancellation);
        bool wasOwner = IsOwner(account);
        using UserManager<AccountRow> users = Manager(db);
        await change(users, account);
        if (wasOwner && !IsOwner(account)
            && !await db.Accounts.AnyAsync(row => row.Id != id && row.Role == AccountRole.Owner && row.Disabled == null, cancellation))
            throw new AccountException("last-owner", $"{account.Name} is the only owner; make somebody else one first");
        if (endsLinks) await EndLinksAsync(db, row => row.AccountId == id, cancellation);
        if (wasOwner && !IsOwner(account)) await EndLinksAsync(db, row => row.By == account.User, cancellation);
        foreach ((string act, string about) in acts) db.Audit.Add(AuditAct.Row(act, time.GetUtcNow(), account.User, about));
        await db.SaveChangesAsync(cancellation);
        await transaction.CommitAsync(cancellation);
        Changed?.Invoke();
        return account;

        static bool IsOwner(AccountRow row) => row is { Role: AccountRole.Owner, Disabled: null };
    }

    /// <summary>Counts a guess. False: there were too many, and it must not be looked at. (Identity's own count follows the
    /// look.)</summary>
    private async Task<bool> CountGuessAsync(Guid id, CancellationToken cancellation)
    {
        DateTimeOffset now = time.GetUtcNow();
        await using FlywheelDb db = store.Tables();
        await using var transaction = await db.Database.BeginTransactionAsync(cancellation);
        if (await db.Accounts.SingleOrDefaultAsync(row => row.Id == id, cancellation) is not { } account || account.LockedUntil > now)
            return false;
        if (++account.Failed >= MaxGuesses)
        {
            (account.Failed, account.LockedUntil) = (0, now + Lockout); // a right one opens it again
            db.Audit.Add(new AuditRow { Time = now, Who = Actor.Server, Act = AuditAct.Locked, Whom = account.User });
        }
        await db.SaveChangesAsync(cancellation);
        await transaction.CommitAsync(cancellation);
        return true;
    }

    private static async Task<AccountRow> FindAsync(FlywheelDb db, Guid id, CancellationToken cancellation) =>
        await db.Accounts.SingleOrDefaultAsync(row => row.Id == id, cancellation)
            ?? throw new AccountException("nobody", $"no account has the id {id}");

    private static async Task SetPasswordAsync(UserManager<AccountRow> users, AccountRow account, string password)
    {
        CheckPassword(account, password);
        Check(await users.RemovePasswordAsync(account));
        Check(await users.AddPasswordAsync(account, password));
    }

    private async Task CheckNewPasswordAsync(Guid id, string password, CancellationToken cancellation)
    {
        await using FlywheelDb db = store.Tables();
        AccountRow account = await FindAsync(db, id, cancellation);
        CheckPassword(account, password);
        using UserManager<AccountRow> users = Manager(db);
        foreach (IPasswordValidator<AccountRow> validator in users.PasswordValidators)
            Check(await validator.ValidateAsync(users, account, password));
    }

    private static void CheckPassword(AccountRow account, string password)
    {
        if (password.Length > MaxPassword)
            throw new AccountException("PasswordTooLong", $"the password has {password.Length} characters, expected at most {MaxPassword}");
        if (password.Contains(account.Name, StringComparison.OrdinalIgnoreCase) && account.Name.Length > 2)
            throw new AccountException("PasswordHasName", "the password holds the name, expected one that nobody thinks of first");
    }

    /// <summary>No signs that cannot be seen, nor such as turn the order of what follows.</summary>
    private static void CheckText(string what, string text, int max)
    {
        if (text.Length is 0 || text.Length > max || text.Trim() != text || text.EnumerateRunes().Any(IsHidden))
            throw new AccountException(what,
                $"the {what} is '{(text.Length <= 80 ? text : text[..77] + "...")}', expected 1 to {max} characters that can be seen");
    }

    private static bool IsHidden(Rune rune) =>
        rune == Rune.ReplacementChar || rune.Value is (>= 0x202A and <= 0x202E) or (>= 0x2066 and <= 0x2069)
        || Rune.GetUnicodeCategory(rune) is UnicodeCategory.Control or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator;

    private static void Check(IdentityResult result)
    {
        if (result.Errors.FirstOrDefault() is { } error) throw new AccountException(error.Code, error.Description);
    }

    private static UserManager<AccountRow> Manager(FlywheelDb db) => new(
        new AccountStore(db), Options.Create(s_options), s_hasher, [new UserValidator<AccountRow>()], [new PasswordValidator<AccountRow>()],
        new UpperInvariantLookupNormalizer(), new IdentityErrorDescriber(), null!, NullLogger<UserManager<AccountRow>>.Instance);
}
