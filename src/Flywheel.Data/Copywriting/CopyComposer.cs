using System.Text.RegularExpressions;
using Flywheel.Model;

namespace Flywheel.Data;

/// <summary>What one composed text was asked for.</summary>
/// <param name="Name">Invented.</param>
/// <param name="Field">Its field.</param>
/// <param name="Category">As a brief says it.</param>
/// <param name="Noun">As a sentence says it.</param>
/// <param name="Audience">Empty when the brief has none.</param>
/// <param name="Tone">Empty when the brief has none.</param>
/// <param name="Facts">In the brief's order.</param>
internal sealed record CopyOrder(string Name, GrammarField Field, string Category, string Noun, string Audience, string Tone,
    IReadOnlyList<TypedFact> Facts);

/// <summary>
/// Composes copy from a grammar: sentences are chosen that have room for the facts that are left, until none is. So every text says what
/// its brief says, and nothing else.
/// </summary>
internal sealed partial class CopyComposer(CopyGrammar grammar, Random random)
{
    /// <summary>An order of one field: a name, what it is, two to five facts of mixed forms, sometimes an audience and a tone.</summary>
    public CopyOrder Order()
    {
        GrammarField field = Of(grammar.Fields);
        string pattern = Of(field.Nouns), filled = GrammarText.Fill(pattern, grammar, random);
        string[] noun = filled == pattern ? pattern.Split('=') : [GrammarText.Capital(filled), filled];
        List<TypedFact> facts = [];
        int wanted = random.Next(10) switch { 0 => 1, < 4 => 2, < 8 => 3, 8 => 4, _ => 5 };
        for (int tries = 0; facts.Count < wanted && tries < 20; tries++)
        {
            FactForm form = random.Next(24) switch { < 9 => FactForm.Has, < 13 => FactForm.Does, < 16 => FactForm.Is, < 18 => FactForm.Post,
                18 => FactForm.Lets, 19 => FactForm.No, < 22 => FactForm.Says, 22 => FactForm.Note, _ => FactForm.Lets };
            if (field.Facts(form) is not { Length: > 0 } patterns) continue;
            string fact = GrammarText.Fill(Of(patterns), grammar, random);
            if (facts.All(other => Overlap(other.Text, fact) < 2)) facts.Add(TypedFact.Of(form, fact));
        }
        // whoever asks is not always sure of a fact's form: then it is a note, and said as it was typed
        int noted = random.Next(20) switch { < 12 => 0, < 16 => 4, _ => 10 };
        facts = [.. facts.Select(fact => random.Next(10) < noted ? new TypedFact(FactForm.Note, Jotted(fact, marked: false)) : fact)];
        string audience = random.Next(5) < 2 ? GrammarText.Fill(Of(field.Audience), grammar, random) : "";
        string tone = random.Next(3) == 0 ? Of(["friendly", "playful", "formal"]) : "";
        return new CopyOrder(InventedName.Draw(random, field.Group), field, noun[0], noun.Length > 1 ? noun[1] : GrammarText.Inner(noun[0]),
            audience, tone, facts);
    }

    /// <summary>Another order of the same field: for examples that stand before one.</summary>
    public CopyOrder Like(CopyOrder order)
    {
        for (int tries = 0; tries < 200; tries++)
            if (Order() is var other && other.Field == order.Field) return other with { Tone = order.Tone };
        return Order() with { Tone = order.Tone };
    }

