using System.Formats.Tar;
using System.Globalization;
using System.IO.Compression;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Flywheel.Model;
using YamlDotNet.Core;
using YamlDotNet.Serialization;
using YamlDotNet.Serialization.NamingConventions;

namespace Flywheel.Data;

/// <summary>How a fact can be said; the name of the slot that it fits.</summary>
public enum FactForm
{
    /// <summary>A thing that it has: "a roof terrace".</summary>
    Has,

    /// <summary>What it does: "opens at seven".</summary>
    Does,

    /// <summary>Said of it: "washable at 40 degrees".</summary>
    Is,

    /// <summary>What several things do: "fold flat".</summary>
    Do,

    /// <summary>Follows the noun: "from Peru".</summary>
    Post,

    /// <summary>What one can do with it: "pay by card".</summary>
    Lets,

    /// <summary>What it does without: "no added sugar".</summary>
    No,

    /// <summary>A whole sentence: "children swim for free".</summary>
    Says,

    /// <summary>Fits into no sentence, or nobody knows into which, and stands behind a label or as a point: "tickets from 12
    /// euros".</summary>
    Note,

    /// <summary>In a sentence: room for a fact of every form, such as a list behind a colon. No fact has it.</summary>
    Any,
}

/// <summary>One fact and its form.</summary>
/// <param name="Form">Where it fits.</param>
/// <param name="Text">As a sentence says it: "a roof terrace", "lessons are included".</param>
/// <param name="Left">The word of it that people do not type: "a", "are", "costs"; empty for none.</param>
public sealed partial record TypedFact(FactForm Form, string Text, string Left = "")
{
    /// <summary>As people type it: "roof terrace", "lessons included".</summary>
    public string Typed { get; private init; } = Text;

    /// <summary>A fact as files write it, where a word in brackets is said and not typed: "[a] roof terrace".</summary>
    public static TypedFact Of(FactForm form, string written) => Bracket().Match(written) is { Success: true } left
        ? new TypedFact(form, Bracket().Replace(written, "$1 "), left.Groups[1].Value) { Typed = Bracket().Replace(written, "") }
        : new TypedFact(form, written);

    /// <summary>The facts of a file such as tasks/copywriting/facts.yaml, with their forms.</summary>
    /// <param name="yaml">What the file says.</param>
    public static IEnumerable<TypedFact> Parse(string yaml) => CopyGrammar.ParseText<GrammarField[]>(yaml)!
        .SelectMany(field => Enum.GetValues<FactForm>().SelectMany(form => field.Facts(form).Select(fact => Of(form, fact))));

    [GeneratedRegex(@"\[(\w+)\] ")]
    private static partial Regex Bracket();
}

/// <summary>A field of products as the file gives it; or, under common, facts that several fields share.</summary>
internal sealed class GrammarField
{
    public string Group { get; set; } = "";

    /// <summary>Under common: the groups whose fields get these facts too; empty for all.</summary>
    public string[] Groups { get; set; } = [];

    /// <summary>No article stands before its nouns.</summary>
    public bool Mass { get; set; }

    /// <summary>Categories, with slots or without; "Graphics=graphics program" where the noun in a sentence differs.</summary>
    public string[] Nouns { get; set; } = [];

    public string[] Audience { get; set; } = [];

    public string[] Has { get; set; } = [];

    public string[] Does { get; set; } = [];

    /// <summary>Of several things; no sentence has room for them yet, but the form of what people type is learnt from them too.</summary>
    public string[] Do { get; set; } = [];

    public string[] Is { get; set; } = [];

    public string[] Post { get; set; } = [];

    public string[] Lets { get; set; } = [];

    public string[] No { get; set; } = [];

    public string[] Says { get; set; } = [];

    public string[] Note { get; set; } = [];

