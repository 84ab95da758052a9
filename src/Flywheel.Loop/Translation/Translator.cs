using Flywheel.Model;

namespace Flywheel.Loop.Translation;

/// <summary>Texts to translate.</summary>
public sealed record TranslationOrder
{
    /// <summary>A segment each, in the order of their document.</summary>
    public required IReadOnlyList<string> Segments { get; init; }

    /// <summary>The text before each; null: the segment before it.</summary>
    public IReadOnlyList<string>? Contexts { get; init; }

    public required LanguagePair Pair { get; init; }

    /// <summary>Name of an engine; null takes what the memory has and leaves the rest.</summary>
    public string? Engine { get; init; }

    public bool UseMemory { get; init; } = true;

    /// <summary>Only units of the same source are looked for: likes of it cost a search each, and are not taken where an engine
    /// drafts.</summary>
    public bool ExactOnly { get; init; }

    public bool UseGlossary { get; init; } = true;

    public required DraftCaller Caller { get; init; }
}

/// <summary>A segment's translation.</summary>
/// <param name="Target">Empty where nobody had one.</param>
/// <param name="Origin"><c>memory</c>, an engine's name, or empty.</param>
/// <param name="Score">Of a match of the memory: how like it is, up to 1.</param>
/// <param name="Generation">In the record, where the model drafted.</param>
/// <param name="Match">The best unit of the memory, whether it was taken or not.</param>
/// <param name="Issues">What the check finds.</param>
public sealed record TranslatedSegment(string Source, string Target, string Origin, double? Score, Guid? Generation, MemoryMatch? Match,
    IReadOnlyList<QualityIssue> Issues);

/// <summary>Memory first, then an engine, then the glossary's check.</summary>
public sealed class Translator(TranslationMemory memory, Glossary glossary, IEnumerable<IDraftEngine> engines)
{
    public IReadOnlyList<IDraftEngine> Engines { get; } = [.. engines];

    public IDraftEngine? Engine(string name) => Engines.FirstOrDefault(engine => engine.Name == name);

    /// <summary>The first engine that was made for these languages; null where there is none.</summary>
    public async Task<string?> DefaultEngineAsync(string from, string to, CancellationToken cancellation = default)
    {
        foreach (IDraftEngine engine in Engines)
            if ((await engine.StateAsync(from, to, cancellation)).Status == EngineStatus.Ready) return engine.Name;
        return null;
    }

    /// <summary>
    /// What the memory has of the same source is taken; the rest is drafted by the engine. Where there is none, the likest match is taken,
    /// with its score. Where a forbidden term has a translation, that stands in its place.
    /// </summary>
    /// <exception cref="FlywheelException">There is no such engine, or it cannot.</exception>
    public async Task<IReadOnlyList<TranslatedSegment>> TranslateAsync(TranslationOrder order, CancellationToken cancellation = default)
    {
        IDraftEngine? engine = order.Engine is null ? null : Engine(order.Engine)
            ?? throw new FlywheelException(
                $"field 'engine' is '{order.Engine}', expected {string.Join(", ", Engines.Select(one => one.Name))} or none");
        IReadOnlyList<IReadOnlyList<MemoryMatch>> matches = order.UseMemory
            ? await memory.FindAsync(order.Pair, order.Caller.User,
                [.. order.Segments.Select((text, i) => new MemoryQuery(text, order.Contexts?[i] ?? (i > 0 ? order.Segments[i - 1] : "")))],
                count: 1, order.ExactOnly, cancellation)
            : [.. order.Segments.Select(_ => (IReadOnlyList<MemoryMatch>)[])];
        TermList terms = order.UseGlossary ? await glossary.ListAsync(order.Pair, cancellation) : new TermList([]);
        bool Takes(int i) => matches[i] is [{ } best, ..] && (engine is null || best.Score == 1);
        int[] open = [.. Enumerable.Range(0, order.Segments.Count).Where(i => !Takes(i) && order.Segments[i].Any(char.IsLetter))];
        IReadOnlyList<EngineDraft> drafts = engine is null || open.Length == 0
            ? [] : await engine.DraftAsync([.. open.Select(i => order.Segments[i])], order.Pair.From, order.Pair.To, order.Caller,
                cancellation);
        Dictionary<int, EngineDraft> drafted = drafts.Select((draft, i) => (draft, i))
            .ToDictionary(pair => open[pair.i], pair => pair.draft);
        Language? to = Language.Find(order.Pair.To);
        return [.. order.Segments.Select((source, i) =>
        {
            MemoryMatch? match = matches[i] is [{ } best, ..] ? best : null;
            IReadOnlyList<TermFound> found = terms.Find(source);
            // Numbers and marks are the same everywhere.
            (string target, string origin, double? score, Guid? generation) = (source.Any(char.IsLetter) ? "" : source, "", (double?)null,
                (Guid?)null);
            if (Takes(i)) (target, origin, score) = (match!.Unit.Target, "memory", match.Score);
            else if (drafted.TryGetValue(i, out EngineDraft? draft))
                (target, origin, generation) = (draft.Text, engine!.Name, draft.Generation);
            if (origin.Length > 0 && origin != "memory") target = Mended(source, target, found, to);
            return new TranslatedSegment(source, target, origin, score, generation, match, QualityCheck.Check(source, target, found, to));
        })];
    }

    /// <summary>A draft whose forbidden terms are replaced.</summary>
    private static string Mended(string source, string target, IReadOnlyList<TermFound> terms, Language? to)
    {
        for (int i = 0; i < 20
            && QualityCheck.Check(source, target, terms, to)
                .FirstOrDefault(issue => issue is { Kind: IssueKind.TermForbidden, Fixed: not null }) is { } issue; i++)
            target = issue.Fixed!;
        return target;
    }
}
