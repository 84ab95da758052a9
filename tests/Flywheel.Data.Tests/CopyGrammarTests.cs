using CsCheck;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Data.Tests;

public sealed class CopyGrammarTests : IDisposable
{
    private const string Small =
        """
        words: {city: [Leeds, Oslo], number: [two, nine]}
        fields:
        - group: place
          nouns: [Bakery, Office=office shop]
          audience: [early risers]
          has: ["a {city} oven", "{n:2-9} tables", "an {number} cake"]
          does: ["opens in {city}", "bakes {number} loaves"]
          is: [open late, cheap]
          post: ["in {city}"]
          lets: [sit outside]
        sentences:
        - {at: open, text: "{Name} is {a kind} with {has}."}
        - {at: more, text: "It has {has}."}
        - {at: more, text: "It {does}."}
        - {at: more, text: "It is {is}."}
        - {at: more, text: "It is {post}."}
        - {at: more, text: "You can {lets}."}
        - {at: close, text: "Made for {audience}."}
        - {at: call, text: "Visit {Name}."}
        taglines:
        - {text: "{Name}: {a kind} with {has}"}
        """;

    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private CopyGrammar Load(string yaml)
    {
        File.WriteAllText(_folder["grammar.yaml"], yaml);
        return CopyGrammar.Load(_folder["grammar.yaml"], corpora: null);
    }

    /// <summary>The grammar that the first model learnt from; its lists are not lengthened here.</summary>
    private static CopyGrammar Real =>
        CopyGrammar.Load(Path.Combine(TestFiles.Root, "tasks", "copywriting", "grammar.yaml"), corpora: null);

    [Fact]
    public void Write_AnyOrder_SaysEveryFactAndTheNameAndNothingElse()
    {
        CopyGrammar grammar = Real;
        HashSet<string> frame =
            [.. grammar.Sentences.Concat(grammar.Taglines).SelectMany(sentence => Words(GrammarText.Slot().Replace(sentence.Text, " ")))];
        Gen.Int.Sample(seed =>
        {
            var composer = new CopyComposer(grammar, new Random(seed));
            CopyOrder order = composer.Order();
            string text = composer.Write(order, Brief.Description);
            foreach (TypedFact fact in order.Facts) Assert.Contains(fact.Text, text, StringComparison.OrdinalIgnoreCase);
            Assert.True(order.Facts.Count == 0 || text.Contains(order.Name, StringComparison.Ordinal),
                $"'{order.Name}' is not in '{text}'");
            HashSet<string> supported =
                [.. Words(string.Join(' ', [order.Name, order.Noun, order.Audience, .. order.Facts.Select(fact => fact.Text)])), "a", "an",
                    "is", .. frame];
            Assert.Empty(Words(text).Except(supported));
            Assert.True(text[^1] is '.' or '!' or '?' || text.Contains("\n- ", StringComparison.Ordinal), text);
        }, iter: 400);
    }

    [Fact]
    public void Write_Tagline_NamesWhatItIsAbout()
    {
        CopyGrammar grammar = Real;
        Gen.Int.Sample(seed =>
        {
            var composer = new CopyComposer(grammar, new Random(seed));
            CopyOrder order = composer.Order();
            string text = composer.Write(order, Brief.Tagline);
            Assert.Contains(order.Name, text, StringComparison.Ordinal);
            Assert.True(order.Facts.Count == 0 || order.Facts.Any(fact => text.Contains(fact.Text, StringComparison.OrdinalIgnoreCase))
                || text.Contains(order.Audience, StringComparison.Ordinal), text);
        }, iter: 400);
    }

    [Theory]
    [InlineData("One. Two. Three. Four.", "One. Two.")]
    [InlineData("One. Two.\n\nIn short:\n- A\n- B\n- C", "One.\n\nIn short:\n- A\n- B")]
    public void Half_OfAText_KeepsWholeSentencesAndPoints(string text, string expected) => Assert.Equal(expected, CopyComposer.Half(text));

