using System.Globalization;
using System.Text;
using Flywheel.Model;

namespace Flywheel.Engine.Grammars;

/// <summary>
/// Reads GBNF (llama.cpp, grammars/README.md) into byte-level rules: literals, classes, groups, repetitions, alternatives,
/// tokens, comments. Repetitions stay counts, so that <c>x{0,2000}</c> is no larger than <c>x?</c>.
/// </summary>
internal sealed class GbnfParser(string text)
{
    /// <summary>Bounds that no honest grammar meets, so that a hostile one takes neither memory nor time.</summary>
    private const int MaxLength = 1 << 20, MaxElements = 200_000, MaxRepetitions = 1_000_000, MaxDepth = 200;

    private readonly Dictionary<string, int> _names = new(StringComparer.Ordinal) { ["root"] = 0 };
    private readonly List<List<GrammarElement[]>?> _rules = [null];
    private readonly List<GrammarToken> _tokens = [];
    private int _at, _depth, _size;

    /// <summary>Tokens that are named; an element of their kind has a place among them in place of a rule.</summary>
    public IReadOnlyList<GrammarToken> Tokens => _tokens;

    public List<GrammarElement[]>[] Parse()
    {
        if (text.Length > MaxLength) throw new FlywheelException($"grammar: it has {text.Length} characters, expected at most {MaxLength}");
        for (SkipBlank(newLines: true); _at < text.Length; SkipBlank(newLines: true))
        {
            string name = Name();
            int rule = RuleOf(name);
            SkipBlank(newLines: false);
            Expect("::=");
            SkipBlank(newLines: true);
            if (_rules[rule] is not null) throw Fault($"rule '{name}' is defined twice");
            _rules[rule] = Alternatives();
            if (_at < text.Length && text[_at] is not ('\n' or '\r')) throw Fault($"'{text[_at]}' is unexpected");
        }
        foreach ((string name, int rule) in _names)
            if (_rules[rule] is null) throw new FlywheelException($"grammar: rule '{name}' is not defined");
        return [.. _rules!];
    }

    /// <summary>What a rule is called in the text; null for one that stands for a group.</summary>
    public string? NameOf(int rule) => _names.FirstOrDefault(pair => pair.Value == rule).Key;

    private List<GrammarElement[]> Alternatives()
    {
        if (++_depth > MaxDepth) throw Fault($"groups nest deeper than {MaxDepth}");
        List<GrammarElement[]> alternatives = [Sequence()];
        while (Accept('|'))
        {
            SkipBlank(newLines: true);
            alternatives.Add(Sequence());
        }
        _depth--;
        return alternatives;
    }

    private GrammarElement[] Sequence()
    {
        var sequence = new List<GrammarElement>();
        while (true)
        {
            SkipBlank(newLines: _depth > 1);
            if (_at == text.Length || text[_at] is '|' or ')' or '\n' or '\r') break;
            GrammarElement[] item = Item();
            SkipBlank(newLines: _depth > 1);
            sequence.AddRange(Repeated(item));
            if ((_size += item.Length) > MaxElements) throw Fault($"the grammar has more than {MaxElements} elements");
        }
        return [.. sequence];
    }

    private GrammarElement[] Item()
    {
        switch (text[_at])
        {
            case '"':
                _at++;
                var literal = new StringBuilder();
                while (!Accept('"')) literal.Append(char.ConvertFromUtf32(Character('"')));
                return [.. Encoding.UTF8.GetBytes(literal.ToString()).Select(b => new GrammarElement(ElementKind.Bytes, Low: b, High: b))];
            case '[':
                return Class();
            case '.':
                _at++;
                return [Reference([.. Utf8Ranges.Split(0, 0x10FFFF).Select(Bytes)])];
            case '(':
                _at++;
                List<GrammarElement[]> group = Alternatives();
                if (!Accept(')')) throw Fault("')' is missing");
                return [Reference(group)];
            case '<' or '!':
                return [Token()];
            case '*' or '+' or '?' or '{':
                throw Fault($"'{text[_at]}' repeats nothing");
            default:
                return [new GrammarElement(ElementKind.Rule, RuleOf(Name()))];
        }
    }

    /// <summary>A token of the vocabulary, by its number or its spelling, or any but that one.</summary>
    private GrammarElement Token()
    {
        bool negated = Accept('!');
        if (!Accept('<')) throw Fault("'!' stands before no token, expected !<...>");
        int end = text.IndexOf('>', _at), line = text.AsSpan(_at).IndexOfAny('\n', '\r');
        if (end < 0 || line >= 0 && _at + line < end) throw Fault("'>' is missing");
        string name = text[(_at - 1)..(end + 1)];
        int id = -1;
        if (name.StartsWith("<[", StringComparison.Ordinal)
            && (!name.EndsWith("]>", StringComparison.Ordinal)
                || !int.TryParse(name.AsSpan(2, name.Length - 4), NumberStyles.None, CultureInfo.InvariantCulture, out id)))
            throw Fault($"'{name}' is no token, expected its number in brackets or its spelling: <[5]>, <|end|>");
        _at = end + 1;
        _tokens.Add(new GrammarToken(id, name, negated));
        return new GrammarElement(ElementKind.Token, _tokens.Count - 1);
    }

