using System.Globalization;
using System.Text;
using Flywheel.Model;

namespace Flywheel.Engine.Grammars;

/// <summary>
/// Regular expressions of JSON Schema's <c>pattern</c> (ECMA-262) as GBNF over the characters of a JSON string: literals,
/// classes, groups, alternatives, repetitions, anchors at the ends. What looks around or back is refused.
/// </summary>
/// <remarks>
/// "Any other character" means those of the basic plane, because readers of patterns do not agree on whether one beyond it
/// counts once or twice.
/// </remarks>
internal sealed class JsonPatternGrammar
{
    private const int LastCharacter = 0xFFFF, MaxDepth = 50;

    private static readonly (int, int)[] Digit = [('0', '9')], Word = [('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')],
        Space = [(9, 13), (32, 32), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F),
            (0x3000, 0x3000), (0xFEFF, 0xFEFF)],
        LineEnds = [('\n', '\n'), ('\r', '\r'), (0x2028, 0x2029)];

    private readonly string _pattern;
    private readonly string _path;
    private int _at, _depth;

    private JsonPatternGrammar(string pattern, string path) => (_pattern, _path) = (pattern, path);

    /// <summary>The content of a string, without its quotes.</summary>
    /// <param name="pattern">What it must match.</param>
    /// <param name="minLength">Fewest characters.</param>
    /// <param name="maxLength">Most characters.</param>
    /// <param name="path">Of the keyword, for errors.</param>
    public static string Convert(string pattern, int minLength, int? maxLength, string path)
    {
        var parser = new JsonPatternGrammar(pattern, path);
        Node node = parser.Alternatives(top: true);
        if (parser._at < pattern.Length) throw parser.Fault("')' has no beginning");
        double most = maxLength ?? double.PositiveInfinity;
        if (node.Least < minLength || node.Most > most)
        {
            // A repetition of single characters can be counted; anything else cannot be cut without losing its form.
            node = node is Repeat { Item: Characters } repeat
                ? repeat with { Min = Math.Max(repeat.Min, minLength), Max = (int)Math.Min(repeat.Max, Math.Min(most, int.MaxValue)) }
                : throw new FlywheelException(
                    $"{path}: matches have {node.Least} to {(node.Most == double.PositiveInfinity ? "any number of" : node.Most)} characters, not within minLength and maxLength; give the length in the pattern");
            if (((Repeat)node).Min > ((Repeat)node).Max) return "nothing";
        }
        return node.Gbnf;
    }

    /// <summary>The same for a pattern that is known to be well formed; null where it cannot be said together with the lengths.</summary>
    public static string? TryConvert(string pattern, int minLength, int? maxLength)
    {
        try
        {
            return Convert(pattern, minLength, maxLength, "pattern");
        }
        catch (FlywheelException)
        {
            return null;
        }
    }

    /// <summary>The literal text that every match begins with; empty where it is not plain to see.</summary>
    public static string Beginning(string pattern)
    {
        if (!pattern.StartsWith('^') || pattern.Contains('|')) return "";
        int end = 1;
        while (end < pattern.Length && (char.IsLetterOrDigit(pattern[end]) || pattern[end] is '_' or '-' or ' ' or ':' or '/')) end++;
        return end < pattern.Length && pattern[end] is '*' or '?' or '{' ? pattern[1..(end - 1)] : pattern[1..end];
    }

    /// <summary>A character inside a JSON string, in the one way in which patterns spell it.</summary>
    public static string Written(char c) => c switch
    {
        '"' => "\\\"",
        '\\' => "\\\\",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\b' => "\\b",
        '\f' => "\\f",
        < ' ' => $"\\u{(int)c:x4}",
        _ => c.ToString(),
    };

    private Node Alternatives(bool top)
    {
        if (++_depth > MaxDepth) throw Fault($"groups nest deeper than {MaxDepth}");
        List<Node> options = [Sequence(top)];
        while (Accept('|')) options.Add(Sequence(top));
        _depth--;
        return options is [var only] ? only : new Choice(options);
    }

    private Node Sequence(bool top)
    {
        var items = new List<Node>();
        bool open = top && !Accept('^'), closed = false;
        while (_at < _pattern.Length && _pattern[_at] is not ('|' or ')'))
        {
            if (top && _pattern[_at] == '$' && (_at + 1 == _pattern.Length || _pattern[_at + 1] == '|'))
            {
                _at++;
                closed = true;
                break;
            }
            items.Add(Repeated(Item()));
        }
        if (open) items.Insert(0, Anything.Instance);
        if (top && !closed) items.Add(Anything.Instance);
        return items is [var only] ? only : new Row(items);
    }

    private Node Item()
    {
        char c = _pattern[_at];
        switch (c)
        {
            case '(':
                _at++;
                if (Accept('?') && !Accept(':'))
                {
                    if (!Accept('<') || _at == _pattern.Length || _pattern[_at] is '=' or '!')
                        throw Fault("looking around is not supported");
                    _at = _pattern.IndexOf('>', _at) + 1;
                    if (_at == 0) throw Fault("'>' is missing");
                }
                Node group = Alternatives(top: false);
                if (!Accept(')')) throw Fault("')' is missing");
                return group;
            case '[': return Class();
            case '.':
                _at++;
                return new Characters(Complement(LineEnds));
            case '\\': return new Characters(Escape(inClass: false));
            case '^' or '$': throw Fault($"'{c}' is supported only at the ends of the pattern");
            case '*' or '+' or '?' or '{': throw Fault($"'{c}' repeats nothing");
            default:
                return new Characters(One(Character()));
        }
    }

    private Node Repeated(Node item)
    {
        if (_at == _pattern.Length) return item;
        (int min, int max) = (0, int.MaxValue);
        switch (_pattern[_at])
        {
            case '*': break;
            case '+': min = 1; break;
            case '?': max = 1; break;
            case '{':
                int close = _pattern.IndexOf('}', _at);
                string[] bounds = close < 0 ? [] : _pattern[(_at + 1)..close].Split(',');
                if (bounds.Length is not (1 or 2) || !Number(bounds[0], out min))
                    throw Fault("a repetition is not of the form {2}, {2,} or {2,4}");
                if (bounds.Length == 1) max = min;
                else if (bounds[1].Length > 0 && (!Number(bounds[1], out max) || max < min))
                    throw Fault("a repetition is not of the form {2}, {2,} or {2,4}");
                _at = close;
                break;
            default: return item;
        }
        _at++;
        Accept('?'); // a lazy repetition matches the same texts
        if (_at < _pattern.Length && _pattern[_at] is '*' or '+' or '?' or '{') throw Fault($"'{_pattern[_at]}' repeats a repetition");
        return new Repeat(item, min, max);

        static bool Number(string text, out int value) =>
            int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out value) && value <= 100_000;
    }

    private Characters Class()
    {
        _at++;
        bool negated = Accept('^');
        var ranges = new List<(int Low, int High)>();
        while (_at < _pattern.Length && _pattern[_at] != ']')
        {
            (int Low, int High)[] low = Member();
            if (low is [var (from, same)] && from == same && _at + 1 < _pattern.Length && _pattern[_at] == '-' && _pattern[_at + 1] != ']')
            {
                _at++;
                if (Member() is not [var (to, also)] || to != also || to < from) throw Fault("a range of characters is malformed");
                ranges.Add((from, to));
            }
            else ranges.AddRange(low);
        }
        if (!Accept(']')) throw Fault("']' is missing");
        return new Characters(negated ? Complement([.. ranges]) : [.. ranges]);

        (int, int)[] Member()
        {
            if (_at == _pattern.Length) throw Fault("']' is missing");
            if (_pattern[_at] == '\\') return Escape(inClass: true);
            int c = Character();
            return c <= LastCharacter ? One(c) : throw Fault("a class holds a character beyond U+FFFF, which is not supported");
        }
    }

    private (int, int)[] Escape(bool inClass)
    {
        if (++_at == _pattern.Length) throw Fault("an escape ends early");
        char c = _pattern[_at++];
        switch (c)
        {
            case 'd': return Digit;
            case 'D': return Complement(Digit);
            case 'w': return Word;
            case 'W': return Complement(Word);
            case 's': return Space;
            case 'S': return Complement(Space);
            case 'n': return One('\n');
            case 'r': return One('\r');
            case 't': return One('\t');
            case 'f': return One('\f');
            case 'v': return One('\v');
            case '0': return One(0);
            case 'b' when inClass: return One('\b');
            case 'x': return One(Hex(2));
            case 'u': return One(Hex(4));
            default:
                if (char.IsAsciiLetterOrDigit(c)) throw Fault($"'\\{c}' is not supported");
                return One(c);
        }
    }

    private int Hex(int digits)
    {
        if (_at + digits > _pattern.Length
            || !int.TryParse(_pattern.AsSpan(_at, digits), NumberStyles.AllowHexSpecifier, null, out int value) || !Rune.IsValid(value))
            throw Fault($"an escape needs {digits} hexadecimal digits of a character");
        _at += digits;
        return value;
    }

    private int Character()
    {
        if (!Rune.TryGetRuneAt(_pattern, _at, out Rune rune)) throw Fault("half a character");
        _at += rune.Utf16SequenceLength;
        return rune.Value;
    }

    private bool Accept(char c)
    {
        if (_at == _pattern.Length || _pattern[_at] != c) return false;
        _at++;
        return true;
    }

    private static (int, int)[] One(int c) => [(c, c)];

    private static (int, int)[] Complement((int Low, int High)[] ranges)
    {
        var others = new List<(int, int)>();
        int next = 0;
        foreach ((int low, int high) in ranges.Order())
        {
            if (low > next) others.Add((next, low - 1));
            next = Math.Max(next, high + 1);
        }
        if (next <= LastCharacter) others.Add((next, LastCharacter));
        return [.. others];
    }

    private FlywheelException Fault(string what) => new($"{_path} is '{_pattern}', at character {_at + 1}: {what}");

    private abstract record Node
    {
        public abstract double Least { get; }

        public abstract double Most { get; }

        public abstract string Gbnf { get; }
    }

    /// <summary>What stands before or after a pattern that is not anchored.</summary>
    private sealed record Anything : Node
    {
        public static Anything Instance { get; } = new();

        public override double Least => 0;

        public override double Most => double.PositiveInfinity;

        public override string Gbnf => "char*";
    }

    private sealed record Characters((int Low, int High)[] Ranges) : Node
    {
        public override double Least => 1;

        public override double Most => 1;

        public override string Gbnf
        {
            get
            {
                var plain = new StringBuilder();
                var options = new List<string>();
                foreach ((int low, int high) in Ranges)
                {
                    // Between those that JSON must escape.
                    int next = low;
                    foreach (int special in (int[])[.. Enumerable.Range(0, 32), '"', '\\'])
                    {
                        if (special < next || special > high) continue;
                        if (special > next) Range(next, special - 1);
                        options.Add(Escaped((char)special));
                        next = special + 1;
                    }
                    if (next <= high) Range(next, high);
                }
                if (plain.Length > 0) options.Insert(0, $"[{plain}]");
                return options.Count switch { 0 => "nothing", 1 => options[0], _ => $"({string.Join(" | ", options)})" };

                void Range(int from, int to)
                {
                    plain.Append(Symbol(from));
                    if (to > from) plain.Append('-').Append(Symbol(to));
                }
            }
        }

        private static string Symbol(int c) =>
            c < 128 && char.IsAsciiLetterOrDigit((char)c) ? $"{(char)c}" : c <= 0xFF ? $"\\x{c:X2}" : c <= 0xFFFF
                ? $"\\u{c:X4}" : $"\\U{c:X8}";

        private static string Escaped(char c) => JsonSchemaGrammar.Literal(Written(c));
    }

    private sealed record Repeat(Node Item, int Min, int Max) : Node
    {
        public override double Least => Item.Least * Min;

        public override double Most => Max == 0 || Item.Most == 0 ? 0 : Max == int.MaxValue ? double.PositiveInfinity : Item.Most * Max;

        public override string Gbnf => $"({Item.Gbnf}){{{Min},{(Max == int.MaxValue ? "" : Max)}}}";
    }

    private sealed record Row(List<Node> Items) : Node
    {
        public override double Least => Items.Sum(item => item.Least);

        public override double Most =>
            Items.Any(item => item.Most == double.PositiveInfinity) ? double.PositiveInfinity : Items.Sum(item => item.Most);

        public override string Gbnf => Items.Count == 0 ? "\"\"" : string.Join(' ', Items.Select(item => item.Gbnf));
    }

    private sealed record Choice(List<Node> Options) : Node
    {
        public override double Least => Options.Min(option => option.Least);

        public override double Most => Options.Max(option => option.Most);

        public override string Gbnf => $"({string.Join(" | ", Options.Select(option => option.Gbnf))})";
    }
}