    public string[] Facts(FactForm form) => form switch
    {
        FactForm.Has => Has, FactForm.Does => Does, FactForm.Do => Do, FactForm.Is => Is, FactForm.Post => Post, FactForm.Lets => Lets,
        FactForm.No => No, FactForm.Says => Says, FactForm.Note => Note, _ => [],
    };

    public void Add(GrammarField common) =>
        (Has, Does, Do, Is, Post, Lets, No, Says, Note) = ([.. Has, .. common.Has], [.. Does, .. common.Does], [.. Do, .. common.Do],
            [.. Is, .. common.Is], [.. Post, .. common.Post], [.. Lets, .. common.Lets], [.. No, .. common.No], [.. Says, .. common.Says],
            [.. Note, .. common.Note]);
}

/// <summary>A sentence with room for parts of a brief.</summary>
internal sealed partial class GrammarSentence
{
    private FactForm[]? _needs;

    /// <summary>open, more, close, notes or call; empty for a tagline.</summary>
    public string At { get; set; } = "";

    /// <summary>friendly, playful or formal; empty fits all.</summary>
    public string Tone { get; set; } = "";

    /// <summary>Fields that it fits; empty fits all.</summary>
    public string[] Groups { get; set; } = [];

    public string Text { get; set; } = "";

    /// <summary>The facts that it uses up, in their order.</summary>
    public IReadOnlyList<FactForm> Needs =>
        _needs ??= [.. GrammarText.Slot().Matches(Text).Select(slot => slot.Groups[1].Value)
            .Where(slot => Enum.TryParse<FactForm>(slot, ignoreCase: true, out _))
            .Select(slot => Enum.Parse<FactForm>(slot, ignoreCase: true))];

    public bool NeedsAudience => Text.Contains("{audience}", StringComparison.OrdinalIgnoreCase);
}

/// <summary>The file's form.</summary>
internal sealed class GrammarFile
{
    public Dictionary<string, string[]> Words { get; set; } = [];

    /// <summary>Word lists that are lengthened from the corpora archive: the list's name, and the file in it.</summary>
    public Dictionary<string, string> Corpora { get; set; } = [];

    public GrammarField[] Fields { get; set; } = [];

    /// <summary>Facts that fields share.</summary>
    public GrammarField[] Common { get; set; } = [];

    /// <summary>A file beside this one with more of <see cref="Common"/>; empty for none.</summary>
    public string Facts { get; set; } = "";

    public GrammarSentence[] Sentences { get; set; } = [];

    public GrammarSentence[] Taglines { get; set; } = [];
}

/// <summary>Fields, facts and sentences that copy is composed from, read from YAML.</summary>
internal sealed partial class CopyGrammar
{
    private static readonly string[] Places = ["open", "more", "close", "notes", "call"];

    private readonly GrammarFile _file;

    private CopyGrammar(GrammarFile file) => _file = file;

    public IReadOnlyList<GrammarField> Fields => _file.Fields;

    public IReadOnlyList<GrammarSentence> Sentences => _file.Sentences;

    public IReadOnlyList<GrammarSentence> Taglines => _file.Taglines;

    /// <summary>A word of a list; a third of those that have more come from the longer list.</summary>
    public string Word(string list, Random random) =>
        _file.Words.TryGetValue("more " + list, out string[]? more) && random.Next(3) == 0
            ? more[random.Next(more.Length)] : _file.Words[list][random.Next(_file.Words[list].Length)];

