namespace Flywheel.Model;

/// <summary>Cuts text into the words inside which byte pairs are merged: the steps of tokenizer.json's pre_tokenizer.</summary>
internal sealed class PreTokenizer
{
    /// <summary>What becomes of the stretches that a pattern finds.</summary>
    private enum Behavior { Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous }

    private delegate void Step(Words words);

    private readonly List<Step> _steps = [];

    /// <summary>Whether words are spelt in bytes; otherwise in characters.</summary>
    public bool IsByteLevel { get; private set; }

    /// <summary>Reads pre_tokenizer.</summary>
    /// <exception cref="FlywheelException">A step or setting that is not known; named.</exception>
    public static PreTokenizer Read(JsonField? field)
    {
        var preTokenizer = new PreTokenizer();
        if (field is { } first) preTokenizer.Add(first);
        return preTokenizer;
    }

    /// <summary>The words of a text that stands at the beginning or, after an added token, further on.</summary>
    /// <param name="text">What is cut.</param>
    /// <param name="atStart">It begins the whole text.</param>
    /// <param name="continues">It goes on from another part: nothing is put before it.</param>
    public Words Cut(string text, bool atStart, bool continues = false)
    {
        var words = new Words(text, atStart, continues);
        foreach (Step step in _steps) step(words);
        return words;
    }

    private void Add(JsonField field)
    {
        if (IsByteLevel) throw field.Wrong("nothing after ByteLevel");
        switch (field["type"].Text())
        {
            case "Sequence":
                foreach (JsonField item in field["pretokenizers"].Items()) Add(item);
                break;
            case "Split":
                Split(ReadPattern(field["pattern"]), ReadBehavior(field["behavior"]), field.Flag("invert"));
                break;
            case "Digits":
                Split(SplitPattern.OfRegex(@"\p{N}"), field.Flag("individual_digits") ? Behavior.Isolated : Behavior.Contiguous,
                    invert: false);
                break;
            case "Punctuation": // of today's Unicode; the library's table is that of Unicode 8
                Split(SplitPattern.OfRegex(@"[\p{P}$+<=>\^`|~]"),
                    field.Find("behavior") is { } behavior ? ReadBehavior(behavior) : Behavior.Isolated, invert: false);
                break;
            case "Metaspace":
                AddMetaspace(Metaspace.Read(field));
                break;
            case "ByteLevel":
                IsByteLevel = true;
                if (field.Flag("add_prefix_space", absent: true)) _steps.Add(words => words.Prefix(' ', onlyFirst: false));
                if (field.Flag("use_regex", absent: true)) Split(SplitPattern.OfRegex(SplitPattern.Gpt2), Behavior.Isolated, invert: false);
                break;
            default:
                throw field["type"].Wrong("'Sequence', 'Split', 'Digits', 'Punctuation', 'Metaspace' or 'ByteLevel'");
        }
    }

    internal static SplitPattern ReadPattern(JsonField field)
    {
        if (field.Find("String") is { } text) return SplitPattern.OfText(text.Text());
        JsonField regex = field["Regex"];
        try
        {
            return SplitPattern.OfRegex(regex.Text());
        }
        catch (FormatException e)
        {
            throw regex.Wrong($"a pattern that .NET reads as Oniguruma does; it has {e.Message}");
        }
    }

    private static Behavior ReadBehavior(JsonField field) => field.OneOf(
        ("Removed", Behavior.Removed), ("Isolated", Behavior.Isolated), ("MergedWithPrevious", Behavior.MergedWithPrevious),
        ("MergedWithNext", Behavior.MergedWithNext), ("Contiguous", Behavior.Contiguous));

    private void AddMetaspace(Metaspace metaspace)
    {
        _steps.Add(words => words.Replace(' ', metaspace.Replacement));
        if (metaspace.Prepend != PrependScheme.Never)
            _steps.Add(words => words.Prefix(metaspace.Replacement, metaspace.Prepend == PrependScheme.First));
        if (metaspace.Split) Split(SplitPattern.OfText(metaspace.Replacement.ToString()), Behavior.MergedWithNext, invert: false);
    }

