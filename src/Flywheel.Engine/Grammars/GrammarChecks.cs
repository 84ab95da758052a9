using Flywheel.Model;

namespace Flywheel.Engine.Grammars;

/// <summary>What must hold of rules before a text is read by them.</summary>
internal static class GrammarChecks
{
    /// <summary>Readings of "nothing, so many times" that are still tried one by one.</summary>
    private const int MaxEmptyRepetitions = 1000;

    /// <summary>
    /// The rules without the alternatives that could be entered but never ended, so that every text that may begin may also
    /// end: a request that follows them cannot run into a wall.
    /// </summary>
    /// <exception cref="FlywheelException">The root never ends, or a rule can begin with itself.</exception>
    public static List<GrammarElement[]>[] Checked(List<GrammarElement[]>[] rules, Func<int, string?> nameOf, string whenNothingEnds)
    {
        bool[] ends = Closure(rules, element => element.IsWritten);
        if (!ends[0]) throw new FlywheelException(whenNothingEnds);
        foreach (List<GrammarElement[]> rule in rules)
        {
            rule.RemoveAll(alternative => alternative.Any(element => !element.IsWritten && !Optional(element) && !ends[element.Rule]));
            for (int i = 0; i < rule.Count; i++)
                if (rule[i].Any(element => Optional(element) && !ends[element.Rule]))
                    rule[i] = [.. rule[i].Where(element => !Optional(element) || ends[element.Rule])];
        }
        bool[] empty = Closure(rules, element => false);
        foreach (GrammarElement element in rules.SelectMany(rule => rule).SelectMany(alternative => alternative))
            if (element is { Kind: ElementKind.Repeat, Most: > MaxEmptyRepetitions and < GrammarElement.Unbounded } && empty[element.Rule])
                throw new FlywheelException(
                    $"grammar: what may be empty is repeated up to {element.Most} times, expected at most {MaxEmptyRepetitions}, or without a bound");
        RefuseLeftRecursion(rules, empty, nameOf);
        return rules;
    }

    private static bool Optional(GrammarElement element) => element is { Kind: ElementKind.Repeat, Least: 0 };

    /// <summary>Rules of which an alternative consists of elements that hold by themselves, are optional, or are such rules.</summary>
    private static bool[] Closure(List<GrammarElement[]>[] rules, Func<GrammarElement, bool> holds)
    {
        bool[] closed = new bool[rules.Length];
        var users = new List<(int Rule, int Alternative)>?[rules.Length];
        var missing = new int[rules.Length][]; // elements of an alternative that are not known to hold
        var ready = new Stack<int>();
        for (int rule = 0; rule < rules.Length; rule++)
        {
            missing[rule] = new int[rules[rule].Count];
            for (int i = 0; i < rules[rule].Count; i++)
            {
                foreach (GrammarElement element in rules[rule][i])
                {
                    if (holds(element) || Optional(element)) continue;
                    missing[rule][i]++;
                    if (element.Kind is ElementKind.Rule or ElementKind.Repeat) (users[element.Rule] ??= []).Add((rule, i));
                }
                if (missing[rule][i] == 0) Close(rule);
            }
        }
        while (ready.TryPop(out int rule))
            foreach ((int user, int alternative) in users[rule] ?? [])
                if (--missing[user][alternative] == 0) Close(user);
        return closed;

        void Close(int rule)
        {
            if (closed[rule]) return;
            closed[rule] = true;
            ready.Push(rule);
        }
    }

    /// <summary>A rule that can begin with itself would be entered for ever.</summary>
    private static void RefuseLeftRecursion(List<GrammarElement[]>[] rules, bool[] empty, Func<int, string?> nameOf)
    {
        int[] state = new int[rules.Length]; // 1 while on the path, 2 when done
        var path = new Stack<(int Rule, IEnumerator<int> Next)>();
        for (int start = 0; start < rules.Length; start++)
        {
            Enter(start);
            while (path.TryPeek(out var top))
            {
                if (!top.Next.MoveNext())
                {
                    state[top.Rule] = 2;
                    path.Pop();
                }
                else if (state[top.Next.Current] == 1)
                {
                    string? name =
                        nameOf(top.Next.Current) ?? path.Select(step => nameOf(step.Rule)).FirstOrDefault(known => known is not null);
                    throw new FlywheelException($"grammar: '{name ?? "a rule"}' can begin with itself");
                }
                else
                {
                    Enter(top.Next.Current);
                }
            }
        }

        void Enter(int rule)
        {
            if (state[rule] != 0) return;
            state[rule] = 1;
            path.Push((rule, Firsts(rule).GetEnumerator()));
        }

        IEnumerable<int> Firsts(int rule)
        {
            foreach (GrammarElement[] alternative in rules[rule])
                foreach (GrammarElement element in alternative)
                {
                    if (element.IsWritten) break;
                    yield return element.Rule;
                    if (!Optional(element) && !empty[element.Rule]) break;
                }
        }
    }
}
