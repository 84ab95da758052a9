using Flywheel.Model;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop;

/// <summary>Whom a typed name means, where somebody is to be forgotten or exported.</summary>
public static class PersonName
{
    /// <summary>Stands before a name that is meant as requests and keys carry it, whoever signs in under the same.</summary>
    public const string Recorded = "recorded:";

    /// <summary>The sign-in name of an account stands for the user under whom its acts are recorded, any other name for itself.</summary>
    /// <param name="store">The record.</param>
    /// <param name="typed">The name.</param>
    /// <param name="field">What the error calls it.</param>
    /// <param name="cancellation">Stops it.</param>
    /// <exception cref="FlywheelException">Somebody signs in under that name, and something is recorded under the name itself.</exception>
    public static async Task<string> ResolveAsync(FlywheelStore store, string typed, string field, CancellationToken cancellation = default)
    {
        if (typed.StartsWith(Recorded, StringComparison.Ordinal)) return typed[Recorded.Length..];
        string normalized = typed.ToUpperInvariant();
        await using FlywheelDb db = store.AllTables();
        AccountRow? account = await db.Accounts.AsNoTracking().SingleOrDefaultAsync(row => row.NormalizedName == normalized, cancellation);
        if (account is null || account.User == typed) return typed;
        if ((await new PersonRows(db, typed).CountAsync(cancellation)).Values.Sum() == 0) return account.User;
        throw new FlywheelException(
            $"{field} is '{typed}', which means two: the account with that sign-in name, recorded as '{account.User}', and a user whom requests or keys "
            + $"call so; expected '{account.User}' or '{Recorded}{typed}'");
    }
}