    /// <summary>What two people would trip over: an article that does not fit its word, a word twice, a plural that is none.</summary>
    [Fact]
    public void Write_AnyOrder_HasNoWrongArticleAndNoDoubledWord()
    {
        CopyGrammar grammar = Real;
        Gen.Int.Sample(seed =>
        {
            var composer = new CopyComposer(grammar, new Random(seed));
            string text = composer.Write(composer.Order(), Brief.Ad);
            Assert.DoesNotMatch(
                @"\b[Aa] [aeio](?!ne\b|nce\b|u)|\b[Aa]n [bcdfgjklmnpqrstvwxz]|\b(a|an|the|is|with|it|that) \1\b|\ba (a|an|no)\b(?!-)|sss\b|[.!?]{2}|,,| [.,:;]", text);
        }, iter: 600);
    }

    [Theory]
    [InlineData("has", "a garden", "It has a garden.")]
    [InlineData("does", "opens late", "It opens late.")]
    [InlineData("no", "no music", "No music, for once.")]
    [InlineData("says", "dogs pay half", "At least dogs pay half.")]
    [InlineData("note", "cash only", "Good to know: cash only.")]
    [InlineData("lets", "sit outside", "Here you can sit outside.")]
    public void Write_FactOfEachForm_StandsInASentenceThatFitsIt(string form, string fact, string expected)
    {
        CopyGrammar grammar = Load(
            """
            fields: [{group: place, nouns: [Bakery], audience: [all]}]
            sentences:
            - {at: more, text: "It has {has}."}
            - {at: more, text: "It {does}."}
            - {at: more, text: "{No}, for once."}
            - {at: more, text: "At least {says}."}
            - {at: notes, text: "Good to know: {note}."}
            - {at: more, text: "Here you can {lets}."}
            taglines:
            - {text: "{Name}: {any}"}
            """);
        var order = new CopyOrder("Old Kiln", grammar.Fields[0], "Bakery", "bakery", "", "",
            [new TypedFact(Enum.Parse<FactForm>(form, ignoreCase: true), fact)]);
        Assert.Equal("Old Kiln is a bakery. " + expected, new CopyComposer(grammar, new Random(1)).Write(order, Brief.Description));
        Assert.Equal("Old Kiln: " + fact, new CopyComposer(grammar, new Random(1)).Write(order, Brief.Tagline));
    }

    [Fact]
    public void Load_CommonFacts_GoToTheFieldsOfTheirGroups()
    {
        CopyGrammar grammar =
            Load(Small.Replace("sentences:",
                "common:\n- {says: [the door sticks]}\n- {groups: [shop], note: [cash only]}\n- {groups: [place], no: [no lift]}\nsentences:", StringComparison.Ordinal));
        GrammarField field = Assert.Single(grammar.Fields);
        Assert.Equal("the door sticks||no lift",
            string.Join('|', field.Facts(FactForm.Says).Concat(["", .. field.Facts(FactForm.Note), .. field.Facts(FactForm.No)])));
    }

    [Fact]
    public void Read_SameSeed_GivesTheSameConversations()
    {
        CopyGrammar grammar = Real;
        string[] first = [.. GrammarSource.Read(grammar, 60, 1).Select(item => string.Join('\n', item.Examples[0].Texts))];
        Assert.Equal(first, GrammarSource.Read(grammar, 60, 1).Select(item => string.Join('\n', item.Examples[0].Texts)));
        Assert.NotEqual(first, GrammarSource.Read(grammar, 60, 2).Select(item => string.Join('\n', item.Examples[0].Texts)));
        string[] kinds =
            [.. GrammarSource.Read(grammar, 300, 1).Select(item => item.Examples[0].Texts.First().Split('\n')[0])
                .Where(line => line.StartsWith("Write a", StringComparison.Ordinal)).Distinct().Order()];
        Assert.Equal(["Write a description.", "Write a feature list.", "Write a post.", "Write a tagline.", "Write an ad.",
            "Write an e-mail."], kinds);
    }