    /// <param name="order">What to write of.</param>
    /// <param name="kind">One of <see cref="Brief.Kinds"/>.</param>
    /// <param name="plain">One fact a sentence.</param>
    public string Write(CopyOrder order, string kind, bool plain = false)
    {
        string body = kind is Brief.Tagline or Brief.Features ? "" : Description(order, plain),
            gap = body.Contains("\n- ", StringComparison.Ordinal) ? "\n\n" : " ";
        return kind switch
        {
            Brief.Tagline => Tagline(order),
            Brief.Features => Features(order),
            Brief.Ad => $"{Tagline(order)}\n\n{body}{gap}{Call(order)}",
            Brief.Post =>
                random.Next(3) == 0 ? $"{body}{gap}#{string.Concat(order.Noun.Where(char.IsLetterOrDigit))}" : $"{body}{gap}{Call(order)}",
            Brief.Email => $"Subject: {Tagline(order)}\n\n{Greeting(order)}\n\n{body}{gap}{Call(order)}\n\n{Farewell(order)}\n{order.Name}",
            _ => body,
        };
    }

    /// <summary>A fact as it stands in a brief: with its form said before it, as the page asks wherever it knows the form, or as a person
    /// would jot it down.</summary>
    /// <param name="fact">With its form.</param>
    /// <param name="marked">Says the form.</param>
    public string Jotted(TypedFact fact, bool marked) => fact.Form switch
    {
        FactForm.Has when marked => "has " + (random.Next(5) == 0 ? LeadingArticle().Replace(fact.Text, "") : fact.Text),
        FactForm.Is or FactForm.Post when marked => "it is " + (random.Next(5) == 0 ? LeadingArticle().Replace(fact.Text, "") : fact.Text),
        FactForm.Does when marked => "it " + fact.Text,
        FactForm.Lets when marked => "you can " + fact.Text,
        FactForm.Note when marked => "note: " + fact.Text,
        _ when fact.Left.Length > 0 => marked ? fact.Text : fact.Typed,
        FactForm.Has => random.Next(20) switch { < 12 => LeadingArticle().Replace(fact.Text, ""), 12 => "with " + fact.Text,
            13 => "has " + fact.Text, _ => fact.Text },
        FactForm.Is => random.Next(20) switch { < 4 => LeadingArticle().Replace(fact.Text, ""), 4 => "is " + fact.Text,
            5 => "it is " + fact.Text, _ => fact.Text },
        FactForm.Does when random.Next(12) == 0 => "it " + fact.Text,
        FactForm.Lets when random.Next(3) == 0 => "you can " + fact.Text,
        _ => fact.Text,
    };

    private string Tagline(CopyOrder order)
    {
        List<TypedFact> left = [.. order.Facts];
        GrammarSentence? sentence = Pick(grammar.Taglines, order, left, order.Audience.Length > 0, most: 2);
        if (sentence is null) return GrammarText.Capital(order.Facts.Count > 0 ? $"{order.Name}: {order.Facts[0].Text}" : order.Name);
        return Fill(sentence, order, left);
    }

    private static string Features(CopyOrder order)
    {
        IEnumerable<string> lines = order.Facts.Select(fact => GrammarText.Capital(fact.Text));
        if (order.Audience.Length > 0) lines = lines.Append($"For {order.Audience}");
        return string.Join('\n', lines.Select(line => "- " + line));
    }

    private string Description(CopyOrder order, bool plain)
    {
        List<TypedFact> left = [.. order.Facts.Where(fact => fact.Form != FactForm.Note)],
            notes = [.. order.Facts.Where(fact => fact.Form == FactForm.Note)];
        random.Shuffle(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(left));
        int most = plain ? 1 : 3;
        bool audience = order.Audience.Length > 0;
        List<string> sentences = [];
        HashSet<GrammarSentence> used = [];
        GrammarSentence? open = Pick(At("open"), order, left, audience, most);
        sentences.Add(open is null ? $"{order.Name} is {Article(order)}." : Fill(open, order, left));
        if (open?.NeedsAudience == true) audience = false;
        while (left.Count > 0)
        {
            string before = Begin(sentences[^1]);
            GrammarSentence? more =
                Pick(At("more")
                    .Where(sentence => !used.Contains(sentence)
                        && Begin(sentence.Text.Replace("{Name}", order.Name, StringComparison.Ordinal)) != before), order, left,
                        audience: false, most)
                ?? Pick(At("more"), order, left, audience: false, most);
            if (more is null) break;
            used.Add(more);
            sentences.Add(Fill(more, order, left));
        }
        if (audience && random.Next(5) > 0 && Pick(At("close"), order, left, audience, most) is { } close)
            sentences.Add(Fill(close, order, left));
        string said = string.Join(' ', sentences);
        if (notes.Count == 0) return said;
        string list = Notes(order, notes);
        return said + (list.Contains('\n', StringComparison.Ordinal) ? "\n\n" : " ") + list;
    }

