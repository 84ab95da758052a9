using System.Text.Json.Nodes;
using CsCheck;
using Flywheel.Loop.Reviews;
using Flywheel.Model;

namespace Flywheel.Loop.Tests;

/// <summary>What reviewers say, and what curation makes of it.</summary>
public sealed class ReviewTests
{
    private static readonly Guid Group = new("00000000-0000-7000-8000-000000000099");

    /// <summary>
    /// Ann did something with the answers A, B and C to one request; then reviewers spoke of it: <c>bo approve A</c>, where the letter
    /// means
    /// the last thing that was done with that answer.
    /// </summary>
    [Theory]
    [InlineData(false, "A keep", "", "text A | A > B | A > C")]
    [InlineData(false, "A keep", "bo approve A", "text A | A > B | A > C")]
    [InlineData(false, "A keep; B discard", "bo reject A wrong", "(rejected_by_reviewer) | (discarded, but nothing was kept beside it)")]
    [InlineData(false, "A keep; B discard", "bo correct A better text",
        "text better text | better text > A | better text > B | better text > C")]
    [InlineData(false, "A edit an edit", "bo correct A better text",
        "text better text | better text > A | better text > B | better text > C")]
    [InlineData(false, "A discard", "bo correct A better text", "text better text | better text > A | better text > B | better text > C")]
    [InlineData(false, "A keep", "bo reject A wrong; cy approve A", "(reviewers_disagree)")]
    [InlineData(false, "A keep", "bo reject A wrong; cy approve A; bo approve A", "text A | A > B | A > C")]
    [InlineData(false, "A keep", "bo reject A wrong; bo undo A", "text A | A > B | A > C")]
    [InlineData(false, "A keep", "bo approve A; bo reject A wrong; bo undo A", "text A | A > B | A > C")]
    [InlineData(false, "A keep", "bo reject A wrong; cy undo A", "(rejected_by_reviewer)")]
    [InlineData(false, "A keep", "bo label A funny", "text A | A > B | A > C")]
    [InlineData(false, "A keep; B keep", "bo reject A wrong", "(rejected_by_reviewer) | text B | B > C")]
    [InlineData(true, "A keep; B discard", "", "(awaits_review) | (awaits_review)")]
    [InlineData(true, "A keep; B discard", "bo approve A", "text A | A > B | A > C")]
    [InlineData(true, "A keep; B discard", "bo label A funny", "(awaits_review) | (awaits_review)")]
    [InlineData(true, "A keep; B discard", "bo reject A wrong", "(rejected_by_reviewer) | (rejected_by_reviewer)")]
    [InlineData(true, "A keep; B keep", "bo approve B", "(awaits_review) | text B | B > C")]
    [InlineData(true, "A keep", "bo agree A", "text A | A > B | A > C")]
    [InlineData(true, "A keep", "bo disagree A", "(rejected_by_reviewer)")]
    [InlineData(true, "A edit A text of answer", "", "(awaits_review)")] // and is not noted as looked at
    [InlineData(true, "A edit A text of answer", "bo approve A", "(edit equals the original: counts as kept) | text A | A > B | A > C")]
    [InlineData(false, "A edit A text of answer", "bo reject A wrong", "(rejected_by_reviewer)")]
    [InlineData(false, "A keep", "bo correct A A text of answer", "text A | A > B | A > C")]
    // a correction that changes nothing approves
    [InlineData(false, "A discard", "bo correct A A text of answer", "(discarded, but nothing was kept beside it)")]
    // decided on before A was taken
    [InlineData(false, "B discard; A keep", "bo reject B wrong", "(rejected_by_reviewer) | text A | A > C")]
    [InlineData(true, "B discard; A keep", "bo reject B wrong; bo approve A", "(rejected_by_reviewer) | text A | A > C")]
    [InlineData(false, "B discard; A keep", "bo reject B wrong; cy approve B", "(reviewers_disagree) | text A | A > C")]
    [InlineData(false, "B discard; A keep", "bo approve B", "text A | A > B | A > C")]
    public void Curate_Reviews_DecideWhatGoesIn(bool required, string acts, string reviews, string expected)
    {
        List<Feedback> rows = Acts(acts);
        Dictionary<char, Guid> last = [];
        foreach ((string part, Feedback row) in acts.Split("; ").Zip(rows)) last[part[0]] = row.Id;
        rows.AddRange(Reviews(reviews, last, rows));

        IReadOnlyList<CuratedExample> curated = Curator.Curate([.. "ABC".Select((letter, i) => Answer(letter, i))], rows,
            new CurationRules(3, _ => true) { RequireReview = required });

        Assert.Equal(expected, string.Join(" | ", curated.Select(Write)));
        // nothing is lost silently
        Assert.Equal(rows.Select(row => row.Id).ToHashSet(), curated.SelectMany(row => row.FeedbackIds).ToHashSet());
    }

