using System.Text.RegularExpressions;
using CsCheck;
using Flywheel.Engine.Grammars;
using Flywheel.Model;

namespace Flywheel.Engine.Tests;

public class WordGrammarTests
{
    private static readonly Tokenizer Tokens =
        Tokenizer.Train(["the rooftop bar has a view, and it opens at six. Roo's bar!",
            "hello to the brewery, it even has rooibos; café 轮子 😀"], 340);

    [Theory]
    [InlineData("It has a rooftop bar.", true)]
    [InlineData("it has rooibos tea, and it opens at six!", true)]
    [InlineData("Hello! (It opens.)\n- It has the tea\n- it", true)]
    [InlineData("\"It has\" – it has", true)]
    [InlineData("Ali's & Sons has it. Ali's & Sons' tea", true)]
    [InlineData("Hello,\n\nIt has tea.\n\nAli's & Sons", true)]
    [InlineData("Hello,\n it has tea\n Ali's & Sons", true)]
    [InlineData("it-has", true)]
    [InlineData("It has a roo bar.", false)]
    [InlineData("It has a rooftop.", false)]
    [InlineData("It hast tea.", false)]
    [InlineData("IT has tea.", false)]
    [InlineData("ali's & Sons has tea.", false)]
    [InlineData("Ali's has tea.", false)]
    [InlineData("It has  tea.", false)]
    [InlineData("It has tea,,", false)]
    [InlineData("It has tea 7.", false)]
    [InlineData("It has ,tea", false)]
    [InlineData("", false)]
    public void Write_WordsPhrasesAndNames_AllowsThoseAlone(string text, bool allowed)
    {
        Grammar grammar =
            Grammar.Parse(WordGrammar.Write(["it", "has", "hello", "the", "tea", "a", "and"],
                ["rooftop bar", "rooibos", "opens at six", "opens"], ["Ali's & Sons"]));
        Assert.Equal(allowed, GrammarReader.Accepts(grammar, text));
    }

    /// <summary>A point says one of what is given for points, once, and nothing beside it; sentences may stand before a list and after
    /// it.</summary>
    [Theory]
    [InlineData("It has tea.\n\nThe tea:\n- Opens at six\n- iPhone only", true)]
    [InlineData("- Opens at six\n\nIt has the tea!", true)]
    [InlineData("- Opens at six\n- Opens at six\n\nIt has the tea!", false)]
    [InlineData("- iPhone only", false)]
    [InlineData("It has tea.", true)]
    [InlineData("It has tea.\n- It has", false)]
    [InlineData("It has tea.\n- opens at six", false)]
    [InlineData("It has tea.\n- IPhone only", false)]
    [InlineData("- Opens at six, it has", false)]
    [InlineData("- Opens at six\nIt has", false)]
    [InlineData("- ", false)]
    public void Write_Points_AllowsThoseAloneInAList(string text, bool allowed)
    {
        Grammar grammar =
            Grammar.Parse(WordGrammar.Write(["it", "has", "the", "tea"], ["opens at six"], ["Roo"],
                [new(["opens at six"], true), new(["iPhone only"], false)]));
        Assert.Equal(allowed, GrammarReader.Accepts(grammar, text));
        // without any point there is no list
        Assert.Equal(allowed && !text.Contains("- ", StringComparison.Ordinal),
            GrammarReader.Accepts(Grammar.Parse(WordGrammar.Write(["it", "has", "the", "tea"], ["opens at six"], ["Roo"], [])), text));
    }

    /// <summary>Any points: a list is said exactly where none of it stands twice and none that is needed is left out.</summary>
    [Fact]
    public void Write_AnyPoints_AllowsEachOnceAndLeavesOutNoneThatIsNeeded() =>
        Gen.Select(Gen.Bool.Array[1, 5], Gen.Int[0, 4].Array[1, 6]).Sample((needed, list) =>
        {
            WordPoint[] points = [.. needed.Select((must, at) => new WordPoint([$"tea {at}", $"cup {at}"], must))];
            list = [.. list.Where(at => at < points.Length)];
            if (list.Length == 0) return;
            string text = string.Join('\n', list.Select((at, place) => place % 2 == 0 ? $"- Tea {at}" : $"- Cup {at}"));
            bool allowed = list.Distinct().Count() == list.Length
                && Enumerable.Range(0, points.Length).All(at => !needed[at] || list.Contains(at));
            Assert.Equal(allowed, GrammarReader.Accepts(Grammar.Parse(WordGrammar.Write(["it"], [], [], points)), text));
        }, iter: 300);

