using System.Globalization;
using CsCheck;
using Flywheel.Data;
using Flywheel.Loop.Ranking;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Loop.Tests;

public sealed class FactCorrectionsTests
{
    /// <summary>Facts by writer, each line: brief, what it is, subject, label, fact, with tabs between; see docs/first-model.md.</summary>
    private const string FactsVariable = "FLYWHEEL_FACTS";

    private static readonly FactWay[] Chosen = [.. Enum.GetValues<FactWay>().Where(way => way is not (FactWay.Typed or FactWay.Nothing))];

    [Theory]
    [InlineData("roof terrace", FactWay.HasA, "has a roof terrace", "Harbour Row has a roof terrace")]
    [InlineData("Roof terrace", FactWay.Has, "has roof terrace", "Harbour Row has roof terrace")]
    [InlineData("roof terrace", FactWay.Offers, "it offers a roof terrace", "Harbour Row offers a roof terrace")]
    [InlineData("roof terrace", FactWay.IsA, "it is a roof terrace", "Harbour Row is a roof terrace")]
    [InlineData("open on Sundays", FactWay.Is, "it is open on Sundays", "Harbour Row is open on Sundays")]
    [InlineData("burn for forty hours", FactWay.Do, "it burns for forty hours", "Harbour Row burns for forty hours")]
    [InlineData("never fade", FactWay.Do, "it never fades", "Harbour Row never fades")]
    [InlineData("dry in an hour", FactWay.Do, "it dries in an hour", "Harbour Row dries in an hour")]
    [InlineData("opens at six", FactWay.Does, "it opens at six", "Harbour Row opens at six")]
    [InlineData("pay by card", FactWay.Can, "you can pay by card", "You can pay by card")]
    [InlineData("lessons included", FactWay.Are, "lessons are included", "Lessons are included")]
    [InlineData("£6 a month", FactWay.Costs, "it costs £6 a month", "Harbour Row costs £6 a month")]
    [InlineData("built in 1786", FactWay.Was, "it was built in 1786", "Harbour Row was built in 1786")]
    [InlineData("own garden", FactWay.Has, "has its own garden", "Harbour Row has its own garden")]
    [InlineData("has a garden", FactWay.Typed, "has a garden", "Harbour Row has a garden")]
    [InlineData("you can pay by card", FactWay.Typed, "you can pay by card", "You can pay by card")]
    [InlineData("it opens at six", FactWay.Typed, "it opens at six", "Harbour Row opens at six")]
    [InlineData("with sea view", FactWay.HasA, "has a sea view", "Harbour Row has a sea view")]
    [InlineData("dogs are welcome", FactWay.Typed, "dogs are welcome", "Dogs are welcome")]
    [InlineData("roof terrace", FactWay.Nothing, "", "Roof terrace")]
    public void Say_EachWay_IsAskedAndShown(string fact, FactWay way, string asked, string shown)
    {
        Assert.Equal(asked, FactWays.Say(fact, way));
        Assert.Equal(shown, FactWays.Sentence(fact, way, "Harbour Row").ToString());
    }

    /// <summary>A way that reads as another changes nothing that anybody sees.</summary>
    [Theory]
    [InlineData("has a garden", FactWay.Has)]
    [InlineData("it is free", FactWay.Is)]
    [InlineData("you can pay by card", FactWay.Can)]
    [InlineData("it works offline", FactWay.Does)]
    public void Open_FactThatSaysItsForm_HasItOnce(string fact, FactWay same)
    {
        Assert.DoesNotContain(same, FactWays.Open(fact, FactWay.Typed));
        Assert.DoesNotContain(same, FactWays.Open(fact, FactWay.Nothing));
        Assert.Contains(FactWay.Typed, FactWays.Open(fact, FactWay.Nothing));
        Assert.Contains(same, FactWays.Open(fact, same));
        Assert.DoesNotContain(FactWay.Typed, FactWays.Open(fact, same));
    }