    [Theory]
    [InlineData("one\ntwo", "one\\r\\ntwo", false)] // as a form or a spreadsheet writes it
    [InlineData("one\ntwo", "one\\n\\ntwo", true)]
    public void Curate_EditWithOtherLineBreaks_IsNoChange(string text, string edit, bool changes)
    {
        IReadOnlyList<CuratedExample> curated = Curator.Curate([Answer('A', 0) with { Text = text }], Acts($"A edit {edit}"),
            new CurationRules(3, _ => true));
        Assert.Equal(changes ? 1 : 0, curated.Count(row => row.Kind == ExampleKind.Preference && row.Drop is null));
        Assert.Equal(changes, curated.Single(row => row.Kind == ExampleKind.Supervised && row.Drop is null).Preferred != text);
    }

    /// <summary>Of answers in the arena only the round's choice was made before it was known who wrote what.</summary>
    [Theory]
    [InlineData("A keep", false, "(not_blind)")]
    [InlineData("A keep; B discard", true, "text A | A > B")]
    [InlineData("A discard; B keep; A rate; B edit better B", false, "(not_blind) | (not_blind) | (not_blind) | (not_blind)")]
    [InlineData("A comment nice", false, "(rating or comment: kept, not trained on)")]
    public void Curate_ArenaAnswers_LearnsFromTheChoiceAlone(string acts, bool chosen, string expected)
    {
        List<Feedback> rows = Acts(acts, tags: chosen ? $$"""{"application":"arena","choice":"a"}""" : "{}");
        if (chosen) rows.AddRange(Acts("B keep; A discard", from: 10)); // said through the API once the names were shown
        IReadOnlyList<CuratedExample> curated =
            Curator.Curate([Answer('A', 0) with { App = ArenaResults.App }, Answer('B', 1) with { App = ArenaResults.App }], rows,
            new CurationRules(3, _ => true));
        Assert.Equal(chosen ? "(not_blind) | (not_blind) | " + expected : expected, string.Join(" | ", curated.Select(Write)));
        Assert.Equal(rows.Select(row => row.Id).ToHashSet(), curated.SelectMany(row => row.FeedbackIds).ToHashSet());
    }

    [Fact]
    public void Curate_ActAfterItsReview_IsReviewedAnew()
    {
        List<Feedback> rows = Acts("A keep");
        rows.AddRange(Reviews("bo approve A", new() { ['A'] = rows[0].Id }, rows));
        rows.AddRange(Acts("A edit another text", from: 50));

        IReadOnlyList<CuratedExample> curated = Curator.Curate([Answer('A', 0)], rows,
            new CurationRules(3, _ => true) { RequireReview = true });

        Assert.Equal("(replaced by later feedback) | (awaits_review) | (replaced by later feedback)",
            string.Join(" | ", curated.Select(Write)));
    }

