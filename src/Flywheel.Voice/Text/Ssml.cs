using System.Globalization;
using System.Xml;
using Flywheel.Model;

namespace Flywheel.Voice;

/// <summary>
/// A small part of the Speech Synthesis Markup Language (W3C, version 1.1): <c>break</c>, <c>prosody</c>, <c>say-as</c>, <c>phoneme</c>,
/// <c>emphasis</c> and <c>sub</c>, with <c>speak</c> around or not. It is compiled by us and means the same to all engines; what is not
/// understood is refused, with line and column, and never skipped.
/// </summary>
public static class Ssml
{
    public const int MaxLength = 100_000, MaxDepth = 16;

    public static readonly TimeSpan MaxBreak = TimeSpan.FromSeconds(60);

    private static readonly string[] Elements = ["break", "prosody", "say-as", "phoneme", "emphasis", "sub"];

    private static readonly Dictionary<string, TimeSpan> Strengths = new(StringComparer.Ordinal)
    {
        ["none"] = TimeSpan.Zero, ["x-weak"] = TimeSpan.FromMilliseconds(100), ["weak"] = TimeSpan.FromMilliseconds(200),
        ["medium"] = TimeSpan.FromMilliseconds(400),
        ["strong"] = TimeSpan.FromMilliseconds(700), ["x-strong"] = TimeSpan.FromMilliseconds(1200),
    };

    private static readonly Dictionary<string, Prosody> Levels = new(StringComparer.Ordinal)
    {
        ["none"] = Prosody.Plain, ["reduced"] = new(1.05, -1, -3), ["moderate"] = new(.95, 1, 2), ["strong"] = new(.88, 2, 4),
    };

    private static readonly Dictionary<string, double> Rates = new(StringComparer.Ordinal) { ["x-slow"] = .5, ["slow"] = .75,
        ["medium"] = 1, ["default"] = 1, ["fast"] = 1.25, ["x-fast"] = 1.5 };

    private static readonly Dictionary<string, double> Pitches = new(StringComparer.Ordinal) { ["x-low"] = -6, ["low"] = -3, ["medium"] = 0,
        ["default"] = 0, ["high"] = 3, ["x-high"] = 6 };

    private static readonly Dictionary<string, double> Volumes = new(StringComparer.Ordinal) { ["x-soft"] = -12, ["soft"] = -6,
        ["medium"] = 0, ["default"] = 0, ["loud"] = 6, ["x-loud"] = 12 };

    /// <summary>From none to strong.</summary>
    public static IReadOnlyCollection<string> EmphasisLevels => Levels.Keys;

    /// <summary>How a level of emphasis is spoken; null: plainly.</summary>
    internal static Prosody ProsodyOf(string? level) => level is null ? Prosody.Plain : Levels[level];

    /// <param name="text">The markup.</param>
    /// <param name="name">Of the line or file, for messages.</param>
    /// <param name="language">Of the text: how numbers are said depends on it.</param>
    /// <exception cref="FlywheelException">Not well formed, or not understood; the message says line and column.</exception>
    public static IReadOnlyList<MarkupPiece> Parse(string text, string name, string language)
    {
        if (text.Length > MaxLength)
            throw new FlywheelException($"{name}: the markup has {text.Length} characters, expected at most {MaxLength}");
        var settings = new XmlReaderSettings
        {
            ConformanceLevel = ConformanceLevel.Fragment,
            DtdProcessing = DtdProcessing.Prohibit,
            XmlResolver = null,
            MaxCharactersInDocument = MaxLength,
            IgnoreComments = true,
            IgnoreProcessingInstructions = true,
        };
        try
        {
            using XmlReader reader = XmlReader.Create(new StringReader(text), settings);
            return new Parser(reader, name, language).Run();
        }
        catch (XmlException e)
        {
            string what = e.Message.Contains("DTD", StringComparison.Ordinal)
                ? "a document type is not taken, and no entities but &amp; &lt; &gt; &quot; &apos;" : Sentence(e.Message);
            throw new FlywheelException($"{name}: line {e.LineNumber}, column {e.LinePosition}: {what}", e);
        }
    }

