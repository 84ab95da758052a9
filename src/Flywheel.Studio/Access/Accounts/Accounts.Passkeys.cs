using System.Buffers.Text;
using Flywheel.Loop;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Identity;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;

namespace Flywheel.Studio.Access;

/// <content>Passkeys (W3C Web Authentication, Level 3), by ASP.NET Core Identity's own handler.</content>
public sealed partial class Accounts
{
    public const int MaxPasskeys = 20, MaxPasskeyName = 80;

    private static readonly IdentityPasskeyOptions s_passkeys = new()
    {
        // It opens as much as the password, so its device must ask who holds it; and it is found without a name being typed.
        UserVerificationRequirement = "required",
        ResidentKeyRequirement = "required",
        AttestationConveyancePreference = "none", // which make of device it is decides nothing here
        AuthenticatorTimeout = TimeSpan.FromMinutes(3),
        ValidateOrigin =
            context => ValueTask.FromResult(!context.CrossOrigin && AccessRules.IsSameOrigin(context.Origin, context.HttpContext.Request)),
    };

    public async Task<bool> AnyPasskeyAsync(CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.Tables();
        return await db.Passkeys.AnyAsync(cancellation);
    }

    /// <summary>A person's, the oldest first.</summary>
    public async Task<IReadOnlyList<PasskeyRow>> PasskeysAsync(Guid id, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.Tables();
        return await db.Passkeys.AsNoTracking().Where(row => row.AccountId == id).OrderBy(row => row.Created).ThenBy(row => row.Id)
            .ToListAsync(cancellation);
    }

    /// <summary>Begins to add one. Whoever found a browser that is signed in must not be able to make a way in of their own, so the
    /// password is asked for.</summary>
    /// <param name="id">The account's.</param>
    /// <param name="password">Its password of now.</param>
    /// <param name="http">The request.</param>
    /// <returns>What the browser is asked for (JSON), and what must come back with its answer.</returns>
    /// <exception cref="AccountException">The password is wrong, or there are too many passkeys.</exception>
    internal async Task<(string Options, string State)> BeginPasskeyAsync(Guid id, string password, HttpContext http)
    {
        if (!await CountGuessAsync(id, http.RequestAborted) || await FindAsync(id, http.RequestAborted) is not { } account
            || password.Length > MaxPassword
            || s_hasher.VerifyHashedPassword(account, account.PasswordHash, password) == PasswordVerificationResult.Failed)
            throw new AccountException("wrong-password", "this is not the password of now");
        await ChangeAsync(id, (_, known) => (known.Failed, known.LockedUntil) = (0, null), http.RequestAborted);
        await using FlywheelDb db = store.Tables();
        if (await db.Passkeys.CountAsync(row => row.AccountId == id, http.RequestAborted) >= MaxPasskeys)
            throw new AccountException("passkeys-many", $"there are {MaxPasskeys} passkeys already; remove one first");
        using UserManager<AccountRow> users = Manager(db);
        PasskeyCreationOptionsResult made = await Handler(users)
            .MakeCreationOptionsAsync(new PasskeyUserEntity { Id = id.ToString(), Name = account.Name, DisplayName = account.DisplayName },
                http);
        return (made.CreationOptionsJson, made.AttestationState ?? throw new InvalidOperationException("Identity's handler gave no state"));
    }

    /// <summary>Adds what the browser made.</summary>
    /// <param name="id">The account's.</param>
    /// <param name="name">What its owner calls it.</param>
    /// <param name="credential">The browser's answer (JSON).</param>
    /// <param name="state">As <see cref="BeginPasskeyAsync"/> gave it.</param>
    /// <param name="http">The request.</param>
    /// <exception cref="AccountException">The answer is not to what was asked.</exception>
    internal Task AddPasskeyAsync(Guid id, string name, string credential, string state, HttpContext http)
    {
        CheckText("passkey-name", name, MaxPasskeyName);
        return ChangeAsync(id, async (users, account) =>
        {
            PasskeyAttestationResult made;
            try
            {
                made = await Handler(users)
                    .PerformAttestationAsync(new PasskeyAttestationContext { HttpContext = http, CredentialJson = credential,
                        AttestationState = state });
            }
            catch (Exception e) when (e is System.Text.Json.JsonException or FormatException or ArgumentException)
            {
                throw new AccountException("passkey-failed", $"the browser's answer cannot be read: {e.Message}");
            }
            if (!made.Succeeded) throw new AccountException("passkey-failed", made.Failure.Message);
            if (made.UserEntity.Id != id.ToString())
                throw new AccountException("passkey-failed", "the browser's answer is to what another account asked");
            made.Passkey.Name = name;
            Check(await users.AddOrUpdatePasskeyAsync(account, made.Passkey));
        }, [(AuditAct.PasskeyAdded, "")], cancellation: http.RequestAborted);
    }