    /// <summary>Whatever people and reviewers do: what is learnt was let in, what was rejected is not learnt, and nothing is
    /// lost.</summary>
    [Fact]
    public void Curate_AnyActsAndReviews_KeepTheInvariants()
    {
        Gen<(int Choice, int Metric, int Person)> act = Gen.Select(Gen.Int[0, 5], Gen.Int[0, 3], Gen.Int[0, 2]);
        Gen<(int Of, int Act, int Reviewer)> review = Gen.Select(Gen.Int[0, 39], Gen.Int[0, 6], Gen.Int[0, 2]);
        Gen.Select(act.List[1, 20], review.List[0, 30], Gen.Bool, Gen.Bool).Sample((acts, reviews, required, judged) =>
        {
            Shown[] shown =
                [.. Enumerable.Range(0, 6)
                    .Select(i => new Shown(Id(i), Id(1000 + i / 3), i % 3, "asker", Prompt($"prompt {i / 3}"), $"shown text {i}", true))];
            List<Feedback> rows =
                [.. acts.Select((a, i) =>
                    Row(i, Id(a.Choice), new[] { Metrics.Keep, Metrics.Discard, Metrics.Demonstration, Metrics.Rating }[a.Metric],
                a.Metric == 2 ? $"\"edited {i}\"" : a.Metric == 3 ? "0.8" : "true", $"person {a.Person}"))];
            foreach ((int i, (int of, int kind, int who)) in reviews.Index())
            {
                Feedback about = rows[of % acts.Count];
                ReviewAct done = (ReviewAct)(kind % 6);
                rows.Add(Row(100 + i, about.GenerationId, Metrics.Review, new Review(default, about.Id, "", done)
                {
                    Text = done == ReviewAct.Correct ? $"corrected {i}" : null, Reason = done == ReviewAct.Reject ? "r" : null,
                    Label = done == ReviewAct.Label ? "l" : null,
                    Agrees = done == ReviewAct.Compare ? kind == 3 : null,
                }.ToValue(), $"reviewer {who}"));
            }
            IReadOnlyList<CuratedExample> curated = Curator.Curate(shown, rows,
                new CurationRules(3, _ => true) { RequireReview = required, Judged = judged });

            Assert.Equal(rows.Select(row => row.Id).ToHashSet(), curated.SelectMany(row => row.FeedbackIds).ToHashSet());
            ILookup<Guid, Review> said = rows.Where(row => row.Metric == Metrics.Review).Select(Review.Read).ToLookup(one => one.Of);
            foreach (CuratedExample row in curated.Where(row => row.Drop is null && row.Kind == ExampleKind.Supervised))
            {
                ReviewState state =
                    ReviewState.Of(row.FeedbackIds.SelectMany(id => said[id]).OrderBy(one => one.Time).ThenBy(one => one.Id));
                Assert.DoesNotContain(state.Outcome, new[] { ReviewOutcome.Rejected, ReviewOutcome.Disputed });
                if (required) Assert.NotEqual(ReviewOutcome.Open, state.Outcome);
                if (state.Outcome == ReviewOutcome.Corrected) Assert.Equal(state.Text, row.Preferred);
            }
        }, iter: 500, seed: "0000KeXSOcQ3");
    }

    /// <summary>Tables that are worked out in print: two reviewers, fifty grants (and two with other margins) by yes and no.</summary>
    [Theory]
    [InlineData(20, 5, 10, 15, 0.4)]
    [InlineData(45, 15, 25, 15, 0.1304)]
    [InlineData(25, 35, 5, 35, 0.2593)]
    [InlineData(30, 0, 0, 20, 1)]
    public void Kappa_PrintedTables_IsAsPrinted(int both, int onlyFirst, int onlySecond, int neither, double expected)
    {
        IEnumerable<(bool A, bool B)> table = [.. Enumerable.Repeat((true, true), both), .. Enumerable.Repeat((true, false), onlyFirst),
            .. Enumerable.Repeat((false, true), onlySecond), .. Enumerable.Repeat((false, false), neither)];
        ReviewAgreement agreement =
            ReviewAgreement.Of(table.Select(pair => (IReadOnlyList<Review>)[Said("bo", pair.A), Said("cy", pair.B)]));

        AgreementOfTwo two = Assert.Single(agreement.Pairs);
        Assert.Equal(expected, two.Kappa!.Value, 4);
        Assert.Equal((double)(both + neither) / (both + onlyFirst + onlySecond + neither), two.Share, 12);
        Assert.Equal(two.Kappa, agreement.All.Kappa);
    }

    [Fact]
    public void Kappa_FewItemsOrOneAnswer_IsNotGiven()
    {
        ReviewAgreement few = ReviewAgreement.Of(Enumerable.Repeat((IReadOnlyList<Review>)[Said("bo", true), Said("cy", false)], 19));
        Assert.True(few.All is { IsTooFew: true, Kappa: null, Items: 19, Agreed: 0 });
        ReviewAgreement alike = ReviewAgreement.Of(Enumerable.Repeat((IReadOnlyList<Review>)[Said("bo", true), Said("cy", true)], 40));
        Assert.True(alike.All is { IsTooFew: false, Kappa: null, Agreed: 40 });
        Assert.Empty(ReviewAgreement.Of([[Said("bo", true)]]).Pairs);
    }