    /// <param name="path">The YAML file.</param>
    /// <param name="corpora">The archive of word lists; null leaves the lists as the file has them.</param>
    /// <exception cref="FlywheelException">Not YAML, an unknown field, word list or slot: names file and place.</exception>
    public static CopyGrammar Load(string path, string? corpora)
    {
        GrammarFile file = Parse<GrammarFile>(path, "words, fields, sentences and taglines");
        if (file.Facts.Length > 0)
            file.Common = [.. file.Common,
                .. Parse<GrammarField[]>(Path.Combine(Path.GetDirectoryName(Path.GetFullPath(path))!, file.Facts),
                    "facts by group and form")];
        if (file.Fields.Length == 0 || file.Sentences.Length == 0 || file.Taglines.Length == 0)
            throw new FlywheelException($"{path}: fields, sentences or taglines are missing");
        foreach (GrammarField field in file.Fields)
        {
            if (field.Nouns.Length == 0 || field.Audience.Length == 0)
                throw new FlywheelException($"{path}: a field of group '{field.Group}' has no nouns or no audience");
            foreach (GrammarField common in file.Common.Where(common => common.Groups.Length == 0 || common.Groups.Contains(field.Group)))
                field.Add(common);
            foreach (string fact in Enum.GetValues<FactForm>().SelectMany(field.Facts).Concat(field.Audience).Concat(field.Nouns))
                foreach (Match slot in GrammarText.Slot().Matches(fact))
                    if (!file.Words.ContainsKey(slot.Groups[1].Value) && !GrammarText.Range().IsMatch(slot.Groups[1].Value)
                        && slot.Groups[1].Value is not ("coined" or "Coined"))
                        throw new FlywheelException(
                            $"{path}: '{fact}' asks for '{slot.Groups[1].Value}', expected a list under words, coined, Coined or n:FROM-TO");
        }
        foreach (GrammarSentence sentence in file.Sentences)
            if (!Places.Contains(sentence.At))
                throw new FlywheelException(
                    $"{path}: field 'at' of '{sentence.Text}' is '{sentence.At}', expected {NearestName.List(Places)}");
        foreach (GrammarSentence sentence in file.Sentences.Concat(file.Taglines))
            foreach (Match slot in GrammarText.Slot().Matches(sentence.Text))
                if (!GrammarText.Slots.Contains(slot.Groups[1].Value.ToLowerInvariant()))
                    throw new FlywheelException(
                        $"{path}: '{sentence.Text}' has the slot '{slot.Groups[1].Value}', expected {NearestName.List(GrammarText.Slots)}");
        if (corpora is not null) Lengthen(file, corpora, path);
        return new CopyGrammar(file);
    }

    private static T Parse<T>(string path, string expected)
        where T : class
    {
        if (!File.Exists(path)) throw new FlywheelException($"{path}: no such file; expected {expected} (YAML)");
        try
        {
            return ParseText<T>(Utf8File.ReadText(path)) ?? throw new FlywheelException($"{path}: is empty, expected {expected}");
        }
        catch (YamlException e)
        {
            throw new FlywheelException($"{path} line {e.Start.Line}: {e.InnerException?.Message ?? e.Message}", e);
        }
    }

    internal static T? ParseText<T>(string yaml) =>
        new DeserializerBuilder().WithNamingConvention(UnderscoredNamingConvention.Instance).Build().Deserialize<T>(yaml);

    private static void Lengthen(GrammarFile file, string corpora, string path)
    {
        Dictionary<string, string> wanted = file.Corpora.ToDictionary(pair => pair.Value, pair => pair.Key);
        using var unzipped = new GZipStream(File.OpenRead(corpora), CompressionMode.Decompress);
        using var archive = new TarReader(unzipped);
        while (archive.GetNextEntry() is { } entry)
        {
            if (entry.DataStream is null || !wanted.Remove(entry.Name.Replace("data/", "", StringComparison.Ordinal), out string? list))
                continue;
            if (!file.Words.ContainsKey(list))
                throw new FlywheelException($"{path}: field 'corpora' lengthens '{list}', which is no list under words");
            string[] words =
                [.. Strings(JsonNode.Parse(entry.DataStream))
                    .Where(word => word.Length is > 2 and < 24 && word.All(c => char.IsAsciiLetter(c) || c is ' ' or '-')
                        && word.Count(c => c == ' ') < 2 && !Plural().IsMatch(word)).Distinct()];
            file.Words["more " + list] = words;
        }
        if (wanted.Count > 0) throw new FlywheelException($"{corpora}: has no file {wanted.Keys.First()}, which {path} asks for");
    }

