using System.Globalization;
using System.Text;

namespace Flywheel.Engine.Grammars;

/// <summary>What a point of a list may say.</summary>
/// <param name="Forms">One of these, from a capital on.</param>
/// <param name="Needed">No list leaves it out.</param>
public sealed record WordPoint(IReadOnlyList<string> Forms, bool Needed);

/// <summary>
/// Text of words that are known: a grammar under which an answer may say the words of a list and the phrases that its request says, and
/// between
/// them spaces and marks, but no other word, whatever the model's weights are. Words are spelt through tries, so that a state of the
/// grammar is a place in a spelling, however the tokenizer cuts words.
/// </summary>
public static class WordGrammar
{
    /// <summary>Between words: marks that close, a space or new line, marks that open. A hyphen or slash may also stand alone.</summary>
    /// <param name="dash">Before a point of a list that says what a sentence does, as an alternative; else empty.</param>
    private static string Gap(string dash) =>
        $$"""shut? ([ ] open{0,2} | "\n"{1,2} ({{dash}}"• " | " ")? open{0,2} | " " [–—-] " ") | [-/]""";

    /// <summary>Characters by which spellings are told apart, as a grammar nests no deeper.</summary>
    private const int MaxDepth = 120;

    /// <summary>Of so many points a list says each once at most: its states are what it has said, and double with each of them.</summary>
    private const int MaxPoints = 7;

    /// <summary>The grammar, as <see cref="SamplerOptions.Grammar"/> takes it.</summary>
    /// <param name="words">Known words; each may begin with a capital. A letter's case else counts.</param>
    /// <param name="phrases">What is said word for word, with spaces and marks in it; see <see cref="Forms"/> for how it may begin.</param>
    /// <param name="names">Said as they are, and may have a possessive ending.</param>
    /// <param name="points">All that a list may say; null where its points say what sentences do.</param>
    public static string Write(
        IEnumerable<string> words, IEnumerable<string> phrases, IEnumerable<string> names, IReadOnlyList<WordPoint>? points = null)
    {
        string all = Trie([.. words.Concat(phrases).SelectMany(Forms)]), own = Trie([.. names.Where(name => name.Length > 0)]);
        string unit = (all.Length, own.Length) switch
        {
            (> 0, > 0) => "word | name",
            (> 0, 0) => "word",
            (0, > 0) => "name",
            _ => throw new ArgumentException("no word is known"),
        };
        string dash = points is null ? "\"- \" | " : "";
        var text = new StringBuilder();
        if (points is not { Count: > 0 }) text.Append($"root ::= ({dash}open{{0,2}}) unit (gap unit)* shut? \"\\n\"?\n");
        else
        {
            text.Append("root ::= (said | list) \"\\n\"?\n");
            text.Append("said ::= open{0,2} unit (gap unit)* shut? (\"\\n\"{1,2} list)?\n");
            text.Append("list ::= \"- \" after0 (\"\\n\\n\" said)?\n");
            WritePoints(text, points);
        }
        text.Append($"gap ::= {Gap(dash)}\n");
        text.Append($"unit ::= {unit}\n");
        text.Append("shut ::= [)\\\"'”’]? [.,:;!?…] [)\\\"'”’]? | [)\\\"'”’]\nopen ::= [(\\\"'“‘]\n");
        if (all.Length > 0) text.Append($"word ::= {all}\n");
        if (own.Length > 0) text.Append($"name ::= ({own}) ([’'] \"s\"?)?\n");
        return text.ToString();
    }

    /// <summary>Rules <c>afterN</c>: the points that may follow those whose bits are set in N. Of more than <see cref="MaxPoints"/>, any at
    /// any time.</summary>
    private static void WritePoints(StringBuilder text, IReadOnlyList<WordPoint> points)
    {
        string[] said = [.. points.Select(point => Trie([.. point.Forms.Select(Capitalised)]))];
        if (points.Count > MaxPoints)
        {
            text.Append($"after0 ::= point (\"\\n- \" point)*\npoint ::= {string.Join(" | ", said)}\n");
            return;
        }
        int all = (1 << points.Count) - 1, needed = Enumerable.Range(0, points.Count).Where(at => points[at].Needed).Sum(at => 1 << at);
        for (int at = 0; at < points.Count; at++) text.Append($"point{at} ::= {said[at]}\n");
        for (int before = 0; before < all; before++)
        {
            IEnumerable<string> next = Enumerable.Range(0, points.Count).Where(at => (before >> at & 1) == 0).Select(at =>
            {
                int now = before | 1 << at;
                string more = now == all ? "" : $" \"\\n- \" after{now}";
                return $"point{at}" + ((now & needed) == needed && more.Length > 0 ? $" ({more[1..]})?" : more);
            });
            text.Append($"after{before} ::= {string.Join(" | ", next)}\n");
        }
    }

