using System.Buffers;
using System.Text;

namespace Flywheel.Model;

/// <summary>A token that is matched as a whole, before the text around it is cut.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Content">How it is spelt.</param>
/// <param name="Special">Controls the model and is no text: shown to nobody, and found in a text only where that is asked for.</param>
/// <param name="Normalized">Matched in the normalised text; otherwise in the text as it came.</param>
/// <param name="SingleWord">Matched only where no letter or digit touches it.</param>
/// <param name="StripLeft">Takes the white space before it.</param>
/// <param name="StripRight">Takes the white space after it.</param>
internal sealed record AddedToken(int Id, string Content, bool Special, bool Normalized, bool SingleWord, bool StripLeft, bool StripRight);

/// <summary>Finds added tokens in a text: from the left, the longest first.</summary>
internal sealed class AddedTokens
{
    private readonly Dictionary<char, (string Spelling, AddedToken Token)[]> _byFirst;
    private readonly SearchValues<string>? _any;

    /// <param name="tokens">How each is spelt in the texts that will be searched.</param>
    public AddedTokens(IEnumerable<(string Spelling, AddedToken Token)> tokens)
    {
        _byFirst = tokens.Where(entry => entry.Spelling.Length > 0).GroupBy(entry => entry.Spelling[0])
            .ToDictionary(group => group.Key, group => group.OrderByDescending(entry => entry.Spelling.Length).ToArray());
        if (_byFirst.Count > 0)
            _any = SearchValues.Create([.. _byFirst.Values.SelectMany(entries => entries).Select(entry => entry.Spelling)],
                StringComparison.Ordinal);
    }

    public delegate void Stretch(int start, int end, AddedToken? token);

    /// <summary>Tells the stretches of the text in order, those that are a token and those between.</summary>
    public void Cut(string text, bool allowSpecial, Stretch tell)
    {
        int told = 0;
        for (int from = 0; Next(text, from) is var (start, end, token); from = Math.Max(end, from + 1))
        {
            if (token.Special && !allowSpecial) continue;
            if (token.SingleWord && (IsWordBefore(text, start) || IsWordAt(text, end))) continue;
            int last = end;
            if (token.StripLeft)
                while (start > told && char.IsWhiteSpace(text[start - 1])) start--;
            if (token.StripRight)
                while (last < text.Length && char.IsWhiteSpace(text[last])) last++;
            if (start > told) tell(told, start, null);
            tell(Math.Max(start, told), last, token);
            told = last;
        }
        if (told < text.Length) tell(told, text.Length, null);
    }

    private (int Start, int End, AddedToken Token)? Next(string text, int from)
    {
        if (_any is null || from >= text.Length) return null;
        int at = text.AsSpan(from).IndexOfAny(_any);
        if (at < 0) return null;
        at += from;
        foreach ((string spelling, AddedToken token) in _byFirst[text[at]])
            if (text.AsSpan(at).StartsWith(spelling)) return (at, at + spelling.Length, token);
        throw new InvalidOperationException("a token was found that is none");
    }

    private static bool IsWordBefore(string text, int at) =>
        at > 0 && Rune.DecodeLastFromUtf16(text.AsSpan(0, at), out Rune character, out _) == OperationStatus.Done && IsWord(character);

    private static bool IsWordAt(string text, int at) =>
        at < text.Length && Rune.DecodeFromUtf16(text.AsSpan(at), out Rune character, out _) == OperationStatus.Done && IsWord(character);

    /// <summary>What <c>\w</c> matches (Unicode Technical Standard 18, but for the joiners).</summary>
    private static bool IsWord(Rune character) => Rune.GetUnicodeCategory(character) switch
    {
        <= System.Globalization.UnicodeCategory.LetterNumber => true, // letters, marks, digits
        System.Globalization.UnicodeCategory.ConnectorPunctuation => true,
        _ => character.Value is 0x200C or 0x200D or (>= 0x24B6 and <= 0x24E9) or (>= 0x1F130 and <= 0x1F149) or (>= 0x1F150 and <= 0x1F169)
            or (>= 0x1F170 and <= 0x1F189),
    };
}