    /// <summary>Patterns make their own plurals.</summary>
    [GeneratedRegex(@"[^su]s$")]
    private static partial Regex Plural();

    /// <summary>The texts of every list in a file.</summary>
    private static IEnumerable<string> Strings(JsonNode? node) => node switch
    {
        JsonArray list => list.SelectMany(item => item is JsonValue value && value.TryGetValue(out string? text) ? [text] : Strings(item)),
        JsonObject fields => fields.SelectMany(field => Strings(field.Value)),
        _ => [],
    };
}

/// <summary>Small parts of English that sentences are put together with.</summary>
internal static partial class GrammarText
{
    public static IReadOnlyList<string> Slots { get; } = ["name", "kind", "a kind", "has", "does", "is", "post", "lets", "no", "says",
        "note", "notes", "points", "any", "audience"];

    /// <summary>Words and numbers in the place of their slots.</summary>
    public static string Fill(string pattern, CopyGrammar grammar, Random random) => Agree(Slot().Replace(pattern, slot =>
    {
        if (slot.Groups[1].Value is "coined" or "Coined")
            return slot.Groups[1].Value[0] == 'C' ? Capital(InventedName.Coined(random)) : InventedName.Coined(random);
        Match range = Range().Match(slot.Groups[1].Value);
        if (!range.Success) return grammar.Word(slot.Groups[1].Value, random);
        int low = int.Parse(range.Groups[1].Value, CultureInfo.InvariantCulture),
            high = int.Parse(range.Groups[2].Value, CultureInfo.InvariantCulture);
        return random.Next(low, high + 1).ToString(CultureInfo.InvariantCulture);
    }));

    /// <summary>Articles and plurals (and a verb's third person) as the words that were filled in ask for.</summary>
    private static string Agree(string text) => Irregular().Replace(
        ConsonantY().Replace(Sibilant().Replace(Article().Replace(text, match => WithArticle(match.Groups[1].Value)), "$1es"), "$1ies"),
        match => match.Groups["f"].Success ? match.Groups["f"].Value + "ves" : match.Groups["o"].Value + "oes");

    public static string Capital(string text) => text.Length == 0 ? text : char.ToUpperInvariant(text[0]) + text[1..];

    /// <summary>With "a" or "an" as it is spoken.</summary>
    public static string WithArticle(string noun) => (Vowel().IsMatch(noun) ? "an " : "a ") + noun;

    /// <summary>A category in the middle of a sentence: "Tea house" is "tea house", "USB hub" stays.</summary>
    public static string Inner(string category) =>
        category.Length > 1 && !char.IsUpper(category[1]) ? char.ToLowerInvariant(category[0]) + category[1..] : category;

    [GeneratedRegex(@"\ban? (\w+)")]
    private static partial Regex Article();

    [GeneratedRegex(@"(ch|sh|x|ss|us|zz)s\b")]
    private static partial Regex Sibilant();

    [GeneratedRegex(@"([b-df-hj-np-tv-z])ys\b")]
    private static partial Regex ConsonantY();

    [GeneratedRegex(@"\b(?<f>\w*(?:shel|lea|loa|wol|hal|cal)|kni(?=fes))fe?s\b|\b(?<o>tomat|potat|her|ech)os\b")]
    private static partial Regex Irregular();

    [GeneratedRegex(@"\{([^}]+)\}")]
    public static partial Regex Slot();

    [GeneratedRegex(@"^n:(\d+)-(\d+)$")]
    public static partial Regex Range();

    [GeneratedRegex(@"^(?!uni[^n]|use|eu|one\b|once)[aeiou]|^(hour|honest|8|11\b|18\b)", RegexOptions.IgnoreCase)]
    private static partial Regex Vowel();
}