    /// <summary>The parser puts the place at the end; ours is in front.</summary>
    private static string Sentence(string message)
    {
        int place = message.IndexOf(" Line ", StringComparison.Ordinal);
        return (place < 0 ? message : message[..place]).TrimEnd('.');
    }

    private sealed class Parser(XmlReader reader, string name, string language)
    {
        private readonly List<MarkupPiece> _pieces = [];
        private readonly Stack<Prosody> _prosody = new([Prosody.Plain]);
        private readonly Stack<bool> _hasProsody = new();
        private bool _isInsideSpeak;

        public IReadOnlyList<MarkupPiece> Run()
        {
            while (reader.Read())
            {
                switch (reader.NodeType)
                {
                    case XmlNodeType.Element:
                        Open();
                        break;
                    case XmlNodeType.EndElement:
                        if (_hasProsody.Pop()) _prosody.Pop();
                        break;
                    case XmlNodeType.Text or XmlNodeType.CDATA or XmlNodeType.Whitespace or XmlNodeType.SignificantWhitespace:
                        Speak(reader.Value, ipa: null, isLiteral: false);
                        break;
                    case XmlNodeType.XmlDeclaration:
                        break;
                    default:
                        throw Wrong($"'{reader.NodeType}' is not taken here");
                }
            }
            return _pieces;
        }

        private void Open()
        {
            if (reader.Depth >= MaxDepth) throw Wrong($"elements lie {reader.Depth + 1} deep, expected at most {MaxDepth}");
            switch (reader.Name)
            {
                case "speak" when reader.Depth == 0 && !_isInsideSpeak:
                    _isInsideSpeak = true;
                    Allow("version", "xml:lang", "xmlns", "xmlns:xsi", "xsi:schemaLocation");
                    Enter(null);
                    break;
                case "break":
                    Allow("time", "strength");
                    _pieces.Add(new BreakPiece(BreakLength()));
                    if (!reader.IsEmptyElement && Content().Trim().Length > 0) throw Wrong("'break' holds text, expected <break/>");
                    break;
                case "prosody":
                    Allow("rate", "pitch", "volume");
                    Enter(new Prosody(Rate(), Pitch(), Volume()));
                    break;
                case "emphasis":
                    Allow("level");
                    string level = reader.GetAttribute("level") ?? "moderate";
                    Enter(Levels.TryGetValue(level, out Prosody change)
                        ? change : throw WrongValue("level", level, NearestName.List(Levels.Keys)));
                    break;
                case "say-as":
                    Allow("interpret-as", "format", "detail");
                    string kind = reader.GetAttribute("interpret-as") ?? throw Wrong("'say-as' lacks its attribute 'interpret-as'");
                    Func<string, string> say = SayAs.Find(kind, language)
                        ?? throw WrongValue("interpret-as", kind, NearestName.List(SayAs.Kinds(language)));
                    Speak(say(Content()), ipa: null, isLiteral: true);
                    break;
                case "phoneme":
                    Allow("alphabet", "ph");
                    string alphabet = reader.GetAttribute("alphabet") ?? "ipa";
                    if (alphabet != "ipa") throw WrongValue("alphabet", alphabet, "ipa");
                    string ipa = reader.GetAttribute("ph") is { Length: > 0 } ph ? ph : throw Wrong("'phoneme' lacks its attribute 'ph'");
                    Speak(Content(), ipa, isLiteral: true);
                    break;
                case "sub":
                    Allow("alias");
                    string alias = reader.GetAttribute("alias") ?? throw Wrong("'sub' lacks its attribute 'alias'");
                    Content();
                    Speak(alias, ipa: null, isLiteral: false);
                    break;
                default:
                    throw Wrong($"the element '{reader.Name}' is not known{NearestName.Hint(reader.Name, Elements)}");
            }
        }

        private void Enter(Prosody? change)
        {
            if (reader.IsEmptyElement) return;
            _hasProsody.Push(change is not null);
            if (change is { } inner) _prosody.Push(_prosody.Peek().With(inner));
        }

        private void Speak(string text, string? ipa, bool isLiteral) => _pieces.Add(new SpokenPiece(text, ipa, isLiteral, _prosody.Peek()));

