namespace Flywheel.Model;

/// <summary>
/// How one turn of the loop goes: what feedback counts, how the candidate is trained from the champion, and what it must
/// prove. Read by <see cref="RecipeFile.LoadTurn"/> from YAML.
/// </summary>
public sealed record TurnRecipe
{
    public required string Name { get; init; }

    /// <summary>Of training, sampling and resampling.</summary>
    public int Seed { get; init; } = 1;

    public CurateRecipe Curate { get; init; } = new();

    /// <summary>Training passes, one after another; the first starts from the champion.</summary>
    public required IReadOnlyList<StageRecipe> Stages { get; init; }

    public ReplayRecipe Replay { get; init; } = new();

    public required GateRecipe Gate { get; init; }

    internal void Validate(Func<string, string> where)
    {
        var check = new RecipeCheck(where);
        Curate.Validate(check);
        Replay.Validate(check);
        check.That(Stages.Count > 0, "stages", "empty", "at least one training pass");
        for (int i = 0; i < Stages.Count; i++)
        {
            string stage = $"stages[{i}].";
            for (int j = 0; j < Stages[i].Data.Count; j++) Stages[i].Data[j].Validate(check, $"{stage}data[{j}]");
            Stages[i].Train.Validate(new RecipeCheck(field => where(stage + field)));
            check.OneOf($"{stage}train.objective", Stages[i].Train.Objective, [.. Objective.All.Where(objective =>
                objective.Form != DocumentForm.Text).Select(objective => objective.Name)]);
        }
        Gate.Validate(check);
    }
}

/// <summary>What feedback becomes examples, and how much of it a turn needs.</summary>
public sealed record CurateRecipe
{
    /// <summary>Share of people (of few people: of their prompts) whose feedback is only tested on.</summary>
    public double HeldOutShare { get; init; } = 0.25;

    /// <summary>Largest share of what is learnt that may be one person's.</summary>
    public double TrainSharePerPerson { get; init; } = 0.25;

    /// <summary>Largest share of what is tested on that may be one person's.</summary>
    public double HeldOutSharePerPerson { get; init; } = 0.25;

    /// <summary>Shorter texts are dropped.</summary>
    public int MinCharacters { get; init; } = 8;

    /// <summary>Kept or edited texts that there must be to train on.</summary>
    public int MinTrain { get; init; } = 16;

    /// <summary>Kept or edited texts that there must be to test on.</summary>
    public int MinHeldOut { get; init; } = 8;

    /// <summary>Learn and test only on what a reviewer let in; <c>settings.yaml</c> of the home can ask for it, too.</summary>
    public bool RequireReview { get; init; }

    internal void Validate(RecipeCheck check)
    {
        check.That(HeldOutShare is > 0 and < 1, "curate.held_out_share", HeldOutShare, "a number between 0 and 1");
        check.That(TrainSharePerPerson is > 0 and <= 1, "curate.train_share_per_person", TrainSharePerPerson,
            "a number above 0, at most 1");
        check.That(HeldOutSharePerPerson is > 0 and <= 1, "curate.held_out_share_per_person", HeldOutSharePerPerson,
            "a number above 0, at most 1");
        check.AtLeast(1, "curate.min_characters", MinCharacters);
        check.AtLeast(1, "curate.min_train", MinTrain);
        check.AtLeast(2, "curate.min_held_out", MinHeldOut);
    }
}

/// <summary>
/// What a pass that learns people's texts learns again beside them: some of what its champion was made from. A model that sees a few
/// hundred texts and nothing else forgets how to copy and spell.
/// </summary>
public sealed record ReplayRecipe
{
    /// <summary>Part of the texts of such a pass that is replay; 0 replays nothing.</summary>
    public double Share { get; init; }

    /// <summary>
    /// Where it comes from, beside what earlier turns taught. A source in a task's folder is for models that were trained for the task.
    /// </summary>
    public IReadOnlyList<SourceRecipe> Data { get; init; } = [];

    internal void Validate(RecipeCheck check)
    {
        check.That(Share is >= 0 and < 1, "replay.share", Share, "a share of at least 0, below 1");
        for (int i = 0; i < Data.Count; i++) Data[i].Validate(check, $"replay.data[{i}]");
    }
}

