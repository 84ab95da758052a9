using System.Globalization;
using System.Text;
using Flywheel.Model;

namespace Flywheel.Engine.Grammars;

/// <summary>Reads GBNF into byte-level rules: literals, classes, groups, repetitions, alternatives, comments.</summary>
internal sealed class GbnfParser(string text)
{
    /// <summary>A bound on expanded repetitions, so that a hostile grammar cannot take all memory.</summary>
    private const int MaxElements = 1_000_000, MaxRepetitions = 5_000, MaxDepth = 200;

    private readonly Dictionary<string, int> _names = new() { ["root"] = 0 };
    private readonly List<List<GrammarElement[]>?> _rules = [null];
    private int _at, _depth, _size;

    public (GrammarElement[] Elements, int[][] Rules) Parse()
    {
        for (SkipBlank(newLines: true); _at < text.Length; SkipBlank(newLines: true))
        {
            string name = Name();
            int rule = RuleOf(name);
            SkipBlank(newLines: false);
            Expect("::=");
            if (_rules[rule] is not null) throw Fault($"rule '{name}' is defined twice");
            _rules[rule] = Alternatives();
            if (_at < text.Length && text[_at] is not ('\n' or '\r')) throw Fault($"'{text[_at]}' is unexpected");
        }
        foreach ((string name, int rule) in _names)
            if (_rules[rule] is null) throw new FlywheelException($"grammar: rule '{name}' is not defined");
        RefuseLeftRecursion();

        var elements = new List<GrammarElement>();
        var starts = new List<int[]>();
        foreach (List<GrammarElement[]>? rule in _rules)
        {
            var alternatives = new List<int>();
            foreach (GrammarElement[] alternative in rule!)
            {
                alternatives.Add(elements.Count);
                elements.AddRange(alternative);
                elements.Add(new GrammarElement(ElementKind.End));
            }
            starts.Add([.. alternatives]);
        }
        return ([.. elements], [.. starts]);
    }

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
            SkipBlank(newLines: false);
            sequence.AddRange(Repeated(item));
            if ((_size += sequence.Count) > 50 * MaxElements) throw Fault("the grammar is too large");
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
            default:
                return [new GrammarElement(ElementKind.Rule, RuleOf(Name()))];
        }
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

    /// <summary>x* is r ::= x r | nothing; x{2,4} is x x (x (x)?)?.</summary>
    private GrammarElement[] Repeated(GrammarElement[] item)
    {
        if (_at == text.Length) return item;
        (int least, int? most) = (1, (int?)1);
        switch (text[_at])
        {
            case '*': (least, most) = (0, null); break;
            case '+': (least, most) = (1, null); break;
            case '?': (least, most) = (0, 1); break;
            case '{':
                _at++;
                least = Number();
                most = least;
                if (Accept(',')) most = _at < text.Length && char.IsAsciiDigit(text[_at]) ? Number() : null;
                if (_at == text.Length || text[_at] != '}' || most < least) throw Fault("a repetition is not of the form {2}, {2,} or {2,4}");
                break;
            default: return item;
        }
        _at++;
        if (Math.Max(least, most ?? 0) * (long)item.Length > MaxRepetitions) throw Fault($"a repetition gives more than {MaxRepetitions} steps");
        List<GrammarElement> result = [.. Enumerable.Repeat(item, least).SelectMany(part => part)];
        if (most is null)
        {
            int rule = NewRule();
            _rules[rule] = [[.. item, new GrammarElement(ElementKind.Rule, rule)], []];
            result.Add(new GrammarElement(ElementKind.Rule, rule));
            return [.. result];
        }
        GrammarElement? rest = null;
        for (int i = least; i < most; i++) rest = Reference([rest is null ? item : [.. item, rest.Value], []]);
        if (rest is not null) result.Add(rest.Value);
        return [.. result];
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
        if (_at + digits > text.Length || !int.TryParse(text.AsSpan(_at, digits), NumberStyles.AllowHexSpecifier, null, out int value) || !Rune.IsValid(value)) throw Fault($"an escape needs {digits} hexadecimal digits of a character");
        _at += digits;
        return value;
    }

    private int Number()
    {
        int start = _at;
        while (_at < text.Length && char.IsAsciiDigit(text[_at])) _at++;
        return int.TryParse(text.AsSpan(start, _at - start), out int value) ? value : throw Fault("a number is missing or too large");
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
        if (_rules.Count == MaxElements) throw Fault("the grammar has too many rules");
        _rules.Add(null);
        return _rules.Count - 1;
    }

    private GrammarElement Reference(List<GrammarElement[]> alternatives)
    {
        int rule = NewRule();
        _rules[rule] = alternatives;
        return new GrammarElement(ElementKind.Rule, rule);
    }

    private static GrammarElement[] Bytes((byte Low, byte High)[] ranges) => [.. ranges.Select(range => new GrammarElement(ElementKind.Bytes, Low: range.Low, High: range.High))];

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

    /// <summary>A rule that can begin with itself would never end.</summary>
    private void RefuseLeftRecursion()
    {
        bool[] nullable = new bool[_rules.Count];
        for (bool changed = true; changed;)
        {
            changed = false;
            for (int rule = 0; rule < _rules.Count; rule++)
                if (!nullable[rule] && _rules[rule]!.Any(alternative => alternative.All(element => element.Kind == ElementKind.Rule && nullable[element.Rule]))) nullable[rule] = changed = true;
        }
        int[] state = new int[_rules.Count]; // 1 while on the path, 2 when done
        for (int start = 0; start < _rules.Count; start++)
        {
            var path = new Stack<(int Rule, IEnumerator<int> Next)>();
            Enter(start);
            while (path.TryPeek(out var top))
            {
                if (!top.Next.MoveNext())
                {
                    state[top.Rule] = 2;
                    path.Pop();
                }
                else if (state[top.Next.Current] == 1)
                {
                    string name = _names.FirstOrDefault(pair => pair.Value == top.Next.Current).Key ?? "a repetition of something that may be empty";
                    throw new FlywheelException($"grammar: '{name}' can begin with itself");
                }
                else
                {
                    Enter(top.Next.Current);
                }
            }

            void Enter(int rule)
            {
                if (state[rule] != 0) return;
                state[rule] = 1;
                path.Push((rule, Firsts(rule).GetEnumerator()));
            }
        }

        IEnumerable<int> Firsts(int rule)
        {
            foreach (GrammarElement[] alternative in _rules[rule]!)
                foreach (GrammarElement element in alternative)
                {
                    if (element.Kind != ElementKind.Rule) break;
                    yield return element.Rule;
                    if (!nullable[element.Rule]) break;
                }
        }
    }

    private FlywheelException Fault(string what) =>
        new($"grammar, line {1 + text.AsSpan(0, Math.Min(_at, text.Length)).Count('\n')}: {what}");
}
