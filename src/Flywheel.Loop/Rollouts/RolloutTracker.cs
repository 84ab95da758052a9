namespace Flywheel.Loop.Rollouts;

/// <summary>
/// Follows a rollout event by event, in the order in which they happened. What counts is a person, not an answer: the mean of the first
/// answers that somebody judged at a share is one observation, which enters once and is then closed. So nobody can decide by diligence,
/// and observations are independent of each other.
/// </summary>
public sealed class RolloutTracker
{
    /// <summary>Judged answers of a person (choices between drafts, answers for the guards) that make an observation.</summary>
    public const int PerPerson = 5;

    /// <summary>An observation of fewer is closed so long after its first.</summary>
    public static readonly TimeSpan JudgedWithin = TimeSpan.FromHours(24), GuardedWithin = TimeSpan.FromMinutes(30);

    private readonly Dictionary<string, Person> _people = new(StringComparer.Ordinal);
    private readonly Dictionary<Guid, Block> _judged = [];
    private readonly PriorityQueue<Block, DateTimeOffset> _open = new();

    /// <param name="keeps">Keep observations, for intervals; a simulation needs none.</param>
    public RolloutTracker(bool keeps = true)
    {
        Acceptance = new ArmDifference(0.5, keeps: keeps);
        Preferred = new BettingTest(0, keeps: keeps);
        NotPreferred = new BettingTest(0, keeps: keeps);
    }

    /// <summary>Of the share of judged answers that were accepted.</summary>
    public ArmDifference Acceptance { get; }

    /// <summary>Of the share of answers that failed: evidence is gathered of a difference above
    /// <see cref="RolloutDecision.FailedMargin"/>.</summary>
    public ArmDifference Failed { get; } = new(0.02, above: RolloutDecision.FailedMargin);

    /// <summary>The same of slow ones.</summary>
    public ArmDifference Slow { get; } = new(0.05, above: RolloutDecision.SlowMargin);

    /// <summary>Evidence that people prefer the candidate's drafts, or the champion's; from -1 to 1 a person.</summary>
    public BettingTest Preferred { get; }

    public BettingTest NotPreferred { get; }

    /// <summary>Sum over people of what they prefer.</summary>
    public double SumPreferred { get; private set; }

    public int NumPairs { get; private set; }

    /// <summary>What people prefer on average, with a 95% interval for all times together.</summary>
    public Interval PreferenceInterval()
    {
        double low = Preferred.LowerBound(-1, RolloutDecision.PromoteAlpha),
            high = -NotPreferred.LowerBound(-1, RolloutDecision.PromoteAlpha);
        return new(Preferred.Count == 0 ? 0 : Math.Clamp(SumPreferred / Preferred.Count, low, Math.Max(low, high)), low, high);
    }

    /// <summary>Evidence that more, or fewer, people came to the candidate than chance sends there.</summary>
    public BettingTest TooMany { get; } = new(0);

    public BettingTest TooFew { get; } = new(0);

    public ArmCounts Champion { get; } = new();

    public ArmCounts Candidate { get; } = new();

    /// <summary>Candidate's people whose answers guarded, by share; those who saw drafts of both are not in it.</summary>
    public IReadOnlyDictionary<double, int> Guarded => _guarded;

    /// <summary>Of all shares, and of drafts.</summary>
    public int NumGuarded { get; private set; }

    private readonly Dictionary<double, int> _guarded = [];

    private double _squares = 1;

    /// <summary>A request was answered.</summary>
    /// <param name="time">When it came.</param>
    /// <param name="request">All its choices together.</param>
    /// <param name="person">Empty: nobody said; then it guards, and does not decide.</param>
    /// <param name="candidate">The arm.</param>
    /// <param name="share">Probability of the candidate then.</param>
    /// <param name="failed">It did.</param>
    /// <param name="slow">It was.</param>
    public void Answered(DateTimeOffset time, Guid request, string person, bool candidate, double share, bool failed, bool slow)
    {
        Advance(time);
        (candidate ? Candidate : Champion).Add(failed, slow);
        if (person.Length == 0)
        {
            Guard(new Block(Kind.Guard, candidate, share, share) { Failed = failed ? 1 : 0, Slow = slow ? 1 : 0, NumAnswers = 1 });
            return;
        }
        if (!_people.TryGetValue(person, out Person? known)) _people[person] = known = new Person();
        if (known.Share != share) Enter(known, candidate, share);
        if (known.Judged is { IsClosed: false } judged) _judged.TryAdd(request, judged);
        if (known.Guard is not { IsClosed: false } guard) return;
        if (guard.NumAnswers == 0) OpenUntil(guard, time + GuardedWithin);
        (guard.NumAnswers, guard.Failed, guard.Slow) = (guard.NumAnswers + 1, guard.Failed + (failed ? 1 : 0), guard.Slow + (slow ? 1 : 0));
        if (guard.NumAnswers == PerPerson) Close(guard);
    }

