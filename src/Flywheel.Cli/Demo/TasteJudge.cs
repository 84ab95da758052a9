using Flywheel.Loop;
using Flywheel.Model;

namespace Flywheel.Cli.Demo;

/// <summary>A rule of taste as the judge of a turn's drafts: what it accepts is better than what it does not.</summary>
internal sealed class TasteJudge(Taste taste) : IDraftJudge
{
    public string Name => taste.Name;

    public string Basis => $"the stated rule that a text {taste.Rule}";

    public double Score(Conversation prompt, string text) =>
        Brief.Find(prompt) is { } brief && taste.Judge(brief, text).Accepted ? 1 : 0;
}
