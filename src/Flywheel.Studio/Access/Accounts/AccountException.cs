using Flywheel.Model;

namespace Flywheel.Studio.Access;

/// <summary>What somebody asked of an account cannot be.</summary>
/// <param name="code">Names the reason, for pages in other languages: their words are <c>account.CODE</c>.</param>
/// <param name="message">The reason in English.</param>
public sealed class AccountException(string code, string message) : FlywheelException(message)
{
    public string Code => code;
}