    /// <summary>A request was answered by both, for a person to choose between their drafts.</summary>
    /// <param name="time">When it came.</param>
    /// <param name="person">Empty: nobody said.</param>
    /// <param name="champion">What became of its drafts.</param>
    /// <param name="candidate">The same of the candidate's.</param>
    public void AnsweredByBoth(DateTimeOffset time, string person, (bool Failed, bool Slow) champion, (bool Failed, bool Slow) candidate)
    {
        Advance(time);
        Champion.Add(champion.Failed, champion.Slow);
        Candidate.Add(candidate.Failed, candidate.Slow);
        Block guard = new(Kind.PairGuard, false, 0, 0);
        if (person.Length > 0)
        {
            if (!_people.TryGetValue(person, out Person? known)) _people[person] = known = new Person();
            guard = known.PairGuard ??= guard;
        }
        if (guard.IsClosed) return;
        if (person.Length > 0 && guard.NumAnswers == 0) OpenUntil(guard, time + GuardedWithin);
        (guard.NumAnswers, guard.Failed, guard.Slow) = (guard.NumAnswers + 1, guard.Failed + Less(candidate.Failed, champion.Failed),
            guard.Slow + Less(candidate.Slow, champion.Slow));
        if (person.Length == 0 || guard.NumAnswers == PerPerson) Close(guard);

        static int Less(bool one, bool other) => (one ? 1 : 0) - (other ? 1 : 0);
    }

    /// <summary>A person said what became of a request.</summary>
    /// <param name="time">When.</param>
    /// <param name="request">That was answered before.</param>
    /// <param name="value">From 0 (thrown away) to 1 (kept); null takes back.</param>
    /// <param name="final">No draft of the request is left that could make it more.</param>
    public void Judged(DateTimeOffset time, Guid request, double? value, bool final = true)
    {
        Advance(time);
        if (_judged.TryGetValue(request, out Block? block)) Put(block, time, request, value, final);
    }

    /// <summary>A person chose between a draft of each.</summary>
    /// <param name="time">When.</param>
    /// <param name="request">Both drafts' request.</param>
    /// <param name="person">Must be named.</param>
    /// <param name="value">1: the candidate's, -1: the champion's, 0: neither or both; null takes back.</param>
    /// <param name="final">No draft of the request is left that could change it.</param>
    public void Chose(DateTimeOffset time, Guid request, string person, double? value, bool final = true)
    {
        Advance(time);
        if (person.Length == 0) return;
        if (!_people.TryGetValue(person, out Person? known)) _people[person] = known = new Person();
        Put(known.Pairs ??= new Block(Kind.Pairs, false, 0, 0), time, request, value, final);
    }

    /// <summary>Time has passed.</summary>
    public void Advance(DateTimeOffset time)
    {
        while (_open.TryPeek(out Block? block, out DateTimeOffset closes) && closes <= time)
        {
            _open.Dequeue();
            Close(block);
        }
    }

    /// <summary>The person is seen at a share for the first time. What is known of their place from other shares changes the
    /// probability.</summary>
    private void Enter(Person person, bool candidate, double share)
    {
        if (person.Judged is { } before) Close(before);
        if (person.Guard is { } guarded) Close(guarded);
        double probability = Math.Clamp((share - person.Low) / (person.High - person.Low), 0, 1);
        if (candidate) person.High = Math.Min(person.High, share);
        else person.Low = Math.Max(person.Low, share);
        person.Share = share;
        (person.Judged, person.Guard) = (new Block(Kind.Judged, candidate, share, probability),
            new Block(Kind.Guard, candidate, share, probability));
        if (probability is > 0 and < 1)
        {
            double variance = probability * (1 - probability), z = (candidate ? 1 : 0) - probability;
            TooMany.Add(z, variance, -probability);
            TooFew.Add(-z, variance, probability - 1);
        }
        if (!person.Counted) (candidate ? Candidate : Champion).NumPeople++;
        person.Counted = true;
    }

    private void Put(Block block, DateTimeOffset time, Guid request, double? value, bool final)
    {
        if (block.IsClosed) return;
        if (value is not null && !block.IsOpened) OpenUntil(block, time + JudgedWithin);
        if (block.Values.Put(request, value, final)) Close(block);
    }

