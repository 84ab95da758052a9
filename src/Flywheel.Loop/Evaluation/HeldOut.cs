using System.Text.Json.Nodes;
using Flywheel.Model;

namespace Flywheel.Loop;

/// <summary>A held-out row of a curated dataset, as an examination needs it.</summary>
/// <param name="User">Whose feedback it is.</param>
/// <param name="Preferred">The conversation with the text that the person kept or wrote.</param>
/// <param name="Rejected">Of a pair: with the text that lost.</param>
public sealed record HeldOutItem(string User, Conversation Preferred, Conversation? Rejected)
{
    /// <summary>Somebody's taste, and not a referee's word, which is the same whoever asks.</summary>
    public bool IsTaste { get; init; } = true;

    /// <summary>Of a judged answer: whether the person liked it.</summary>
    public bool Liked { get; init; } = true;

    /// <summary>The conversation before the answer.</summary>
    public Conversation Prompt => Preferred with { Messages = [.. Preferred.Messages.SkipLast(1)] };
}

/// <summary>What both models are examined on.</summary>
/// <param name="Texts">Texts that held-out people kept or wrote.</param>
/// <param name="Pairs">What held-out people preferred to what.</param>
/// <param name="Regression">The frozen set.</param>
public sealed record ExamPaper(IReadOnlyList<HeldOutItem> Texts, IReadOnlyList<HeldOutItem> Pairs, IReadOnlyList<Conversation> Regression)
{
    /// <summary>Answers that held-out people liked or did not, each by itself; none where the recipe learns from no such answers.</summary>
    public IReadOnlyList<HeldOutItem> Judged { get; init; } = [];

    /// <summary>Kinds of the frozen set that this turn teaches, and those that promoted turns before it taught.</summary>
    public IReadOnlySet<string> Taught { get; init; } = new HashSet<string>();

    /// <inheritdoc cref="Taught"/>
    public IReadOnlySet<string> TaughtBefore { get; init; } = new HashSet<string>();

    /// <summary>
    /// What people who are learnt from preferred to what: on this a preference model is fitted, nothing is examined on it.
    /// </summary>
    public IReadOnlyList<HeldOutItem> TeachingPairs { get; init; } = [];

    /// <summary>Texts that they kept or wrote.</summary>
    public IReadOnlyList<HeldOutItem> TeachingTexts { get; init; } = [];

    /// <summary>Their judged answers.</summary>
    public IReadOnlyList<HeldOutItem> TeachingJudged { get; init; } = [];

    /// <summary>The frozen set alone.</summary>
    internal ExamPaper OfFrozenSet => new([], [], Regression);

    /// <summary>
    /// Liked answers, and disliked ones, without which one cannot tell a model that likes the liked from one that likes everything.
    /// </summary>
    public const int MinOfEachKind = 4;

    public bool CanCompareLiking => Judged.Count(item => item.Liked) >= MinOfEachKind && Judged.Count(item => !item.Liked) >= MinOfEachKind;

    /// <summary>Everything of held-out people.</summary>
    private IEnumerable<HeldOutItem> Items => Texts.Concat(Judged).Concat(Pairs);

    /// <summary>Held-out people whose taste it is; nobody where a referee spoke.</summary>
    public int NumPeople => Items.Where(item => item.IsTaste).Select(item => item.User).Distinct().Count();

    /// <summary>What held-out people asked, each once.</summary>
    public int NumPrompts => Items.DistinctBy(item => item.Prompt).Count();

    /// <summary>Prompts of held-out people that drafts are written to, each once; one of each person before a second of anybody.</summary>
    /// <param name="most">At most so many.</param>
    public IReadOnlyList<(string User, Conversation Prompt)> Asked(int most) =>
        [.. Items.DistinctBy(item => item.Prompt).GroupBy(item => item.User)
            .SelectMany(mine => mine.Select((item, turn) => (Turn: turn, mine.Key, item.Prompt)))
            .OrderBy(asked => asked.Turn).Take(most).Select(asked => (asked.Key, asked.Prompt))];