    /// <summary>What fits no sentence for sure, as it was typed: behind a label, or as points under it.</summary>
    private string Notes(CopyOrder order, List<TypedFact> notes)
    {
        string slot = notes.Count == 1 ? "{note}" : random.Next(4) == 0 ? "{notes}" : "{points}";
        if (Pick(At("notes").Where(sentence => sentence.Text.Contains(slot, StringComparison.Ordinal)), order, notes, audience: false,
            most: 3) is not { } sentence)
            return string.Join(' ', notes.Select(note => GrammarText.Capital(note.Text) + "."));
        return sentence.Text
            .Replace("{note}", notes[0].Text, StringComparison.Ordinal)
            .Replace("{notes}", string.Join("; ", notes.Select(note => note.Text)), StringComparison.Ordinal)
            .Replace("{points}", string.Join('\n', notes.Select(note => "- " + GrammarText.Capital(note.Text))), StringComparison.Ordinal);
    }

    /// <summary>Half of a text: half of its sentences, and half of its points.</summary>
    public static string Half(string text)
    {
        int list = text.IndexOf("\n\n", StringComparison.Ordinal);
        IReadOnlyList<string> sentences = TextCleaner.Sentences(list < 0 ? text : text[..list]);
        string said = string.Join(' ', sentences.Take(Math.Max(1, sentences.Count / 2)));
        if (list < 0) return said;
        string[] lines = text[(list + 2)..].Split('\n');
        return $"{said}\n\n{string.Join('\n', lines.Take(1 + lines.Length / 2))}";
    }

    /// <summary>The first word: two sentences in a row had better not share it.</summary>
    private static string Begin(string sentence) => sentence.Split(' ')[0];

    private string Call(CopyOrder order) =>
        Pick(At("call"), order, [], audience: false, most: 3) is { } call ? Fill(call, order, []) : $"Discover {order.Name}.";

    private string Greeting(CopyOrder order) => order.Tone switch
    {
        "formal" => order.Audience.Length > 0 ? $"Dear {order.Audience}," : "Dear customers,",
        "playful" => order.Audience.Length > 0 ? $"Hey {order.Audience}!" : "Hey there!",
        _ => order.Audience.Length > 0 && random.Next(2) == 0 ? $"Hello {order.Audience}," : "Hello,",
    };

    private static string Farewell(CopyOrder order) =>
        order.Tone switch { "formal" => "Yours sincerely,", "playful" => "See you soon!", "friendly" => "Warm regards,",
            _ => "Kind regards," };

    private IEnumerable<GrammarSentence> At(string place) => grammar.Sentences.Where(sentence => sentence.At == place);

