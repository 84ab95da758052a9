using Flywheel.Loop;

namespace Flywheel.Studio.Shell;

/// <summary>Who looks at the pages, and how; cascaded to every one of them.</summary>
/// <param name="Person">Groups one person's own documents and choices.</param>
/// <param name="Words">In the person's language.</param>
/// <param name="Dark">Null: not known yet, so the system decides.</param>
/// <param name="Zone">Offset of the person's clock.</param>
/// <param name="MayAdminister">May change which model serves.</param>
/// <param name="Workspace">Whose memory and glossary the person shares.</param>
/// <param name="MayWrite">May write and run tasks; who may not looks at what the pages show.</param>
/// <param name="MayTeach">May begin a turn.</param>
/// <param name="Name">What the person or their key is called; null where nobody signed in.</param>
/// <param name="Role">Of the person's account; null without one.</param>
public sealed record Visit(string Person, Strings Words, bool? Dark, TimeSpan Zone, bool MayAdminister = false,
    string Workspace = WorkspaceRow.Default,
    bool MayWrite = true, bool MayTeach = false, string? Name = null, string? Role = null)
{
    /// <summary>A time as this person reads it.</summary>
    public string When(DateTimeOffset time, TimeProvider clock) => Words.When(time, clock.GetUtcNow(), Zone);
}