        /// <summary>The text of an element that holds nothing else; the reader stands on its end afterwards.</summary>
        private string Content()
        {
            if (reader.IsEmptyElement) return "";
            string element = reader.Name;
            var text = new System.Text.StringBuilder();
            while (reader.Read() && reader.NodeType != XmlNodeType.EndElement)
                text.Append(
                    reader.NodeType is XmlNodeType.Text or XmlNodeType.CDATA or XmlNodeType.Whitespace or XmlNodeType.SignificantWhitespace
                        ? reader.Value
                    : throw Wrong($"'{element}' holds '{reader.Name}', expected text alone"));
            return text.ToString();
        }

        private TimeSpan BreakLength()
        {
            if (reader.GetAttribute("time") is not { } time)
            {
                string strength = reader.GetAttribute("strength") ?? "medium";
                return Strengths.TryGetValue(strength, out TimeSpan length)
                    ? length : throw WrongValue("strength", strength, NearestName.List(Strengths.Keys));
            }
            double? seconds = time.EndsWith("ms", StringComparison.Ordinal) ? Number(time[..^2]) / 1000 : time.EndsWith('s')
                ? Number(time[..^1]) : null;
            return seconds >= 0 && seconds <= MaxBreak.TotalSeconds ? TimeSpan.FromSeconds(seconds.Value)
                : throw WrongValue("time", time, $"a length such as 500ms or 1.5s, at most {MaxBreak.TotalSeconds:0}s");
        }

        private double Rate()
        {
            if (reader.GetAttribute("rate") is not { } rate) return 1;
            double? factor = Rates.TryGetValue(rate, out double named) ? named
                : rate.EndsWith('%') ? (rate[0] is '+' or '-' ? 100 + Number(rate[..^1]) : Number(rate[..^1])) / 100 : Number(rate);
            return factor is >= .25 and <= 4
                ? factor.Value : throw WrongValue("rate", rate, $"{NearestName.List(Rates.Keys)}, or 25% to 400%, or -50% to +300%");
        }

        private double Pitch()
        {
            if (reader.GetAttribute("pitch") is not { } pitch) return 0;
            double? semitones = Pitches.TryGetValue(pitch, out double named) ? named
                : pitch.EndsWith("st", StringComparison.Ordinal) ? Number(pitch[..^2])
                : pitch.EndsWith('%') && pitch[0] is '+' or '-'
                ? 12 * Math.Log2(1 + (Number(pitch.TrimEnd('%')) ?? double.NaN) / 100) : null;
            return semitones is >= -12 and <= 12
                ? semitones.Value : throw WrongValue("pitch", pitch,
                    $"{NearestName.List(Pitches.Keys)}, or -12st to +12st, or -50% to +100%");
        }

        private double Volume()
        {
            if (reader.GetAttribute("volume") is not { } volume) return 0;
            double? decibels = Volumes.TryGetValue(volume, out double named) ? named : volume.EndsWith("dB", StringComparison.Ordinal)
                ? Number(volume[..^2]) : null;
            return decibels is >= -40 and <= 20
                ? decibels.Value : throw WrongValue("volume", volume, $"{NearestName.List(Volumes.Keys)}, or -40dB to +20dB");
        }

        private static double? Number(string text) =>
            double.TryParse(text, NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture,
                out double number) ? number : null;

        private void Allow(params string[] known)
        {
            for (int i = 0; i < reader.AttributeCount; i++)
            {
                reader.MoveToAttribute(i);
                if (!known.Contains(reader.Name))
                    throw Wrong($"the attribute '{reader.Name}' is not known here{NearestName.Hint(reader.Name, known)}");
            }
            reader.MoveToElement();
        }

        private FlywheelException WrongValue(string attribute, string value, string expected) =>
            Wrong($"{attribute} is '{CueReader.Short(value)}', expected {expected}");

        private FlywheelException Wrong(string what)
        {
            var place = (IXmlLineInfo)reader;
            return new FlywheelException($"{name}: line {place.LineNumber}, column {place.LinePosition}: {what}");
        }
    }
}
