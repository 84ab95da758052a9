using System.Formats.Tar;
using System.IO.Compression;
using System.Text.RegularExpressions;
using CsCheck;
using Flywheel.Data;
using Flywheel.Engine;
using Flywheel.Loop.Ranking;
using Flywheel.Model;
using Flywheel.Testing;
using Flywheel.Training;

namespace Flywheel.Loop.Tests;

public class DraftRankerTests
{
    private static readonly Brief Kiln = new("Old Kiln 2", Brief.Description, ["opens at six", "sourdough bread from Leeds"], ["Bakery"],
        "early risers");

    private const string Good = "Old Kiln 2 is a bakery with sourdough bread from Leeds. It opens at six.";

    private static readonly string[] OddNames =
    [
        "pebbl.notes", "Yippee!", "Dr. Oetting", "St. Mary's", ".NET Days", "C#", "7-Acre", "Hobbs & Sons", "青竹", "Wo?", "A.B.C.",
        "mr. fox", "Is it", "The End.", "x", "Ñandú", "$1 (Shop)", "No. 9", "e.g.", "Opens", "Ltd.", "O'Neil's", "日本. Bar", "[a] tent",
    ];

    /// <summary>Whatever it is called, a draft is judged as if it had a plain name.</summary>
    [Fact]
    public void Rank_NamesOfManyShapes_JudgeDraftsAsWithAPlainName()
    {
        string[] drafts =
        [
            "NAME is a bakery with sourdough bread from Leeds. It opens at six.",
            "A bakery that opens at six: that is NAME has sourdough bread from Leeds.",
            "NAME, a bakery with sourdough bread from Leeds. It opens at six.",
            "With sourdough bread from Leeds, NAME opens at six.", "Come to NAME also opens at six. It has sourdough bread from Leeds.",
            "Meet NAME. It opens at six, and you can opens at six.", "For early risers: NAME is the Bakery. NAME opens at six.",
            "Why NAME? It opens at six.",
        ];
        IReadOnlyList<RankedDraft> Rank(string name) =>
            DraftRanker.Rank(Kiln with { Name = name },
                [.. drafts.Select(text => new Draft(text.Replace("NAME", name, StringComparison.Ordinal), true, -0.5))]);
        string[] sentences = ["agreement", "bare", "capitals", "connectives", "form", "fragment", "kind", "name", "labels", "run-on",
            "verbless"];
        RankedDraft[] plain = [.. Rank("Kestrel").OrderBy(draft => draft.Index)];
        Gen<string> any =
            Gen.OneOf(Gen.Int[0, OddNames.Length - 1].Select(i => OddNames[i]),
                Gen.String[Gen.Char["abcAB .!?'&-#9青$("], 1, 12].Select(text => text.Trim()))
            .Where(name => name.Any(char.IsLetterOrDigit) && !name.Contains("  ", StringComparison.Ordinal)
                && !drafts.Any(text =>
                    text.Replace("NAME", "", StringComparison.Ordinal).Contains(name, StringComparison.OrdinalIgnoreCase)));
        foreach (string name in OddNames) Check(name);
        any.Sample(Check, iter: 200);

        void Check(string name)
        {
            foreach (RankedDraft draft in Rank(name))
                foreach (string part in sentences)
                    Assert.True(plain[draft.Index].Parts[part] == draft.Parts[part],
                        $"'{name}' in '{drafts[draft.Index]}': {part} is {draft.Parts[part]}, with a plain name {plain[draft.Index].Parts[part]}");
        }
    }

