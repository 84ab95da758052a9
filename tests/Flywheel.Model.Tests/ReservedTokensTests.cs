using System.Text.Json.Nodes;
using CsCheck;
using Flywheel.Testing;

namespace Flywheel.Model.Tests;

public class ReservedTokensTests
{
    private static readonly string[] All = [.. ReservedTokens.Groups.Values.SelectMany(tokens => tokens)];

    private static Tokenizer Tokens { get; } = Tokenizer.Train(["the lamp is lit by the lamp <|au1|> im 7 ct e4"], 300, All);

    [Fact]
    public void Groups_Names_AreDistinctAndShapedLikeSpecialTokens()
    {
        Assert.Equal(All.Length, All.Distinct().Count());
        Assert.All(All, token => Assert.Matches(@"^<\|[A-Za-z0-9_]+\|>$", token));
        Assert.DoesNotContain(All, token => token is Tokenizer.EndOfText or Tokenizer.MessageStart or Tokenizer.MessageEnd);
        Assert.Equal((60 + 1, 64, 64, 4, 7), (ReservedTokens.Groups["othello"].Count, ReservedTokens.Groups["chess-from"].Count,
            ReservedTokens.Groups["chess-to"].Count, ReservedTokens.Groups["chess-promotion"].Count,
            ReservedTokens.Groups["connect-four"].Count));
        Assert.Equal((2 * 64, 2 * (6 * 64 - 64 + 2 * 48 + 4) + 16, 1968),
            (ReservedTokens.Groups["othello-disc"].Count, ReservedTokens.Groups["chess-piece"].Count,
                ReservedTokens.Groups["chess-move"].Count));
        Assert.Equal(15 * 3 + 24 + 2, ReservedTokens.Groups["phone"].Count); // CMU: 15 vowels with three stresses, 24 consonants
    }

    /// <summary>The order is that of ids in models that are trained.</summary>
    [Fact]
    public void Othello_Tokens_AreSquaresByFileWithoutTheMiddleAndAPass() => Assert.Equal(
        """
        a1 a2 a3 a4 a5 a6 a7 a8 b1 b2 b3 b4 b5 b6 b7 b8 c1 c2 c3 c4 c5 c6 c7 c8 d1 d2 d3 d6 d7 d8
        e1 e2 e3 e6 e7 e8 f1 f2 f3 f4 f5 f6 f7 f8 g1 g2 g3 g4 g5 g6 g7 g8 h1 h2 h3 h4 h5 h6 h7 h8 pass
        """.Split([' ', '\n', '\r'], StringSplitOptions.RemoveEmptyEntries).Select(name => $"<|ot_{name}|>"),
        ReservedTokens.Groups["othello"]);

    [Fact]
    public void Train_Reserve_PutsTheIdsBehindThoseOfText()
    {
        int first = Tokens.VocabSize - All.Length;
        Assert.Equal(Enumerable.Range(first, All.Length), All.Select(token => Tokens.SpecialTokens[token]));
        Assert.Equal(Tokenizer.Train(["the lamp is lit by the lamp <|au1|> im 7 ct e4"], 300).VocabSize, first);
        IReadOnlyDictionary<string, TokenRange> ranges = ReservedTokens.Ranges(Tokens);
        Assert.Equal(ReservedTokens.Groups.Keys.Order(StringComparer.Ordinal), ranges.Keys);
        Assert.Equal(new TokenRange(first, 512), ranges["speech-in"]);
        Assert.Empty(ReservedTokens.Ranges(Tokenizer.Train(["the lamp"], 259)));
    }

    /// <summary>Any text, with spellings of special tokens thrown in, comes back as itself and holds no special id; in a chat it cannot
    /// pose as one.</summary>
    [Fact]
    public void Encode_UsersText_NeverBecomesAReservedToken()
    {
        var template = new ChatTemplate(Tokens);
        Gen.Select(Gen.String, Gen.Int[0, All.Length - 1], Gen.String).Sample((before, token, after) =>
        {
            string text = before + All[token] + after;
            Assert.DoesNotContain(Tokens.Encode(text), Tokens.IsSpecial);
            int[] prompt = template.Prompt(new Conversation([Message.User(text)]));
            Assert.DoesNotContain(prompt, id => Tokens.IsSpecial(id) && id >= 3);
        }, iter: 300);
    }

    /// <summary>What transformers and llama.cpp expect of tokens that were added: behind the vocabulary, without a gap, not in
    /// it.</summary>
    [Fact]
    public void Save_Reserved_AreAddedTokensBehindTheVocabulary()
    {
        using var folder = new TempFolder();
        Tokens.Save(folder["tokenizer.json"]);
        JsonNode json = JsonNode.Parse(File.ReadAllText(folder["tokenizer.json"]))!;
        JsonObject vocab = json["model"]!["vocab"]!.AsObject();
        int[] added = [.. json["added_tokens"]!.AsArray().Select(token => (int)token!["id"]!)];
        Assert.Equal([0, 1, 2, .. Enumerable.Range(vocab.Count, All.Length)], added);
        Assert.DoesNotContain(All, vocab.ContainsKey);
        Assert.Equal(Tokens.Hash, Tokenizer.Load(folder["tokenizer.json"]).Hash);
    }

    /// <summary>Ids cannot be added to a model later: the next first one has all of them.</summary>
    [Fact]
    public void FirstBase_Reserve_NamesEveryRange() =>
        Assert.Equal(ReservedTokens.Groups.Keys,
            RecipeFile.Load(Path.Combine(TestFiles.Root, "recipes", "first-base.yaml")).Tokenizer!.Reserve);

    /// <summary>The committed model has every range but those of boards and of whole chess moves, which are younger; it says so in its
    /// manifest, and has a row of its embedding for each id.</summary>
    [Fact]
    public void FirstModel_Manifest_NamesEveryRange()
    {
        ModelFolder first = ModelFolder.Open(Path.Combine(TestFiles.Root, "models", "first"));
        Assert.NotNull(first.Manifest.Ranges);
        Assert.Equal(ReservedTokens.Ranges(first.Tokenizer), first.Manifest.Ranges.OrderBy(range => range.Key, StringComparer.Ordinal));
        Assert.Equal(ReservedTokens.Groups.Keys.Except(["connect-four-column", "othello-disc", "chess-piece", "chess-move"])
            .Order(StringComparer.Ordinal), first.Manifest.Ranges.Keys.Order(StringComparer.Ordinal));
        Assert.Equal(first.Config.VocabSize, first.Manifest.Ranges.Values.Max(range => range.First + range.Count));
    }
}