/// <summary>One training pass. Its objective decides which of the turn's examples it sees.</summary>
public sealed record StageRecipe
{
    /// <summary>Further data, such as a replay of what the champion was made from.</summary>
    public IReadOnlyList<SourceRecipe> Data { get; init; } = [];

    public required TrainRecipe Train { get; init; }
}

/// <summary>What a candidate must prove against the champion.</summary>
public sealed record GateRecipe
{
    /// <summary>Conversations (JSON lines) on which the candidate must not fall behind; relative to the recipe.</summary>
    public required string Regression { get; init; }

    /// <summary>Largest loss in nats a token on them that is still no fall: the interval must lie above its negative.</summary>
    public required double RegressionMargin { get; init; }

    /// <summary>The same of a kind of conversation that the turn teaches: there a change of style is what people asked for.</summary>
    public double TaughtMargin { get; init; } = 0.5;

    /// <summary>
    /// Who compares the drafts of both models: <see cref="AutoJudge"/>, <see cref="FidelityJudge"/>, <see cref="PersonJudge"/>, or the name
    /// of a stated rule that whoever runs the turn knows.
    /// </summary>
    public string Judge { get; init; } = AutoJudge;

    /// <summary>A preference model fitted on what people chose, while it agrees with people held out; else none.</summary>
    public const string AutoJudge = "auto";

    /// <summary>What keeps to the brief is better.</summary>
    public const string FidelityJudge = "fidelity";

    /// <summary>Nobody but a person: each candidate waits for a yes.</summary>
    public const string PersonJudge = "person";

    /// <summary>The preference model judges while the interval of its agreement with people held out lies above this share.</summary>
    public double JudgeAgreement { get; init; } = 0.6;

    /// <summary>
    /// Largest fall in the share of drafts with the exact name, with a fact restated, without a foreign name or number that is still no
    /// fall: the interval must lie above its negative.
    /// </summary>
    public double FidelityMargin { get; init; } = 0.1;

    /// <summary>Held-out prompts that both models write drafts to.</summary>
    public int SanityPrompts { get; init; } = 96;

    /// <summary>Drafts to each, where there are so many; see <see cref="DraftsTo"/>.</summary>
    public int Drafts { get; init; } = 4;

    private const int MostTimes = 4;

    /// <summary>
    /// Drafts to each of so many prompts: where fewer are held out than <see cref="SanityPrompts"/>, about as many in all, up to four times
    /// as
    /// many to each. Drafts to one prompt differ nearly as much as drafts to two, so that more of them tell a small gain from chance.
    /// </summary>
    public int DraftsTo(int prompts) => Math.Clamp(SanityPrompts * Drafts / Math.Max(1, prompts), Drafts, MostTimes * Drafts);

    /// <summary>
    /// Share of drafts that must be sound: they end, are not empty and do not go in circles. A champion below it sets the floor itself.
    /// </summary>
    public double SanityFloor { get; init; } = 0.9;

    /// <summary>Longest draft in tokens.</summary>
    public int MaxTokens { get; init; } = 256;

    /// <summary>Temperature of the drafts; as the champion is served when not given.</summary>
    public double? Temperature { get; init; }

    internal void Validate(RecipeCheck check)
    {
        check.That(Regression.Length > 0, "gate.regression", Regression, "a JSON lines file of conversations");
        check.Positive("gate.regression_margin", RegressionMargin);
        check.Positive("gate.taught_margin", TaughtMargin);
        check.That(Judge.Length > 0, "gate.judge", Judge, $"{AutoJudge}, {FidelityJudge}, {PersonJudge} or the name of a rule");
        check.That(JudgeAgreement is >= 0.5 and < 1, "gate.judge_agreement", JudgeAgreement, "a share of at least 0.5, below 1");
        check.Positive("gate.fidelity_margin", FidelityMargin);
        check.AtLeast(1, "gate.sanity_prompts", SanityPrompts);
        check.AtLeast(1, "gate.drafts", Drafts);
        check.Share("gate.sanity_floor", SanityFloor);
        check.AtLeast(1, "gate.max_tokens", MaxTokens);
        check.NotNegative("gate.temperature", Temperature ?? 0);
    }
}
