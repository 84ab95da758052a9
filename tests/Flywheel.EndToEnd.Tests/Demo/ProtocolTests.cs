using CsCheck;
using Flywheel.Cli.Demo;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.EndToEnd.Tests.Demo;

public class ProtocolTests
{
    private static readonly string BriefsFile = Path.Combine(TestFiles.Root, "recipes", "demo", "briefs.jsonl");

    private static readonly string RegressionFile = Path.Combine(TestFiles.Root, "models", "first", "regression.jsonl");

    private static readonly IReadOnlyList<Product> Products = Product.Load(BriefsFile);

    [Fact]
    public void Briefs_File_HoldsManyVariedProducts()
    {
        Assert.True(Products.Count >= 180, $"{Products.Count} products");
        Assert.All(Products, product =>
        {
            Assert.InRange(product.Facts.Count, 3, 6);
            Assert.Equal(product.Facts.Count, product.Facts.Distinct().Count());
            Assert.NotEmpty(product.Audience);
            Assert.All(product.Facts, fact => Assert.InRange(Wording.Words(fact).Length, 2, 13));
        });
        Assert.True(Products.SelectMany(product => product.Categories).Distinct().Count() >= 50);
    }

    [Fact]
    public void Regression_File_HoldsWholeConversationsOnOtherProducts()
    {
        Conversation[] rows = [.. File.ReadLines(RegressionFile).Select(Conversation.Parse)];
        Assert.InRange(rows.Length, 100, 200);
        Assert.Equal(rows.Length, rows.Distinct().Count());
        var names = Products.Select(product => product.Name).ToHashSet(StringComparer.OrdinalIgnoreCase);
        foreach (Conversation row in rows)
        {
            Assert.Equal([Role.User, Role.Assistant], row.Messages.Select(message => message.Role));
            Brief brief = Parse(row.Messages[0].Text);
            Assert.Equal(brief.ToConversation().Messages[0], row.Messages[0]); // exactly as the product asks
            Assert.DoesNotContain(brief.Name, names);
            Assert.NotEmpty(row.Messages[1].Text);
        }
    }

    /// <summary>Turns in a row: others give feedback each time, nobody of them is measured on, and the last have no taste.</summary>
    [Fact]
    public void Rounds_OfASeries_HaveOtherUsersAndTheSameUnseenPrompts()
    {
        IReadOnlyList<(Taste Taste, IReadOnlyList<Ask> Asks)> rounds =
            DemoSeries.Rounds(Taste.Named("plain"), Products, users: 12, prompts: 5, turns: 3, seed: 2);
        Assert.Equal(["plain", "plain", "plain", "coin"], rounds.Select(round => round.Taste.Name));
        Assert.Equal(["coin", "coin"],
            DemoSeries.Rounds(Taste.Named("coin"), Products, users: 6, prompts: 2, turns: 2, seed: 2).Select(round => round.Taste.Name));
        string[][] users = [.. rounds.Select(round => round.Asks.Select(ask => ask.User).Distinct().ToArray())];
        Assert.All(users, mine => Assert.Equal(12, mine.Length));
        Assert.Equal(48, users.SelectMany(mine => mine).Distinct().Count());
        Protocol first = Protocol.Draw(Products, 12, 5, 2);
        Assert.Equal(first.Feedback.Select(ask => (ask.User, ask.Brief.Name, ask.Seed)),
            rounds[0].Asks.Select(ask => (ask.User, ask.Brief.Name, ask.Seed)));
        Assert.Empty(rounds.SelectMany(round => round.Asks.Select(ask => ask.Brief.Name))
            .Intersect(first.Measurement.Select(ask => ask.Brief.Name)));
        Assert.NotEqual(rounds[0].Asks.Select(ask => ask.Brief.Name), rounds[1].Asks.Select(ask => ask.Brief.Name));
    }

    [Fact]
    public void Load_BadLine_NamesFileAndLine()
    {
        using var folder = new TempFolder();
        string good = File.ReadLines(BriefsFile).First();
        void Expect(string line, string part)
        {
            File.WriteAllText(folder["briefs.jsonl"], good + "\n" + line + "\n");
            string message = Assert.Throws<FlywheelException>(() => Product.Load(folder["briefs.jsonl"])).Message;
            Assert.Contains("briefs.jsonl line 2", message, StringComparison.Ordinal);
            Assert.Contains(part, message, StringComparison.Ordinal);
        }
        Expect("{", "not valid JSON");
        Expect("""{"name":"A"}""", "lacks a field");
        Expect(good, "repeats the name");
        Assert.Throws<FlywheelException>(() => Product.Load(folder["none.jsonl"]));
    }

    [Fact]
    public void Draw_AnySeed_KeepsTrainingAndMeasurementApart() =>
        Gen.Select(Gen.Int[1, 80], Gen.Int[1, 12], Gen.Int).Sample((users, prompts, seed) =>
        {
            Protocol protocol = Protocol.Draw(Products, users, prompts, seed);
            Assert.Equal(users * prompts, protocol.Feedback.Count);
            Assert.Empty(protocol.Feedback.Select(ask => ask.User).Intersect(protocol.Measurement.Select(ask => ask.User)));
            Assert.Empty(protocol.Feedback.Select(ask => ask.Brief.Name).Intersect(protocol.Measurement.Select(ask => ask.Brief.Name)));
            Assert.True(protocol.Measurement.Count >= 100);
            // Independent clusters: a product belongs to one user.
            Assert.Equal(protocol.Measurement.Count, protocol.Measurement.Select(ask => ask.Brief.Name).Distinct().Count());
            Assert.All(protocol.Measurement.GroupBy(ask => ask.User), user => Assert.Equal(Protocol.PromptsPerJudge, user.Count()));
            Assert.All(protocol.Feedback.GroupBy(ask => ask.User),
                user => Assert.Equal(prompts, user.Select(ask => ask.Brief.Name).Distinct().Count()));
        }, seed: "0N0XIzNsQ0O2", iter: 100);

    [Fact]
    public void Draw_SameSeed_IsTheSame()
    {
        static string Print(Protocol protocol) =>
            string.Join('\n',
                protocol.Feedback.Concat(protocol.Measurement).Select(ask => $"{ask.User} {ask.Seed} {ask.Brief.ToConversation()}"));
        Assert.Equal(Print(Protocol.Draw(Products, 5, 3, 7)), Print(Protocol.Draw(Products, 5, 3, 7)));
        Assert.NotEqual(Print(Protocol.Draw(Products, 5, 3, 7)), Print(Protocol.Draw(Products, 5, 3, 8)));
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(1, 0)]
    [InlineData(1, 500)]
    public void Draw_Impossible_SaysWhatFits(int users, int prompts) =>
        Assert.Contains("expected", Assert.Throws<FlywheelException>(() => Protocol.Draw(Products, users, prompts, 1)).Message,
            StringComparison.Ordinal);

    private static Brief Parse(string prompt) =>
        Brief.Find(new Conversation([Message.User(prompt)])) ?? throw new InvalidDataException($"no brief: {prompt}");
}
