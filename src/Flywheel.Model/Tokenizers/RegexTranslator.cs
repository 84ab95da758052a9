using System.Text;

namespace Flywheel.Model;

/// <summary>From Oniguruma's regular expressions to .NET's. What is not surely the same is refused.</summary>
internal ref struct RegexTranslator
{
    private static readonly HashSet<string> s_categories =
    [
        "L", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "Mn", "Mc", "Me", "N", "Nd", "Nl", "No",
        "P", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "S", "Sm", "Sc", "Sk", "So", "Z", "Zs", "Zl", "Zp",
    ];

    private readonly string _pattern;
    private readonly StringBuilder _result = new();
    private int _at;

    private RegexTranslator(string pattern) => _pattern = pattern;

    /// <exception cref="FormatException">Something that is not surely the same; the message says what.</exception>
    public static string Translate(string pattern)
    {
        if (pattern.AsSpan().ContainsAnyInRange('\uD800', '\uDFFF'))
            throw new FormatException("it names a character beyond the basic plane");
        var translator = new RegexTranslator(pattern);
        translator.Alternatives(ignoreCase: false, depth: 0);
        return translator._at == pattern.Length ? translator._result.ToString() : throw translator.Wrong("an unopened ')'");
    }

    /// <returns>Whether something in it repeats without a limit.</returns>
    private bool Alternatives(bool ignoreCase, int depth)
    {
        if (depth > 20) throw Wrong("groups nested too deep");
        bool repeats = false;
        while (_at < _pattern.Length && _pattern[_at] != ')')
        {
            if (_pattern[_at] == '|') Take();
            else repeats |= Piece(ignoreCase, depth);
        }
        return repeats;
    }

    /// <summary>One atom with what quantifies it.</summary>
    private bool Piece(bool ignoreCase, int depth)
    {
        int start = _result.Length;
        bool repeats = Atom(ignoreCase, depth);
        if (_at == _pattern.Length || !"*+?{".Contains(_pattern[_at])) return repeats;
        bool unlimited = _pattern[_at] is '*' or '+';
        if (_pattern[_at] == '{') unlimited = Interval();
        else
        {
            Take();
            if (_at < _pattern.Length && _pattern[_at] == '?') Take();
            else if (_at < _pattern.Length && _pattern[_at] == '+')
            {
                _at++; // possessive: what it took it never gives back
                _result.Insert(start, "(?>").Append(')');
            }
        }
        if (unlimited && repeats) throw Wrong("a repetition of a repetition, which can take exponential time");
        if (_at < _pattern.Length && "*+?{".Contains(_pattern[_at])) throw Wrong("a quantifier of a quantifier");
        return repeats || unlimited;
    }

    private bool Atom(bool ignoreCase, int depth)
    {
        char c = _pattern[_at];
        switch (c)
        {
            case '(':
                return Group(ignoreCase, depth);
            case '[':
                Class(ignoreCase);
                return false;
            case '\\':
                Escape(inClass: false);
                return false;
            case '^' or '$' or '*' or '+' or '?' or '{' or '}' or ']':
                throw Wrong($"'{c}'");
            default:
                _at++;
                if (ignoreCase) _result.Append(BothCases(c));
                else _result.Append(c is '#' ? "\\#" : c.ToString());
                return false;
        }
    }

    private bool Group(bool ignoreCase, int depth)
    {
        ReadOnlySpan<char> rest = _pattern.AsSpan(_at);
        if (rest.StartsWith("(?i:"))
        {
            _at += 4;
            _result.Append("(?:"); // each letter is spelt out in both cases
            ignoreCase = true;
        }
        else if (rest.StartsWith("(?"))
        {
            int length = rest.StartsWith("(?<=") || rest.StartsWith("(?<!")
                ? 4 : rest.StartsWith("(?:") || rest.StartsWith("(?=") || rest.StartsWith("(?!") || rest.StartsWith("(?>") ? 3 : 0;
            if (length == 0) throw Wrong($"the group '{rest[..Math.Min(4, rest.Length)]}'");
            _result.Append(rest[..length]);
            _at += length;
        }
        else
        {
            _at++;
            _result.Append("(?:"); // nobody asks what a group captured
        }
        bool repeats = Alternatives(ignoreCase, depth + 1);
        if (_at == _pattern.Length) throw Wrong("an unclosed '('");
        Take();
        return repeats;
    }

    private void Class(bool ignoreCase)
    {
        Take();
        if (_at < _pattern.Length && _pattern[_at] == '^') Take();
        int first = _at;
        while (_at < _pattern.Length && (_pattern[_at] != ']' || _at == first))
        {
            char c = _pattern[_at];
            if (c == '\\') Escape(inClass: true);
            else if (c is '[' or ']' || (c == '&' && _at + 1 < _pattern.Length && _pattern[_at + 1] == '&'))
                throw Wrong($"'{c}' in a class");
            else if (ignoreCase && char.IsLetter(c)) throw Wrong("a class with letters where case is ignored");
            else Take();
        }
        if (_at == _pattern.Length) throw Wrong("an unclosed '['");
        Take();
    }

    private void Escape(bool inClass)
    {
        if (_at + 1 == _pattern.Length) throw Wrong("a lone '\\'");
        char c = _pattern[_at + 1];
        if (c is 'p' or 'P')
        {
            int close = _pattern.IndexOf('}', _at);
            string name = close > _at + 3 && _pattern[_at + 2] == '{' ? _pattern[(_at + 3)..close] : "";
            if (!s_categories.Contains(name))
                throw Wrong($"'{_pattern[_at..Math.Min(_pattern.Length, _at + 12)]}', which is none of the general categories");
            _result.Append(_pattern, _at, close + 1 - _at);
            _at = close + 1;
            return;
        }
        bool letter = char.IsAsciiLetterOrDigit(c);
        if (letter && !"rntsSdD".Contains(c)) throw Wrong($"'\\{c}'");
        if (letter || @"\-^[]".Contains(c) || (!inClass && "(){}*+?.|$".Contains(c))) _result.Append('\\').Append(c);
        else _result.Append(c is '#' && !inClass ? "\\#" : c.ToString());
        _at += 2;
    }

    /// <summary>{n}, {n,} or {n,m}; whether it is without a limit.</summary>
    private bool Interval()
    {
        int close = _pattern.IndexOf('}', _at);
        string[] bounds = close < 0 ? [] : _pattern[(_at + 1)..close].Split(',');
        bool unlimited = bounds is [_, ""];
        bool valid = bounds.Length is 1 or 2 && int.TryParse(bounds[0], out int min)
            && (unlimited || (int.TryParse(bounds[^1], out int max) && min <= max && max <= 1000));
        if (!valid) throw Wrong("'{'");
        _result.Append(_pattern, _at, close + 1 - _at);
        _at = close + 1;
        return unlimited;
    }

    /// <summary>The characters that are equal but for case: also the long s and the Kelvin sign.</summary>
    private string BothCases(char c)
    {
        if (!char.IsLetter(c)) return c is '#' ? "\\#" : c.ToString();
        if (!char.IsAsciiLetter(c)) throw Wrong($"'{c}' where case is ignored");
        return $"[{char.ToLowerInvariant(c)}{char.ToUpperInvariant(c)}{c switch { 's' or 'S' => "\\u017F", 'k' or 'K' => "\\u212A", _ => "" }}]";
    }

    private void Take() => _result.Append(_pattern[_at++]);

    private readonly FormatException Wrong(string what) => new($"{what} at character {_at}");
}
