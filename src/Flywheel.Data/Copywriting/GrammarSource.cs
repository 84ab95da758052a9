using Flywheel.Model;

namespace Flywheel.Data;

/// <summary>Copywriting conversations composed from a grammar: texts of every kind, rewrites of them, and briefs behind others that were
/// answered.</summary>
internal static class GrammarSource
{
    private static readonly string[] Tones = ["friendly", "playful", "formal"];

    private static readonly Dictionary<string, string[]> Words = new()
    {
        ["friendly"] = ["friendly", "friendly", "warm", "welcoming"], ["playful"] = ["playful", "playful", "cheerful", "fun"],
        ["formal"] = ["formal", "formal", "professional", "serious"],
    };

    /// <param name="grammar">What is composed from.</param>
    /// <param name="count">Items.</param>
    /// <param name="seed">With an item's number, decides it.</param>
    public static IEnumerable<SourceItem> Read(CopyGrammar grammar, int count, int seed)
    {
        for (int number = 0; number < count; number++)
        {
            string id = $"grammar:{number}";
            Random random = StableHash.Stream(id, seed);
            yield return new SourceItem(id, id,
                [new ConversationExample(new Conversation(Messages(new CopyComposer(grammar, random), random)))]);
        }
    }

    private static List<Message> Messages(CopyComposer composer, Random random)
    {
        CopyOrder order = composer.Order();
        string kind = random.Next(20) switch { < 4 => Brief.Tagline, < 13 => Brief.Description, 13 => Brief.Features, < 16 => Brief.Ad,
            < 18 => Brief.Post, _ => Brief.Email };
        switch (random.Next(20))
        {
            case 0: // behind examples that were accepted
                List<Message> messages = [];
                for (int shown = random.Next(1, 3); shown > 0; shown--)
                    messages.AddRange(Pair(composer, composer.Like(order), kind, random));
                return [.. messages, .. Pair(composer, order, kind, random)];
            case 1 or 2:
                return Rewrite(composer, order, kind is Brief.Tagline or Brief.Features ? Brief.Description : kind, random);
            default:
                return [.. Pair(composer, order, kind, random)];
        }
    }

    private static IEnumerable<Message> Pair(CopyComposer composer, CopyOrder order, string kind, Random random)
    {
        string text = composer.Write(order, kind);
        return [BriefForms.Ask(ToBrief(composer, order, kind, text, random), random), Message.Assistant(text)];
    }

    private static Brief ToBrief(CopyComposer composer, CopyOrder order, string kind, string text, Random random)
    {
        // all facts with their forms, some, or none
        int marked = random.Next(10) switch { < 6 => 10, < 8 => 5, _ => 0 };
        return new Brief(order.Name, kind, [.. order.Facts.Select(fact => composer.Jotted(fact, random.Next(10) < marked))],
            random.Next(12) == 0 && text.Contains(order.Noun, StringComparison.OrdinalIgnoreCase) is false ? [] : [order.Category],
            order.Audience,
            order.Tone.Length > 0 ? Words[order.Tone][random.Next(Words[order.Tone].Length)] : "",
            kind is Brief.Description or Brief.Post && random.Next(5) == 0 ? BriefForms.LengthOf(text, random) : "");
    }

    /// <summary>A text and what was asked of it: in the same conversation, or pasted.</summary>
    private static List<Message> Rewrite(CopyComposer composer, CopyOrder order, string kind, Random random)
    {
        string before, after, wish;
        string tone = Tones[random.Next(Tones.Length)];
        switch (random.Next(5))
        {
            case 0:
                (before, wish) = (composer.Write(order, Brief.Description),
                    One("Make it shorter.", "Shorter, please.", "Shorten this text."));
                after = CopyComposer.Half(before);
                kind = Brief.Description;
                break;
            case 1:
                (after, wish) = (composer.Write(order, Brief.Description), One("Make it longer.", "Longer, please.", "Write more."));
                before = CopyComposer.Half(after);
                kind = Brief.Description;
                break;
            case 2:
                (before, after, wish) = (composer.Write(order, Brief.Description),
                    composer.Write(order with { Tone = "" }, Brief.Description, plain: true),
                    One("Make it simpler.", "Simpler, please.", "Use simpler sentences."));
                kind = Brief.Description;
                break;
            case 3:
                (before, after, wish) = (composer.Write(order, kind), composer.Write(order with { Tone = tone }, kind),
                    One($"Make it more {tone}.", $"Rewrite it in a {tone} tone.", $"In a {tone} tone, please."));
                break;
            default:
                (before, after, wish) = (composer.Write(order, kind), composer.Write(order, kind),
                    One("Write another version.", "Another one, please.", "Say it differently."));
                break;
        }
        bool pasted = wish.Contains("ersion", StringComparison.Ordinal) is false && before.Contains(order.Name, StringComparison.Ordinal)
            && random.Next(2) == 0 && !wish.StartsWith("Make it longer", StringComparison.Ordinal)
            && !wish.StartsWith("Longer", StringComparison.Ordinal) && !wish.StartsWith("Write more", StringComparison.Ordinal);
        return pasted ? [Message.User($"{wish}\n\n{before}"), Message.Assistant(after)]
            : [BriefForms.Ask(ToBrief(composer, order, kind, before, random), random), Message.Assistant(before), Message.User(wish),
                Message.Assistant(after)];

        string One(params string[] wishes) => wishes[random.Next(wishes.Length)];
    }
}