    /// <exception cref="AccountException">There is no such passkey of theirs, or the name will not do.</exception>
    public async Task RenamePasskeyAsync(Guid id, string passkey, string name, CancellationToken cancellation = default)
    {
        CheckText("passkey-name", name.Trim(), MaxPasskeyName);
        await using FlywheelDb db = store.Tables();
        if (await db.Passkeys.Where(row => row.Id == passkey && row.AccountId == id)
            .ExecuteUpdateAsync(set => set.SetProperty(row => row.Name, name.Trim()), cancellation) == 0) throw NoPasskey();
    }

    /// <summary>It opens nothing any more.</summary>
    /// <exception cref="AccountException">There is no such passkey of theirs.</exception>
    public Task RemovePasskeyAsync(Guid id, string passkey, CancellationToken cancellation = default) =>
        ChangeAsync(id, async (users, account) =>
    {
        byte[] credential = Base64Url.IsValid(passkey) ? Base64Url.DecodeFromChars(passkey) : [];
        if (await users.GetPasskeyAsync(account, credential) is null) throw NoPasskey();
        Check(await users.RemovePasskeyAsync(account, credential));
    }, [(AuditAct.PasskeyRemoved, "")], cancellation: cancellation);

    /// <summary>Begins to sign somebody in, whoever it will turn out to be.</summary>
    internal async Task<(string Options, string State)> BeginSignInAsync(HttpContext http)
    {
        await using FlywheelDb db = store.Tables();
        using UserManager<AccountRow> users = Manager(db);
        PasskeyRequestOptionsResult made = await Handler(users).MakeRequestOptionsAsync(null, http);
        return (made.RequestOptionsJson, made.AssertionState ?? throw new InvalidOperationException("Identity's handler gave no state"));
    }

    /// <summary>Judges the browser's answer. An account that is closed after wrong passwords opens all the same: nobody guesses a
    /// signature.</summary>
    /// <param name="credential">The browser's answer (JSON).</param>
    /// <param name="state">As <see cref="BeginSignInAsync"/> gave it.</param>
    /// <param name="http">The request.</param>
    /// <returns>The account; null: it opens nothing, whatever the reason.</returns>
    internal async Task<AccountRow?> SignInAsync(string credential, string state, HttpContext http)
    {
        await using FlywheelDb db = store.Tables();
        // of two answers with one count the second is a copy
        await using var transaction = await db.Database.BeginTransactionAsync(http.RequestAborted);
        using UserManager<AccountRow> users = Manager(db);
        PasskeyAssertionResult<AccountRow> judged;
        try
        {
            judged = await Handler(users)
                .PerformAssertionAsync(new PasskeyAssertionContext { HttpContext = http, CredentialJson = credential,
                    AssertionState = state });
        }
        catch (Exception e) when (e is System.Text.Json.JsonException or FormatException or ArgumentException)
        {
            return null;
        }
        if (!judged.Succeeded || judged.User.Disabled is not null) return null;
        DateTimeOffset now = time.GetUtcNow();
        (judged.User.Failed, judged.User.LockedUntil, judged.User.LastSignIn) = (0, null, now);
        Check(await users.AddOrUpdatePasskeyAsync(judged.User, judged.Passkey));
        string id = Base64Url.EncodeToString(judged.Passkey.CredentialId);
        await db.Passkeys.Where(row => row.Id == id)
            .ExecuteUpdateAsync(set => set.SetProperty(row => row.LastUsed, now), http.RequestAborted);
        await transaction.CommitAsync(http.RequestAborted);
        Changed?.Invoke();
        return judged.User;
    }

    private static PasskeyHandler<AccountRow> Handler(UserManager<AccountRow> users) => new(users, Options.Create(s_passkeys));

    private static AccountException NoPasskey() => new("passkey-gone", "there is no such passkey of yours");
}
