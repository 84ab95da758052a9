namespace Flywheel.Model;

/// <summary>What is done to a text before it is cut: the steps of tokenizer.json's normalizer.</summary>
internal sealed class Normalizer
{
    private readonly List<Func<string, string>> _steps = [];
    private readonly HashSet<Func<string, string>> _prepending = [];

    /// <summary>Reads normalizer.</summary>
    /// <exception cref="FlywheelException">A step that is not known; named.</exception>
    public static Normalizer Read(JsonField? field)
    {
        var normalizer = new Normalizer();
        if (field is { } first) normalizer.Add(first);
        return normalizer;
    }

    /// <param name="text">A text, or a part of one.</param>
    /// <param name="continues">Nothing is put before it: it goes on from another part.</param>
    public string Apply(string text, bool continues = false)
    {
        foreach (Func<string, string> step in _steps)
            if (!continues || !_prepending.Contains(step)) text = step(text);
        return text;
    }

    private void Add(JsonField field)
    {
        switch (field["type"].Text())
        {
            case "Sequence":
                foreach (JsonField item in field["normalizers"].Items()) Add(item);
                break;
            case "NFC":
                _steps.Add(text => UnicodeNormalizer.Normalize(text, compatible: false, compose: true));
                break;
            case "NFD":
                _steps.Add(text => UnicodeNormalizer.Normalize(text, compatible: false, compose: false));
                break;
            case "NFKC":
                _steps.Add(text => UnicodeNormalizer.Normalize(text, compatible: true, compose: true));
                break;
            case "NFKD":
                _steps.Add(text => UnicodeNormalizer.Normalize(text, compatible: true, compose: false));
                break;
            case "Lowercase":
                _steps.Add(text => text.Replace("\u0130", "i\u0307").ToLowerInvariant()); // the one character whose lower case is two
                break;
            case "Prepend":
                string prefix = field["prepend"].Text();
                _steps.Add(text => text.Length == 0 ? text : prefix + text);
                _prepending.Add(_steps[^1]);
                break;
            case "Replace":
                string content = field["content"].Text();
                if (field["pattern"].Find("String") is { } literal && literal.Text() is [_, ..] old)
                    _steps.Add(text => text.Replace(old, content, StringComparison.Ordinal));
                else
                {
                    SplitPattern pattern = PreTokenizer.ReadPattern(field["pattern"]);
                    _steps.Add(text => pattern.Replace(text, content));
                }
                break;
            case "Strip":
                if (field.Flag("strip_left", absent: true)) _steps.Add(text => text.TrimStart());
                if (field.Flag("strip_right", absent: true)) _steps.Add(text => text.TrimEnd());
                break;
            default:
                throw field["type"].Wrong("'Sequence', 'NFC', 'NFD', 'NFKC', 'NFKD', 'Lowercase', 'Prepend', 'Replace' or 'Strip'");
        }
    }
}
