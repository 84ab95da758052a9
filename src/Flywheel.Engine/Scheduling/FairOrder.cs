namespace Flywheel.Engine;

/// <summary>How urgent a request is. The less urgent are never starved: who is overtaken often enough moves up.</summary>
public enum Priority
{
    /// <summary>A person waits for every word.</summary>
    Interactive,

    Normal,

    /// <summary>Nobody waits: evaluations, work of the night.</summary>
    Batch,
}

/// <summary>What one user has been served, while any request of theirs is alive.</summary>
internal sealed class Account
{
    /// <summary>Virtual token counter.</summary>
    public long Served { get; set; }

    public int NumLive { get; set; }

    public int NumRunning { get; set; }
}

/// <summary>
/// Who comes first: the more urgent, then the user who has been served least, then the earlier. Users are compared by
/// virtual token counters (Sheng et al. 2024, "Fairness in serving large language models", arXiv 2401.00588): one who comes
/// back starts level with the least served of those present, so that nobody saves up service. One thread only.
/// </summary>
internal sealed class FairOrder
{
    /// <summary>What a token costs its user, as in the paper: one that is sampled holds a step's row alone.</summary>
    private const int PromptCost = 1, AnswerCost = 2;

    /// <summary>So many later requests may overtake one before it counts as a level more urgent.</summary>
    private const int Patience = 32;

    private readonly Dictionary<string, Account> _accounts = new(StringComparer.Ordinal);
    private long _numArrivals;

    /// <summary>Users with a request, or with a debt.</summary>
    public int NumAccounts => _accounts.Count;

    public void Enter(Sequence sequence)
    {
        if (!_accounts.TryGetValue(sequence.User, out Account? account)) _accounts.Add(sequence.User, account = new Account());
        if (account.NumLive == 0) account.Served = Math.Max(account.Served, LeastServed() ?? 0);
        account.NumLive++;
        (sequence.Account, sequence.Arrival) = (account, _numArrivals++);
    }

    public void Leave(Sequence sequence)
    {
        sequence.Account.NumLive--;
        // Who was served more than those present keeps the debt until they have caught up; the others need no memory.
        long? least = LeastServed();
        foreach ((string user, Account account) in _accounts)
            if (account.NumLive == 0 && (least is null || account.Served <= least)) _accounts.Remove(user);
    }

    /// <summary>The sequence got so many tokens of a step.</summary>
    public static void Charge(Sequence sequence, int numTokens, bool isPrompt) =>
        sequence.Account.Served += numTokens * (isPrompt ? PromptCost : AnswerCost);

    /// <summary>One is let in: those of <paramref name="waiting"/> that came before it were overtaken.</summary>
    public static void NoteOvertaken(List<Sequence> waiting, Sequence admitted)
    {
        foreach (Sequence sequence in waiting)
            if (sequence.Arrival < admitted.Arrival) sequence.NumOvertaken++;
    }

    /// <summary>0 is the most urgent.</summary>
    public static int Urgency(Sequence sequence) => Math.Max(0, (int)sequence.Priority - sequence.NumOvertaken / Patience);

    public static Sequence First(List<Sequence> sequences)
    {
        Sequence first = sequences[0];
        foreach (Sequence sequence in sequences)
            if (Compare(sequence, first) < 0) first = sequence;
        return first;
    }

    /// <summary>Negative when the first comes before the second.</summary>
    public static int Compare(Sequence x, Sequence y)
    {
        int order = Urgency(x).CompareTo(Urgency(y));
        if (order == 0) order = x.Account.Served.CompareTo(y.Account.Served);
        return order != 0 ? order : x.Arrival.CompareTo(y.Arrival);
    }

    /// <summary>Of the users present; null when there is nobody.</summary>
    private long? LeastServed()
    {
        long? least = null;
        foreach (Account account in _accounts.Values)
            if (account.NumLive > 0) least = Math.Min(least ?? long.MaxValue, account.Served);
        return least;
    }
}
