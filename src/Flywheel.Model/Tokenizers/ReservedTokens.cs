using System.Globalization;

namespace Flywheel.Model;

/// <summary>Ids that follow each other and mean one kind of thing.</summary>
/// <param name="First">The lowest id.</param>
/// <param name="Count">How many.</param>
public sealed record TokenRange(int First, int Count);

/// <summary>
/// Special tokens that a vocabulary sets aside for what is not text: sounds, pictures, proteins, phones, moves, marks of tasks and
/// languages. They are there from the first training on, because ids cannot be added later without another shape of the weights. No
/// user's text becomes one: they are special, and a text that spells one stays text.
/// </summary>
public static class ReservedTokens
{
    /// <summary>The vowels of ARPABET (CMU dictionary), which carry a stress from 0 to 2, and its consonants.</summary>
    private static readonly string[] Vowels = "AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW".Split(' '),
        Consonants = "B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH".Split(' ');

    /// <summary>Names of ranges in the order of their ids, and the tokens of each.</summary>
    /// <remarks>
    /// Chess moves can be written as from-square, to-square and, where a pawn is promoted, a piece: 132 tokens, for a model that does much
    /// else.
    /// A model of chess has a token for each of the 1,968 moves that UCI can write, so that a move is one choice.
    /// </remarks>
    public static IReadOnlyDictionary<string, IReadOnlyList<string>> Groups { get; } = new Dictionary<string, IReadOnlyList<string>>
    {
        ["speech-in"] = Numbered("au", 512),
        ["image"] = Numbered("im", 512),
        ["image-colour"] = Numbered("ic", 512),
        ["protein"] = Named("aa_", "ACDEFGHIKLMNPQRSTVWYXUOBZ".Select(letter => letter.ToString())),
        ["structure"] = Named("ss_", "HECGISTB".Select(letter => letter.ToString())),
        ["phone"] =
            Named("ph_", [.. Vowels.SelectMany(vowel => new[] { $"{vowel}0", $"{vowel}1", $"{vowel}2" }), .. Consonants, "SIL", "SP"]),
        ["duration"] = Numbered("du", 32),
        ["pitch"] = Numbered("pi", 32),
        ["connect-four"] = Numbered("c4_", 7),
        ["othello"] = Named("ot_", [.. OthelloGame.SquareOf.Select(square => Squares.Names[square]), OthelloGame.Pass]),
        ["chess-from"] = Named("cf_", Squares.ByFile),
        ["chess-to"] = Named("ct_", Squares.ByFile),
        ["chess-promotion"] = Named("cp_", ["q", "r", "b", "n"]),
        ["value"] = Numbered("va", 64),
        ["language"] = Named("la_", ["en", "zh", "de", "fr", "es", "it", "pt", "nl", "pl", "ru", "ja", "ko", "ar", "tr", "sv", "cs"]),
        ["task"] = Numbered("task", 32),
        ["spare"] = Numbered("spare", 64),
        ["connect-four-column"] = Named("cc_", ConnectFour.ColumnNames), // a position is 7 tokens instead of 42
        ["othello-disc"] = Named("od_", OthelloGame.DiscNames), // no more tokens than discs, each with its square
        ["chess-piece"] = Named("cb_", ChessGame.PieceNames),
        ["chess-move"] = Named("cm_", ChessGame.MoveNames),
    };

    /// <summary>What each token of a group is called where its symbols are written in a row, such as <c>AE1</c> for
    /// <c>&lt;|ph_AE1|&gt;</c>: symbol and token.</summary>
    public static IReadOnlyDictionary<string, string> Symbols(string group) => s_symbols[group];

    /// <summary>Whether each symbol of a group is one letter, so that people write them without spaces: residues, states of
    /// structure.</summary>
    public static bool IsOfLetters(string group) => group is "protein" or "structure";

    private static readonly Dictionary<string, IReadOnlyDictionary<string, string>> s_symbols = Groups.ToDictionary(
        group => group.Key,
        IReadOnlyDictionary<string, string> (group) =>
            group.Value.ToDictionary(token => SymbolOf(token, group.Value), StringComparer.Ordinal));

    /// <summary>The symbols of a group by the ids that a tokenizer has for them; none where it lacks the range.</summary>
    public static IReadOnlyDictionary<int, string> SymbolsById(Tokenizer tokenizer, string group) =>
        !Ranges(tokenizer).ContainsKey(group) ? new Dictionary<int, string>()
        : Symbols(group).ToDictionary(pair => tokenizer.SpecialTokens[pair.Value], pair => pair.Key);

    /// <summary>The token without the brackets and what all of its group begin with: letters and, where there is one, an
    /// underscore.</summary>
    private static string SymbolOf(string token, IReadOnlyList<string> group)
    {
        string name = token[2..^2];
        int prefix = name.IndexOf('_', StringComparison.Ordinal) is var at and > 0 ? at + 1 : group.Count == 1
            ? 0 : group[0].AsSpan(2).CommonPrefixLength(group[1].AsSpan(2));
        return name[prefix..];
    }

    /// <summary>The ranges that a tokenizer has, by name.</summary>
    public static IReadOnlyDictionary<string, TokenRange> Ranges(Tokenizer tokenizer)
    {
        var ranges = new SortedDictionary<string, TokenRange>(StringComparer.Ordinal);
        foreach ((string name, IReadOnlyList<string> tokens) in Groups)
        {
            if (!tokenizer.SpecialTokens.TryGetValue(tokens[0], out int first)) continue;
            if (tokens.Index().All(token => tokenizer.SpecialTokens.TryGetValue(token.Item, out int id) && id == first + token.Index))
                ranges[name] = new TokenRange(first, tokens.Count);
        }
        return ranges;
    }

    private static string[] Numbered(string prefix, int count) =>
        Named(prefix, Enumerable.Range(0, count).Select(number => number.ToString(CultureInfo.InvariantCulture)));

    private static string[] Named(string prefix, IEnumerable<string> names) => [.. names.Select(name => $"<|{prefix}{name}|>")];
}
