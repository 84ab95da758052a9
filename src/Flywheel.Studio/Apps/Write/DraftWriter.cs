using System.Collections.Concurrent;
using Flywheel.Engine;
using Flywheel.Loop.Ranking;
using Flywheel.Loop.Rollouts;
using Flywheel.Model;
using Flywheel.Studio.Serving;
using Microsoft.Extensions.Logging;

namespace Flywheel.Studio.Apps.Write;

/// <summary>Drafts in the making, by the brief that they are for. They belong to the server, not to the page: a reload finds them going
/// on.</summary>
internal sealed class DraftWriter(Generator generator, Briefs briefs, TimeProvider time, ILogger<DraftWriter> log) : IAsyncDisposable
{
    public const int NumDrafts = 3;

    /// <summary>Drafts of each model while a rollout is decided by drafts: one more is written, so that both have as many.</summary>
    public const int NumPaired = 2;

    /// <summary>A browser redraws this often while text streams in; each token by itself would only cost.</summary>
    private static readonly TimeSpan RedrawEvery = TimeSpan.FromMilliseconds(40);

    private readonly ConcurrentDictionary<Guid, LiveSet> _live = [];

    /// <summary>Texts of a brief have grown or ended: the brief's id.</summary>
    public event Action<Guid>? Progressed
    {
        add => _progressed.Add(value);
        remove => _progressed.Remove(value);
    }

    private readonly Bell _progressed = new();

    /// <summary>What is being written for a brief, or null.</summary>
    public LiveSet? Find(Guid brief) => _live.GetValueOrDefault(brief);

    /// <summary>Begins drafts for a brief. Examples that do not fit beside it are left out, the last first.</summary>
    /// <param name="brief">Id of the brief's document.</param>
    /// <param name="person">Its owner.</param>
    /// <param name="fields">The brief as it stands.</param>
    /// <param name="ask">What the model is asked.</param>
    /// <param name="way">How it is asked for; empty for the brief alone.</param>
    /// <param name="examples">Kept texts that are shown before the request.</param>
    /// <param name="numDrafts">How many.</param>
    /// <param name="priority">Nobody waits for what is written in the background: it goes behind what a person asks for.</param>
    /// <returns>What is being written for the brief, also when that was begun before.</returns>
    /// <exception cref="PromptTooLongException">The request alone is more than the model can read.</exception>
    /// <exception cref="FlywheelException">The model cannot be talked to.</exception>
    /// <exception cref="QueueFullException">Too many wait.</exception>
    public async Task<LiveSet> StartAsync(Guid brief, string person, BriefFields fields, Conversation ask, string way,
        IReadOnlyList<KeptText> examples,
        int numDrafts = NumDrafts, Priority priority = Priority.Normal)
    {
        while (true)
        {
            Conversation whole =
                ask with {
                    Messages =
                        [.. examples.SelectMany(example => (Message[])[Message.User(example.Asked),
                            Message.Assistant(example.Text.Trim())]), .. ask.Messages] };
            try
            {
                return await BeginAsync(brief, person, fields, whole, way, examples, numDrafts, priority);
            }
            catch (PromptTooLongException) when (examples.Count > 0)
            {
                examples = [.. examples.SkipLast(1)];
            }
        }
    }

    private async Task<LiveSet> BeginAsync(Guid brief, string person, BriefFields fields, Conversation ask, string way,
        IReadOnlyList<KeptText> examples,
        int numDrafts, Priority priority)
    {
        if (_live.TryGetValue(brief, out LiveSet? running)) return running;
        // Where drafts decide a rollout, both models write for whoever waits for it.
        GenerationGroup[]? pair = priority == Priority.Batch || generator.Rollouts.Live is not { Row.Decider: RolloutDecider.Drafts } ? null
            : generator.StartPair(model => Order(model, fields.Kind, person, ask, examples, NumPaired) with { Priority = priority },
                CancellationToken.None);
        GenerationGroup[] groups = pair
            ?? [generator.Start(model => Order(model, fields.Kind, person, ask, examples, numDrafts) with { Priority = priority },
                CancellationToken.None, person)];
        var set = new DraftSet
        {
            Id = groups[0].Id,
            Time = time.GetUtcNow(),
            Kind = fields.Kind,
            Model = pair is null ? groups[0].Model.Hash : "",
            Paired = pair is not null,
            Fields = fields,
            Way = way,
            Examples = [.. examples.Select(example => example.Generation)],
            Drafts = [
                .. groups
                    .SelectMany(group =>
                        group.Choices.Take(pair is null ? numDrafts : NumPaired)
                            .Select(choice => (Place: group.PlaceOf(choice.Index), choice.Id)))
                .OrderBy(shown => shown.Place).Select(shown => new Draft { Generation = shown.Id, State = DraftState.Writing })],
        };
        var live = new LiveSet(set, groups);
        if (!_live.TryAdd(brief, live))
        {
            await live.EndAsync();
            return _live.GetValueOrDefault(brief) ?? live;
        }
        try
        {
            await briefs.AddSetAsync(brief, person, set);
        }
        catch
        {
            _live.TryRemove(brief, out _);
            await live.EndAsync();
            throw;
        }
        live.Running = RunAsync(brief, person, live);
        _progressed.Ring(brief);
        return live;
    }

