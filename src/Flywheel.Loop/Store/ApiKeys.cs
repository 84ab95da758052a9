using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using Flywheel.Model;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop;

/// <summary>What a key may do.</summary>
public static class Scopes
{
    /// <summary>Asks the model: everything under /v1.</summary>
    public const string Inference = "inference";

    /// <summary>Says what was done with an answer.</summary>
    public const string Feedback = "feedback";

    /// <summary>Swaps models and adapters, sees the server's state.</summary>
    public const string Admin = "admin";

    /// <summary>Looks at pages and reads what the API lists, and does nothing. Whoever may ask the model may read as well.</summary>
    public const string Read = "read";

    public static IReadOnlyList<string> All { get; } = [Inference, Feedback, Admin, Read];
}

/// <summary>What a new key is to be.</summary>
/// <param name="Name">What people call it; no two that are not revoked have the same.</param>
/// <param name="Scopes">Of <see cref="Scopes.All"/>, at least one.</param>
public sealed record NewKey(string Name, IReadOnlyCollection<string> Scopes)
{
    /// <summary>The person whose it is; empty: an application's, which names its users itself.</summary>
    public string User { get; init; } = "";

    /// <summary>Whose things it opens.</summary>
    public string Workspace { get; init; } = WorkspaceRow.Default;

    /// <summary>From when on it opens nothing; null: never.</summary>
    public DateTimeOffset? Expires { get; init; }

    /// <inheritdoc cref="KeyRow.MaxRequests"/>
    public int? MaxRequests { get; init; }

    /// <inheritdoc cref="KeyRow.MaxTokens"/>
    public long? MaxTokens { get; init; }
}

/// <summary>A key has used what it may in a day.</summary>
/// <param name="Name">The key's.</param>
/// <param name="What">Calls or tokens.</param>
/// <param name="Limit">So many.</param>
/// <param name="Until">When it goes on.</param>
public sealed record KeyLimitReached(string Name, string What, long Limit, DateTimeOffset Until)
{
    public string Message => $"the key '{Name}' has used its {Limit} {What} of today; it goes on at {Until:yyyy-MM-dd HH:mm} UTC";
}

/// <summary>What goes on at a key's cost has to wait until it may go on.</summary>
public sealed class KeyLimitException(KeyLimitReached reached) : FlywheelException(reached.Message)
{
    public DateTimeOffset Until => reached.Until;
}

/// <summary>
/// The keys of a home's server: 256 random bits each, of which only the SHA-256 is kept. (A hash made to be slow protects what people
/// think up; nobody tries out random numbers.) Several processes may make, use and revoke them at once.
/// </summary>
public sealed class ApiKeys(FlywheelStore store, TimeProvider time)
{
    /// <summary>Every key begins so: people and scanners of leaked secrets see what it is.</summary>
    public const string Prefix = "fw_";

    private const int NumBytes = 32, MaxNameLength = 100, MaxUserLength = 200;

    /// <summary>How exactly <see cref="KeyRow.LastUsed"/> is kept: a write for every request would only cost.</summary>
    private static readonly TimeSpan s_lastUsedStep = TimeSpan.FromMinutes(1);

    /// <summary>Makes a key without limits.</summary>
    /// <inheritdoc cref="CreateAsync(NewKey, CancellationToken)"/>
    public Task<(KeyRow Row, string Key)> CreateAsync(string name, IReadOnlyCollection<string> scopes, string user = "",
        DateTimeOffset? expires = null, CancellationToken cancellation = default) =>
        CreateAsync(new NewKey(name, scopes) { User = user, Expires = expires }, cancellation);