    /// <summary>A fact that is asked for as a note stands behind a label or as a point, and in no sentence.</summary>
    [Theory]
    [InlineData("It has all tools lent.", "Good to know: all tools lent.", "form")]
    [InlineData("You can all tools lent.", "In short:\n- All tools lent\n- Cash only", "form")]
    [InlineData("All tools lent.", "One more thing: all tools lent.", "fragment")]
    [InlineData("In short:\n- all tools lent\n- Cash only", "In short:\n- All tools lent\n- Cash only", "lines")]
    [InlineData("In short:\n- All tools lent\n- Hands on from the news", "In short:\n- All tools lent\n- Cash only", "lines")]
    public void Rank_Note_StandsApart(string worse, string better, string part)
    {
        Brief brief = Kiln with { Facts = ["note: all tools lent", "note: cash only"], Audience = "" };
        IReadOnlyList<RankedDraft> ranked = DraftRanker.Rank(brief,
            [.. new[] { worse, better }.Select(text => new Draft($"Old Kiln 2 is a bakery. {text}", true, -0.5))]);
        Assert.Equal(1, ranked[0].Index);
        Assert.True(ranked[0].Parts[part] > ranked[1].Parts[part], $"{ranked[0].Parts[part]} {ranked[1].Parts[part]}");
        Assert.Equal(0, ranked[0].Parts["form"]);
        Assert.Equal(0, ranked[0].Parts["complete"]);
    }

    [Theory]
    [InlineData("Old Kiln 2 is a bakery with sourdough bread from Leeds. It opens at six.", true, 1.0, "")]
    [InlineData("Old kiln 2 is a bakery that opens at six.", false, 0.5, "")]
    [InlineData("Old Kiln 22 opens at six.", false, 0.5, "22")]
    [InlineData("At Old Kiln 2, the bakery opens at seven in Bergen.", true, 0.0, "seven Bergen")]
    [InlineData("Six! Old Kiln 2 opens then.", true, 0.5, "")]
    public void Metrics_KnownText_CountWhatWasCopied(string text, bool name, double recall, string foreign)
    {
        CopyMetrics metrics = CopyMetrics.Of(Kiln, text);
        Assert.Equal((name, recall, foreign), (metrics.NameExact, metrics.FactRecall, string.Join(' ', metrics.Foreign)));
    }