    private async Task RunAsync(Guid brief, string person, LiveSet live)
    {
        try
        {
            await Task.WhenAll(live.Groups.Select(ReadAsync));
            Choice[] shown = new Choice[live.Set.Drafts.Count];
            foreach (GenerationGroup group in live.Groups)
                foreach (Choice choice in group.Choices) shown[group.PlaceOf(choice.Index)] = choice;
            await briefs.ChangeSetAsync(brief, person, live.Set.Id,
                (draft, index) =>
                    draft with { Generation = shown[index].Id, State = DraftState.Ready, Written = shown[index].Text,
                        Text = shown[index].Text.Trim() });
        }
        catch (Exception e)
        {
            // What could not be recorded must not be chosen from.
            log.LogError(e, "Writing drafts failed");
            live.Failed = true;
            try
            {
                await briefs.ChangeSetAsync(brief, person, live.Set.Id, (draft, _) => draft with { State = DraftState.Lost });
            }
            catch (Exception still)
            {
                log.LogError(still, "The brief could not be brought up to date; the next time it is opened, its drafts count as lost");
            }
        }
        finally
        {
            _live.TryRemove(brief, out _);
            _progressed.Ring(brief);
            await live.EndAsync();
        }

        async Task ReadAsync(GenerationGroup group)
        {
            long drawn = time.GetTimestamp();
            await foreach ((Choice choice, SampledToken? token) in group.Events)
            {
                live.Texts[group.PlaceOf(choice.Index)] = token is null ? choice.Text.Trim() : choice.Text;
                if (token is not null && time.GetElapsedTime(drawn) < RedrawEvery) continue;
                drawn = time.GetTimestamp();
                _progressed.Ring(brief);
            }
        }
    }

    /// <summary>The server ends: what is being written ends too, and is recorded as far as it came.</summary>
    public async ValueTask DisposeAsync()
    {
        var running = _live.Values.ToArray();
        foreach (var one in running) one.Stop();
        await Task.WhenAll(running.Select(one => one.Running));
    }

    private GenerationOrder Order(ServedModel model, string kind, string person, Conversation ask, IReadOnlyList<KeptText> examples,
        int numDrafts)
    {
        int[] prompt = model.Template.Prompt(ask, time.GetLocalNow());
        int room = model.Folder.Config.MaxPositions - prompt.Length;
        if (room < 16) throw new PromptTooLongException();
        return new GenerationOrder
        {
            Conversation = ask,
            Prompts = [prompt],
            NumChoices = numDrafts,
            Candidates = CopyAbilities.IsRanked(model) ? DraftSampling.NumCandidates : 0,
            Varied = true,
            MaxTokens = DraftSampling.MaxTokens(kind),
            Sampler = model.Defaults with { Seed = generator.DrawSeed(), Grammar = DraftWords.GrammarOf(ask, model.FolderHere) },
            User = person,
            App = "write",
            PromptExamples = [.. examples.Select(example => example.Feedback)],
        };
    }
}

/// <summary>Drafts while they are written.</summary>
internal sealed class LiveSet(DraftSet set, GenerationGroup[] groups)
{
    public DraftSet Set => set;

    /// <summary>One of the model that writes, or one of each of two.</summary>
    internal IReadOnlyList<GenerationGroup> Groups => groups;

    /// <summary>What has come so far, a text for each draft.</summary>
    public string[] Texts { get; } = [.. set.Drafts.Select(_ => "")];

    public bool Failed { get; set; }

    /// <summary>Every text came to its own end.</summary>
    public bool IsWhole =>
        groups.SelectMany(group => group.Choices).All(choice => choice.FinishReason is FinishReason.Stop or FinishReason.Length);

    public Task Running { get; set; } = Task.CompletedTask;

    /// <summary>What has come is what there is.</summary>
    public void Stop()
    {
        foreach (GenerationGroup group in groups) group.Cancel();
    }

    /// <summary>Ends what still runs; returns when it is recorded.</summary>
    internal async Task EndAsync()
    {
        foreach (GenerationGroup group in groups) await group.DisposeAsync();
    }
}

/// <summary>Brief and examples are more than the model can read at once.</summary>
internal sealed class PromptTooLongException() : FlywheelException("the prompt is longer than the model's context");
