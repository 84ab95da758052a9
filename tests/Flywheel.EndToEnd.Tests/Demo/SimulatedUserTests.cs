using Flywheel.Cli.Demo;
using Flywheel.Loop;
using Flywheel.Model;

namespace Flywheel.EndToEnd.Tests.Demo;

public class SimulatedUserTests
{
    private static readonly Taste Taste = Taste.Named("short-verb");

    private static readonly string[] Variants = ["View pictures in a grid", "A picture viewer",
        "A wonderful picture viewer that everybody loves."];

    private static Brief BriefOf(int product) =>
        new($"Product {product}", Brief.Tagline, ["shows pictures as a grid", "reads RAW files"], ["Graphics"], "photographers");

    [Fact]
    public void Look_ManyUsers_MostlyFollowsTheTasteWithTheStatedSlips()
    {
        int liked = 0, disliked = 0, editsWithKept = 0, silent = 0, total = 0;
        for (int user = 0; user < 200; user++)
        {
            var person = new SimulatedUser($"user-{user}", Taste, seed: 5);
            for (int product = 0; product < 20; product++)
            {
                Act[] acts = person.Look(BriefOf(product), Variants);
                total++;
                if (acts[0].Kind == ActKind.Keep) liked++;
                if (acts[1].Kind == ActKind.Keep) disliked++;
                if (acts[0].Kind == ActKind.Keep && acts.Any(act => act.Kind == ActKind.Edit)) editsWithKept++;
                if (acts[2].Kind == ActKind.None) silent++;
                Assert.True(acts.Count(act => act.Kind == ActKind.Edit) <= 1);
                Assert.All(acts.Where(act => act.Kind == ActKind.Edit),
                    act => Assert.True(Taste.Judge(BriefOf(product), act.Edited!).Accepted));
            }
        }
        Assert.InRange(1 - (double)liked / total, 0.02, 0.04);
        Assert.InRange((double)disliked / total, 0.02, 0.04);
        Assert.InRange((double)editsWithKept / total, 0.14, 0.24); // a third of the mean patience
        Assert.InRange((double)silent / total, 0.07, 0.12);
    }

    [Fact]
    public void Look_SameUserAndVariants_GivesTheSameActs() =>
        Assert.Equal(new SimulatedUser("a", Taste, 3).Look(BriefOf(1), Variants),
            new SimulatedUser("a", Taste, 3).Look(BriefOf(1), Variants));

    [Fact]
    public void Result_KnownRates_HasTheirExactIntervals()
    {
        // Two users, all of whose prompts rise by the same amount: every draw of users gives that amount.
        MeasuredPrompt Prompt(string user, params bool[] accepted) =>
            new(user, BriefOf(1), [.. accepted.Select(_ => "View pictures")], accepted);
        var before = new Measurement("a", [Prompt("u", false, false), Prompt("u", true, false), Prompt("v", false, false)], 1);
        var after = new Measurement("b", [Prompt("u", true, false), Prompt("u", true, true), Prompt("v", true, false)], 1);
        var result = new DemoResult(Taste, 1, "", new ActCounts(0, 0, 0, 0, 0), 0, new Cli.Demo.DemoTurn(0, 0), before, after, 0);
        Assert.Equal(new Interval(0.5, 0.5, 0.5), result.Rise);
        Assert.True(result.Rose);
        Assert.Equal(2.0 / 3, result.AnyRise.Estimate, 12);
        Assert.Equal(1.0 / 6, result.RateBefore.Estimate, 12);
        Assert.Equal(2.0 / 3, result.RateAfter.Estimate, 12);
        // Any: user u rises by 1/2 a prompt, user v by 1. Resampling two users gives both, u twice or v twice.
        Assert.True(result.AnyRise.Low < 0.5 && result.AnyRise.High > 1);
        Assert.False(new DemoResult(Taste, 1, "", result.Acts, 0, result.Turn, before, before, 0).Rose);
    }

    [Fact]
    public void Measurement_OnePhraseForAll_IsNotDistinct()
    {
        var same = new Measurement("a", [new("u", BriefOf(1), ["View it all", "View it all"], [true, true]),
            new("u", BriefOf(2), ["View it all", "view it all"], [true, true])], 1);
        Assert.Equal(0.25, same.Distinct);
        Assert.Equal(0.25, same.DistinctPairs); // "view it" and "it all" of eight
        Assert.Equal(0, same.About);
        Assert.Equal(3, same.Words);
    }
}