    [Theory]
    [InlineData("Young Kiln is a bakery with sourdough bread from Leeds. It opens at six.", "name")]
    [InlineData("Old Kiln 2 is a bakery. It opens at six.", "facts")]
    [InlineData("Old Kiln 2 is a bakery with sourdough bread from Leeds and Bergen. It opens at six.", "foreign")]
    [InlineData("Old Kiln 2 is a bakery with sourdough bread from Leeds. It opens at six with", "complete")]
    [InlineData("Old Kiln 2 is a bakery with sourdough bread from Leeds. It opens at six. It opens at six.", "repetition")]
    [InlineData("Old Kiln 2 is a bakery with sourdough bread from Leeds. It opens gently at six beside marble fountains.", "unsupported")]
    [InlineData("Old Kiln 2 is a bakeries with sourdough bread from Leeds. It opens at six.", "agreement")]
    [InlineData("Old Kiln 2 is an bakery with sourdough bread from Leeds. It opens at six.", "agreement")]
    [InlineData("Old Kiln 2 is a bakery with sourdough bread from Leeds. It opens at six. And it opens at six.", "twice")]
    [InlineData("Old Kiln 2 is a bakery with sourdough bread from Leeds. You can opens at six.", "form")]
    [InlineData("Old Kiln 2 is a bakery with sourdough bread from Leeds. It has opens at six.", "form")]
    [InlineData("Old Kiln 2 is a bakery with sourdough bread from Leeds. Good to know: opens at six.", "labels")]
    [InlineData("Old Kiln 2 is a bakery with sourdough bread from Leeds. It hut at six.", "strange")]
    [InlineData("Old Kiln 2 is a bakery with bread from sourdough Leeds. It opens at six.", "facts")]
    [InlineData("Old Kiln 2 is a Bakery with sourdough bread from Leeds. It opens at six.", "kind")]
    [InlineData("Old Kiln 2 is a bakery with sourdough bread from Leeds. It is a bakery. It opens at six.", "kind")]
    [InlineData("Old Kiln 2, a bakery with sourdough bread from Leeds. It opens at six.", "verbless")]
    [InlineData("Early risers, early risers: Old Kiln 2 is a bakery with sourdough bread from Leeds. It opens at six.", "audience")]
    [InlineData("Discover Old Kiln 2 has sourdough bread from Leeds. The bakery opens at six.", "run-on")]
    [InlineData("Here is Old Kiln 2 has sourdough bread from Leeds. The bakery opens at six.", "run-on")]
    [InlineData("At Old Kiln 2 is a bakery with sourdough bread from Leeds. It opens at six.", "run-on")]
    [InlineData("Looking for sourdough bread is from Leeds? Old Kiln 2 is a bakery. It opens at six.", "question")]
    [InlineData("Old Kiln 2 is a bakery. Here, sourdough bread from Leeds. It opens at six.", "fragment")]
    [InlineData("Say hello to Old Kiln 2, a bakery? It has sourdough bread from Leeds. It opens at six.", "question")]
    [InlineData("Old Kiln 2 is a bakery that comes with no sourdough bread from Leeds. It opens at six.", "praise")]
    [InlineData("Old Kiln 2 is a bakery with sourdough bread from Leeds. It opens at six. Plus, it is.", "fragment")]
    [InlineData("Old Kiln 2 is a bakery with sourdough bread from Leeds. It opens at six. Best of all, it is in Leeds.", "praise")]
    [InlineData("Good news for early risers? Old Kiln 2 is a bakery with sourdough bread from Leeds. It opens at six.", "question")]
    [InlineData("Meet Old Kiln 2, a bakery for you. It has sourdough bread from Leeds. It opens at six.", "frame")]
    [InlineData("Old Kiln 2 is a bakery with sourdough bread from Leeds. It opens at six. Perfect fun for early risers.", "frame")]
    [InlineData("With sourdough bread from Leeds, Old Kiln 2. The bakery opens at six.", "verbless")]
    [InlineData("What makes Old Kiln 2. The bakery has sourdough bread from Leeds. It opens at six.", "verbless")]
    [InlineData("This is Come to Old Kiln 2, a bakery with sourdough bread from Leeds. It opens at six.", "capitals")]
    [InlineData("On top of that, Old Kiln 2 is a bakery with sourdough bread from Leeds. On top of that, it opens at six.", "connectives")]
    [InlineData("", "empty")]
    public void Rank_OneFault_StandsBehindAndSaysWhy(string faulty, string part)
    {
        IReadOnlyList<RankedDraft> ranked = DraftRanker.Rank(Kiln, [new Draft(faulty, true, -0.5), new Draft(Good, true, -0.5)]);
        Assert.Equal([1, 0], ranked.Select(draft => draft.Index));
        double Part(RankedDraft draft) => draft.Parts.GetValueOrDefault(part);
        Assert.True(Part(ranked[1]) < Part(ranked[0]), $"{part}: {Part(ranked[1])} and {Part(ranked[0])}");
    }

