using System.Buffers.Text;
using Flywheel.Loop;
using Microsoft.AspNetCore.Identity;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Studio.Access;

/// <summary>Lets ASP.NET Core Identity keep people in the record's table. What it saves belongs to the transaction of whoever opened
/// it.</summary>
internal sealed class AccountStore(FlywheelDb db) : IUserPasswordStore<AccountRow>, IUserSecurityStampStore<AccountRow>,
    IUserPasskeyStore<AccountRow>
{
    public Task<string> GetUserIdAsync(AccountRow user, CancellationToken cancellationToken) => Task.FromResult(user.Id.ToString());

    public Task<string?> GetUserNameAsync(AccountRow user, CancellationToken cancellationToken) => Task.FromResult<string?>(user.Name);

    public Task SetUserNameAsync(AccountRow user, string? userName, CancellationToken cancellationToken) => Set(user.Name = userName!);

    public Task<string?> GetNormalizedUserNameAsync(AccountRow user, CancellationToken cancellationToken) =>
        Task.FromResult<string?>(user.NormalizedName);

    public Task SetNormalizedUserNameAsync(AccountRow user, string? normalizedName, CancellationToken cancellationToken) =>
        Set(user.NormalizedName = normalizedName!);

    public Task<string?> GetPasswordHashAsync(AccountRow user, CancellationToken cancellationToken) =>
        Task.FromResult(user.PasswordHash.Length > 0 ? user.PasswordHash : null);

    public Task SetPasswordHashAsync(AccountRow user, string? passwordHash, CancellationToken cancellationToken) =>
        Set(user.PasswordHash = passwordHash ?? "");

    public Task<bool> HasPasswordAsync(AccountRow user, CancellationToken cancellationToken) =>
        Task.FromResult(user.PasswordHash.Length > 0);

    public Task<string?> GetSecurityStampAsync(AccountRow user, CancellationToken cancellationToken) =>
        Task.FromResult<string?>(user.Stamp);

    public Task SetSecurityStampAsync(AccountRow user, string stamp, CancellationToken cancellationToken) => Set(user.Stamp = stamp);

    public async Task<AccountRow?> FindByIdAsync(string userId, CancellationToken cancellationToken) =>
        Guid.TryParse(userId, out Guid id) ? await db.Accounts.SingleOrDefaultAsync(row => row.Id == id, cancellationToken) : null;

    public Task<AccountRow?> FindByNameAsync(string normalizedUserName, CancellationToken cancellationToken) =>
        db.Accounts.SingleOrDefaultAsync(row => row.NormalizedName == normalizedUserName, cancellationToken);

    public async Task<IdentityResult> CreateAsync(AccountRow user, CancellationToken cancellationToken)
    {
        db.Accounts.Add(user);
        await db.SaveChangesAsync(cancellationToken);
        return IdentityResult.Success;
    }

    public async Task<IdentityResult> UpdateAsync(AccountRow user, CancellationToken cancellationToken)
    {
        await db.SaveChangesAsync(cancellationToken); // found by this context, which sees what changed
        return IdentityResult.Success;
    }

    public async Task<IdentityResult> DeleteAsync(AccountRow user, CancellationToken cancellationToken)
    {
        db.Accounts.Remove(user);
        await db.SaveChangesAsync(cancellationToken);
        return IdentityResult.Success;
    }

    public async Task AddOrUpdatePasskeyAsync(AccountRow user, UserPasskeyInfo passkey, CancellationToken cancellationToken)
    {
        string id = Base64Url.EncodeToString(passkey.CredentialId);
        PasskeyRow? row = await db.Passkeys.SingleOrDefaultAsync(known => known.Id == id && known.AccountId == user.Id, cancellationToken);
        if (row is null)
            db.Passkeys.Add(row = new PasskeyRow
            {
                Id = id, AccountId = user.Id, PublicKey = passkey.PublicKey, Created = passkey.CreatedAt,
                Attestation = passkey.AttestationObject, ClientData = passkey.ClientDataJson,
                Transports = string.Join(' ', passkey.Transports ?? []), IsBackupEligible = passkey.IsBackupEligible,
            });
        (row.Name, row.SignCount, row.IsBackedUp, row.IsUserVerified) = (passkey.Name ?? "", passkey.SignCount, passkey.IsBackedUp,
            passkey.IsUserVerified);
        await db.SaveChangesAsync(cancellationToken);
    }

    public async Task<IList<UserPasskeyInfo>> GetPasskeysAsync(AccountRow user, CancellationToken cancellationToken) =>
        [.. (await db.Passkeys.AsNoTracking().Where(row => row.AccountId == user.Id).ToListAsync(cancellationToken)).Select(Read)];

    public async Task<AccountRow?> FindByPasskeyIdAsync(byte[] credentialId, CancellationToken cancellationToken)
    {
        string id = Base64Url.EncodeToString(credentialId);
        return await db.Accounts.SingleOrDefaultAsync(account => db.Passkeys.Any(row => row.Id == id && row.AccountId == account.Id),
            cancellationToken);
    }

    public async Task<UserPasskeyInfo?> FindPasskeyAsync(AccountRow user, byte[] credentialId, CancellationToken cancellationToken)
    {
        string id = Base64Url.EncodeToString(credentialId);
        return await db.Passkeys.AsNoTracking().SingleOrDefaultAsync(row => row.Id == id && row.AccountId == user.Id,
            cancellationToken) is { } row ? Read(row) : null;
    }

    public async Task RemovePasskeyAsync(AccountRow user, byte[] credentialId, CancellationToken cancellationToken)
    {
        string id = Base64Url.EncodeToString(credentialId);
        await db.Passkeys.Where(row => row.Id == id && row.AccountId == user.Id).ExecuteDeleteAsync(cancellationToken);
    }

    /// <summary>The tables are another's to close.</summary>
    public void Dispose()
    {
    }

    private static UserPasskeyInfo Read(PasskeyRow row) =>
        new(Base64Url.DecodeFromChars(row.Id), row.PublicKey, row.Created, (uint)row.SignCount,
        row.Transports.Split(' ', StringSplitOptions.RemoveEmptyEntries), row.IsUserVerified, row.IsBackupEligible, row.IsBackedUp,
        row.Attestation, row.ClientData) { Name = row.Name };

    private static Task Set(string _) => Task.CompletedTask;
}
