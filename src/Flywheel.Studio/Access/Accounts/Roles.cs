using Flywheel.Loop;
using Flywheel.Model;

namespace Flywheel.Studio.Access;

/// <summary>A role is a name for scopes, the same that keys have.</summary>
public static class Roles
{
    public static IReadOnlyList<string> ScopesOf(AccountRole role) => role switch
    {
        AccountRole.Guest => [],
        AccountRole.Viewer => [Scopes.Read],
        AccountRole.Reviewer => [Scopes.Read, Scopes.Feedback],
        AccountRole.Editor => [Scopes.Read, Scopes.Feedback, Scopes.Inference],
        _ => Scopes.All,
    };

    /// <summary>As the API and the command line write it.</summary>
    public static string NameOf(AccountRole role) => role.ToString().ToLowerInvariant();

    public static string Names { get; } = string.Join(", ",
        Enum.GetValues<AccountRole>().OrderBy(role => role == AccountRole.Guest).Select(NameOf));

    /// <exception cref="FlywheelException">There is no such role.</exception>
    public static AccountRole Parse(string text) =>
        Enum.GetValues<AccountRole>().Cast<AccountRole?>().FirstOrDefault(role => NameOf(role!.Value) == text)
        ?? throw new FlywheelException($"the role is '{(text.Length <= 40 ? text : text[..40] + "...")}', expected one of {Names}");
}
