using System.Security.Cryptography;
using System.Text;
using CsCheck;
using Flywheel.Model;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop.Tests;

/// <summary>Who is learnt from, who is tested on, and how much of either may be one person's.</summary>
public sealed class HoldOutTests
{
    private static readonly Dictionary<string, Split> s_nobody = [];

    [Theory]
    [InlineData(2, 1)]
    [InlineData(3, 1)]
    [InlineData(4, 1)]
    [InlineData(8, 2)]
    [InlineData(40, 10)]
    [InlineData(1, 0)]
    public void Assign_NewPeople_HoldsOutAQuarterButAtLeastOne(int people, int heldOut)
    {
        IReadOnlyDictionary<string, Split> sides =
            HoldOut.Assign(Enumerable.Range(0, people).Select(i => $"user {i}"), s_nobody, 0.25, Given.Salt);

        Assert.Equal(heldOut, sides.Values.Count(side => side == Split.HeldOut));
    }

    [Fact]
    public void Assign_LaterTurn_KeepsEveryoneOnTheirSide()
    {
        IReadOnlyDictionary<string, Split> first =
            HoldOut.Assign(Enumerable.Range(0, 12).Select(i => $"user {i}"), s_nobody, 0.25, Given.Salt);
        IReadOnlyDictionary<string, Split> second =
            HoldOut.Assign(Enumerable.Range(6, 20).Select(i => $"user {i}"), first, 0.25, new byte[32]);

        Assert.All(second, side => Assert.Equal(first.GetValueOrDefault(side.Key, side.Value), side.Value));
        Assert.InRange(second.Values.Count(side => side == Split.HeldOut), 4, 6);
    }