    [Theory]
    [InlineData("hot showers", "It is hot showers.", "It has hot showers.")]
    [InlineData("34 rooms", "It is also 34 rooms.", "You will find 34 rooms.")]
    [InlineData("34 rooms", "It 34 rooms.", "Guests enjoy 34 rooms.")]
    [InlineData("vegetables from its own field", "Enjoy a vegetables from its own field.", "Enjoy vegetables from its own field.")]
    [InlineData("dogs may bark", "It also has dogs may bark.", "It has a yard, and dogs may bark.")]
    [InlineData("a round lasts an hour", "It comes with a round lasts an hour.", "Good to know: a round lasts an hour.")]
    [InlineData("writes in verse", "You can writes in verse.", "It writes in verse.")]
    [InlineData("writes in verse", "Add to that a writes in verse.", "What is more, it writes in verse.")]
    [InlineData("made of oak", "It comes with made of oak.", "It is made of oak.")]
    [InlineData("made of oak", "It has a bench and made of oak.", "It has a bench and is made of oak.")]
    [InlineData("open until nine", "It open until nine.", "It is open until nine.")]
    [InlineData("steam room", "It is steam room.", "It has a steam room.")]
    [InlineData("groups of six", "You can also groups of six.", "It has groups of six.")]
    [InlineData("50 levels", "And you can 50 levels.", "It has 50 levels.")]
    [InlineData("dog friendly", "Visit us.", "It is dog friendly.")]
    [InlineData("never heated", "Honey with herbs and never heated.", "Honey that is never heated.")]
    [InlineData("unwrapped", "It comes with unwrapped.", "It is unwrapped.")]
    [InlineData("two to four players", "It is two to four players.", "Good to know: two to four players.")]
    [InlineData("photographs by local artists", "A gallery that photographs by local artists.",
        "You will find photographs by local artists.")]
    [InlineData("native teachers", "Best of all, it native teachers.", "Enjoy native teachers.")]
    [InlineData("hums in the dark", "Visit us.", "It hums in the dark.")]
    [InlineData("rare ferns", "It rare ferns.", "Add to that rare ferns.")]
    [InlineData("set of eleven sieves", "Visit us.", "It has a set of eleven sieves.")]
    [InlineData("folds, clicks and hums", "You can folds, clicks and hums.", "A lamp that folds, clicks and hums.")]
    [InlineData("edit text", "It is edit text.", "You can edit text.")]
    [InlineData("edit photos", "It is edit photos.", "You can edit photos.")]
    [InlineData("paints walls", "It has it.", "It paints walls.")]
    [InlineData("5 minutes from the pier", "Visit us.", "It is 5 minutes from the pier.")]
    [InlineData("45 minutes a round", "It is also 45 minutes a round.", "Good to know: 45 minutes a round.")]
    [InlineData("vegan filling", "It is a vegan filling.", "It has a vegan filling.")]
    [InlineData("shines for 30 hours", "It has shines for 30 hours.", "It shines for 30 hours.")]
    [InlineData("resoles boots by hand", "It has resoles boots by hand.", "It resoles boots by hand.")]
    [InlineData("listening booths", "You can also listening booths.", "It has listening booths.")]
    [InlineData("guided tours every hour", "It has a guided tours every hour.", "It has guided tours every hour.")]
    [InlineData("packed in oil", "Add to that packed in oil.", "It is packed in oil.")]
    [InlineData("visit the brewery", "Visit us.", "You can visit the brewery.")]
    [InlineData("seat for two", "Enjoy it.", "It has a seat for two.")]
    [InlineData("ten minutes from the ski lift", "It has ten minutes from the ski lift.", "It is ten minutes from the ski lift.")]
    [InlineData("open until nine", "You can also open until nine.", "It is open until nine.")]
    [InlineData("swims by itself", "Go on, swims by itself!", "It swims by itself!")]
    [InlineData("20 minutes", "It is 20 minutes.", "Good to know: 20 minutes.")]
    [InlineData("early swim from six", "It is also early swim from six.", "It also has early swim from six.")]
    [InlineData("suits made to measure", "Best of all, it is suits made to measure.", "Enjoy suits made to measure.")]
    [InlineData("flags overtime before it happens", "It also has flags overtime before it happens.",
        "It flags overtime before it happens.")]
    [InlineData("identifies a plant from a photo", "An app with identifies a plant from a photo.",
        "An app that identifies a plant from a photo.")]
    [InlineData("trims claws", "You will love trims claws.", "And it trims claws.")]
    [InlineData("free entry", "It is also free entry.", "It has free entry.")]
    [InlineData("dark and light themes", "It has a dark and light themes.", "It has dark and light themes.")]
    [InlineData("loud enough for a hall", "It has loud enough for a hall.", "It is loud enough for a hall.")]
    [InlineData("choirs sing at dusk", "It comes with choirs sing at dusk.", "Here, choirs sing at dusk.")]
    [InlineData("lunch is cooked on site", "Enjoy a garden and lunch is cooked on site.", "It has a garden, and lunch is cooked on site.")]
    [InlineData("we work with ash", "A joiner that we work with ash.", "Here, we work with ash.")]
    [InlineData("gluten-free cakes", "A shop that opens at six and gluten-free cakes.",
        "A shop that opens at six and has gluten-free cakes.")]
    [InlineData("next to the port", "It sleeps four and next to the port.", "It sleeps four and is next to the port.")]
    [InlineData("every Friday", "It has every Friday.", "It is every Friday.")]
    public void Misfits_FactInAFrame_AreCountedWhereTheFormDoesNotFit(string fact, string bad, string good)
    {
        Assert.Equal(bad.Contains(fact, StringComparison.Ordinal) ? 1 : 0, FactFrames.Misfits([fact], bad));
        Assert.Equal(0, FactFrames.Misfits([fact], good));
    }

