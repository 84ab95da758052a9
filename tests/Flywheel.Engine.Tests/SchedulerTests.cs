using Flywheel.Engine.Weights;

namespace Flywheel.Engine.Tests;

/// <summary>The order of service, by simulated steps: no model, no clock.</summary>
public sealed unsafe class SchedulerTests : IDisposable
{
    private const int Slots = 4, Budget = 32;

    private readonly NativeArena _arena = new();
    private readonly PageTables _pages;
    private readonly Scheduler _scheduler;
    private readonly List<Text> _ended = [];
    private int _step;

    public SchedulerTests()
    {
        var pool = new KvPool(new DecoderShape(TestEngine.Config()), KvType.Int16, maxPages: 60);
        _pages = new PageTables(_arena, pool, Slots, maxPositions: 700);
        _scheduler = new Scheduler(_pages, Slots);
    }

    public void Dispose()
    {
        _pages.Dispose();
        _arena.Dispose();
    }

    [Fact]
    public void Admit_UserWithAHundredRequests_DoesNotDelayAnother()
    {
        for (int i = 0; i < 100; i++) Add("many");
        Run(until: () => _step == 30);
        Text one = Add("one");
        Run(until: () => one.EndedAt > 0);
        Assert.InRange(one.EndedAt - one.AddedAt, 1, AloneSteps() + 1);
        Run();
        Assert.Equal(101, _ended.Count);
    }

    [Fact]
    public void Admit_InteractiveWhileBatchFillsAllPlaces_StartsAtOnceAndAllEnd()
    {
        Text[] night = [.. Enumerable.Range(0, 12).Select(_ => Add("night", Priority.Batch))];
        Run(until: () => _step == 25);
        Text person = Add("person", Priority.Interactive);
        Run(until: () => person.EndedAt > 0);
        Assert.InRange(person.EndedAt - person.AddedAt, 1, AloneSteps() + 1);
        Run();
        Assert.All(night, text => Assert.Equal(40, text.Tokens.Length - text.PromptLength));
        Assert.Equal(1, _scheduler.NumPostponed);
    }

    [Fact]
    public void Admit_InteractiveWithoutEnd_BatchIsNotStarved()
    {
        Text night = Add("night", Priority.Batch);
        var people = new List<Text>();
        while (night.EndedAt == 0 && _step < 10_000)
        {
            people.RemoveAll(text => text.EndedAt > 0);
            while (people.Count < Slots + 2) people.Add(Add($"person {people.Count}", Priority.Interactive));
            Step();
        }
        // Two levels of 32 overtakings each, four at a time, and a place at last.
        Assert.InRange(night.EndedAt, 1, (2 * 32 / Slots + 6) * AloneSteps());
    }

    // Long prompts and short answers against the reverse, both with more than enough to do: equal service, not equal counts.
    [Fact]
    public void Running_TwoUsersWithDifferentRequests_AreServedAlike()
    {
        var served = new Dictionary<string, long> { ["reader"] = 0, ["writer"] = 0 };
        var live = new List<Text>();
        for (int i = 0; _step < 3000; i++)
        {
            foreach (Text text in live.Where(text => text.EndedAt > 0)) served[text.User] += text.PromptLength + 2 * text.MaxTokens;
            live.RemoveAll(text => text.EndedAt > 0);
            while (live.Count(text => text.User == "reader") < 6) live.Add(Add("reader", prompt: 300, answer: 5));
            while (live.Count(text => text.User == "writer") < 6) live.Add(Add("writer", prompt: 10, answer: 100));
            Step();
        }
        Assert.InRange((double)served["reader"] / served["writer"], 0.8, 1.25);
    }

    [Fact]
    public void Sort_LongPromptBeingRead_AnotherUsersShortOneIsReadFirst()
    {
        Text book = Add("book", prompt: 600, answer: 1);
        Run(until: () => _step == 2);
        Text line = Add("line", prompt: 20, answer: 1);
        Run(until: () => line.EndedAt > 0);
        Assert.InRange(line.EndedAt - line.AddedAt, 1, 2);
        Run();
        Assert.True(book.EndedAt <= (600 + 20 + Budget - 1) / Budget + 2, $"{book.EndedAt} steps");
    }

