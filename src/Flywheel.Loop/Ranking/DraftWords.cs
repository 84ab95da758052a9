using System.Text;
using System.Text.RegularExpressions;
using Flywheel.Data;
using Flywheel.Engine.Grammars;
using Flywheel.Model;

namespace Flywheel.Loop.Ranking;

/// <summary>
/// Confines a draft to words that exist: those of the task's list, those that the model was taught beside it, and what its brief says. A
/// fact is
/// said whole or not at all, so that no word of it breaks and no part of it says something else; the name stands as it is; "a" and "an"
/// stand only before what can have them. English only: a brief in another script or for another language is not confined.
/// </summary>
public static partial class DraftWords
{
    public const string Task = "copywriting";

    /// <summary>More than people teach; a list that is longer says little.</summary>
    private const int MaxLearnt = 1000;

    /// <summary>The list of tasks/copywriting, which this program was built with.</summary>
    public static IReadOnlyList<string> Known { get; } = Embedded();

    /// <summary>What a draft must look like, for <see cref="Engine.SamplerOptions.Grammar"/>; null where any text will do: of a model that
    /// was not
    /// trained for copywriting, of a request that is no brief, or of one in another language.</summary>
    /// <param name="prompt">Its last brief is what counts; the answers in it may have words of their own.</param>
    /// <param name="model">Who writes.</param>
    public static string? GrammarOf(Conversation prompt, ModelFolder model) =>
        model.Manifest.Tasks?.Contains(Task) == true && Brief.Find(prompt) is not null ? GrammarOf(prompt, Known, model) : null;

    /// <summary>The same for an answer to a task that has a list of words (<see cref="TaskOutput.Words"/>): where the request is no brief,
    /// what it says may be said in any order.</summary>
    /// <param name="task">The task.</param>
    /// <param name="prompt">What is asked.</param>
    /// <param name="model">Who answers.</param>
    public static string? GrammarOf(TaskFolder task, Conversation prompt, ModelFolder model) =>
        task.Words is { } words && model.Manifest.Tasks?.Contains(task.Name) == true ? GrammarOf(prompt, words, model) : null;

    /// <summary>Words beside the list's that a draft may have: those that the model was taught, and those of the answers that the prompt
    /// shows.</summary>
    public static IReadOnlyList<string> TaughtOf(Conversation? prompt, ModelFolder model) =>
        [.. model.Manifest.Words ?? [], .. prompt is null ? [] : StyleOf(prompt)];

    /// <summary>Words that answers to briefs have in at least two texts and the list has not: what a model that learns from them may say
    /// from then on.</summary>
    /// <param name="texts">What is learnt from.</param>
    public static IReadOnlyList<string> Learnt(IEnumerable<Conversation> texts) => [.. texts.SelectMany(text => StyleOf(text).Distinct())
        .GroupBy(word => word, StringComparer.Ordinal).Where(word => word.Count() > 1).OrderByDescending(word => word.Count())
        .ThenBy(word => word.Key, StringComparer.Ordinal)
        .Take(MaxLearnt).Select(word => word.Key)];

    private static string? GrammarOf(Conversation prompt, IReadOnlyList<string> list, ModelFolder model)
    {
        string[] own = [.. TaughtOf(prompt, model)];
        string[] known = [.. list, .. own];
        if (Brief.Find(prompt) is not { } brief)
        {
            string[] said = [.. Blank().Split(prompt.Messages[^1].Text).Select(word => Punctuation().Replace(word, ""))];
            return said.Any(word => OtherScript().IsMatch(word))
                ? null : WordGrammar.Write(known, said.SelectMany(Inner).Where(IsWhole), []);
        }
        if (!IsEnglish(brief)) return null;
        IEnumerable<string> entries =
            known.Select(word =>
                word.Replace("{name}", brief.Name, StringComparison.Ordinal).Replace("{audience}", brief.Audience, StringComparison.Ordinal)
                    .Trim());
        return WordGrammar.Write(entries.Where(IsWhole), Phrases(brief, own.Any(word => Article().IsMatch(word))).Where(IsWhole),
            IsWhole(brief.Name) ? [brief.Name] : [], own.Length > 0 ? null : Points(brief));
    }

    /// <summary>A point is a fact or says for whom. Notes have no other place, so none is left out; nor is any fact where a list is what
    /// was asked for. Of people whose texts were learnt from, nobody knows what points they write.</summary>
    private static IReadOnlyList<WordPoint> Points(Brief brief)
    {
        string audience = Plain(brief.Audience);
        return [.. brief.Facts.Select(Plain).Select(fact => new WordPoint(
                [.. (FactFrames.IsNote(fact) ? [FactFrames.Bare(fact)]
                    : FactPhrases(fact)
                        .Where(phrase => FactFrames.Bare(fact) == fact || !phrase.Equals(fact, StringComparison.OrdinalIgnoreCase)))
                    .Where(IsWhole)],
                FactFrames.IsNote(fact) || brief.Kind == Brief.Features))
            .Append(new WordPoint(IsWhole(audience) ? [$"for {audience}"] : [], false))
            .Where(point => point.Forms.Count > 0).DistinctBy(point => point.Forms[0])];
    }