    [Fact]
    public void Open_AnyFact_HoldsHowItIsSaidAndWaysThatSayItsWords()
    {
        foreach (string odd in (string[])["", " ", ",", "s", "£", "has ", "it is", "own ", "no", "a", "😀 😀", "青茶", "never", "x-",
            "first"])
            foreach (FactWay way in Enum.GetValues<FactWay>()) Check(odd, way);
        TypedFact[] facts = [.. Shipped];
        Gen.Select(Gen.OneOf(Gen.String, Gen.Int[0, facts.Length - 1].Select(i => facts[i].Typed)), Gen.Enum<FactWay>())
            .Sample((fact, way) => Check(fact, way), iter: 300);

        static void Check(string fact, FactWay now)
        {
            IReadOnlyList<FactWay> open = FactWays.Open(fact, now);
            Assert.Contains(now, open);
            Assert.Contains(FactWay.Nothing, open);
            string[] sentences = [.. open.Where(way => way != FactWay.Nothing).Select(way => FactWays.Sentence(fact, way, "").ToString())];
            Assert.Equal(sentences.Distinct(), sentences);
            Assert.Contains(FactWays.Sentence(fact, FactWay.Typed, "").ToString(), sentences);
            foreach (FactWay way in open)
            {
                string said = FactWays.Say(fact, way), shown = FactWays.Sentence(fact, way, "Quill").ToString();
                if (way is FactWay.Nothing or FactWay.Do or FactWay.Are) continue;
                string bare = FactForms.Inner(FactFrames.Bare(fact)).TrimEnd();
                Assert.EndsWith(bare, said.TrimEnd().TrimEnd('.'), StringComparison.OrdinalIgnoreCase);
                Assert.EndsWith(string.Join(' ', bare.Split(' ', StringSplitOptions.RemoveEmptyEntries)),
                    string.Join(' ', shown.Split(' ', StringSplitOptions.RemoveEmptyEntries)), StringComparison.OrdinalIgnoreCase);
            }
        }
    }

    [Fact]
    public void Mark_Corrected_HoldsForTheSameFactAndLeavesOutWhatIsNotToBeSaid()
    {
        var own = new FactCorrections([new("Roof terrace", FactWay.Is), new("roof  terrace.", FactWay.IsA),
            new("opens at six", FactWay.Nothing)]);
        Brief brief = FactForms.Mark(new Brief("Quill", Brief.Description, ["roof terrace", "opens at six", "works offline"], ["Café"]),
            own);
        Assert.Equal(["it is a roof terrace", "it works offline"], brief.Facts);
        Assert.Equal(["has a roof terrace", "it opens at six", "it works offline"],
            FactForms.Mark(brief with { Facts = ["roof terrace", "opens at six", "works offline"] }).Facts);
    }

    /// <summary>What begins as a corrected fact follows it where it is alike; what is unlike stays as it was guessed.</summary>
    [Fact]
    public void WayOf_LikeCorrectedFacts_FollowsThem()
    {
        FactCorrection[] corrections =
            [.. "drives paths yards lanes courts".Split(' ')
                .Select(what => new FactCorrection($"gravel {what} by the square metre", FactWay.Does))];
        var own = new FactCorrections(corrections);
        const string Like = "gravel terraces by the square metre";
        Assert.NotEqual((FactForm.Does, false), FactForms.Guess(Like, FactForms.Shipped.Value).Class);
        Assert.Equal((FactForm.Does, false), own.Guess(Like)!.Value.Class);
        Assert.Equal(own.Guess(Like), new FactCorrections(corrections).Guess(Like));
        foreach (TypedFact fact in Shipped.Where(fact => !fact.Typed.StartsWith("gravel", StringComparison.OrdinalIgnoreCase)).Take(2000))
            Assert.Equal(FactForms.WayOf(fact.Typed), FactForms.WayOf(fact.Typed, own));
    }

    [Fact]
    public void Corrections_AnyFactsAndWays_NeverThrowAndAlwaysHold()
    {
        Gen.Select(Gen.String[0, 20], Gen.Int[0, Chosen.Length - 1].Select(i => Chosen[i])).Array[0, 8].Sample(chosen =>
        {
            var own = new FactCorrections(chosen.Select(one => new FactCorrection(one.Item1, one.Item2)));
            foreach ((string fact, _) in chosen)
            {
                FactWay? way = own.Of(fact);
                Assert.NotNull(way);
                if (FactFrames.Bare(fact).Length > 0) Assert.Equal(way, FactForms.WayOf(fact, own));
                _ = own.Guess("hot showers");
            }
        }, iter: 60);
    }

