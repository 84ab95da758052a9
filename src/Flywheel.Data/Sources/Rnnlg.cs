using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Flywheel.Model;

namespace Flywheel.Data;

/// <summary>
/// RNNLG (Wen et al. 2016, arXiv 1603.01232; Apache-2.0): what a system wants to say of laptops, televisions, hotels and restaurants, and
/// how a
/// person said it. Rows: <c>{"act": "recommend(name=...;price=...)", "text": ...}</c>, the text in lower case and tokenised.
/// </summary>
public static partial class Rnnlg
{
    public const string Name = "rnnlg", Publisher = "https://github.com/shawnwun/RNNLG";

    /// <summary>Files, and what their sentences are about.</summary>
    public static IReadOnlyList<(string File, string Category)> Domains { get; } = [("laptop", "Laptop"), ("tv", "Television"),
        ("hotel", "Hotel"), ("restaurant", "Restaurant")];

    /// <exception cref="FlywheelException">A row has another form; names file and line.</exception>
    public static IEnumerable<FactText> Read(string path, string category)
    {
        int number = 0;
        foreach ((JsonObject row, string where) in SourceFiles.Rows(path))
        {
            number++;
            Match act = Act().Match(SourceFiles.Text(row, "act", where));
            if (!act.Success) throw new FlywheelException($"{where}: field 'act' is '{row["act"]}', expected act(slot=value;...)");
            if (act.Groups[1].Value is not ("inform" or "recommend")) continue;
            (string Slot, string Value)[] slots =
                [.. act.Groups[2].Value.Split(';').Select(pair => pair.Split('=', 2)).Where(pair => pair.Length == 2)
                    .Select(pair => (pair[0].Trim(), pair[1].Trim(' ', '\'')))];
            string[] names = [.. slots.Where(slot => slot.Slot == "name").Select(slot => slot.Value)];
            string[] facts =
                [.. slots.Where(slot => slot.Slot is not ("name" or "type") && slot.Value is not ("" or "dontcare")).Select(Fact)];
            string text = Sentence(SourceFiles.Text(row, "text", where));
            if (names.Length != 1 || facts.Length == 0 || text.EndsWith('?')
                || !text.Contains(names[0], StringComparison.OrdinalIgnoreCase)) continue;
            yield return new FactText($"{Name}:{category}:{number}", $"{Name}:{names[0]}", Brief.Description, names[0], category, facts,
                text);
        }
    }

    private static string Fact((string Slot, string Value) slot) => slot.Slot switch
    {
        "isforbusinesscomputing" => slot.Value == "true" ? "for business" : "not for business",
        "hasusbport" => slot.Value == "true" ? "has USB ports" : "no USB ports",
        "dogsallowed" => $"dogs allowed: {slot.Value}",
        "kidsallowed" => $"children allowed: {slot.Value}",
        "goodformeal" => $"good for {slot.Value}",
        "hasinternet" => $"internet: {slot.Value}",
        "acceptscreditcards" or "acceptscards" => $"credit cards: {slot.Value}",
        "pricerange" => $"price range: {slot.Value}",
        "batteryrating" => $"battery rating: {slot.Value}",
        "driverange" => $"drive range: {slot.Value}",
        "weightrange" => $"weight range: {slot.Value}",
        "screensizerange" => $"screen size range: {slot.Value}",
        "screensize" => $"screen size: {slot.Value}",
        "ecorating" => $"eco rating: {slot.Value}",
        "audio" or "resolution" or "powerconsumption" or "accessories" or "family" or "price" or "color" =>
            $"{(slot.Slot == "powerconsumption" ? "power" : slot.Slot)}: {slot.Value}",
        _ => $"{slot.Slot}: {slot.Value}",
    };

    /// <summary>Detokenised, with a capital at each sentence's start and for the words that need one.</summary>
    internal static string Sentence(string text)
    {
        text = TextCleaner.Line(text.Replace(" -s", "s", StringComparison.Ordinal).Replace(" -ly", "ly", StringComparison.Ordinal));
        text = Alone().Replace(text, match => match.Value.ToUpperInvariant());
        text = Start().Replace(text, match => match.Value.ToUpperInvariant());
        return text.Length > 0 && text[^1] is not ('.' or '!' or '?') ? text + "." : text;
    }

    [GeneratedRegex(@"^(\??\w+)\((.*)\)$")]
    private static partial Regex Act();

    [GeneratedRegex(@"\b(i|usb|hdmi|gb|tb|ghz|led|lcd|tv|wifi)\b")]
    private static partial Regex Alone();

    [GeneratedRegex(@"(^|[.!?] )[a-z]")]
    private static partial Regex Start();
}