    [Fact]
    public void Account_UserComesBack_StartsLevelWithTheLeastServed()
    {
        Add("idle", answer: 1);
        Run(until: () => _ended.Count == 1);
        for (int i = 0; i < 8; i++) Add("busy");
        Run(until: () => _step == 60);
        Text back = Add("idle");
        Assert.Equal(_scheduler.Running[0].Account.Served, back.Account.Served);
    }

    // Random arrivals, priorities, users, cancellations, and pages for two longest texts.
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Run_RandomLoad_AllEndAndNothingIsLeft(int seed)
    {
        var random = new Random(seed);
        var live = new List<Text>();
        for (int i = 0; i < 200; i++)
        {
            live.Add(Add($"user {random.Next(5)}", (Priority)random.Next(3), prompt: random.Next(1, 400), answer: random.Next(1, 200)));
            if (random.Next(8) == 0 && live[random.Next(live.Count)] is { EndedAt: 0 } text)
            {
                _scheduler.Remove(text);
                text.EndedAt = _step + 1; // 0 is not ended
            }
            for (int steps = random.Next(60); steps > 0; steps--) Step();
        }
        Run();
        Assert.All(live, text => Assert.True(text.EndedAt > 0));
        Assert.Empty(_scheduler.Running);
        Assert.Equal(60, _pages.NumAvailable);
        Assert.Equal(0, _scheduler.NumAccounts);
    }

    private static int AloneSteps() => (50 + Budget - 1) / Budget + 40;

    private Text Add(string user, Priority priority = Priority.Normal, int prompt = 50, int answer = 40)
    {
        var text = new Text(_ended.Count + _scheduler.Running.Count + _scheduler.Waiting.Count, prompt, answer) { User = user,
            Priority = priority, AddedAt = _step };
        _scheduler.Add(text);
        return text;
    }

    private void Run(Func<bool>? until = null)
    {
        for (int i = 0; i < 100_000 && _scheduler.Running.Count + _scheduler.Waiting.Count > 0 && until?.Invoke() != true; i++) Step();
    }

    /// <summary>A step as <see cref="EngineLoop"/> makes it, with tokens that cost nothing.</summary>
    private void Step()
    {
        _step++;
        _scheduler.Admit();
        _scheduler.MakeRoom();
        _scheduler.Sort();
        while (!Read()) _scheduler.PostponeLast();
        foreach (Text text in _scheduler.Running.Cast<Text>().ToList())
        {
            bool ended = text.Publish();
            _pages.Share(text);
            if (!ended) continue;
            text.EndedAt = _step;
            _ended.Add(text);
            _scheduler.Remove(text);
        }
    }

    private bool Read()
    {
        int rows = 0, budget = Budget;
        foreach (Sequence text in _scheduler.Running.Where(text => !text.IsPrefilling)) rows += Read(text, 1);
        foreach (Sequence text in _scheduler.Running.Where(text => text.IsPrefilling && _pages.TakeShared(text)))
        {
            long room = (text.NumPages + _pages.NumAvailable) * PageNode.NumTokens - text.NumCached;
            int count = (int)Math.Min(room, Math.Min(budget, text.Tokens.Length - text.NumCached));
            budget -= Read(text, count);
            rows += count;
        }
        return rows > 0 || _scheduler.Running.Count == 0;
    }

    private int Read(Sequence text, int count)
    {
        for (int i = 0; i < count; i++) _pages.Extend(text, text.NumCached + i);
        FairOrder.Charge(text, count, text.IsPrefilling);
        text.NumCached += count;
        return count;
    }

    private sealed class Text(int id, int prompt, int answer) : Sequence([.. Enumerable.Range(0, prompt).Select(i => (i * 7 + id) % 261)],
        answer)
    {
        public int AddedAt { get; init; }

        public int EndedAt { get; set; }

        public override bool Wants(int position) => position >= Tokens.Length - 1;

        public override bool Publish()
        {
            if (NumCached == Tokens.Length) Append(Tokens.Length % 261);
            return Tokens.Length == PromptLength + MaxTokens;
        }

        public override void Read(float* logits, long ld, int count, int position, LogitsReader reader, int threadId) =>
            throw new NotSupportedException();

        public override void Abort(Exception? defect) => throw new NotSupportedException();
    }
}