    /// <summary>
    /// Held out by writer: learnt from the others, then one writer's briefs in any order, whose wrongly said facts are corrected until
    /// there are 10, 30, 100. Of all
    /// facts after the last of them, and of those that begin as a corrected one, how many are said rightly, wrongly and left as they were
    /// typed.
    /// </summary>
    [Fact]
    public void WayOf_OtherFactsOfAWriterWhoCorrects_IsRightMoreOften()
    {
        if (Environment.GetEnvironmentVariable(FactsVariable) is not { Length: > 0 } folder)
        {
            Assert.Skip($"{FactsVariable} names no folder with facts by writer (*.tsv)");
            return;
        }
        TypedFact[] shipped = [.. Shipped];
        int[] steps = [0, 10, 30, 100];
        Dictionary<(int Step, bool Like), int[]> counts = [];
        foreach (string file in Directory.GetFiles(folder, "*.tsv"))
        {
            (string Brief, string Fact, string Label)[] facts =
                [.. File.ReadLines(file).Select(line => line.Split('\t')).Where(parts => parts.Length == 5)
                    .Select(parts => (parts[0], parts[4], parts[3]))];
            HashSet<string> mine = new(facts.Select(fact => fact.Fact), StringComparer.OrdinalIgnoreCase);
            var weights = new Lazy<float[][]>(FactForms.Train([.. shipped.Where(fact => !mine.Contains(fact.Typed))]));
            Dictionary<string, FactWay> before = facts.DistinctBy(fact => fact.Fact)
                .ToDictionary(fact => fact.Fact, fact => FactForms.WayOf(fact.Fact, null, weights.Value));
            for (int seed = 0; seed < 5; seed++)
            {
                string[] order = [.. facts.Select(fact => fact.Brief).Distinct()];
                new Random(seed).Shuffle(order);
                Queue<(string Brief, string Fact, string Label)> left =
                    new(order.SelectMany(brief => facts.Where(fact => fact.Brief == brief)));
                List<FactCorrection> corrections = [];
                while (corrections.Count < steps[^1])
                {
                    (_, string fact, string label) = left.Dequeue();
                    if (!IsRight(before[fact], RightWay(fact, label))) corrections.Add(new(fact, RightWay(fact, label)));
                }
                foreach (int step in steps)
                {
                    FactCorrections own = new(corrections.Take(step), weights);
                    foreach ((_, string fact, string label) in left)
                    {
                        bool like = own.Guess(fact) is not null;
                        FactWay said = FactForms.WayOf(fact, own, weights.Value), right = RightWay(fact, label);
                        foreach (bool only in (bool[])[true, false])
                        {
                            if (only && !like) continue;
                            int[] count = counts.TryGetValue((step, only), out int[]? known) ? known : counts[(step, only)] = new int[4];
                            count[IsRight(said, right) ? 0 : said == FactWay.Typed ? 2 : 1]++;
                            if (IsRight(before[fact], right)) count[3]++;
                        }
                    }
                }
            }
        }
        foreach (((int step, bool like), int[] count) in counts.OrderBy(pair => pair.Key))
        {
            double all = count[0] + count[1] + count[2];
            TestContext.Current.TestOutputHelper!.WriteLine(
                string.Create(CultureInfo.InvariantCulture,
                    $"{step,3} corrections, {(like ? "like them" : "all others")}: {all} facts, rightly {count[3] / all:P1} before, {count[0] / all:P1} after, wrongly {count[1] / all:P1}, as typed {count[2] / all:P1}"));
            Assert.True(step == 0 || count[0] >= count[3]);
        }

        static bool IsRight(FactWay said, FactWay right) => said == right || (said, right) is (FactWay.Was, FactWay.Is);
        static FactWay RightWay(string fact, string label) => label switch
        {
            "has" => FactWay.Has, "hasa" => FactWay.HasA, "does" or "person" => FactWay.Does, "do" => FactWay.Do, "is" => FactWay.Is,
            "lets" => FactWay.Can, "costs" => FactWay.Costs,
            "state" when FactForms.WithVerb(FactFrames.Bare(fact)) is not null => FactWay.Are,
            _ => FactWay.Typed,
        };
    }

    private static IEnumerable<TypedFact> Shipped =>
        TypedFact.Parse(File.ReadAllText(Path.Combine(TestFiles.Root, "tasks", "copywriting", "facts.yaml")));
}