    private void OpenUntil(Block block, DateTimeOffset time)
    {
        block.IsOpened = true;
        _open.Enqueue(block, time);
    }

    private void Close(Block block)
    {
        if (block.IsClosed) return;
        block.IsClosed = true;
        if (block.Kind is Kind.Guard or Kind.PairGuard) Guard(block);
        else if (block.Values.Count > 0) Observe(block);
    }

    private void Observe(Block block)
    {
        double mean = block.Values.Mean;
        if (block.Kind == Kind.Pairs)
        {
            double variance = _squares / (1 + Preferred.Count);
            Preferred.Add(mean, variance, -1);
            NotPreferred.Add(-mean, variance, -1);
            (SumPreferred, NumPairs, _squares) = (SumPreferred + mean, NumPairs + block.Values.Count, _squares + mean * mean);
            return;
        }
        ArmCounts arm = block.IsCandidate ? Candidate : Champion;
        (arm.NumObserved, arm.SumObserved, arm.NumJudged) = (arm.NumObserved + 1, arm.SumObserved + mean,
            arm.NumJudged + block.Values.Count);
        if (block.Probability is > 0 and < 1) Acceptance.Add(mean, block.IsCandidate, block.Probability);
    }

    private void Guard(Block block)
    {
        if (block.NumAnswers == 0) return;
        if (block.Kind == Kind.PairGuard)
        {
            NumGuarded++;
            Failed.AddPair(block.Failed / (double)block.NumAnswers);
            Slow.AddPair(block.Slow / (double)block.NumAnswers);
            return;
        }
        if (block.IsCandidate) (_guarded[block.Share], NumGuarded) = (_guarded.GetValueOrDefault(block.Share) + 1, NumGuarded + 1);
        if (block.Probability is not (> 0 and < 1)) return;
        Failed.Add(block.Failed / (double)block.NumAnswers, block.IsCandidate, block.Probability);
        Slow.Add(block.Slow / (double)block.NumAnswers, block.IsCandidate, block.Probability);
    }

    private enum Kind { Judged, Guard, Pairs, PairGuard }

    private sealed class Person
    {
        public Block? Pairs { get; set; }

        public Block? Judged { get; set; }

        public Block? Guard { get; set; }

        public Block? PairGuard { get; set; }

        public double Share { get; set; } = -1;

        /// <summary>Their place in the split, as far as arms have shown it.</summary>
        public double Low { get; set; }

        public double High { get; set; } = 1;

        public bool Counted { get; set; }
    }

    private sealed class Block(Kind kind, bool candidate, double share, double probability)
    {
        public Kind Kind => kind;

        public bool IsCandidate => candidate;

        public double Share => share;

        public double Probability => probability;

        public FirstJudged Values { get; } = new();

        public int NumAnswers { get; set; }

        /// <summary>Answers that did; of pairs the candidate's less the champion's.</summary>
        public int Failed { get; set; }

        /// <summary>The same of slow ones.</summary>
        public int Slow { get; set; }

        /// <summary>Its time runs.</summary>
        public bool IsOpened { get; set; }

        public bool IsClosed { get; set; }
    }
}

/// <summary>What an arm of a rollout has seen.</summary>
public sealed class ArmCounts
{
    public int NumPeople { get; internal set; }

    /// <summary>Requests, those for drafts of both too.</summary>
    public int NumAnswers { get; internal set; }

    public int NumFailed { get; internal set; }

    public int NumSlow { get; internal set; }

    /// <summary>People whose judgements count, and the sum of their means.</summary>
    public int NumObserved { get; internal set; }

    public double SumObserved { get; internal set; }

    /// <summary>Answers that they judged.</summary>
    public int NumJudged { get; internal set; }

    /// <summary>Mean over people of the share that they accepted; null before anybody counts.</summary>
    public double? Acceptance => NumObserved == 0 ? null : SumObserved / NumObserved;

    /// <summary>Mean time to the last token, milliseconds.</summary>
    public double MeanLatencyMs { get; internal set; }

    /// <summary>What its answers cost, where a price is known; in the price list's currency.</summary>
    public double? Cost { get; internal set; }

    /// <summary>Accepted texts, an edited one as half.</summary>
    public double NumAccepted { get; internal set; }

    internal void Add(bool failed, bool slow) =>
        (NumAnswers, NumFailed, NumSlow) = (NumAnswers + 1, NumFailed + (failed ? 1 : 0), NumSlow + (slow ? 1 : 0));

    public double? CostPerAccepted => Cost is { } cost && NumAccepted > 0 ? cost / NumAccepted : null;
}