    /// <summary>
    /// Words of the answers to briefs in a conversation that neither those briefs nor the list have: how somebody writes. Only small
    /// letters: a
    /// name is nobody's style. One behind "a" stands there with it.
    /// </summary>
    public static IEnumerable<string> StyleOf(Conversation conversation)
    {
        for (int i = 1; i < conversation.Messages.Count; i++)
        {
            if (conversation.Messages[i] is not { Role: Role.Assistant } answer) continue;
            if (Brief.Find(new Conversation([.. conversation.Messages.Take(i)])) is not { } brief) continue;
            HashSet<string> said = [.. Words(string.Join(' ', [brief.Name, .. brief.Categories, brief.Audience, .. brief.Facts])),
                .. Known.SelectMany(entry => entry.Split(' '))];
            foreach (Match word in Word().Matches(answer.Text))
                if (!Words(word.Groups["word"].Value).All(said.Contains))
                    yield return word.Groups["a"].Success
                        ? $"{word.Groups["a"].Value.ToLowerInvariant()} {word.Groups["word"].Value}" : word.Groups["word"].Value;
        }
    }

    /// <summary>Everything that is said word for word.</summary>
    /// <param name="brief">The brief.</param>
    /// <param name="bareKinds">A category may stand without "a", since something of the model's own may stand between them.</param>
    private static IEnumerable<string> Phrases(Brief brief, bool bareKinds)
    {
        foreach (string fact in brief.Facts)
            foreach (string phrase in FactPhrases(Plain(fact))) yield return phrase;
        foreach (string category in brief.Categories)
            foreach (string phrase in CategoryPhrases(LeadingArticle().Replace(Plain(category), ""), bareKinds)) yield return phrase;
        foreach (string form in Inner(Plain(brief.Audience))) yield return form;
    }

    private static IEnumerable<string> FactPhrases(string fact)
    {
        foreach (string text in new[] { FactFrames.IsNote(fact) ? "" : fact, FactFrames.Bare(fact) }.Distinct().SelectMany(Inner))
        {
            FactFrames.Form form = FactFrames.MarkOf(fact) ?? FactFrames.FormOf(text);
            EnglishNouns.Number number = form == FactFrames.Form.Thing ? EnglishNouns.NumberOf(text) : EnglishNouns.Number.Open;
            yield return text;
            if ((form is FactFrames.Form.Thing or FactFrames.Form.Open) && number != EnglishNouns.Number.Plural
                && !Determined().IsMatch(text) && (number == EnglishNouns.Number.Count || !EnglishNouns.IsPlural(text.Split(' ')[0])))
                foreach (string phrase in WithArticles(text).Skip(number == EnglishNouns.Number.Mass ? 1 : 0)) yield return phrase;
            // "you can keep bees" of "keeps bees"; two verbs would have to change together
            if (form == FactFrames.Form.Verb && !SecondVerb().IsMatch(text))
                yield return Infinitive().Replace(text, match => Stem(match.Value), 1);
        }
    }

    private static IEnumerable<string> CategoryPhrases(string category, bool bare)
    {
        foreach (string whole in new[] { AlwaysCapital().IsMatch(category)
            ? category : Inner(category).LastOrDefault("") }.Where(text => text.Length > 0))
            foreach (string text in new[] { whole, Software().Replace(whole, "program"), Software().Replace(whole, "tool"),
                Singular(whole) }.Distinct())
            {
                EnglishNouns.Number number = IsActivity(text) ? EnglishNouns.Number.Mass : EnglishNouns.NumberOf(text);
                if (bare || number != EnglishNouns.Number.Count) yield return text;
                if (number is EnglishNouns.Number.Count or EnglishNouns.Number.Open)
                    foreach (string phrase in WithArticles(text)) yield return phrase;
                yield return "#" + string.Concat(text.Where(char.IsLetterOrDigit));
            }
        // "a pair of slippers"
        if (EnglishNouns.NumberOf(category) == EnglishNouns.Number.Plural && !AlwaysCapital().IsMatch(category))
            foreach (string of in new[] { "a brand of", "a box of", "a pair of", "a set of" })
                yield return $"{of} {Inner(category).Last()}";
        // "a brand of bedding"
        if (EnglishNouns.NumberOf(category) == EnglishNouns.Number.Mass && !IsActivity(category))
            yield return $"a brand of {Inner(category).Last()}";
        // "a dog walking service", "a care service" of "Home care"
        if (EnglishNouns.NumberOf(category) != EnglishNouns.Number.Plural)
            foreach (string part in new[] { category, category.Split(' ')[^1] }.Where(IsActivity)
                .Select(part => Inner(part).Last()).Distinct()) yield return $"{EnglishNouns.Article(part)} {part} service";
    }

    private static bool IsActivity(string category) =>
        Activity().IsMatch(category) && EnglishNouns.NumberOf(category) != EnglishNouns.Number.Count;