    [Theory]
    [InlineData("Write to ann.lee+x@mail.example.org today", "e-mail address")]
    [InlineData("Call +44 20 7946 0958 now", "telephone number")]
    [InlineData("Pay to GB82 WEST 1234 5698 7654 32 please", "account number")]
    [InlineData("Pay to GB83 WEST 1234 5698 7654 32 please", "")]
    [InlineData("My card is 4111 1111 1111 1111.", "card number")]
    [InlineData("My card is 4111 1111 1111 1112.", "")]
    [InlineData("Version 1.2.3, 12 000 000 users, 2026-11-30, pi is 3.14159265358979", "")]
    [InlineData("@ann said: 5 @ 3 each", "")]
    public void PersonalData_Text_IsFoundByItsOwnRule(string text, string expected) =>
    Assert.Equal(expected, string.Join(", ", ReviewSignals.PersonalDataIn(text)));

    /// <summary>Precision and recall of the score on sentences of our own documentation against keys that were hit at random.</summary>
    [Fact]
    public void Garbage_RealSentencesAndRandomKeys_AreToldApart()
    {
        string docs = Path.Combine(Flywheel.Testing.TestFiles.Root, "docs");
        string[] real =
            [.. Directory.EnumerateFiles(docs, "*.md").Order(StringComparer.Ordinal).SelectMany(File.ReadAllLines)
                .SelectMany(line => line.Split(". "))
            .Where(sentence => sentence.Length > 30 && char.IsLetter(sentence[0]) && !sentence.Contains('|') && !sentence.Contains('`'))];
        var random = new Random(7);
        string Keys(string keys, int length) => string.Concat(Enumerable.Range(0, length).Select(_ => keys[random.Next(keys.Length)]));
        string[] garbage = [.. Enumerable.Range(0, 100).Select(i => (i % 4) switch
        {
            0 => string.Join(' ', Enumerable.Range(0, 6).Select(_ => Keys("qwrtpsdfghjklzxcvbnm", 7))),
            1 => string.Join(' ', Enumerable.Repeat("great", 10 + i % 5)),
            2 => new string((char)('a' + i % 26), 30) + "!",
            _ => string.Concat(Enumerable.Repeat("\u2588\u25a0", 10)),
        })];
        int found = garbage.Count(text => ReviewSignals.GarbageOf(text) >= ReviewSignals.GarbageFrom),
            wrong = real.Count(text => ReviewSignals.GarbageOf(text) >= ReviewSignals.GarbageFrom);
        Assert.True(real.Length > 500, $"{real.Length} sentences");
        Assert.True(found >= 98 && wrong <= 2,
            $"{found} of {garbage.Length} found, {wrong} of {real.Length} taken for garbage: {string.Join(" / ", real.Where(text => ReviewSignals.GarbageOf(text) >= 0.5).Take(5))}");
        Assert.All(real.Concat(garbage), text => Assert.InRange(ReviewSignals.GarbageOf(text), 0, 1));
    }