    [Theory]
    [InlineData("\"quoted\" \\ back]slash [x^-]", "quoted")]
    [InlineData("a\u0001b", "control character")]
    [InlineData("👩‍🍳 chef’s kiss 🥐", "emoji")]
    [InlineData("青藤", "Chinese")]
    [InlineData("1,000 % (net)", "numbers")]
    public void Write_OddPhrase_IsSaidAsItIs(string phrase, string what) =>
        Assert.True(GrammarReader.Accepts(Grammar.Parse(WordGrammar.Write(["it"], [phrase], [phrase])), $"It it {phrase}."), what);

    /// <summary>Any words at all, among them some that begin with others and some that are very long: each is allowed and nothing else
    /// is.</summary>
    [Fact]
    public void Write_AnyWords_AllowsEachAndNoOther()
    {
        Gen<string> word = Gen.Char["abé轮-'"].Array[1, 6].Select(letters => new string(letters));
        Gen.Select(word.Array[1, 12], word).Sample((words, other) =>
        {
            string[] all = [.. words, .. words.Select(text => text + new string('a', 150)), new string('a', 130), new string('a', 140)];
            Grammar grammar = Grammar.Parse(WordGrammar.Write(all, [], []));
            Assert.All(all, text => Assert.True(GrammarReader.Accepts(grammar, text), text));
            bool said = words.Any(text => text == other || char.ToUpperInvariant(text[0]) + text[1..] == other);
            if (!other.Contains('-', StringComparison.Ordinal) && !other.Contains('\'', StringComparison.Ordinal)
                && other.Any(c => c != 'a')) Assert.Equal(said, GrammarReader.Accepts(grammar, other));
        }, iter: 200);
    }

    /// <summary>Whatever the model's weights are, what it writes is made of known words; the words are told apart by another reader than
    /// the grammar.</summary>
    [Theory]
    [InlineData(1, 1f)]
    [InlineData(2, 5f)]
    [InlineData(3, 100f)]
    public async Task Generate_RandomWeights_SaysOnlyKnownWords(int seed, float temperature)
    {
        string[] words = ["it", "has", "hello", "the", "tea", "a", "and", "even", "café"],
            phrases = ["rooftop bar", "opens at six", "25-metre lanes"];
        string grammar = WordGrammar.Write(words, phrases, ["Roo 轮子"]);
        HashSet<string> known = [.. words.Concat(phrases.SelectMany(phrase => phrase.Split(' ', '-'))), "Roo", "轮子", "s"];
        await using InferenceEngine engine = TestEngine.Open(TestEngine.Config() with { VocabSize = Tokens.VocabSize }, seed: seed,
            tokenizer: Tokens);
        for (ulong draft = 0; draft < 8; draft++)
        {
            GenerationStream stream =
                engine.Submit(new GenerationRequest { PromptTokens = Tokens.Encode("Write."), MaxTokens = 60,
                    Sampler = new() { Temperature = temperature, Seed = draft, Grammar = grammar } });
            string text = "";
            await foreach (SampledToken token in stream.Tokens)
            {
                Assert.InRange(token.SamplerLogprob, -100, 0.001f);
                text += token.Text;
            }
            string[] said = [.. Regex.Matches(text, @"[\p{L}\p{N}]+").Select(match => match.Value)];
            if (stream.FinishReason == FinishReason.Length && said.Length > 0) said = said[..^1]; // cut inside a word
            Assert.All(said,
                word => Assert.True(known.Contains(word) || known.Contains(char.ToLowerInvariant(word[0]) + word[1..]),
                    $"'{word}' in '{text}'"));
        }
    }
}
