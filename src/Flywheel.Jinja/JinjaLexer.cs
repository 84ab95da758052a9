using System.Globalization;
using System.Text;

namespace Flywheel.Jinja;

internal enum TokenKind { Text, StatementBegin, StatementEnd, ValueBegin, ValueEnd, Name, Quoted, Integer, Float, Operator, End }

/// <summary>A piece of a template: text between tags, or a word inside one.</summary>
internal readonly record struct JinjaToken(TokenKind Kind, string Text, int Line);

/// <summary>
/// Cuts a template as Jinja does with the settings of transformers: trim_blocks (the line end after a statement goes),
/// lstrip_blocks (blanks before a statement that begins its line go), and one line end at the very end goes.
/// </summary>
internal sealed class JinjaLexer
{
    private static readonly string[] s_operators = ["//", "**", "==", "!=", ">=", "<=", "+", "-", "*", "/", "%", "~", "[", "]", "(", ")",
        "{", "}", ">", "<", "=", ".", ":", "|", ",", ";"];

    private readonly string _source;
    private readonly List<JinjaToken> _tokens = [];
    private int _at, _line = 1;
    private bool _rawTrims;

    private JinjaLexer(string source) => _source = source;

    /// <exception cref="JinjaException">A tag or a text in quotes has no end; names the line.</exception>
    public static List<JinjaToken> Cut(string source)
    {
        source = source.Replace("\r\n", "\n").Replace('\r', '\n');
        var lexer = new JinjaLexer(source.EndsWith('\n') ? source[..^1] : source);
        lexer.Cut();
        return lexer._tokens;
    }

    private void Cut()
    {
        bool beginsLine = true, trimNext = false;
        while (_at < _source.Length)
        {
            int tag = NextTag();
            string text = _source[_at..tag];
            char kind = tag < _source.Length ? _source[tag + 1] : '\0';
            char sign = kind != '\0' && tag + 2 < _source.Length && _source[tag + 2] is '-' or '+' ? _source[tag + 2] : '\0';
            int lines = text.Count(c => c == '\n');
            if (trimNext) text = PythonText.StripLeft(text);
            if (sign == '-') text = PythonText.StripRight(text);
            else if (kind is '%' or '#' && sign != '+')
            {
                int lineStart = text.LastIndexOf('\n') + 1;
                if ((lineStart > 0 || beginsLine) && PythonText.StripLeft(text[lineStart..]).Length == 0) text = text[..lineStart];
            }
            if (text.Length > 0) _tokens.Add(new(TokenKind.Text, text, _line));
            _line += lines;
            trimNext = false;
            if (kind == '\0') break;
            int opened = _line;
            _at = tag + (sign == '\0' ? 2 : 3);
            if (kind == '#') (trimNext, beginsLine) = Comment(opened);
            else if (kind == '%' && Raw() is { } raw)
            {
                if (raw.Length > 0) _tokens.Add(new(TokenKind.Text, raw, opened));
                (trimNext, beginsLine) = (_rawTrims, _at > 0 && _source[_at - 1] == '\n');
            }
            else (trimNext, beginsLine) = Tag(kind == '%', opened);
        }
        _tokens.Add(new(TokenKind.End, "", _line));
    }

    private int NextTag()
    {
        for (int i = _at; i + 1 < _source.Length; i++)
            if (_source[i] == '{' && _source[i + 1] is '{' or '%' or '#') return i;
        return _source.Length;
    }

    private (bool Trim, bool BeginsLine) Comment(int opened)
    {
        int end = _source.IndexOf("#}", _at, StringComparison.Ordinal);
        if (end < 0) throw Wrong("a comment has no end '#}'", opened);
        char sign = end > _at ? _source[end - 1] : '\0';
        _line += _source[_at..end].Count(c => c == '\n');
        _at = end + 2;
        return After(sign, statement: true);
    }

