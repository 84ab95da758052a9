using Flywheel.Data;
using Flywheel.Model;

namespace Flywheel.Cli.Demo;

/// <summary>No taste at all: a coin decides, so there is nothing to learn, and a turn on it must not be promoted.</summary>
internal sealed class CoinTaste : Taste
{
    public override string Name => "coin";

    public override string Rule => "is liked or not by the toss of a coin, whatever it says";

    protected override IEnumerable<string> Complaints(Brief brief, string text, string[] words)
    {
        if (StableHash.Of($"{brief.Name}\n{text}") % 2 == 0) yield return "lost the toss";
    }

    /// <summary>Who has no taste writes nothing.</summary>
    protected override IEnumerable<string> Candidates(Brief brief, string text) => [];
}