    [Theory]
    [InlineData("rooftop bar", "It has rooftop bar.", "It has a rooftop bar.")]
    [InlineData("large garden with swings", "Enjoy large garden with swings.", "Enjoy the large garden with swings.")]
    [InlineData("free parking", "", "It has free parking.")]
    [InlineData("34 rooms", "", "It has 34 rooms.")]
    public void MissingArticles_OneOfSeveralThings_WantsOne(string fact, string bad, string good) =>
        Assert.Equal((bad.Length > 0 ? 1 : 0, 0), (FactFrames.MissingArticles([fact], bad), FactFrames.MissingArticles([fact], good)));

    [Theory]
    [InlineData("Honey never heated.", "Honey is never heated.")]
    [InlineData("Honey is an umbrella withstands wind.", "Honey is an umbrella that withstands wind.")]
    public void Misfits_NameOrCategoryBefore_CountsAsSubjectOrNoun(string bad, string good)
    {
        var brief = new Brief("Honey", Brief.Description, ["never heated", "withstands wind"], ["Umbrella"]);
        Assert.Equal((1, 0), (FactFrames.Misfits(brief, bad), FactFrames.Misfits(brief, good)));
    }

    [Fact]
    public void Rank_WordsThatTheModelFoundUnlikely_CountUnlessTheyAreTheBriefs()
    {
        SampledToken Token(string text, float logprob) => new(1, logprob, 0, text, []);
        Draft forced = Draft.Of([Token("Old Kiln 2", -9), Token(" opens at six", -9), Token(".", -9)], true),
            lost = Draft.Of([Token("Old Kiln 2", -1), Token(" opens", -1), Token(" wow", -8), Token(" at six.", -1)], true);
        Assert.Equal((0.0, -2.5), (DraftRanker.Rank(Kiln, [forced])[0].Parts["unlikely"],
            DraftRanker.Rank(Kiln, [lost])[0].Parts["unlikely"]));
    }

    [Fact]
    public void Rank_EqualOpenings_DoNotStandTogether()
    {
        Draft[] drafts =
        [
            new("Old Kiln 2 is a bakery with sourdough bread from Leeds. It opens at six.", true, -0.1),
            new("Old Kiln 2 is a bakery for early risers. It opens at six. You will find sourdough bread from Leeds.", true, -0.1),
            new("Early risers, sourdough bread from Leeds! The bakery Old Kiln 2 opens at six.", true, -0.6),
        ];
        IReadOnlyList<RankedDraft> ranked = DraftRanker.Rank(Kiln, drafts);
        Assert.Equal(2, ranked[1].Index);
        Assert.Equal(-0.5, ranked[2].Parts["opening"]);
    }

    [Theory]
    [InlineData("- Opens at six\n- A vegan menu\n- For early risers", 0)]
    [InlineData("- opens at six\n- Vegan menu", 1)]
    [InlineData("- Opens at six\n- Opens at six", 1)]
    [InlineData("- Imagine a bakery that opens at six\n- A vegan menu", 1)]
    public void StrangeLines_FeatureList_CountsWhatIsNoFact(string text, int expected) =>
        Assert.Equal(expected,
            FactFrames.StrangeLines(new Brief("Kiln", Brief.Features, ["it opens at six", "has a vegan menu"], ["Bakery"], "early risers"),
                text));