    /// <summary>
    /// Ten names of twenty thousand, chosen to stand first by a hash that anybody can compute, as the split once was. Under a secret
    /// salt they get a quarter of the seats, like anybody else.
    /// </summary>
    [Fact]
    public void Assign_NamesGroundToBeHeldOut_TakeNoMoreThanTheirPart()
    {
        static string Public(string name) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes("user split\n" + name)));
        string[] ground = [.. Enumerable.Range(0, 20_000).Select(i => $"visitor-{i}").OrderBy(Public, StringComparer.Ordinal).Take(10)];
        string[] all = [.. ground, .. Enumerable.Range(0, 30).Select(i => $"honest {i}")];
        Assert.Equal(ground, all.OrderBy(Public, StringComparer.Ordinal).Take(10)); // by the bare hash every seat was theirs

        var random = new Random(9);
        double seats = Enumerable.Range(0, 400).Average(_ =>
        {
            byte[] salt = new byte[32];
            random.NextBytes(salt);
            IReadOnlyDictionary<string, Split> sides = HoldOut.Assign(all, s_nobody, 0.25, salt);
            return ground.Count(name => sides[name] == Split.HeldOut);
        });

        Assert.InRange(seats, 2.2, 2.8); // 2.5 expected, its standard error is 0.06
    }

    [Fact]
    public void Cap_AnyCounts_NobodyExceedsTheirPartAndNoHigherCapWouldDo() =>
        Gen.Select(Gen.Int[1, 2000].Array[1, 30], Gen.Double[0.01, 1]).Sample((counts, share) =>
        {
            int cap = HoldOut.Cap(counts, share, atLeast: 0);
            double part = Math.Max(share, 2.0 / (counts.Length + 1));
            int Total(int most) => counts.Sum(count => Math.Min(count, most));

            Assert.True(Math.Min(counts.Max(), cap) <= part * Total(cap));
            Assert.True(cap >= counts.Max() || cap + 1 > part * Total(cap + 1));
            Assert.True(cap > 0); // an even share always stays
        }, seed: "0000KeXSOcQ3");

    [Fact]
    public void Create_OnePersonWithTenThousandActs_FillsAQuarterOfEitherSideAtTheMost()
    {
        foreach (Split side in Enum.GetValues<Split>())
        {
            IEnumerable<CuratedExample> rows = [.. Texts("loud", 10_000), .. Enumerable.Range(0, 15)
                .SelectMany(i => Texts($"quiet {i}", 20))];
            var known = Enumerable.Range(0, 15).ToDictionary(i => $"quiet {i}", i => i % 2 == 0 ? Split.Train : Split.HeldOut);
            known["loud"] = side;

            CuratedDataset dataset = CuratedDataset.Create([.. rows], Given.Split(known));

            int loud = dataset.Of(ExampleKind.Supervised, side)
                .Count(row => row.User == "loud"), all = dataset.Of(ExampleKind.Supervised, side).Count();
            Assert.InRange((double)loud / all, 0.2, 0.25);
            Assert.Contains((DropReasons.Capped, 10_000 - loud), dataset.Drops);
            Assert.Equal(15 * 20, dataset.Rows.Count(row => row.Drop is null && row.User != "loud")); // nobody else loses anything
            string warning = Assert.Single(dataset.Warnings);
            Assert.StartsWith($"loud gave 10000 of ", warning);
            Assert.Contains($"cut to {loud}: ", warning);
        }
    }

    /// <summary>
    /// The newest of a capped person's answers stay, with all their rows; without others there is nothing to be a part of.
    /// </summary>
    [Fact]
    public void Create_CappedPerson_KeepsTheNewestAnswers()
    {
        CuratedDataset capped = CuratedDataset.Create([.. Texts("a", 100), .. Texts("b", 5), .. Texts("c", 5)], Given.Split(share: 0.01));
        CuratedExample[] kept = [.. capped.Of(ExampleKind.Supervised, Split.Train).Where(row => row.User == "a")];
        Assert.InRange(kept.Length, 8, 20);
        Assert.Equal(kept.Length, capped.Rows.Where(row => row.User == "a" && row.Split == Split.Train)
            .OrderByDescending(row => row.GenerationId).TakeWhile(row => row.Drop is null).Count());

        CuratedDataset alone = CuratedDataset.Create([.. Texts("a", 100)], Given.Split());
        Assert.Empty(alone.Drops);
        Assert.Empty(alone.Warnings);
    }

    [Fact]
    public void Create_FewPeople_HoldOutPrompts()
    {
        CuratedDataset dataset = CuratedDataset.Create([.. Texts("a", 20), .. Texts("b", 20), .. Texts("old", 4)],
            Given.Split(new Dictionary<string, Split> { ["old"] = Split.HeldOut, ["a"] = Split.Train }));

        Assert.True(dataset.IsOfFewPeople);
        Assert.All(dataset.Rows.Where(row => row.User == "old"), row =>
            Assert.Equal(Split.HeldOut, row.Split)); // who was only tested on still is
        Assert.Equal(10, dataset.Of(ExampleKind.Supervised, Split.HeldOut).Count(row => row.User != "old"));
        Assert.Equal("learning from 30 texts to 30 prompts, testing on 14 texts to 14 others.", dataset.Summary);
        Assert.False(CuratedDataset.Create([.. Enumerable.Range(0, 6).SelectMany(i => Texts($"p{i}", 3))], Given.Split()).IsOfFewPeople);
    }

    /// <summary>A prompt stays on its side in later turns, whoever asks it.</summary>
    [Fact]
    public void Create_PromptOfAnEarlierTurn_StaysOnItsSide()
    {
        CuratedDataset first = CuratedDataset.Create([.. Texts("a", 20)], Given.Split());
        var prompts = first.Rows.ToDictionary(row => row.PromptHash!, row => row.Split!.Value);

        CuratedDataset second = CuratedDataset.Create([.. Texts("a", 40, from: "b")], Given.Split(prompts: prompts, salt: new byte[32]));

        Assert.All(second.Rows.Where(row => prompts.ContainsKey(row.PromptHash!)), row =>
            Assert.Equal(prompts[row.PromptHash!], row.Split));
        Assert.Equal(20, second.Rows.Count(row => prompts.ContainsKey(row.PromptHash!)));
    }

    [Fact]
    public void Create_ManyNamesWithOneKey_AreOnePerson()
    {
        CuratedExample[] rows = [.. Enumerable.Range(0, 10).SelectMany(i => Texts($"name {i}", 2))
            .Select(row => row with { Owner = "ann" })];
        Assert.True(CuratedDataset.Create(rows, Given.Split()).IsOfFewPeople);

        CuratedDataset known = CuratedDataset.Create(rows, Given.Split(new Dictionary<string, Split> { ["ann"] = Split.HeldOut }));
        Assert.Equal(20, known.Of(ExampleKind.Supervised, Split.HeldOut).Count());
    }

    [Fact]
    public void Create_Sources_EachByItsRules()
    {
        CuratedExample[] people = [.. Enumerable.Range(0, 8).SelectMany(i => Texts($"person {i}", 4))];
        CuratedExample[] simulated = [.. Texts("bot", 9).Select(row => row with { Source = FeedbackSource.Simulated })];
        CuratedExample[] referee = [.. Texts("rules", 400, "game").Select(row => row with { Source = FeedbackSource.Referee })];

        CuratedDataset mixed = CuratedDataset.Create([.. people, .. simulated, .. referee], Given.Split());
        Assert.Contains((DropReasons.Simulated, 9), mixed.Drops);
        Assert.Equal(400, mixed.Rows.Count(row => row.Drop is null && row.Source == FeedbackSource.Referee)); // nothing is capped
        Assert.Equal(100, mixed.Of(ExampleKind.Supervised, Split.HeldOut).Count(row => row.Source == FeedbackSource.Referee)); // by prompts

        Assert.Empty(CuratedDataset.Create([.. Enumerable.Range(0, 6).SelectMany(i => Texts($"bot {i}", 4))
            .Select(row => row with { Source = FeedbackSource.Simulated })], Given.Split()).Drops);
        Assert.False(CuratedDataset.Create(referee, Given.Split()).IsOfFewPeople); // a referee is asked for no taste
    }

    [Fact]
    public void Curate_PersonWhoDidNotAgree_TeachesNothing()
    {
        var shown = new Shown(Guid.NewGuid(), Guid.NewGuid(), 0, "ann", new([Message.User("Write.")]), "A text of mine.",
            Whole: true) { Consent = Consent.Refused };
        Feedback keep = new() { Id = Guid.NewGuid(), Time = Given.Monday, GenerationId = shown.Id, Metric = Metrics.Keep, Value = "true" };

        CuratedExample row = Assert.Single(Curator.Curate([shown], [keep], new CurationRules(3, _ => true)));

        Assert.Equal(DropReasons.NoConsent, row.Drop);
    }

    /// <summary>
    /// Who was learnt from stays so, also when a key now names them otherwise; a stated name that was held out gives a keyed user no seat.
    /// </summary>
    [Fact]
    public async Task Read_PeopleOfEarlierTurns_KeepTheirSide()
    {
        using var folder = new Testing.TempFolder();
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(folder["home"]), new Given.Clock(Given.Monday));
        await using (FlywheelDb db = store.Tables())
        {
            ExampleRow Row(string user, Split? split) =>
                new() { TurnId = Guid.Empty, Kind = ExampleKind.Supervised, User = user, GenerationId = Guid.Empty, Split = split,
                Hash = user };
            db.Examples.AddRange(Row("trained", Split.Train), Row("tested", Split.HeldOut), Row("both", Split.HeldOut),
                Row("both", Split.Train), Row("dropped", null));
            await db.SaveChangesAsync();
        }
        foreach (string user in new[] { "trained", "tested" })
        {
            Generation generation = Given.Generation(user: user);
            await store.RecordAsync(generation);
            await store.AddFeedbackAsync(new FeedbackInput(generation.Id, Metrics.Keep, true, user) { Owner = $"account of {user}" });
        }

        await using FlywheelDb read = store.Tables();
        IReadOnlyDictionary<string, Split> people = (await FeedbackReader.ReadAsync(read, new(), withTokens: false, default)).People;

        Assert.Equal("account of trained Train, both Train, tested HeldOut, trained Train",
            string.Join(", ", people.OrderBy(side => side.Key, StringComparer.Ordinal).Select(side => $"{side.Key} {side.Value}")));
    }

    [Fact]
    public async Task Secret_AskedForByManyAtOnce_IsMadeOnceAndKept()
    {
        using var folder = new Testing.TempFolder();
        var home = new FlywheelHome(folder["home"]);
        FlywheelStore[] stores = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => FlywheelStore.OpenAsync(home)));

        byte[][] secrets = await Task.WhenAll(stores.SelectMany(store =>
            Enumerable.Range(0, 4).Select(_ => Task.Run(() => store.SecretAsync("split")))));

        Assert.Equal(32, secrets[0].Length);
        Assert.Single(secrets.Select(Convert.ToHexString).Distinct());
        Assert.NotEqual(secrets[0], await stores[0].SecretAsync("another"));
        foreach (FlywheelStore store in stores) await store.DisposeAsync();
    }

    /// <summary>Kept texts of a person, each to a prompt of its own.</summary>
    private static IEnumerable<CuratedExample> Texts(string user, int count, string from = "") =>
        Enumerable.Range(0, count).Select(i => new CuratedExample
    {
        Kind = ExampleKind.Supervised, User = user, Prompt = new([Message.User($"{(from.Length > 0 ? "a" : user)} asks {i}")]),
            Preferred = $"{user}'s{from} text {i}",
        GenerationId = new Guid($"00000000-0000-7000-8000-{i:d12}"), FeedbackIds = [Guid.NewGuid()],
    });
}