    /// <summary>Makes a key.</summary>
    /// <param name="made">What it is to be.</param>
    /// <param name="cancellation">Stops it.</param>
    /// <returns>The row, and the key itself, which is nowhere else.</returns>
    /// <exception cref="FlywheelException">Something is not as expected; the message names it.</exception>
    public async Task<(KeyRow Row, string Key)> CreateAsync(NewKey made, CancellationToken cancellation = default)
    {
        DateTimeOffset now = time.GetUtcNow();
        Check(made, now);
        string key = Prefix + Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(NumBytes));
        var row = new KeyRow
        {
            Id = Guid.CreateVersion7(now),
            Name = made.Name,
            Hash = HashOf(key),
            User = made.User,
            Workspace = made.Workspace,
            Scopes = string.Join(' ', Scopes.All.Where(made.Scopes.Contains)),
            Created = now,
            Expires = made.Expires,
            MaxRequests = made.MaxRequests,
            MaxTokens = made.MaxTokens,
            By = Actor.Name,
        };
        await using FlywheelDb db = store.Tables();
        await using var transaction = await db.Database.BeginTransactionAsync(cancellation);
        if (await db.Keys.AnyAsync(other => other.Name == made.Name && other.Revoked == null, cancellation))
            throw new FlywheelException($"a key is called '{made.Name}' already; revoke it first, or choose another name");
        db.Keys.Add(row);
        db.Audit.Add(AuditAct.Row(AuditAct.KeyMade, now, made.User, made.Name));
        await db.SaveChangesAsync(cancellation);
        await transaction.CommitAsync(cancellation);
        return (row, key);
    }

    /// <summary>The row of a key, whatever its state; null: no key of this home.</summary>
    public async Task<KeyRow?> FindAsync(string key, CancellationToken cancellation = default)
    {
        if (!key.StartsWith(Prefix, StringComparison.Ordinal)) return null;
        string hash = HashOf(key);
        await using FlywheelDb db = store.Tables();
        KeyRow? row = await db.Keys.AsNoTracking().SingleOrDefaultAsync(row => row.Hash == hash, cancellation);
        // The database compares as fast as it can, but hashes: how much of one is right tells nothing of the key.
        return row is not null && CryptographicOperations.FixedTimeEquals(Encoding.ASCII.GetBytes(row.Hash), Encoding.ASCII.GetBytes(hash))
            ? row : null;
    }

    /// <summary>The row of an id; null: there is none.</summary>
    public async Task<KeyRow?> FindAsync(Guid id, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.Tables();
        return await db.Keys.AsNoTracking().SingleOrDefaultAsync(row => row.Id == id, cancellation);
    }

    /// <summary>Why a key opens nothing any more; null: it does.</summary>
    public string? WhyDead(KeyRow row) =>
        row.Revoked is { } revoked ? $"the key '{row.Name}' was revoked at {revoked:yyyy-MM-dd HH:mm} UTC"
        : row.Expires is { } expires && expires <= time.GetUtcNow() ? $"the key '{row.Name}' expired at {expires:yyyy-MM-dd HH:mm} UTC"
        : null;

    /// <summary>Whether a key was ever made.</summary>
    public async Task<bool> AnyAsync(CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.Tables();
        return await db.Keys.AnyAsync(cancellation);
    }

    /// <summary>Every key that was ever made, newest first.</summary>
    public async Task<IReadOnlyList<KeyRow>> ListAsync(CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.Tables();
        return await db.Keys.AsNoTracking().OrderByDescending(row => row.Created).ThenByDescending(row => row.Id).ToListAsync(cancellation);
    }

    /// <summary>Makes a key open nothing from now on.</summary>
    /// <param name="which">Its name or id.</param>
    /// <param name="cancellation">Stops it.</param>
    /// <exception cref="FlywheelException">There is no such key, or it is revoked already.</exception>
    public async Task<KeyRow> RevokeAsync(string which, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.Tables();
        List<KeyRow> live = await db.Keys.AsNoTracking().Where(row => row.Revoked == null).ToListAsync(cancellation);
        KeyRow? row = live.Find(row => row.Name == which) ?? (Guid.TryParse(which, out Guid id) ? live.Find(row => row.Id == id) : null);
        if (row is not null && await RevokeAsync(row.Id, cancellation) is { } revoked) return revoked;
        throw new FlywheelException(
            $"no key that could be revoked is called '{which}'; there {(live.Count == 0 ? "is none" : $"are {string.Join(", ", live.Select(key => $"'{key.Name}'"))}")}");
    }

    /// <summary>The same by its id alone.</summary>
    /// <returns>The key; null: there is none of that id that could be revoked.</returns>
    public async Task<KeyRow?> RevokeAsync(Guid id, CancellationToken cancellation = default)
    {
        await using FlywheelDb db = store.Tables();
        await using var transaction = await db.Database.BeginTransactionAsync(cancellation);
        if (await db.Keys.SingleOrDefaultAsync(row => row.Id == id && row.Revoked == null, cancellation) is not { } row) return null;
        row.Revoked = time.GetUtcNow();
        db.Audit.Add(AuditAct.Row(AuditAct.KeyRevoked, row.Revoked.Value, row.User, row.Name));
        await db.SaveChangesAsync(cancellation);
        await transaction.CommitAsync(cancellation);
        return row;
    }

    /// <summary>Counts a call of a key with a limit, unless it has none left today.</summary>
    /// <returns>Null when it is counted; else which limit is used up.</returns>
    public async Task<KeyLimitReached?> CountCallAsync(Guid id, CancellationToken cancellation = default)
    {
        (string day, DateTimeOffset ends) = Today();
        await using FlywheelDb db = store.Tables();
        await using var transaction = await db.Database.BeginTransactionAsync(cancellation); // of two calls at once each sees the other
        if (await db.Keys.AsNoTracking().SingleOrDefaultAsync(row => row.Id == id, cancellation) is not { } key) return null;
        if (await db.KeyUses.SingleOrDefaultAsync(row => row.KeyId == id && row.Day == day, cancellation) is not { } use)
        {
            await db.KeyUses.Where(row => row.KeyId == id).ExecuteDeleteAsync(cancellation); // of the days before nobody asks
            db.KeyUses.Add(use = new KeyUseRow { KeyId = id, Day = day });
        }
        if (use.Requests >= key.MaxRequests) return new(key.Name, "calls", key.MaxRequests.Value, ends);
        if (use.Tokens >= key.MaxTokens) return new(key.Name, "tokens", key.MaxTokens.Value, ends);
        use.Requests++;
        await db.SaveChangesAsync(cancellation);
        await transaction.CommitAsync(cancellation);
        return null;
    }

    /// <summary>Whether a key has tokens left today.</summary>
    /// <returns>Null when it has; else which limit is used up.</returns>
    public async Task<KeyLimitReached?> FindTokensUsedUpAsync(Guid id, CancellationToken cancellation = default)
    {
        (string day, DateTimeOffset ends) = Today();
        await using FlywheelDb db = store.Tables();
        if (await db.Keys.AsNoTracking().SingleOrDefaultAsync(row => row.Id == id, cancellation) is not { MaxTokens: { } most } key)
            return null;
        long used = await db.KeyUses.Where(row => row.KeyId == id && row.Day == day).Select(row => row.Tokens)
            .SingleOrDefaultAsync(cancellation);
        return used >= most ? new(key.Name, "tokens", most, ends) : null;
    }

    /// <summary>Adds tokens to what a key with a limit has used today; nothing where the key is gone, as a job may outlive it.</summary>
    public async Task CountTokensAsync(Guid id, long tokens, CancellationToken cancellation = default)
    {
        string day = Today().Day;
        await using FlywheelDb db = store.Tables();
        if (await AddAsync() > 0 || !await db.Keys.AnyAsync(row => row.Id == id, cancellation)) return;
        // The day began while it ran.
        await using var transaction = await db.Database.BeginTransactionAsync(cancellation);
        if (!await db.KeyUses.AnyAsync(row => row.KeyId == id && row.Day == day, cancellation))
        {
            db.KeyUses.Add(new KeyUseRow { KeyId = id, Day = day });
            await db.SaveChangesAsync(cancellation);
        }
        await AddAsync();
        await transaction.CommitAsync(cancellation);

        Task<int> AddAsync() => db.KeyUses.Where(row => row.KeyId == id && row.Day == day)
            .ExecuteUpdateAsync(set => set.SetProperty(row => row.Tokens, row => row.Tokens + tokens), cancellation);
    }

    /// <summary>What keys with a limit have used today, by id; keys that were not used are not among them.</summary>
    public async Task<IReadOnlyDictionary<Guid, KeyUseRow>> UsesAsync(CancellationToken cancellation = default)
    {
        string day = Today().Day;
        await using FlywheelDb db = store.Tables();
        return await db.KeyUses.AsNoTracking().Where(row => row.Day == day).ToDictionaryAsync(row => row.KeyId, cancellation);
    }

    private (string Day, DateTimeOffset Ends) Today()
    {
        DateTimeOffset now = time.GetUtcNow();
        return ($"{now:yyyy-MM-dd}", new DateTimeOffset(now.UtcDateTime.Date, TimeSpan.Zero).AddDays(1));
    }

    /// <summary>Notes that a key was used now, to the minute.</summary>
    public async Task NoteUseAsync(KeyRow row, CancellationToken cancellation = default)
    {
        DateTimeOffset now = time.GetUtcNow();
        if (now - row.LastUsed < s_lastUsedStep) return;
        await using FlywheelDb db = store.Tables();
        await db.Keys.Where(key => key.Id == row.Id).ExecuteUpdateAsync(set => set.SetProperty(key => key.LastUsed, now), cancellation);
    }

    private static string HashOf(string key) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(key)));

    private static void Check(NewKey made, DateTimeOffset now)
    {
        Check("name", made.Name, MaxNameLength);
        if (made.Name.Length == 0) throw new FlywheelException("the key's name is empty, expected what it is for, such as laptop");
        Check("user", made.User, MaxUserLength);
        if (made.Scopes.Count == 0 || made.Scopes.FirstOrDefault(scope => !Scopes.All.Contains(scope)) is not null)
            throw new FlywheelException(
                $"the key's scopes are '{string.Join(' ', made.Scopes)}', expected one or more of {string.Join(", ", Scopes.All)}");
        if (made.Expires <= now)
            throw new FlywheelException($"the key would expire at {made.Expires:yyyy-MM-dd HH:mm}, which is over; expected a time to come");
        if (made.MaxRequests is < 1) throw new FlywheelException($"the key's calls a day are {made.MaxRequests}, expected 1 or more");
        if (made.MaxTokens is < 1) throw new FlywheelException($"the key's tokens a day are {made.MaxTokens}, expected 1 or more");
    }

    private static void Check(string what, string text, int maxLength)
    {
        if (text.Length > maxLength || text.Any(char.IsControl) || text != text.Trim())
            throw new FlywheelException(
                $"the key's {what} is '{(text.Length <= 80 ? text : text[..77] + "...")}', expected at most {maxLength} characters, none of them invisible, no blanks around");
    }
}