    [Theory]
    [InlineData("Kiln has kippers on request.", 0)]
    [InlineData("Kiln is a bakery. Kippers on request.", 1)]
    [InlineData("Kiln is a bakery! kippers on request.", 1)]
    [InlineData("With Kippers on request, Kiln is a bakery.", 1)]
    public void Fragments_Description_CountsWhatIsNoSentence(string text, int expected) =>
        Assert.Equal(expected, FactFrames.Fragments(new Brief("Kiln", Brief.Description, ["has kippers on request"], ["Bakery"]), text));

    [Theory]
    [InlineData("Kiln opens at six\n\nKiln opens at six. It has a vegan menu. Come to Kiln.", "echo")]
    [InlineData("Kiln opens at six\n\nWhy Kiln? It is not open on Sundays, and it has a vegan menu.", "reason")]
    public void Rank_AdThatRepeatsItselfOrPraisesADrawback_LosesForIt(string text, string part)
    {
        var brief = new Brief("Kiln", Brief.Ad, ["it opens at six", "has a vegan menu", "it is not open on Sundays"], ["Bakery"]);
        Assert.True(PartOf(text) < 0);
        Assert.Equal(0, PartOf("Kiln opens at six\n\nKiln is a bakery with a vegan menu. It is not open on Sundays."));
        double PartOf(string draft) => DraftRanker.Rank(brief, [new Draft(draft, true, -0.1)])[0].Parts[part];
    }

    /// <summary>Copy that is right by construction is the oracle: the ranking must find no fault with it.</summary>
    [Fact]
    public void Rank_ComposedCopy_HasHardlyAFault()
    {
        using var folder = new TempFolder();
        string grammar = Path.Combine(TestFiles.Root, "tasks", "copywriting", "grammar.yaml");
        WriteCorpora(folder, grammar);
        var recipe = new Recipe { Name = "oracle", Base = "base",
            Data = [new() { Source = "grammar", As = "copy", Path = grammar, Limit = 400 }],
            Train = new() { Objective = "supervised", Epochs = 1 } };
        int texts = 0, strange = 0, misfits = 0, twice = 0;
        List<string> faulty = [];
        foreach (Conversation conversation in DataCollection.Collect(recipe, folder.Path, new FlywheelHome(folder.Path))
            .Items(Flywheel.Data.Split.Train).SelectMany(item => item.Examples).Cast<ConversationExample>()
            .Select(example => example.Conversation))
        {
            if (conversation.Messages.Count != 2
                || Brief.Find(new Conversation([conversation.Messages[0]])) is not { Kind: Brief.Description, Facts.Count: > 0,
                    Categories.Count: > 0 } brief) continue;
            string text = conversation.Messages[1].Text;
            CopyMetrics metrics = CopyMetrics.Of(brief, text);
            texts++;
            strange += metrics.Strange.Count > 0 ? 1 : 0;
            twice += metrics.Twice;
            misfits += FactFrames.Misfits(brief.Facts, text);
            if (metrics.Strange.Count > 0 || FactFrames.Misfits(brief.Facts, text) > 0)
                faulty.Add(
                    $"{string.Join(' ', metrics.Strange)} | {string.Join("; ", brief.Facts.Where(fact => FactFrames.Misfits([fact], text) > 0))} | {text} | {string.Join("; ", brief.Facts)}");
        }
        Assert.True(texts > 80, $"{texts} texts");
        Assert.True(strange <= texts / 50 && twice == 0 && misfits <= texts / 15,
            $"{texts} texts: {strange} with strange words, {twice} facts twice, {misfits} facts where they do not fit:\n{string.Join('\n', faulty)}");
    }

    /// <summary>The word lists that the grammar asks for, each of one word.</summary>
    private static void WriteCorpora(TempFolder folder, string grammar)
    {
        Directory.CreateDirectory(Path.Combine(folder.Path, "sources", "corpora"));
        using var archive = new TarWriter(new GZipStream(File.Create(Path.Combine(folder.Path, "sources", "corpora", "corpora.tar.gz")),
            CompressionLevel.Fastest));
        foreach (Match list in Regex.Matches(File.ReadAllText(grammar), @"^  \w+: (\w+/\S+\.json)$", RegexOptions.Multiline))
            archive.WriteEntry(new PaxTarEntry(TarEntryType.RegularFile,
                "data/" + list.Groups[1].Value) { DataStream = new MemoryStream("[\"crocus\"]"u8.ToArray()) });
    }