    /// <param name="dataset">Folder that <see cref="CuratedDataset.Write"/> made.</param>
    /// <param name="regression">JSON lines of conversations.</param>
    /// <exception cref="FlywheelException">A file is missing or a line is not a conversation.</exception>
    public static ExamPaper Read(string dataset, string regression)
    {
        List<Conversation> frozen = [.. Lines(regression).Select(line => line.Parse(Conversation.Parse))];
        if (frozen.Count < PairedBootstrap.MinClusters)
            throw new FlywheelException(
                $"{regression}: holds {frozen.Count} conversations, expected at least {PairedBootstrap.MinClusters}");
        return new(
            [.. Lines(Path.Combine(dataset, "supervised", "heldout.jsonl")).Select(line => line.Parse(Text))],
            [.. Lines(Path.Combine(dataset, "preference", "heldout.jsonl")).Select(line => line.Parse(Pair))],
            frozen)
        {
            Judged = [.. Judgements(dataset, "heldout.jsonl")],
            TeachingPairs = [.. Lines(Path.Combine(dataset, "preference", "train.jsonl")).Select(line => line.Parse(Pair))],
            TeachingTexts = [.. Lines(Path.Combine(dataset, "supervised", "train.jsonl")).Select(line => line.Parse(Text))],
            TeachingJudged = [.. Judgements(dataset, "train.jsonl")],
            Taught = FrozenSet.TaughtBy(dataset),
        };
    }

    /// <summary>Of a recipe that learns from sampled answers only, these.</summary>
    private static IEnumerable<HeldOutItem> Judgements(string dataset, string side)
    {
        string judged = Path.Combine(dataset, "judged", side), sampled = Path.Combine(dataset, "sampled", side);
        return File.Exists(judged)
            ? Lines(judged).Select(line => line.Parse(json => Text(json) with { Liked = Row(json)["label"]!.GetValue<bool>() }))
            : File.Exists(sampled) ? Lines(sampled).Select(line => line.Parse(Sampled)) : [];
    }

    private static HeldOutItem Sampled(string json)
    {
        JsonObject row = Row(json);
        Conversation prompt = Conversation.Parse(json);
        Conversation answered = prompt.WithAnswer(row["text"]!.GetValue<string>());
        return Item(row, answered, null) with { Liked = row["reward"]!.GetValue<double>() > 0 };
    }

    private static HeldOutItem Text(string json) => Item(Row(json), Conversation.Parse(json), null);

    private static HeldOutItem Item(JsonObject row, Conversation preferred, Conversation? rejected) =>
        new(row["user"]!.GetValue<string>(), preferred, rejected)
    {
        IsTaste = FeedbackSourceRules.Named(row["source"]?.GetValue<string>()).IsTaste,
    };

    private static HeldOutItem Pair(string json)
    {
        JsonObject row = Row(json);
        Conversation prompt = Conversation.FromJson(row["input"]!["messages"]!.AsArray(), row["input"]!["tools"],
            modalities: row["input"]!["modalities"]);
        Conversation With(string field) =>
            prompt with { Messages = [.. prompt.Messages, .. Conversation.FromJson(row[field]!.AsArray()).Messages] };
        return Item(row, With("preferred_output"), With("non_preferred_output"));
    }

    private static JsonObject Row(string json) => JsonNode.Parse(json)!.AsObject();

    private static IEnumerable<Line> Lines(string path) =>
        File.Exists(path)
            ? Utf8File.ReadLines(path).Select((text, i) => new Line(path, i + 1, text)).Where(line => line.Json.Length > 0)
            : throw new FlywheelException($"{path}: no such file; expected JSON lines of conversations");

    private sealed record Line(string Path, int Number, string Json)
    {
        public T Parse<T>(Func<string, T> parse)
        {
            try
            {
                return parse(Json);
            }
            catch (FlywheelException e)
            {
                throw new FlywheelException($"{Path}:{Number}: {e.Message}", e);
            }
        }
    }
}
