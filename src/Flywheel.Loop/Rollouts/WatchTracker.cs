using Flywheel.Loop.Tasks;

namespace Flywheel.Loop.Rollouts;

/// <summary>What is to be done about a release that is watched.</summary>
public enum WatchMove { Watch, Ask, TakeBack }

/// <param name="Move">What.</param>
/// <param name="Reason">Why, as the record keeps it; empty while nothing is certain.</param>
public sealed record WatchVerdict(WatchMove Move, string Reason);

/// <summary>
/// Compares what people do with a released model against what the same people, or others before them, did with the former one. Nobody drew
/// lots here: what changed in the world meanwhile counts as the model's. What counts is a person: the mean of the first answers that
/// somebody judged after the release, once. It is held against that person's own mean of before; of somebody new, against a lower bound of
/// the mean over people of before.
/// </summary>
/// <remarks>
/// If nothing changed, the mean of "before less after" is at most zero, except with probability <see cref="BeforeAlpha"/> (the bound), and
/// the evidence against that (<see cref="BettingTest"/>) is ever called certain with <see cref="FellAlpha"/> at most, however often it is
/// looked at. With the two guards it is 3.5% together: what takes a release back because of failures is a part of what asks.
/// </remarks>
public sealed class WatchTracker
{
    public const double BeforeAlpha = 0.0125, FellAlpha = 0.0125, GuardAlpha = 0.005;

    /// <summary>Judged answers of before that make a mean of one's own.</summary>
    public const int MinOwn = 3;

    /// <summary>Answers of before without which nothing is said of failures and of time.</summary>
    public const int MinAnswers = 50;

    /// <summary>What fails within the same such time is one fault: a full disk, a restart.</summary>
    private static readonly TimeSpan s_fault = RolloutTracker.GuardedWithin;

    /// <summary>So much of one counts at most, and its variance is taken for so much: some hours must be bad before failures are certain by
    /// time.</summary>
    private const double MostOfFault = 0.25, FaultVariance = 0.01;

    private readonly Dictionary<string, double[]> _before;
    private readonly Dictionary<string, Block> _judged = new(StringComparer.Ordinal), _guarded = new(StringComparer.Ordinal);
    private readonly PriorityQueue<Block, DateTimeOffset> _open = new();
    private readonly double _low;
    private readonly OrderedDictionary<Guid, (string Person, double Value)> _byAnswer = [];
    private readonly Dictionary<Guid, (string Person, double Value)> _waiting = [];
    private readonly PriorityQueue<Guid, DateTimeOffset> _due = new();
    private readonly BettingTest _fell = new(0, keeps: true), _failed = new(0), _failedByTime = new(0, largestMean: 0), _slow = new(0);
    private BettingTest _fellByAnswer = new(0);
    private double _squares = 0.25, _answerSquares = 0.25, _failedSquares = 0.02, _slowSquares = 0.05, _sumBefore, _sumAfter;
    private (long Index, int Count, double Sum) _fault;
    private int _numPeopleGuarded;

    /// <param name="judged">Of the former model, by person, what became of the answers that they judged: 0 (thrown away) to 1
    /// (kept).</param>
    /// <param name="answers">Of it: its last answers.</param>
    public WatchTracker(IReadOnlyDictionary<string, double[]> judged, WatchedAnswers answers)
    {
        (_before, Before) = (new(judged.Where(person => person.Value.Length > 0), StringComparer.Ordinal), answers);
        double[] means = [.. _before.Values.Select(values => values.Average())];
        NumPeopleBefore = means.Length;
        AcceptanceBefore = means.Length == 0 ? null : means.Average();
        var bound = new BettingTest(0, keeps: true);
        double sum = 0.5, squares = 0.25;
        for (int i = 0; i < means.Length; i++)
        {
            bound.Add(means[i], squares / (1 + i), 0);
            double off = means[i] - sum / (1 + i);
            (sum, squares) = (sum + means[i], squares + off * off);
        }
        _low = means.Length == 0 ? 0 : bound.LowerBound(0, BeforeAlpha);
        if (answers.Count < MinAnswers) return;
        FailedBefore = TaskMetric.Wilson(answers.NumFailed / (double)answers.Count, answers.Count).High;
        SlowBefore = TaskMetric.Wilson(answers.NumSlow / (double)answers.Count, answers.Count).High;
    }

    public WatchedAnswers Before { get; }

    public WatchedAnswers After { get; } = new();

    public int NumPeopleBefore { get; }

    /// <summary>Mean over people of the share that they accepted of the former model's answers; null where nobody judged any.</summary>
    public double? AcceptanceBefore { get; }

    /// <summary>Upper bounds of the shares of before that failed and were slow; null where too little is known of before.</summary>
    public double? FailedBefore { get; }

    public double? SlowBefore { get; }

    /// <summary>People who count, and how many of them are compared with themselves.</summary>
    public int NumPeople { get; private set; }

    public int NumOwn { get; private set; }

    /// <summary>Requests that people judged.</summary>
    public int NumJudged => _byAnswer.Count + _waiting.Count;

    /// <summary>People (or, of the nameless, requests) whose answers guard.</summary>
    public int NumGuarded { get; private set; }