    [Theory]
    [InlineData("{at: more,", "{at: amid,", "field 'at' of 'It has {has}.' is 'amid', expected open, more, close, notes or call")]
    [InlineData("It has {has}.", "It has {hat}.", "has the slot 'hat', expected name, kind")]
    [InlineData("a {city} oven", "a {town} oven",
        "'a {town} oven' asks for 'town', expected a list under words, coined, Coined or n:FROM-TO")]
    [InlineData("  lets: [sit outside]", "  let: [sit outside]", "line 10")]
    [InlineData("taglines:", "tags:", "line 20")]
    [InlineData("nouns: [Bakery, Office=office shop]", "nouns: []", "has no nouns or no audience")]
    public void Load_BadFile_SaysWhatAndWhere(string good, string bad, string expected)
    {
        var error = Assert.Throws<FlywheelException>(() => Load(Small.Replace(good, bad, StringComparison.Ordinal)));
        Assert.Contains("grammar.yaml", error.Message, StringComparison.Ordinal);
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Fill_WordsThatAskForIt_GetArticleAndPlural()
    {
        CopyGrammar grammar =
            Load(Small.Replace("[Leeds, Oslo]", "[orange]", StringComparison.Ordinal)
                .Replace("[two, nine]", "[peach]", StringComparison.Ordinal));
        Assert.Equal("an orange oven", GrammarText.Fill("a {city} oven", grammar, new Random(1)));
        Assert.Equal("ripe peaches", GrammarText.Fill("ripe {number}s", grammar, new Random(1)));
        Assert.Equal("a peach and an orange", GrammarText.Fill("an {number} and a {city}", grammar, new Random(1)));
        Assert.Equal("shelves, knives, leaves and potatoes, scarfs and reefs",
            GrammarText.Fill("shelfs, knifes, leafs and potatos, scarfs and reefs", grammar, new Random(1)));
        Assert.Equal("carries, plays, washes and mixes", GrammarText.Fill("carrys, plays, washs and mixs", grammar, new Random(1)));
        Assert.Matches("^[a-z]{4,} from [A-Z][a-z]{3,}$", GrammarText.Fill("{coined} from {Coined}", grammar, new Random(1)));
        Assert.Equal(["a unicorn", "an hour", "a one-way street", "an owl", "an unpaved road"],
            new[] { "unicorn", "hour", "one-way street", "owl", "unpaved road" }.Select(GrammarText.WithArticle));
    }

    [Fact]
    public void Draw_ManyNames_HaveManyShapes()
    {
        string[] names = [.. Enumerable.Range(0, 2000).Select(seed => InventedName.Draw(new Random(seed)))];
        Assert.True(names.Distinct().Count() > 1800);
        Assert.Equal([1, 2, 3, 4], names.Select(name => name.Split(' ').Length).Distinct().Order());
        Assert.Contains(names, name => name.Any(char.IsDigit));
        Assert.Contains(names, name => !name.Any(char.IsUpper) && name.Any(char.IsAsciiLetter));
        Assert.Contains(names, name => name.Any(c => c is >= '\u4e00' and <= '\u9fff'));
        Assert.DoesNotContain(names, name => name != name.Trim() || name.Contains('\n', StringComparison.Ordinal));
    }

    [Fact]
    public void Ask_EveryForm_KeepsAllThatTheBriefSays()
    {
        var brief = new Brief("Old Kiln", Brief.Description, ["opens at six", "on Mill Lane"], ["Bakery"], "early risers", "warm", "short");
        string[] asked = [.. Enumerable.Range(0, 300).Select(seed => BriefForms.Ask(brief, new Random(seed)).Text)];
        Assert.True(asked.Distinct().Count() > 30);
        foreach (string text in asked)
            foreach (string part in (string[])["Write a description.", "Name: Old Kiln", "opens at six", "on Mill Lane", "Bakery",
                "Audience: early risers", "Tone: warm", "Length: short"])
                Assert.Contains(part, text, StringComparison.OrdinalIgnoreCase);
    }

    [Theory]
    [InlineData("[a] roof terrace", "a roof terrace", "roof terrace", "a")]
    [InlineData("lessons [are] included", "lessons are included", "lessons included", "are")]
    [InlineData("opens at six", "opens at six", "opens at six", "")]
    public void TypedFact_WordInBrackets_IsSaidAndNotTyped(string written, string text, string typed, string left)
    {
        TypedFact fact = TypedFact.Of(FactForm.Has, written);
        Assert.Equal((text, typed, left), (fact.Text, fact.Typed, fact.Left));
    }

    private static IEnumerable<string> Words(string text) => TextCleaner.Normalise(text).Split(' ', StringSplitOptions.RemoveEmptyEntries);
}