    private void Split(SplitPattern pattern, Behavior behavior, bool invert) => _steps.Add(words => words.Recut((word, cuts) =>
    {
        var matches = new List<(int Start, int End)>();
        pattern.Find(word, matches);
        if (behavior == Behavior.Isolated || (behavior == Behavior.Removed && matches.Count == 0 && !invert))
        {
            // The common case, without a list of both kinds.
            int end = 0;
            foreach (var match in matches)
            {
                if (match.Start > end) cuts.Add((end, match.Start));
                cuts.Add(match);
                end = match.End;
            }
            if (end < word.Length) cuts.Add((end, word.Length));
            return;
        }
        Join(Stretches(matches, word.Length, invert), behavior, cuts);
    }));

    /// <summary>The whole word: what matched, and what lies between.</summary>
    private static List<(int Start, int End, bool Match)> Stretches(List<(int Start, int End)> matches, int length, bool invert)
    {
        var stretches = new List<(int, int, bool)>();
        int end = 0;
        foreach (var match in matches)
        {
            if (match.Start > end) stretches.Add((end, match.Start, invert));
            stretches.Add((match.Start, match.End, !invert));
            end = match.End;
        }
        if (end < length) stretches.Add((end, length, invert));
        return stretches;
    }

    private static void Join(List<(int Start, int End, bool Match)> stretches, Behavior behavior, List<(int Start, int End)> cuts)
    {
        for (int i = 0; i < stretches.Count; i++)
        {
            (int start, int end, bool match) = stretches[i];
            bool before = i > 0 && stretches[i - 1].Match;
            bool joins = i > 0 && behavior switch
            {
                Behavior.Contiguous => match == before,
                Behavior.MergedWithPrevious => match && !before,
                Behavior.MergedWithNext => before && !match,
                _ => false,
            };
            if (behavior == Behavior.Removed && match) continue;
            if (joins) cuts[^1] = (cuts[^1].Start, end);
            else cuts.Add((start, end));
        }
    }
}

/// <summary>A text and the words that it is cut into. Not all of the text need belong to a word.</summary>
internal sealed class Words(string text, bool atStart, bool continues)
{
    public delegate void Cutter(ReadOnlySpan<char> word, List<(int Start, int End)> cuts);

    private List<(int Start, int End)> _words = text.Length == 0 ? [] : [(0, text.Length)];

    public int Count => _words.Count;

    public ReadOnlySpan<char> this[int i] => text.AsSpan(_words[i].Start, _words[i].End - _words[i].Start);

    /// <summary>Cuts each word further.</summary>
    public void Recut(Cutter cutter)
    {
        var words = new List<(int Start, int End)>(_words.Count);
        foreach ((int start, int end) in _words)
        {
            int first = words.Count;
            cutter(text.AsSpan(start, end - start), words);
            int kept = first;
            for (int i = first; i < words.Count; i++)
                if (words[i].End > words[i].Start) words[kept++] = (words[i].Start + start, words[i].End + start);
            words.RemoveRange(kept, words.Count - kept);
        }
        _words = words;
    }

    public void Replace(char old, char with) => text = text.Replace(old, with);

    /// <summary>Puts a character before each word that does not begin with it, or only before the one that begins the whole text.</summary>
    public void Prefix(char character, bool onlyFirst)
    {
        atStart &= _words is [(0, _), ..]; // else what began the text was removed
        if (onlyFirst && !atStart) return;
        var result = new System.Text.StringBuilder(text.Length + _words.Count);
        for (int i = 0; i < _words.Count; i++)
        {
            (int start, int end) = _words[i];
            int at = result.Length;
            if (text[start] != character && (!onlyFirst || i == 0) && !(continues && i == 0)) result.Append(character);
            result.Append(text, start, end - start);
            _words[i] = (at, result.Length);
        }
        text = result.ToString();
    }
}

internal enum PrependScheme { Always, First, Never }

/// <summary>SentencePiece's visible spaces, as a pre-tokenizer writes and a decoder reads them.</summary>
internal sealed record Metaspace(char Replacement, PrependScheme Prepend, bool Split)
{
    public static Metaspace Read(JsonField field)
    {
        JsonField replacement = field["replacement"];
        PrependScheme prepend = field.Find("prepend_scheme") is { } scheme
            ? scheme.OneOf(("always", PrependScheme.Always), ("first", PrependScheme.First), ("never", PrependScheme.Never))
            : field.Flag("add_prefix_space", absent: true) ? PrependScheme.Always : PrependScheme.Never;
        return new(replacement.Text() is [char only] ? only : throw replacement.Wrong("one character"), prepend,
            field.Flag("split", absent: true));
    }
}