    [Fact]
    public void Rank_CutOrUnlikelyText_StandsBehind()
    {
        Assert.Equal(1, DraftRanker.Rank(Kiln, [new Draft(Good, false, -0.1), new Draft(Good, true, -0.1)])[0].Index);
        Assert.Equal(1, DraftRanker.Rank(Kiln, [new Draft(Good, true, -1.5), new Draft(Good, true, -0.1)])[0].Index);
        Assert.Equal(1, DraftRanker.Rank(null, [new Draft("Yes yes yes yes", true, -0.1), new Draft("It is late.", true, -0.1)])[0].Index);
    }

    [Fact]
    public void Rank_EqualTexts_ComeBehindAnother()
    {
        IReadOnlyList<RankedDraft> ranked = DraftRanker.Rank(Kiln,
            [new Draft(Good, true, -0.1), new Draft(Good, true, -0.1),
                new Draft("Early risers like Old Kiln 2. It opens at six with sourdough bread from Leeds.", true, -0.2)]);
        Assert.Equal(2, ranked[1].Index);
    }

    /// <summary>Whatever texts come: each once, scores are sums of their parts, the same again for the same drafts, and the best stays so
    /// in another order.</summary>
    [Fact]
    public void Rank_AnyDrafts_IsAPermutationThatNeedsNoOrder()
    {
        Gen<Draft> draft =
            Gen.Select(
                Gen.OneOf(Gen.String,
                    Gen.Int[0, 5].Array[0, 12].Select(numbers =>
                        string.Join(' ', numbers.Select(number => new[] { "Old", "Kiln", "opens", "at", "six.", "Leeds" }[number])))),
                        Gen.Bool, Gen.Double[-9, 0], (text, ended, likely) => new Draft(text, ended, likely));
        draft.Array[0, 9].Sample(drafts =>
        {
            IReadOnlyList<RankedDraft> ranked = DraftRanker.Rank(Kiln, drafts);
            Assert.Equal(Enumerable.Range(0, drafts.Length), ranked.Select(entry => entry.Index).Order());
            Assert.All(ranked, entry => Assert.Equal(entry.Score, entry.Parts.Values.Sum(), 9));
            Assert.Equal(ranked.Select(entry => entry.Index), DraftRanker.Rank(Kiln, drafts).Select(entry => entry.Index));
            if (drafts.Length == 0) return;
            IReadOnlyList<RankedDraft> reversed = DraftRanker.Rank(Kiln, [.. drafts.Reverse()]);
            Assert.Equal(ranked[0].Score, reversed[0].Score, 9);
        }, iter: 300);
    }

    [Fact]
    public void Find_AnyBrief_IsWhatItsConversationStates()
    {
        Gen<string> word = Gen.Char["abc é7&"].Array[1, 8].Select(characters => new string(characters).Trim())
            .Where(text => text.Length > 0);
        Gen.Select(word, Gen.Int[0, Brief.Kinds.Count - 1].Select(i => Brief.Kinds[i]), word.Array[0, 3], word.Array[0, 2], word,
            (name, kind, facts, categories, audience) => new Brief(name, kind, facts, categories, audience, "warm")).Sample(brief =>
        {
            Brief? found = Brief.Find(brief.ToConversation());
            Assert.NotNull(found);
            Assert.Equal(brief.ToConversation().Messages[0].Text, found.ToConversation().Messages[0].Text);
        }, iter: 200);
        Assert.Null(Brief.Find(new Conversation([Message.User("Write a poem.\nName: X")])));
        Assert.Null(Brief.Find(new Conversation([Message.User("Hello")])));
    }
}
