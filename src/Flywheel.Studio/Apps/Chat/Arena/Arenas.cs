using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Flywheel.Engine;
using Flywheel.Loop;
using Flywheel.Loop.Jobs;
using Flywheel.Model;
using Flywheel.Studio.OpenAI;
using Flywheel.Studio.Serving;
using Microsoft.Extensions.Logging;

namespace Flywheel.Studio.Apps.Chat.Arena;

/// <summary>
/// Rounds in which two anonymous models answer the same, side by side. They belong to the server, not to the page: a reload finds them
/// going on. A choice is feedback on both answers, as if the better had been kept and the other thrown away.
/// </summary>
internal sealed class Arenas(Generator generator, Contestants contestants, Documents documents, FlywheelStore store, TimeProvider time,
    ILogger<Arenas> log) : IAsyncDisposable
{
    public const string App = ArenaResults.App, RoundKind = "round";

    public const int MaxTokens = 512;

    private static readonly TimeSpan RedrawEvery = TimeSpan.FromMilliseconds(40);

    /// <summary>To servers that share the record a round counts as written so long after its own server has said so.</summary>
    private static readonly TimeSpan s_lease = TimeSpan.FromSeconds(30);

    private readonly ConcurrentDictionary<Guid, LiveRound> _live = [];
    private readonly string _server = $"{Environment.MachineName}/{Environment.ProcessId}/{Guid.NewGuid().ToString("N")[..8]}";

    /// <summary>A round has begun, grown, ended or been chosen in: its id.</summary>
    public event Action<Guid>? Changed
    {
        add => _changed.Add(value);
        remove => _changed.Remove(value);
    }

    private readonly Bell _changed = new();

    public LiveRound? Find(Guid round) => _live.GetValueOrDefault(round);

    public async Task<ArenaRound?> FindAsync(Guid round, string person) =>
        await documents.FindAsync(round, person) is { App: App, Kind: RoundKind } document
            && document.Readable(ArenaRound.Parse) is var (_, body) ? Seen(round, body) : null;

    /// <summary>A round that nobody writes is lost. Who writes it may be another server of the same record.</summary>
    private ArenaRound Seen(Guid round, ArenaRound body) => body.Seen(_live.ContainsKey(round)
        || (body.Writer is { } writer && writer != _server && body.WrittenUntil > time.GetUtcNow() && !JobWorker.IsDead(writer)));

    /// <summary>A person's rounds, the latest first.</summary>
    public Task<IReadOnlyList<Document>> ListAsync(string person) => documents.ListAsync(person, App, RoundKind);

    public Task DeleteAsync(Guid round, string person, bool deleted = true) => documents.DeleteAsync(round, person, deleted);

    /// <summary>Those among which lots are drawn where a person chose none: who answers at once, and where that is one alone, the newest
    /// other model.</summary>
    public static IReadOnlyList<string> Usual(IReadOnlyList<Contestant> all)
    {
        string[] ready = [.. all.Where(one => one.IsReady).Select(one => one.Id)];
        return ready.Length >= 2 ? ready : [.. all.Take(2).Select(one => one.Id)];
    }

    /// <summary>Two of these, each pair in each order with the same probability.</summary>
    /// <exception cref="FlywheelException">They are fewer than two.</exception>
    internal static (Contestant A, Contestant B) Draw(IReadOnlyList<Contestant> among)
    {
        Contestant[] lots = [.. among.DistinctBy(one => one.Id)];
        if (lots.Length < 2) throw new FlywheelException("a round needs two models to choose between, and there is only one");
        RandomNumberGenerator.Shuffle<Contestant>(lots);
        return (lots[0], lots[1]);
    }

    /// <summary>Draws two of these by lot, and which of them is A, and has both answer.</summary>
    /// <param name="round">Id of the round, and of the request in the record. A round of that id that is there already is left as it
    /// is.</param>
    /// <param name="person">Who asks.</param>
    /// <param name="owner">The user of the key, where there is one.</param>
    /// <param name="said">What is to be answered.</param>
    /// <param name="among">Two or more.</param>
    /// <param name="maxTokens">Of each answer.</param>
    /// <param name="heard">Told of each piece of text with the number of its side, as it comes.</param>
    /// <param name="cancellation">Stops both.</param>
    /// <exception cref="FlywheelException">They are fewer than two, or one cannot be asked.</exception>
    /// <exception cref="QueueFullException">Too many wait.</exception>
    public async Task StartAsync(Guid round, string person, string owner, Conversation said, IReadOnlyList<Contestant> among,
        int maxTokens = MaxTokens,
        Action<int, string>? heard = null, CancellationToken cancellation = default)
    {
        (Contestant a, Contestant b) = Draw(among);
        Contestant[] drawn = [a, b];
        var held = new List<(Destination To, string? Adapter)>();
        var groups = new List<GenerationGroup>();
        int left = 0;
        try
        {
            foreach (Contestant one in drawn) held.Add(await contestants.AcquireAsync(one));
            ServedModel[] ours = [.. held.Select(one => one.To.Model).OfType<ServedModel>()];
            (Conversation shown, _, left) = ContextFit.Of(said, ours, time.GetLocalNow());
            for (int side = 0; side < 2; side++)
            {
                (Destination to, string? adapter) = held[0];
                held.RemoveAt(0); // whoever starts it releases it
                var order = new GenerationOrder
                {
                    Conversation = shown, Prompts = [[]], MaxTokens = maxTokens, Sampler = new(), User = person, Owner = owner, App = App,
                    Adapter = adapter, Group = round, Places = [side],
                };
                groups.Add(generator.Start(to,
                    model => order with { Prompts = [model.Template.Prompt(shown, time.GetLocalNow())],
                        Sampler = model.Defaults with { Seed = generator.DrawSeed() } },
                    () => (Ask(shown, maxTokens), order), cancellation));
            }
        }
        catch
        {
            foreach ((Destination to, _) in held) to.Model?.Release();
            foreach (GenerationGroup group in groups) await group.DisposeAsync(); // recorded as cancelled
            throw;
        }
        var live = new LiveRound(groups);
        var body = new ArenaRound
        {
            Messages = said.ToJson()["messages"]!.DeepClone().AsArray(), LeftOut = left,
            Writer = _server, WrittenUntil = time.GetUtcNow() + s_lease,
            Sides = [
                .. drawn.Select((one, side) => new ArenaSide { Id = one.Id, Name = one.Label, Generation = groups[side].Choices[0].Id })],
        };
        if (!_live.TryAdd(round, live)
            || (await documents.AddAsync(round, person, App, RoundKind, TitleOf(said), body.ToJson()))?.Body != body.ToJson())
        {
            foreach (GenerationGroup group in groups) await group.DisposeAsync();
            _live.TryRemove(new(round, live));
            return;
        }
        live.Running = RunAsync(round, person, live, heard);
        _changed.Ring(round);
    }

    /// <summary>Records which answer is better. Only once: then it is known who wrote what.</summary>
    /// <returns>The round, over now.</returns>
    /// <exception cref="ApiException">There is no such round of this person, it cannot be chosen in, or was chosen in
    /// otherwise.</exception>
    public async Task<ArenaRound> ChooseAsync(Guid round, string person, string owner, ArenaChoice choice)
    {
        ArenaRound body = await FindAsync(round, person) ?? throw NotFound(round);
        if (body.Choice == choice) return body;
        if (body.Choice is { } before) throw Chosen(before);
        if (!body.IsReady)
            throw new ApiException(409,
                body.IsOver
                    ? "one of the answers did not come to its end, so there is nothing to choose in this round; ask again" : "the answers are still being written", "id", "round_not_ready");
        (bool a, bool b) = ArenaResults.Kept(choice);
        try
        {
            // Both or neither, under keys of the round: of two tabs, or two servers of one record, the first counts.
            await store.AddAllFeedbackAsync(
                [.. new[] { a,
                    b }.Select((kept, side) => new FeedbackInput(body.Sides[side].Generation, kept ? Metrics.Keep : Metrics.Discard, true,
                        person,
                new JsonObject { [ArenaResults.ApplicationTag] = App, [ArenaResults.ChoiceTag] = ArenaResults.NameOf(choice) },
                $"arena-{round}-{side}") { Owner = owner })]);
        }
        catch (IdempotencyConflictException)
        {
            // Somebody was quicker: what was chosen there stands, also where that server ended before it could say so in the round.
        }
        ArenaChoice stands = (await store.FeedbackAsync(body.Sides[0].Generation)).Select(ArenaResults.ChoiceOf)
            .First(said => said is not null)!.Value;
        ArenaRound over = await ChangeAsync(round, person, known => known with { Choice = stands });
        return stands == choice ? over : throw Chosen(stands);

        static ApiException Chosen(ArenaChoice before) =>
            new(409, $"'{ArenaResults.NameOf(before)}' was chosen in this round already, and its models are known now", "choice",
                "already_chosen");
    }

    /// <summary>The conversation that goes on with an answer of a round.</summary>
    public static Conversation GoOn(ArenaRound round, int side, string next) =>
        new([.. round.Conversation.Messages, Message.Assistant(round.Sides[side].Text), Message.User(next)]);

    public static ApiException NotFound(Guid round) => new(404, $"there is no round {round} of this user", "id", "not_found");

    private async Task RunAsync(Guid round, string person, LiveRound live, Action<int, string>? heard)
    {
        try
        {
            Task<Exception?[]> reading = Task.WhenAll(live.Groups.Select(ReadAsync));
            while (await Task.WhenAny(reading, Task.Delay(s_lease / 3, time)) != reading)
                await RenewAsync(round, person);
            Exception?[] faults = await reading;
            await ChangeAsync(round, person, body => body with
            {
                Sides = [.. body.Sides.Select((side, at) => Ended(side, live.Groups[at].Choices[0], faults[at]))],
            });
        }
        catch (Exception e)
        {
            log.LogError(e, "A round of the arena could not be brought up to date; opened again, its answers count as lost");
        }
        finally
        {
            _live.TryRemove(round, out _);
            _changed.Ring(round);
            foreach (GenerationGroup group in live.Groups) await group.DisposeAsync();
        }

        async Task<Exception?> ReadAsync(GenerationGroup group, int side)
        {
            try
            {
                long drawn = time.GetTimestamp();
                await foreach ((Choice choice, SampledToken? token) in group.Events)
                {
                    live.Texts[side] = choice.Text;
                    if (token is not null) heard?.Invoke(side, token.Text);
                    if (token is not null && time.GetElapsedTime(drawn) < RedrawEvery) continue;
                    drawn = time.GetTimestamp();
                    _changed.Ring(round);
                }
                return null;
            }
            catch (Exception e)
            {
                log.LogWarning("An answer in the arena failed: {Message}", e.Message);
                return e;
            }
        }
    }

    /// <summary>Says to other servers of the record that the round is still written here.</summary>
    private async Task RenewAsync(Guid round, string person)
    {
        try
        {
            await ChangeAsync(round, person, body => body with { WrittenUntil = time.GetUtcNow() + s_lease });
        }
        catch (Exception e)
        {
            log.LogWarning("A round of the arena is taken for lost by other servers, though it is written: {Message}", e.Message);
        }
    }

    private static ArenaSide Ended(ArenaSide side, Choice answer, Exception? fault) => side with
    {
        Text = answer.Text.Trim(),
        State = fault is null && answer.FinishReason is FinishReason.Stop or FinishReason.Length ? ArenaState.Ready
            : fault is null && answer.FinishReason == FinishReason.Cancelled ? ArenaState.Stopped : ArenaState.Failed,
        Fault = fault is ApiException or FlywheelException ? fault.Message : null, // of other faults the server's log speaks
    };

    private async Task<ArenaRound> ChangeAsync(Guid round, string person, Func<ArenaRound, ArenaRound> change)
    {
        Document document = await documents.ChangeAsync(round, person, document =>
        {
            document.Body = change(ArenaRound.Parse(document.Body)).ToJson();
            return true;
        }) ?? throw NotFound(round);
        _changed.Ring(round);
        return ArenaRound.Parse(document.Body);
    }

    private static JsonObject Ask(Conversation shown, int maxTokens)
    {
        JsonObject ask = shown.ToJson();
        ask["max_tokens"] = maxTokens;
        return ask;
    }

    private static string TitleOf(Conversation said)
    {
        string line = string.Join(' ', said.Messages[^1].Text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        if (line.Length <= 60) return line;
        return line[..(char.IsHighSurrogate(line[58]) ? 58 : 59)] + "…";
    }

    /// <summary>The server ends: what is being written ends too, and is recorded as far as it came.</summary>
    public async ValueTask DisposeAsync()
    {
        LiveRound[] running = [.. _live.Values];
        foreach (LiveRound one in running) one.Stop();
        await Task.WhenAll(running.Select(one => one.Running));
    }
}