    /// <summary>What follows a tag's end: whether white space is taken away, and whether a line begins there.</summary>
    private (bool Trim, bool BeginsLine) After(char sign, bool statement)
    {
        if (sign == '-') return (true, EndsLineAfterSpace());
        if (!statement || sign == '+' || _at >= _source.Length || _source[_at] != '\n') return (false, false);
        _at++;
        _line++;
        return (false, true);
    }

    private bool EndsLineAfterSpace()
    {
        int end = _at;
        while (end < _source.Length && PythonText.IsSpace(_source[end])) end++;
        return end > _at && _source[end - 1] == '\n';
    }

    /// <summary>The content of a raw block, if one begins here.</summary>
    private string? Raw()
    {
        int at = SkipSpace(_at);
        if (!Word(at, "raw", out at) || !EndOfTag(at, out int start, out char opens)) return null;
        for (int i = start; i + 1 < _source.Length; i++)
        {
            if (_source[i] != '{' || _source[i + 1] != '%') continue;
            int inner = i + 2;
            char closes = inner < _source.Length && _source[inner] is '-' or '+' ? _source[inner++] : '\0';
            if (!Word(SkipSpace(inner), "endraw", out inner) || !EndOfTag(inner, out int after, out char last)) continue;
            string raw = _source[start..i];
            _line += _source[_at..after].Count(c => c == '\n');
            if (opens == '-') raw = PythonText.StripLeft(raw);
            if (closes == '-') raw = PythonText.StripRight(raw);
            else if (closes != '+')
            {
                int lineStart = raw.LastIndexOf('\n') + 1;
                if (lineStart > 0 && PythonText.StripLeft(raw[lineStart..]).Length == 0) raw = raw[..lineStart];
            }
            _at = after;
            _rawTrims = last == '-';
            if (last == '\0' && _at < _source.Length && _source[_at] == '\n')
            {
                _at++;
                _line++;
            }
            return raw;
        }
        throw Wrong("a raw block has no end", _line);
    }

    private int SkipSpace(int at)
    {
        while (at < _source.Length && PythonText.IsSpace(_source[at])) at++;
        return at;
    }

    private bool Word(int at, string word, out int after)
    {
        after = at + word.Length;
        return string.CompareOrdinal(_source, at, word, 0, word.Length) == 0
            && (after == _source.Length || !char.IsLetterOrDigit(_source[after]));
    }

    private bool EndOfTag(int at, out int after, out char sign)
    {
        at = SkipSpace(at);
        sign = at < _source.Length && _source[at] is '-' or '+' ? _source[at] : '\0';
        after = at + (sign == '\0' ? 2 : 3);
        return after <= _source.Length && _source[after - 2] == '%' && _source[after - 1] == '}';
    }

    /// <summary>The words of a statement or a value, to its end.</summary>
    private (bool Trim, bool BeginsLine) Tag(bool statement, int opened)
    {
        _tokens.Add(new(statement ? TokenKind.StatementBegin : TokenKind.ValueBegin, "", opened));
        string close = statement ? "%}" : "}}";
        int depth = 0; // of brackets: a '}}' inside them ends dictionaries
        while (true)
        {
            while (_at < _source.Length && PythonText.IsSpace(_source[_at]))
                if (_source[_at++] == '\n') _line++;
            if (_at >= _source.Length) throw Wrong($"a tag has no end '{close}'", opened);
            if (depth == 0)
            {
                char sign = _source[_at] is '-' || (_source[_at] is '+' && statement) ? _source[_at] : '\0';
                if (string.CompareOrdinal(_source, _at + (sign == '\0' ? 0 : 1), close, 0, 2) == 0)
                {
                    _at += sign == '\0' ? 2 : 3;
                    _tokens.Add(new(statement ? TokenKind.StatementEnd : TokenKind.ValueEnd, "", _line));
                    return After(sign, statement);
                }
            }
            char c = _source[_at];
            if (c is '"' or '\'') Quoted(c);
            else if (char.IsAsciiDigit(c)) Number();
            else if (char.IsLetter(c) || c == '_') Name();
            else
            {
                string found = Array.Find(s_operators, op => string.CompareOrdinal(_source, _at, op, 0, op.Length) == 0)
                    ?? throw Wrong($"unexpected '{c}'", _line);
                depth += found is "(" or "[" or "{" ? 1 : found is ")" or "]" or "}" ? -1 : 0;
                if (depth < 0) throw Wrong($"unexpected '{found}'", _line);
                _tokens.Add(new(TokenKind.Operator, found, _line));
                _at += found.Length;
            }
        }
    }