    private GrammarElement[] Class()
    {
        _at++;
        bool negated = _at < text.Length && text[_at] == '^';
        if (negated) _at++;
        var ranges = new List<(int Low, int High)>();
        while (_at < text.Length && text[_at] != ']')
        {
            int low = Character(']'), high = low;
            if (_at + 1 < text.Length && text[_at] == '-' && text[_at + 1] != ']')
            {
                _at++;
                high = Character(']');
            }
            if (high < low) throw Fault("a range of characters ends before it begins");
            ranges.Add((low, high));
        }
        if (!Accept(']')) throw Fault("']' is missing");
        if (negated)
        {
            var others = new List<(int, int)>();
            int next = 0;
            foreach ((int low, int high) in ranges.Order())
            {
                if (low > next) others.Add((next, low - 1));
                next = Math.Max(next, high + 1);
            }
            others.Add((next, 0x10FFFF));
            ranges = others;
        }
        return [Reference([.. ranges.SelectMany(range => Utf8Ranges.Split(range.Low, range.High)).Select(Bytes)])];
    }

    private GrammarElement[] Repeated(GrammarElement[] item)
    {
        while (_at < text.Length)
        {
            (int least, int most) = (0, GrammarElement.Unbounded);
            switch (text[_at])
            {
                case '*': break;
                case '+': least = 1; break;
                case '?': most = 1; break;
                case '{':
                    _at++;
                    least = most = Number();
                    if (Accept(','))
                    {
                        SkipBlank(newLines: false);
                        most = _at < text.Length && text[_at] != '}' ? Number() : GrammarElement.Unbounded;
                    }
                    if (_at == text.Length || text[_at] != '}' || most < least)
                        throw Fault("a repetition is not of the form {2}, {2,} or {2,4}");
                    break;
                default: return item;
            }
            _at++;
            SkipBlank(newLines: _depth > 1);
            item = (least, most) switch
            {
                (1, 1) => item,
                (0, 1) => [Reference([item, []])],
                _ => [new GrammarElement(ElementKind.Repeat, item is [{ Kind: ElementKind.Rule } only] ? only.Rule : Reference([item]).Rule,
                    Least: least, Most: most)],
            };
        }
        return item;
    }

    private int Character(char closing)
    {
        if (_at == text.Length || text[_at] is '\n' or '\r') throw Fault($"'{closing}' is missing");
        if (text[_at] != '\\')
        {
            if (!Rune.TryGetRuneAt(text, _at, out Rune rune)) throw Fault("half a character");
            _at += rune.Utf16SequenceLength;
            return rune.Value;
        }
        if (++_at == text.Length) throw Fault("an escape ends early");
        char kind = text[_at++];
        return kind switch
        {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'x' => Hex(2),
            'u' => Hex(4),
            'U' => Hex(8),
            '"' or '\\' or '[' or ']' or '^' or '-' or '/' => kind,
            _ => throw Fault($"'\\{kind}' is no escape"),
        };
    }

    private int Hex(int digits)
    {
        if (_at + digits > text.Length || !int.TryParse(text.AsSpan(_at, digits), NumberStyles.AllowHexSpecifier, null, out int value)
            || !Rune.IsValid(value)) throw Fault($"an escape needs {digits} hexadecimal digits of a character");
        _at += digits;
        return value;
    }

    private int Number()
    {
        SkipBlank(newLines: false);
        int start = _at;
        while (_at < text.Length && char.IsAsciiDigit(text[_at])) _at++;
        if (!int.TryParse(text.AsSpan(start, _at - start), NumberStyles.None, CultureInfo.InvariantCulture, out int value)
            || value > MaxRepetitions) throw Fault($"a repetition's number is missing or above {MaxRepetitions}");
        SkipBlank(newLines: false);
        return value;
    }

    private string Name()
    {
        int start = _at;
        while (_at < text.Length && (char.IsAsciiLetterOrDigit(text[_at]) || text[_at] is '-' or '_')) _at++;
        return _at > start ? text[start.._at] : throw Fault($"'{text[_at]}' is unexpected");
    }

    private int RuleOf(string name)
    {
        if (!_names.TryGetValue(name, out int rule)) _names[name] = rule = NewRule();
        return rule;
    }

    private int NewRule()
    {
        if (_rules.Count == MaxElements) throw Fault($"the grammar has more than {MaxElements} rules");
        _rules.Add(null);
        return _rules.Count - 1;
    }

    private GrammarElement Reference(List<GrammarElement[]> alternatives)
    {
        int rule = NewRule();
        _rules[rule] = alternatives;
        return new GrammarElement(ElementKind.Rule, rule);
    }

    private static GrammarElement[] Bytes((byte Low, byte High)[] ranges) =>
        [.. ranges.Select(range => new GrammarElement(ElementKind.Bytes, Low: range.Low, High: range.High))];

    private void SkipBlank(bool newLines)
    {
        for (; _at < text.Length; _at++)
        {
            if (text[_at] == '#') while (_at + 1 < text.Length && text[_at + 1] is not ('\n' or '\r')) _at++;
            else if (!(text[_at] is ' ' or '\t' || newLines && text[_at] is '\n' or '\r')) break;
        }
    }

    private bool Accept(char c)
    {
        if (_at == text.Length || text[_at] != c) return false;
        _at++;
        return true;
    }

    private void Expect(string symbol)
    {
        if (string.CompareOrdinal(text, _at, symbol, 0, symbol.Length) != 0) throw Fault($"'{symbol}' is missing");
        _at += symbol.Length;
    }

    private FlywheelException Fault(string what) =>
        new($"grammar, line {1 + text.AsSpan(0, Math.Min(_at, text.Length)).Count('\n')}: {what}");
}