    [Fact]
    public void File_AnyAnswers_ComeBackFromCsvAndJsonLines()
    {
        Gen<string> text =
            Gen.OneOf<string>(Gen.OneOf("=1+1", "'=x", "\t+x", "a;b", "a,\"b\"", "two\nlines", "中文", "-", " @x", "\r=1"),
                Gen.String[Gen.Char["ab'\"=,;+ -@\n\t中"], 1, 12]).Where(words => words.Trim().Length > 0);
        Gen.Select(text, text, Gen.Int[0, 3]).Sample((words, label, kind) =>
        {
            ReviewItem item = Item() with { Text = words, Original = label, Others = [(Id(2), words)] };
            string csv = ReviewFile.ToCsv([item]), json = ReviewFile.ToJsonLines([item]);
            // Outside, no cell begins a formula.
            using (var reader = new CsvHelper.CsvReader(new StringReader(csv), System.Globalization.CultureInfo.InvariantCulture))
                while (reader.Read())
                    for (int i = 0; i < reader.Parser.Count; i++)
                        Assert.False(reader.GetField(i)!.TrimStart() is [('=' or '+' or '-' or '@'), ..], reader.GetField(i));
            string decision = new[] { "approve", "correct", "reject", "" }[kind];
            string[] answer = [$"{item.Id}", decision, kind == 1 ? words : "", kind == 2 ? words : "",
                label.Trim()[..Math.Min(60, label.Trim().Length)]];
            string answeredCsv = "id,decision,corrected,reason,label\r\n"
                + string.Join(',', answer.Select(cell => $"\"{CsvCell.Harmless(cell).Replace("\"", "\"\"", StringComparison.Ordinal)}\""));
            string answeredJson = new JsonObject { ["id"] = answer[0], ["decision"] = answer[1], ["corrected"] = answer[2],
                ["reason"] = answer[3], ["label"] = answer[4] }.ToJsonString();
            IReadOnlyList<ReviewInput> fromCsv = ReviewFile.Read(answeredCsv, "a.csv", "bo"),
                fromJson = ReviewFile.Read(answeredJson, "a.jsonl", "bo");
            Assert.Equal(fromJson, fromCsv);
            if (kind == 1) Assert.Equal(words, fromCsv[0].Text);
            Assert.Equal(kind == 3 ? 1 : 2, fromCsv.Count);
            Assert.Empty(ReviewFile.Read(json, "q.jsonl", "")); // as it was exported, nothing is answered
            Assert.Empty(ReviewFile.Read(csv, "q.csv", ""));
        }, iter: 500, seed: "0000KeXSOcQ3");
    }

    [Theory]
    [InlineData("id,decision\n{0},aprove", "line 2: field 'decision' is 'aprove', expected")]
    [InlineData("id,decision\n{0},approve\n{0},undo", "line 3: field 'decision' is 'undo', expected approve, correct or reject")]
    [InlineData("id,decision,corrected\nnone,approve,", "line 2: field 'id' is 'none', expected the id of an item")]
    [InlineData("id,decision,corrected\n{0},correct,", "line 2: field 'corrected' is empty")]
    [InlineData("id,decision,reason\n{0},reject,", "line 2: field 'reason' is empty")]
    [InlineData("id,decision,corrected\n{0},,text", "line 2: field 'decision' is empty beside a corrected text")]
    [InlineData("id;text\nx;y", "line 1 is 'id;text', expected the columns id and decision")]
    [InlineData("{{\"id\":\"{0}\",\"decision\":5}}", "line 1: field 'decision' is '5', expected a text")]
    [InlineData("{{\"id\":\"{0}\",\"decision\":\"approve\"}}\n{{\"id\":", "line 2: no valid JSON")]
    public void File_BadRows_AreNamedByLineAndFieldAndNoneIsTaken(string text, string expected)
    {
        FlywheelException fault =
            Assert.Throws<FlywheelException>(() =>
                ReviewFile.Read(string.Format(System.Globalization.CultureInfo.InvariantCulture, text, Id(1)), "answers", "bo"));
        Assert.Contains(expected, fault.Message);
        Assert.StartsWith("answers: ", fault.Message);
    }

    [Fact]
    public void File_OfOnePersonWithAnothersName_IsRefusedByLine()
    {
        string own = $"id,decision,reviewer\n{Id(1)},approve,\n{Id(2)},approve,bo", another = $"{own}\n{Id(3)},approve,eve";
        Assert.All(ReviewFile.Read(own, "a.csv", "bo", onlyTheirs: true), input => Assert.Equal("bo", input.Reviewer));
        Assert.Contains("line 4: field 'reviewer' is 'eve', expected nothing or 'bo'",
            Assert.Throws<FlywheelException>(() => ReviewFile.Read(another, "a.csv", "bo", onlyTheirs: true)).Message);
        Assert.Equal(["bo", "bo", "eve"], ReviewFile.Read(another, "a.csv", "bo").Select(input => input.Reviewer)); // at the command line
    }

    [Theory]
    [InlineData("""{"item":"00000000-0000-7000-8000-000000000001","decision":"correct"}""",
        "field 'text' is empty, expected a text for the decision correct")]
    [InlineData("""{"item":"00000000-0000-7000-8000-000000000001","decision":"approve","reason":"x"}""",
        "field 'reason' is given, expected only with the decision reject")]
    [InlineData("""{"item":"00000000-0000-7000-8000-000000000001","decision":"compare"}""", "field 'preferred' is missing")]
    [InlineData("""{"item":"7","decision":"approve"}""", "field 'item' is '7', expected an id")]
    [InlineData("""{"item":"00000000-0000-7000-8000-000000000001","decision":"maybe"}""", "field 'decision' is 'maybe', expected")]
    [InlineData("""{"decision":"approve"}""", "field 'item' is missing")]
    [InlineData("""{"item":"00000000-0000-7000-8000-000000000001","decision":"approve","verdict":1}""", "field 'verdict' is unknown")]
    public void Input_WrongField_IsNamed(string body, string expected) =>
        Assert.Contains(expected, Assert.Throws<FlywheelException>(() => ReviewInput.FromJson(JsonNode.Parse(body)!.AsObject())).Message);

    [Fact]
    public void Feedback_ReviewThroughTheOpenDoor_IsRefused() =>
        Assert.Contains("POST /v1/reviews",
            Assert.Throws<FlywheelException>(() => new FeedbackInput(Id(1), Metrics.Review, "approve")).Message);

    private static Review Said(string who, bool yes) => new(Guid.NewGuid(), Id(1), who, yes ? ReviewAct.Approve : ReviewAct.Reject);

    private static ReviewItem Item() => new()
    {
        Id = Id(1), GenerationId = Id(1), Time = Given.Monday, App = "write", Person = "ann", Did = ReviewedAct.Kept, Prompt = Prompt("p"),
        Original = "o", Text = "t",
        State = ReviewState.Of([]),
    };

    private static List<Feedback> Acts(string acts, int from = 0, string tags = "{}") => [.. acts.Split("; ").Select((act, i) =>
    {
        string[] parts = act.Split(' ', 3);
        string metric = parts[1] switch { "edit" => Metrics.Demonstration, "rate" => Metrics.Rating, var other => other };
        return Row(from + i, Id(parts[0][0]), metric, metric == Metrics.Rating ? "0.9" : parts.Length > 2 ? $"\"{parts[2]}\"" : "true",
            "ann", tags);
    })];

    private static IEnumerable<Feedback> Reviews(string reviews, Dictionary<char, Guid> last, List<Feedback> rows) =>
        reviews.Length == 0 ? [] : reviews.Split("; ").Select((review, i) =>
    {
        string[] parts = review.Split(' ', 4);
        Guid of = last[parts[2][0]];
        string? words = parts.Length > 3 ? parts[3] : null;
        ReviewAct act = parts[1] is "agree" or "disagree" ? ReviewAct.Compare : Enum.Parse<ReviewAct>(parts[1], ignoreCase: true);
        return Row(20 + i, rows.Find(row => row.Id == of)!.GenerationId, Metrics.Review, new Review(default, of, "", act)
        {
            Text = act == ReviewAct.Correct ? words : null, Reason = act == ReviewAct.Reject ? words : null,
            Label = act == ReviewAct.Label ? words : null,
            Agrees = act == ReviewAct.Compare ? parts[1] == "agree" : null,
        }.ToValue(), parts[0]);
    });

    private static Shown Answer(char letter, int choice) =>
        new(Id(letter), Group, choice, "ann", Prompt("Write a tagline."), $"{letter} text of answer", true);

    private static Feedback Row(int sequence, Guid generation, string metric, string value, string user, string tags = "{}") => new()
    {
        Tags = tags,
        Sequence = sequence, Id = Id(5000 + sequence), Time = Given.Monday.AddSeconds(sequence), GenerationId = generation, Metric = metric,
        Value = value, User = user,
    };

    private static Conversation Prompt(string text) => new([Message.User(text)]);

    private static Guid Id(int n) => new($"00000000-0000-7000-8000-{n:d12}");

    private static string Write(CuratedExample row) => row.Drop is { } drop ? $"({drop})"
        : row.Kind == ExampleKind.Supervised ? $"text {Short(row.Preferred)}" : $"{Short(row.Preferred)} > {Short(row.Rejected!)}";

    private static string Short(string text) => text.EndsWith(" text of answer", StringComparison.Ordinal) ? text[..1] : text;
}