    public double? Acceptance => NumPeople == 0 ? null : _sumAfter / NumPeople;

    /// <summary>By how much acceptance changed, as it looks; null before anybody counts.</summary>
    public double? Change => NumPeople == 0 ? null : (_sumAfter - _sumBefore) / NumPeople;

    /// <summary>At all times together acceptance changed by no more than that, with probability 97.5%.</summary>
    public double AtMost => -_fell.LowerBound(-1, FellAlpha);

    /// <summary>A request was answered.</summary>
    /// <param name="time">When it came.</param>
    /// <param name="person">Empty: nobody said; then it guards alone.</param>
    /// <param name="failed">It did.</param>
    /// <param name="slow">It took longer than <see cref="WatchedAnswers.SlowMs"/> of before.</param>
    /// <param name="tokens">Of the answer.</param>
    public void Answered(DateTimeOffset time, string person, bool failed, bool slow, double tokens)
    {
        Advance(time);
        After.Add(failed, slow, tokens);
        Block block = new(person, guards: true);
        if (person.Length > 0 && !_guarded.TryAdd(person, block)) block = _guarded[person];
        if (block.IsClosed) return;
        if (block.Count == 0 && person.Length > 0) _open.Enqueue(block, time + RolloutTracker.GuardedWithin);
        (block.Count, block.Failed, block.Slow) = (block.Count + 1, block.Failed + (failed ? 1 : 0), block.Slow + (slow ? 1 : 0));
        if (person.Length == 0 || block.Count == RolloutTracker.PerPerson) Close(block, time);
    }

    /// <summary>A person has judged a request.</summary>
    /// <param name="time">When.</param>
    /// <param name="person">Empty: does not count.</param>
    /// <param name="request">Which; judged again, the last word counts as long as the person's observation is open.</param>
    /// <param name="value">0 to 1; null takes back.</param>
    /// <param name="final">No draft of the request is left that could make it more.</param>
    public void Judged(DateTimeOffset time, string person, Guid request, double? value, bool final = true)
    {
        Advance(time);
        if (person.Length == 0) return;
        if (!_judged.TryGetValue(person, out Block? block)) _judged[person] = block = new(person, guards: false);
        ByAnswer(time, person, request, value, final);
        if (block.IsClosed) return;
        if (value is not null && !block.IsOpened) _open.Enqueue(block, time + RolloutTracker.JudgedWithin);
        block.IsOpened |= value is not null;
        if (block.Values.Put(request, value, final)) Close(block, time);
    }

    /// <summary>Time has passed.</summary>
    public void Advance(DateTimeOffset time)
    {
        while (_open.TryPeek(out Block? block, out DateTimeOffset closes) && closes <= time)
        {
            _open.Dequeue();
            Close(block, closes);
        }
        while (_due.TryPeek(out Guid request, out DateTimeOffset due) && due <= time)
        {
            _due.Dequeue();
            if (_waiting.Remove(request, out (string Person, double Value) judged)) Count(request, judged.Person, judged.Value);
        }
        EndFault(IndexOf(time));
    }

    /// <summary>What follows. Below six people a fall is not certain of people, but of these people's texts: then a person is asked. So it
    /// is
    /// where failures are certain of those alone who do not say who they are (one caller may be all of them), or of a short time.</summary>
    public WatchVerdict Verdict()
    {
        bool byPeople = NumPeople >= RolloutDecision.MinPeople;
        if (Certain(_fell, FellAlpha) && byPeople) return new(WatchMove.TakeBack, $"people accept fewer of its answers: {Compared()}");
        string than = $"of the last {Before.Count} of the former model";
        if (Certain(_failed, GuardAlpha) && NumGuarded >= RolloutDecision.MinHarmed)
        {
            string failed = $"more of its answers fail: {After.NumFailed} of {After.Count}, {Before.NumFailed} {than}";
            return Certain(_failedByTime, GuardAlpha) && _numPeopleGuarded >= RolloutDecision.MinPeople ? new(WatchMove.TakeBack, failed)
                : new(WatchMove.Ask, $"{failed}; too few people, or too short a time, to tell the model from a technical fault");
        }
        // Unlike in a rollout, where both models answer beside each other, a busy machine makes the later one look slow.
        if (Certain(_slow, GuardAlpha) && NumGuarded >= RolloutDecision.MinHarmed)
            return new(WatchMove.Ask,
                $"more of its answers are slow: {After.NumSlow} of {After.Count}, {Before.NumSlow} {than}; the model or the machine may be the reason");
        if (Certain(_fell, FellAlpha) || Certain(_fellByAnswer, FellAlpha))
            return new(WatchMove.Ask,
                $"these people accept fewer of its answers ({Compared()}), {(byPeople ? "which is certain of these answers and not of people" : "and are too few to speak of others")}");
        return new(WatchMove.Watch, "");
    }

    private static bool Certain(BettingTest test, double alpha) => test.MaxLogEvidence >= -Math.Log(alpha);

    private string Compared() => FormattableString.Invariant(
        $"{Acceptance ?? 0:0.0%} against {AcceptanceBefore ?? 0:0.0%} a person ({NumPeople} and {NumPeopleBefore} people, {NumOwn} of them the same)");

