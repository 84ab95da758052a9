using System.Text.RegularExpressions;
using Flywheel.Data;
using Flywheel.Engine;
using Flywheel.Loop.Ranking;
using Flywheel.Loop.Tasks;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Loop.Tests;

public class DraftWordsTests
{
    private static readonly ModelFolder First = ModelFolder.Open(Path.Combine(TestFiles.Root, "models", "first"));

    /// <summary>Briefs of every odd shape, at a temperature at which weights no longer count: each word is the list's or the brief's,
    /// numbers and name are the brief's.</summary>
    [Fact]
    public async Task Draft_AnyWeights_HasOnlyWordsOfListAndBrief()
    {
        Brief[] briefs =
        [
            new("Hostel Papaya", Brief.Description, ["rooftop bar", "dormitories with six beds", "from 19 euros a night"], ["Hostel"],
                "backpackers", "playful"),
            new("X", Brief.Description, [], []),
            new("O'Hara's \"Best\" & Co. 🥐", Brief.Post,
                ["don't miss the chef's table", "1,000 pieces (boxed)", "25-metre lanes", "Wi‑Fi 6E at 2.4 GHz", "50 % off"],
                ["USB hub", "Christmas market"], "people who can't wait"),
            new("青藤", Brief.Email, ["oolong from Fujian", "Roasted on Tuesdays."], ["Tea house"]),
            new("snaplist", Brief.Features, ["shares lists", "has a pool", "you can pay by card", "it is heavy"],
                ["Crackers", "Music software"], "families", "formal", "short"),
            new("-[x]\\", Brief.Tagline, ["a\tb", "\ud800", "]^-\\"], ["\u0007"]),
        ];
        await using InferenceEngine engine = InferenceEngine.Load(First, new EngineOptions { Threads = 2 });
        foreach (Brief brief in briefs)
        {
            string? grammar = DraftWords.GrammarOf(brief.ToConversation(), First);
            Assert.NotNull(grammar);
            string said = string.Join(' ', [brief.Name, .. brief.Facts, .. brief.Categories, brief.Audience]);
            HashSet<string> known = [.. DraftWords.Known.SelectMany(Parts), .. Parts(said), "a", "an", "s", "the", "your", "our", "this",
                "of", "program", "tool", "service", "brand", "box", "pair", "set"];
            foreach (string category in brief.Categories) known.Add(string.Concat(category.ToLowerInvariant().Where(char.IsLetterOrDigit)));
            for (ulong draft = 0; draft < 4; draft++)
            {
                var request = new GenerationRequest { PromptTokens = First.ChatTemplate.Prompt(brief.ToConversation()), MaxTokens = 40,
                    Sampler = new() { Temperature = draft == 0 ? 0 : 40, Seed = draft, Grammar = grammar } };
                GenerationStream stream = engine.Submit(request);
                string text = "";
                await foreach (SampledToken token in stream.Tokens) text += token.Text;
                string[] words = Parts(text);
                if (stream.FinishReason == FinishReason.Length && words.Length > 0) words = words[..^1];
                Assert.All(words,
                    word => Assert.True(known.Contains(word) || known.Contains(word + "s") || known.Contains(word + "es"),
                        $"'{word}' of '{text}', asked for {said}"));
                Assert.All(words.Where(word => word.Any(char.IsDigit)), number => Assert.Contains(number, Parts(said)));
            }
        }
    }

    private static string[] Parts(string text) =>
        [.. Regex.Matches(text.ToLowerInvariant(), @"[\p{L}\p{N}]+").Select(match => match.Value)];

    [Fact]
    public void GrammarOf_OtherLanguageRequestOrModel_IsNone()
    {
        var brief = new Brief("Olmo", Brief.Description, ["a pool"], ["Hotel"]);
        Assert.NotNull(DraftWords.GrammarOf(brief.ToConversation(), First));
        Assert.Null(DraftWords.GrammarOf((brief with { Facts = ["有泳池"] }).ToConversation(), First));
        Assert.Null(DraftWords.GrammarOf((brief with { Audience = "для семьи" }).ToConversation(), First));
        Assert.Null(DraftWords.GrammarOf((brief with { Language = "French" }).ToConversation(), First));
        Assert.NotNull(DraftWords.GrammarOf((brief with { Name = "青藤" }).ToConversation(), First));
        Assert.Null(DraftWords.GrammarOf((brief with { Name = "" }).ToConversation(), First));
        Assert.Null(DraftWords.GrammarOf(new Conversation([Message.User("Hello")]), First));
        using var folder = new TempFolder();
        foreach (string file in Directory.GetFiles(First.Path)) File.Copy(file, folder[Path.GetFileName(file)]);
        File.Delete(folder["flywheel.json"]);
        Assert.Null(DraftWords.GrammarOf(brief.ToConversation(), ModelFolder.Open(folder.Path))); // nobody says what it was trained for
    }

    /// <summary>"Kestrel: the a tea house" was a first draft of a brief that said "a tea house".</summary>
    [Theory]
    [InlineData("a tea house", "tea house")]
    [InlineData("An Atelier", "Atelier")]
    [InlineData("The usual suspects", "usual suspects")]
    [InlineData("a", "a")]
    public void GrammarOf_CategoryWithArticle_AllowsWhatItAllowsWithout(string typed, string bare)
    {
        string? Of(string category) =>
            DraftWords.GrammarOf(new Brief("Kestrel", Brief.Tagline, ["forty kinds of tea"], [category]).ToConversation(), First);
        Assert.Equal(Of(bare), Of(typed));
    }