    /// <summary>The first is "a" or "an", which stands before nothing that is not counted.</summary>
    private static IEnumerable<string> WithArticles(string thing) =>
        new[] { EnglishNouns.Article(thing), "the", "your", "our", "this" }.Select(article => $"{article} {thing}");

    /// <summary>As it is, and as it stands inside a sentence if it only begins with a capital because it stands alone.</summary>
    private static IEnumerable<string> Inner(string text)
    {
        if (text.Length == 0) yield break;
        yield return text;
        if (char.IsUpper(text[0]) && (text.Length == 1 || !char.IsUpper(text[1]))) yield return char.ToLowerInvariant(text[0]) + text[1..];
    }

    private static string Singular(string text) => EnglishNouns.IsPlural(text) ? Stem(text) : text;

    private static string Stem(string word) =>
        word.EndsWith("ies", StringComparison.Ordinal) ? word[..^3] + "y" : Hissing().IsMatch(word) ? word[..^2] : word[..^1];

    /// <summary>One space between words, and no mark at the end that a sentence brings along.</summary>
    private static string Plain(string text) => Blank().Replace(text.Trim().TrimEnd('.', ',', ';', ':', '!'), " ").Trim();

    /// <summary>Every letter is of a script that English is written in; the name may be of any.</summary>
    private static bool IsEnglish(Brief brief) => brief.Language is "" or "English"
        && !OtherScript().IsMatch(string.Join(' ', [.. brief.Facts, .. brief.Categories, brief.Audience]));

    /// <summary>No half of a character, which no grammar can hold.</summary>
    private static bool IsWhole(string text) =>
        text.Length > 0 && !text.Any(char.IsControl) && text.EnumerateRunes().All(rune => rune != Rune.ReplacementChar);

    private static string[] Words(string text) => TextCleaner.Normalise(text).Split(' ', StringSplitOptions.RemoveEmptyEntries);

    /// <summary>A category that is a name in part, such as "Christmas market".</summary>
    internal static bool KeepsCapital(string category) => AlwaysCapital().IsMatch(category);

    private static string[] Embedded()
    {
        using Stream stream = typeof(DraftWords).Assembly.GetManifestResourceStream("words.txt")!;
        using var reader = new StreamReader(stream);
        return TaskFolder.ParseWords(reader.ReadToEnd());
    }

    [GeneratedRegex(@"(?<![\p{L}\d'’-])(?:(?<a>[Aa]n?) )?(?<word>\p{Ll}[\p{Ll}’'-]*\p{Ll}|\p{Ll})(?![\p{L}\d'’-])")]
    private static partial Regex Word();

    [GeneratedRegex(@"^[\p{P}\p{S}]+|[\p{P}\p{S}]+$")]
    private static partial Regex Punctuation();

    [GeneratedRegex("^an? ")]
    private static partial Regex Article();

    /// <summary>Of a category that was typed as it is said, "a tea house": a sentence brings its own.</summary>
    [GeneratedRegex("^(an?|the) (?=.)", RegexOptions.IgnoreCase)]
    private static partial Regex LeadingArticle();

    [GeneratedRegex(@"^(an?|the|no|\d[\d.,]*|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|forty|fifty|all|every|each|one)\b(?!-)", RegexOptions.IgnoreCase)]
    private static partial Regex Determined();

    [GeneratedRegex(@"(,| and| or) \w+s\b")]
    private static partial Regex SecondVerb();

    [GeneratedRegex(@"^\w+s\b")]
    private static partial Regex Infinitive();

    [GeneratedRegex("(ch|sh|x|ss|zz|o)es$")]
    private static partial Regex Hissing();

    [GeneratedRegex("^(Christmas|Easter|Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday|African|American|Arab|Asian|Bavarian|Brazilian|British|Chinese|Danish|Dutch|English|Ethiopian|European|French|Georgian|German|Greek|Indian|Irish|Italian|Japanese|Korean|Lebanese|Mexican|Moroccan|Nordic|Persian|Peruvian|Polish|Portuguese|Russian|Scottish|Spanish|Swedish|Swiss|Thai|Turkish|Vietnamese|Welsh)\\b")]
    private static partial Regex AlwaysCapital();

    /// <summary>Is done for people rather than sold to them, as bedding is.</summary>
    [GeneratedRegex("((?<!\\b(bedd|cloth|light|floor|seat|bunt|ic|stuff|season|lin|upholster|furnish))ing|care|control|advice|delivery|repair|help|hire|transport)$", RegexOptions.IgnoreCase)]
    private static partial Regex Activity();

    [GeneratedRegex("software$", RegexOptions.IgnoreCase)]
    private static partial Regex Software();

    [GeneratedRegex(@"\s+")]
    private static partial Regex Blank();

    [GeneratedRegex(@"(?=\p{L})[^\p{IsBasicLatin}\p{IsLatin-1Supplement}\p{IsLatinExtended-A}\p{IsLatinExtended-B}\u1E00-\u1EFF\uFB00-\uFB06]")]
    private static partial Regex OtherScript();
}