    private void Name()
    {
        int start = _at;
        while (_at < _source.Length && (char.IsLetterOrDigit(_source[_at]) || _source[_at] == '_')) _at++;
        _tokens.Add(new(TokenKind.Name, _source[start.._at], _line));
    }

    private void Number()
    {
        int start = _at;
        if (_source[_at] == '0' && _at + 1 < _source.Length && char.ToLowerInvariant(_source[_at + 1]) is 'x' or 'o' or 'b')
        {
            _at += 2;
            while (_at < _source.Length && (char.IsAsciiHexDigit(_source[_at]) || _source[_at] == '_')) _at++;
            _tokens.Add(new(TokenKind.Integer, _source[start.._at], _line));
            return;
        }
        Digits();
        bool isFloat = false;
        if (_at + 1 < _source.Length && _source[_at] == '.' && char.IsAsciiDigit(_source[_at + 1]))
        {
            isFloat = true;
            _at++;
            Digits();
        }
        if (_at < _source.Length && _source[_at] is 'e' or 'E')
        {
            int exponent = _at + 1;
            if (exponent < _source.Length && _source[exponent] is '+' or '-') exponent++;
            if (exponent < _source.Length && char.IsAsciiDigit(_source[exponent]))
            {
                isFloat = true;
                _at = exponent;
                Digits();
            }
        }
        _tokens.Add(new(isFloat ? TokenKind.Float : TokenKind.Integer, _source[start.._at].Replace("_", ""), _line));

        void Digits()
        {
            while (_at < _source.Length && (char.IsAsciiDigit(_source[_at]) || _source[_at] == '_')) _at++;
        }
    }

    /// <summary>A text in quotes with Python's escapes.</summary>
    private void Quoted(char quote)
    {
        int opened = _line;
        var text = new StringBuilder();
        for (_at++; ; _at++)
        {
            if (_at >= _source.Length) throw Wrong("a text in quotes has no end", opened);
            char c = _source[_at];
            if (c == quote) break;
            if (c == '\n') _line++;
            if (c != '\\')
            {
                text.Append(c);
                continue;
            }
            if (++_at >= _source.Length) throw Wrong("a text in quotes has no end", opened);
            c = _source[_at];
            int digits = c switch { 'x' => 2, 'u' => 4, 'U' => 8, _ => 0 };
            if (digits > 0) text.Append(Escaped(digits, opened));
            else if (c is >= '0' and <= '7') text.Append(Octal());
            else if (c != '\n')
                text.Append(c switch { 'n' => "\n", 't' => "\t", 'r' => "\r", 'b' => "\b", 'f' => "\f", 'v' => "\v", 'a' => "\a",
                    '\\' or '\'' or '"' => c.ToString(), _ => "\\" + c });
        }
        _at++;
        _tokens.Add(new(TokenKind.Quoted, text.ToString(), opened));
    }

    private char Octal()
    {
        int value = 0, end = Math.Min(_source.Length, _at + 3);
        while (_at < end && _source[_at] is >= '0' and <= '7') value = value * 8 + _source[_at++] - '0';
        _at--;
        return (char)value;
    }

    private string Escaped(int digits, int line)
    {
        if (_at + digits >= _source.Length
            || !int.TryParse(_source.AsSpan(_at + 1, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int value)
            || value is < 0 or > 0x10FFFF)
            throw Wrong("an escape is not a character", line);
        _at += digits;
        return value is >= 0xD800 and < 0xE000 || value < 0x10000 ? ((char)value).ToString() : char.ConvertFromUtf32(value);
    }

    private static JinjaException Wrong(string what, int line) => new(line, what);
}
