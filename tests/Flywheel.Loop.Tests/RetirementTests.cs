using CsCheck;
using Flywheel.Model;
using Flywheel.Testing;
using Microsoft.Data.Sqlite;

namespace Flywheel.Loop.Tests;

/// <summary>Held-out people are retired and followed by new ones; nobody is tested on after they were learnt from.</summary>
public sealed class RetirementTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose()
    {
        SqliteConnection.ClearAllPools();
        _folder.Dispose();
    }

    [Theory]
    [InlineData(5, 5, 8, 2, 2)] // both are due, and the newcomers follow
    [InlineData(5, 1, 8, 2, 1)] // half are: the other goes, too
    [InlineData(4, 4, 8, 0, 0)]
    [InlineData(5, 5, 1, 0, 2)] // one newcomer cannot follow two or more
    [InlineData(9, 9, 0, 0, 2)]
    public void Retire_LooksAndNewcomers_FollowTheRule(int looksAtAnn, int looksAtBo, int newcomers, int retired, int due)
    {
        var known = new Dictionary<string, Split> { ["ann"] = Split.HeldOut, ["bo"] = Split.HeldOut };
        for (int i = 0; i < 6; i++) known[$"learnt {i}"] = Split.Train;
        (IReadOnlyList<string> who, int numDue) =
            HoldOut.Retire([.. known.Keys, .. Enumerable.Range(0, newcomers).Select(i => $"new {i}")], known,
            new Dictionary<string, int> { ["ann"] = looksAtAnn, ["bo"] = looksAtBo }, 0.25);
        Assert.Equal((retired, due), (who.Count, numDue));
    }

    /// <summary>Three people with ten texts each are due, and four newcomers follow them only where these bring enough to test
    /// on.</summary>
    [Theory]
    [InlineData(1, 0, 3)]
    [InlineData(2, 3, 0)]
    public void Create_NewcomersWithFewTexts_FollowOnlyWhereTheyAreEnoughToTestOn(int textsOfNewcomers, int retired, int waiting)
    {
        var known = Enumerable.Range(0, 12).ToDictionary(i => $"person {i}", i => i < 3 ? Split.HeldOut : Split.Train);
        var rules = new SplitRules(new CurateRecipe(), new byte[32], known, new Dictionary<string, Split>(),
            new HashSet<string>())
            { Looks = known.Where(one => one.Value == Split.HeldOut).ToDictionary(one => one.Key, _ => HoldOut.MaxLooks) };
        CuratedDataset dataset =
            CuratedDataset.Create([.. known.Keys.SelectMany(person => Texts(person, 10)),
                .. Enumerable.Range(0, 4).SelectMany(i => Texts($"new {i}", textsOfNewcomers))], rules);
        Assert.Equal((retired, waiting), (dataset.Retirement.Retired.Count, dataset.Retirement.NumWaiting));
        Assert.True(dataset.Of(ExampleKind.Supervised, Split.HeldOut).Count() >= rules.Recipe.MinHeldOut);
    }

    private static IEnumerable<CuratedExample> Texts(string person, int count) => Enumerable.Range(0, count).Select(i => new CuratedExample
    {
        Kind = ExampleKind.Supervised, User = person, Prompt = new([Message.User($"prompt {i} of {person}")]),
        Preferred = $"text {i} of {person}", GenerationId = Guid.NewGuid(), FeedbackIds = [Guid.NewGuid()],
    });

    /// <summary>Any comings and goings over many turns, promoted or not: sides never cross, and looks at the same people end.</summary>
    [Fact]
    public void Turns_AnyArrivals_NobodyIsTestedOnAfterTheyWereLearntFrom() =>
        Gen.Select(Gen.Int[0, 12].Array[10], Gen.Int[0, 9].Array[400], Gen.Int[0, 255].Array[32]).Sample((arrivals, absences, salt) =>
        {
            HashSet<string> taught = [], tested = [];
            Dictionary<string, int> looks = [];
            int people = 8, act = 0, longest = 0;
            foreach (int more in arrivals)
            {
                people += more;
                string[] here =
                    [.. Enumerable.Range(0, people).Where(_ => absences[act++ % absences.Length] > 1).Select(i => $"person {i}")];
                var rules = new SplitRules(new CurateRecipe { MinHeldOut = 2 }, [.. salt.Select(value => (byte)value)],
                    taught.Concat(tested).Distinct().ToDictionary(person => person,
                        person => taught.Contains(person) ? Split.Train : Split.HeldOut), new Dictionary<string, Split>(),
                        new HashSet<string>()) { Looks = looks };
                CuratedDataset dataset = CuratedDataset.Create([.. here.SelectMany(person => Texts(person, 1))], rules);
                if (dataset.IsOfFewPeople) continue;
                HashSet<string> train = [.. On(dataset, Split.Train)], heldOut = [.. On(dataset, Split.HeldOut)];
                Assert.Empty(train.Intersect(heldOut));
                Assert.Empty(heldOut.Intersect(taught));
                Assert.Subset(train, dataset.Retirement.Retired.ToHashSet());
                Assert.NotEmpty(heldOut);
                int wanted = (int)Math.Round(0.25 * here.Length),
                    fresh = here.Count(person => !taught.Contains(person) && !tested.Contains(person));
                if (fresh >= wanted) longest = Math.Max(longest, heldOut.Select(person => looks.GetValueOrDefault(person)).Max());
                taught.UnionWith(train);
                tested.UnionWith(heldOut);
                foreach (string person in heldOut) looks[person] = looks.GetValueOrDefault(person) + 1;
            }
            Assert.InRange(longest, 0, HoldOut.MaxLooks - 1); // where enough have come, nobody is looked at a sixth time

            static IEnumerable<string> On(CuratedDataset dataset, Split split) =>
                dataset.Rows.Where(row => row.Drop is null && row.Split == split).Select(row => row.Person);
        }, iter: 40, seed: "0000KeXSOcQ3");

    /// <summary>Through the record: five examined turns, then new people come; the sixth retires, the looks begin at one, and the report
    /// says so.</summary>
    [Fact]
    public async Task Turns_OfARecord_RetireAfterFiveAndBeginToCountAnew()
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(_folder["home"], ""),
            new Given.Clock(Given.Monday));
        var ledger = new TurnLedger(store, TimeProvider.System);
        CancellationToken stop = TestContext.Current.CancellationToken;
        await using FlywheelDb db = store.Tables();
        HashSet<string>? first = null;
        for (int number = 1; number <= 7; number++)
        {
            Generation[] answers = [.. Enumerable.Range(0, number >= 6 ? 24 : 12).Select(person =>
                Given.Generation(Guid.NewGuid(), Guid.NewGuid(), $"person {person}", $"text {number} of {person}",
                    $"prompt {number} of {person}"))];
            await Task.WhenAll(answers.Select(answer => store.RecordAsync(answer, stop))); // synced together
            await store.AddAllFeedbackAsync([.. answers.Select(answer => new FeedbackInput(answer.Id, Metrics.Keep, true))], stop);
            FeedbackIntake intake = await FeedbackReader.ReadAsync(db, new(), false, stop);
            TurnRecipe recipe = MiniLoop.Recipe(store.Home.Path);
            CuratedDataset dataset = await TurnCuration.CurateAsync(store, recipe, null, intake, stop);
            HashSet<string> heldOut = [.. dataset.Rows.Where(row => row is { Drop: null, Split: Split.HeldOut }).Select(row => row.Person)];
            TurnRow turn = await ledger.BeginAsync(new ModelRow { Hash = Given.Champion, Path = "m" }, "", dataset, intake, stop);
            CuratedDataset read = await CuratedDataset.LoadAsync(store, turn, stop);
            int look = await ledger.LookAsync(Given.Champion, heldOut, turn.Number, stop);
            if (number == 1) first = heldOut;
            if (number <= 5) Assert.Equal((number, "", true), (look, dataset.Retirement.Text, heldOut.SetEquals(first!)));
            if (number == 6)
            {
                Assert.Equal(first!.Order(), dataset.Retirement.Retired.Order());
                Assert.Empty(first!.Intersect(heldOut));
                Assert.Equal((1, 6, 6), (look, heldOut.Count, dataset.Retirement.NumNew));
                Assert.StartsWith(
                    "3 people who had been tested on, half of them at least in 5 turns or more, are learnt from now and never tested on again; 6 people are held out for the first time", read.Retirement.Text);
            }
            if (number == 7) Assert.Equal((2, "", ""), (look, dataset.Retirement.Text, read.Retirement.Text));
            Assert.Equal(dataset.Retirement.Text, read.Retirement.Text);
            FeedbackIntake again = await FeedbackReader.AgainAsync(db, turn, false, stop);
            Assert.Equal(dataset.Hash, (await TurnCuration.CurateAsync(store, recipe, null, again, stop)).Hash);
            await ledger.HasCandidateAsync(turn, new string('b', 64), stop);
            await ledger.DecidedAsync(turn,
                new GateDecision([new("rule", "", 0, 0, new Interval(0, 0, 0), 0, false, "") { Because = "no better" }]),
                TurnState.Rejected, "no better", stop);
        }
    }
}