    /// <summary>The page, the API of tasks and the evaluation ask by the same grammar.</summary>
    [Fact]
    public void TaskAsk_Copywriting_AsksForTheSameGrammarAsThePage()
    {
        TaskFolder task = TaskFolder.Open(Path.Combine(TestFiles.Root, "tasks", "copywriting"));
        var brief = new Brief("Olmo", Brief.Tagline, ["folding desk", "made of ash"], ["Furniture"], "students");
        TaskAsk ask =
            TaskAsk.For(task,
                task.Check(new Dictionary<string, string> { ["kind"] = "tagline", ["name"] = "Olmo",
                    ["facts"] = "folding desk\nmade of ash", ["categories"] = "Furniture", ["audience"] = "students" }), First,
                    new SamplerOptions());
        Assert.Equal(DraftWords.GrammarOf(brief.ToConversation(), First), ask.Sampler.Grammar);
        Assert.Equal(DraftWords.Known, task.Words);
    }

    [Fact]
    public void GrammarOf_TaskThatIsNoBrief_AllowsWhatTheRequestSays()
    {
        using var folder = new TempFolder();
        Directory.CreateDirectory(folder["greeting"]);
        File.WriteAllText(Path.Combine(folder["greeting"], "words.txt"), "# common\nhello, good day\nyou\n");
        File.WriteAllText(Path.Combine(folder["greeting"], TaskFolder.FileName),
            "name: greeting\ntitle: {en: G, zh-CN: G}\nabout: {en: G, zh-CN: G}\nlicence: Apache-2.0\nfields:\n  - {name: who, label: {en: W, zh-CN: W}}\noutput: {words: words.txt}\nform: {ask: \"Greet {{ who }}.\"}\n");
        TaskFolder task = TaskFolder.Open(folder["greeting"]);
        Assert.Equal(["hello", "good day", "you"], task.Words);
        Conversation ask = task.Ask(task.Check(new Dictionary<string, string> { ["who"] = "Zoë (twice)" }));
        Assert.Null(DraftWords.GrammarOf(task, ask, First)); // it was not trained for that one
    }

    /// <summary>What people teach is allowed from then on, and is not strange to the ranking; names and what a brief says are no words that
    /// were learnt.</summary>
    [Fact]
    public void Learnt_PeoplesTexts_AreTheWordsThatTheListAndTheBriefHaveNot()
    {
        var brief = new Brief("Olmo", Brief.Description, ["a pool"], ["Hotel"], "couples");
        Conversation Text(string answer) => new([.. brief.ToConversation().Messages, Message.Assistant(answer)]);
        Conversation[] texts = [Text("Olmo is a cosy hotel with a splendid pool, says Vera."),
            Text("A cosy place: Olmo, the splendid hotel, has a pool. Vera loves it."), Text("Once: unique.")];
        Assert.Equal(["a cosy", "splendid"], DraftWords.Learnt(texts.Take(2).Append(Text("It is splendid."))));
        Assert.Equal(["splendid"], CopyMetrics.Of(brief, "Olmo is a splendid hotel.").Strange);
        Assert.Empty(CopyMetrics.Of(brief, "Olmo is a splendid hotel.", ["a splendid"]).Strange);
        // an accepted text that the prompt shows teaches at once
        Assert.Equal(["a cosy", "splendid", "says"],
            DraftWords.TaughtOf(texts[0], First).Select(word => word == "a splendid" ? "splendid" : word));
    }

    [Fact]
    public void Manifest_OfWhatIsMadeFromAModel_KeepsItsWords()
    {
        var manifest = new ModelManifest { Words = ["cosy"] };
        Assert.Equal(["cosy"], manifest.MadeFrom(First).Words);
        Assert.Null(new ModelManifest().MadeFrom(First).Words);
    }

    /// <summary>Copy that is right by construction has only words of the list and of its brief: the list is derived from the
    /// grammar.</summary>
    [Fact]
    public void Known_GrammarsSentences_AreCovered()
    {
        HashSet<string> known = [.. DraftWords.Known.SelectMany(Parts), "a", "an"];
        string grammar = File.ReadAllText(Path.Combine(TestFiles.Root, "tasks", "copywriting", "grammar.yaml"));
        string[] sentences = [.. Regex.Matches(grammar, @"text: ""((?:[^""\\]|\\.)*)""").Select(match => match.Groups[1].Value)];
        Assert.True(sentences.Length > 300);
        IEnumerable<string> words = sentences.SelectMany(sentence => Parts(Regex.Replace(sentence, @"\{[^}]*\}|\\n", " ")));
        Assert.Equal("", string.Join(' ', words.Distinct().Except(known)));
    }

    [Fact]
    public void Sampling_Candidates_WarmUpFromWhatWasAsked()
    {
        var asked = new SamplerOptions { Temperature = 0.7f };
        Assert.Equal(asked, DraftSampling.Of(asked, 0, 32));
        Assert.Equal(1.1f, DraftSampling.Of(asked, 31, 32).Temperature, 3);
        Assert.Equal(asked, DraftSampling.Of(asked, 0, 1));
        Assert.Equal(0, DraftSampling.Of(asked with { Temperature = 0 }, 5, 32).Temperature);
    }
}