    /// <summary>A sentence that the facts that are left can fill; those that use more, those that fit a form and those of the tone asked
    /// for come oftener.</summary>
    private GrammarSentence? Pick(IEnumerable<GrammarSentence> sentences, CopyOrder order, IReadOnlyList<TypedFact> left, bool audience,
        int most)
    {
        GrammarSentence[] fitting = [.. sentences.Where(sentence => (sentence.Tone.Length == 0 || sentence.Tone == order.Tone)
            && (sentence.Groups.Length == 0 || sentence.Groups.Contains(order.Field.Group))
            && (!sentence.NeedsAudience || audience)
            && !(order.Field.Mass && sentence.Text.Contains("your {kind}", StringComparison.Ordinal))
            && !(IsPlural(order.Noun) && sentence.Text.Contains("that {does}", StringComparison.Ordinal))
            && sentence.Needs.Count <= most
            && sentence.Needs.Where(form => form != FactForm.Any).GroupBy(form => form)
                .All(form => left.Count(fact => fact.Form == form.Key) >= form.Count())
            && Alike(sentence, left).Count() >= sentence.Needs.Count(form => form == FactForm.Any))];
        if (fitting.Length == 0) return null;
        int[] weights =
            [.. fitting.Select(sentence =>
                (1 + 2 * sentence.Needs.Count(form => form != FactForm.Any) + sentence.Needs.Count(form => form == FactForm.Any))
                    * (sentence.Tone.Length > 0 ? 6 : 1) * (sentence.NeedsAudience ? 2 : 1))];
        int draw = random.Next(weights.Sum());
        int at = 0;
        while (draw >= weights[at]) draw -= weights[at++];
        return fitting[at];
    }

    /// <summary>The sentence with the order's parts in its slots; the facts that it used are taken from the list, those for {any} from
    /// <see cref="Alike"/>.</summary>
    private string Fill(GrammarSentence sentence, CopyOrder order, List<TypedFact> left)
    {
        Queue<TypedFact> any = new(Alike(sentence, left));
        string text = GrammarText.Slot().Replace(sentence.Text, slot =>
        {
            string key = slot.Groups[1].Value.ToLowerInvariant();
            string value = key switch
            {
                "name" => order.Name,
                "kind" => order.Noun,
                "a kind" => Article(order),
                "audience" => order.Audience,
                "any" => Alone(Take(any.Dequeue(), left), inSentence: sentence.At.Length > 0),
                _ => Take(left.First(fact => fact.Form == Enum.Parse<FactForm>(key, ignoreCase: true)), left).Text,
            };
            return key != "name" && char.IsUpper(slot.Groups[1].Value[0]) ? GrammarText.Capital(value) : value;
        });
        return order.Tone == "playful" && text[^1] == '.' && random.Next(3) == 0 ? text[..^1] + "!" : text;
    }

    private static string Article(CopyOrder order) =>
        order.Field.Mass || IsPlural(order.Noun) ? order.Noun : GrammarText.WithArticle(order.Noun);

    /// <summary>"pair of shoes" is not: its first noun decides.</summary>
    private static bool IsPlural(string noun) =>
        noun.Split(" of ")[0] is var head && head[^1] == 's' && !head.EndsWith("ss", StringComparison.Ordinal);

    /// <summary>The facts for a sentence's {any}: of one known form where they stand in a list, and none that it needs elsewhere.</summary>
    private static IEnumerable<TypedFact> Alike(GrammarSentence sentence, IReadOnlyList<TypedFact> left)
    {
        int wanted = sentence.Needs.Count(form => form == FactForm.Any);
        return wanted == 0
            ? [] : left.Where(fact => !sentence.Needs.Contains(fact.Form) && (wanted == 1 || fact.Form != FactForm.Note))
                .GroupBy(fact => fact.Form).FirstOrDefault(form => form.Count() >= wanted) ?? Enumerable.Empty<TypedFact>();
    }

    /// <summary>A fact where no frame fits its form to the sentence.</summary>
    private static string Alone(TypedFact fact, bool inSentence) =>
        inSentence && fact.Form == FactForm.Lets ? "you can " + fact.Text : fact.Text;

    private static TypedFact Take(TypedFact fact, List<TypedFact> left)
    {
        left.Remove(fact);
        return fact;
    }

    /// <summary>Longer words that two facts share.</summary>
    private static int Overlap(string left, string right) =>
        left == right
            ? 9 : left.Split(' ').Where(word => word.Length > 3).Intersect(right.Split(' ')).Count() * (left.Split(' ').Length < 3 ? 2 : 1);

    [GeneratedRegex("^(a|an|the) ")]
    private static partial Regex LeadingArticle();

    private T Of<T>(IReadOnlyList<T> list) => list[random.Next(list.Count)];
}