    /// <summary>Each request by itself, once and at its last value, of people of whom much is known, against a lower bound of their own
    /// mean:
    /// says nothing of others. Where a draft may still make more of it, it waits as long as an observation does.</summary>
    private void ByAnswer(DateTimeOffset time, string person, Guid request, double? value, bool final)
    {
        if (_byAnswer.TryGetValue(request, out (string Person, double Value) counted))
        {
            if (counted.Value == value) return;
            if (value is { } now) _byAnswer[request] = (person, now);
            else _byAnswer.Remove(request);
            (_fellByAnswer, _answerSquares) = (new(0), 0.25);
            foreach ((string whose, double last) in _byAnswer.Values) AddAnswer(whose, last);
            return;
        }
        bool waited = _waiting.Remove(request);
        if (value is not { } given) return;
        if (final)
        {
            Count(request, person, given);
            return;
        }
        if (!waited) _due.Enqueue(request, time + RolloutTracker.JudgedWithin);
        _waiting[request] = (person, given);
    }

    private void Count(Guid request, string person, double value)
    {
        _byAnswer.Add(request, (person, value));
        AddAnswer(person, value);
    }

    private void AddAnswer(string person, double value)
    {
        if (!_before.TryGetValue(person, out double[]? own) || own.Length < RolloutTracker.PerPerson) return;
        double low = TaskMetric.Wilson(own.Average(), own.Length).Low, z = low - value;
        _fellByAnswer.Add(z, _answerSquares / (1 + _fellByAnswer.Count), low - 1);
        _answerSquares += z * z;
    }

    private void Close(Block block, DateTimeOffset time)
    {
        if (block.IsClosed) return;
        block.IsClosed = true;
        if (block.Guards) Guard(block, time);
        else if (block.Values.Count > 0 && NumPeopleBefore > 0) Observe(block.Person, block.Values.Mean);
    }

    private void Observe(string person, double mean)
    {
        bool isOwn = _before.TryGetValue(person, out double[]? own) && own.Length >= MinOwn;
        double before = isOwn ? own!.Average() : _low, z = before - mean;
        _fell.Add(z, _squares / (1 + NumPeople), before - 1);
        _squares += z * z;
        (NumPeople, NumOwn) = (NumPeople + 1, NumOwn + (isOwn ? 1 : 0));
        (_sumAfter, _sumBefore) = (_sumAfter + mean, _sumBefore + (isOwn ? before : AcceptanceBefore!.Value));
    }

    private void Guard(Block block, DateTimeOffset time)
    {
        if (block.Count == 0) return;
        NumGuarded++;
        if (block.Person.Length > 0)
        {
            _numPeopleGuarded++;
            EndFault(IndexOf(time));
            _fault = (IndexOf(time), _fault.Count + 1, _fault.Sum + block.Failed / (double)block.Count);
        }
        if (FailedBefore is { } failed)
            Add(_failed, block.Failed / (double)block.Count, failed + RolloutDecision.FailedMargin, ref _failedSquares);
        if (SlowBefore is { } slow) Add(_slow, block.Slow / (double)block.Count, slow + RolloutDecision.SlowMargin, ref _slowSquares);

        void Add(BettingTest test, double share, double allowed, ref double squares)
        {
            if (allowed >= 1) return;
            double z = share - allowed;
            test.Add(z, squares / NumGuarded, -allowed);
            squares += z * z;
        }
    }

    private static long IndexOf(DateTimeOffset time) => time.UtcTicks / s_fault.Ticks;

    /// <summary>Counts what failed within the time that has passed now.</summary>
    private void EndFault(long now)
    {
        if (_fault.Count == 0 || now == _fault.Index) return;
        if (FailedBefore is { } failed && failed + RolloutDecision.FailedMargin is < 1 and var allowed)
            _failedByTime.Add(Math.Min(_fault.Sum / _fault.Count, allowed + MostOfFault) - allowed, FaultVariance, -allowed);
        _fault = default;
    }

    private sealed class Block(string person, bool guards)
    {
        public string Person => person;

        public bool Guards => guards;

        public FirstJudged Values { get; } = new();

        public int Count { get; set; }

        public int Failed { get; set; }

        public int Slow { get; set; }

        public bool IsOpened { get; set; }

        public bool IsClosed { get; set; }
    }
}

/// <summary>Answers of a model, counted.</summary>
public sealed class WatchedAnswers
{
    private double _tokens;

    public int Count { get; private set; }

    public int NumFailed { get; private set; }

    public int NumSlow { get; private set; }

    /// <summary>What counts as slow, milliseconds; null where nothing does.</summary>
    public double? SlowMs { get; init; }

    /// <summary>Mean length of an answer, tokens.</summary>
    public double MeanTokens => Count == 0 ? 0 : _tokens / Count;

    public void Add(bool failed, bool slow, double tokens) =>
        (Count, NumFailed, NumSlow, _tokens) = (Count + 1, NumFailed + (failed ? 1 : 0), NumSlow + (slow ? 1 : 0), _tokens + tokens);
}