    /// <summary>As it is, and with a capital; what has a capital already, as it is.</summary>
    private static IEnumerable<string> Forms(string text)
    {
        if (text.Length == 0) yield break;
        yield return text;
        if (Capitalised(text) is var capital && capital != text) yield return capital;
    }

    /// <summary>With a capital, unless its first word has one inside, as "iPhone" has.</summary>
    private static string Capitalised(string text) =>
        text.Length > 0 && char.IsLower(text[0]) && !text.TakeWhile(c => c != ' ').Any(char.IsUpper)
            ? char.ToUpperInvariant(text[0]) + text[1..] : text;

    /// <summary>Alternatives as groups by what they begin with; empty without any. Equal branches of a capital and its small letter are
    /// written once.</summary>
    private static string Trie(string[] texts)
    {
        var text = new StringBuilder();
        Write(text, [.. texts.Distinct().Order(StringComparer.Ordinal)], 0);
        return text.ToString();
    }

    /// <param name="text">Is added to.</param>
    /// <param name="texts">Distinct and in order; equal up to <paramref name="from"/>.</param>
    /// <param name="from">Characters that are written already.</param>
    private static void Write(StringBuilder text, ReadOnlySpan<string> texts, int from)
    {
        if (from == MaxDepth && texts.Length > 0)
        {
            // far more than words need: what is left is written as it is
            text.Append('(').AppendJoin('|', texts.ToArray().Select(whole => Literal(whole[from..]))).Append(')');
            return;
        }
        bool ends = texts.Length > 0 && texts[0].Length == from;
        if (ends) texts = texts[1..];
        if (texts.Length == 0) return;
        var branches = new List<(string Head, string Tail)>();
        for (int start = 0, end; start < texts.Length; start = end)
        {
            int width = char.IsHighSurrogate(texts[start][from]) && from + 1 < texts[start].Length ? 2 : 1;
            string head = texts[start].Substring(from, width);
            for (end = start + 1; end < texts.Length && string.CompareOrdinal(texts[end], from, head, 0, width) == 0; end++) { }
            ReadOnlySpan<string> group = texts[start..end];
            int to = from + width;
            if (group.Length == 1) branches.Add((group[0][from..to], group[0].Length == to ? "" : Literal(group[0][to..])));
            else
            {
                var tail = new StringBuilder();
                Write(tail, group, to);
                branches.Add((head, tail.ToString()));
            }
        }
        string[] alternatives = [.. branches.GroupBy(branch => branch.Tail).Select(group => group.Count() == 1
            ? Join(Literal(group.First().Head), group.Key)
            : group.All(branch => branch.Head.Length == 1)
            ? Join($"[{string.Concat(group.Select(branch => InClass(branch.Head[0])))}]", group.Key)
            : string.Join(" | ", group.Select(branch => Join(Literal(branch.Head), group.Key))))];
        bool bare = alternatives.Length == 1 && !ends && !alternatives[0].Contains('|', StringComparison.Ordinal);
        if (!bare) text.Append('(');
        text.AppendJoin('|', alternatives);
        if (!bare) text.Append(')');
        if (ends) text.Append('?');
    }

    private static string Join(string head, string tail) =>
        tail.Length == 0 ? head : head[^1] == '"' && tail[0] == '"' && tail.IndexOf('"', 1) == tail.Length - 1
            ? head[..^1] + tail[1..] : head + tail;

    private static string Literal(string text) => $"\"{string.Concat(text.Select(c => c is '"' or '\\' ? "\\" + c : Plain(c)))}\"";

    private static string InClass(char c) => c is ']' or '\\' or '^' or '-' or '[' ? "\\" + c : Plain(c);

    private static string Plain(char c) => char.IsControl(c) ? "\\u" + ((int)c).ToString("x4", CultureInfo.InvariantCulture) : c.ToString();
}
