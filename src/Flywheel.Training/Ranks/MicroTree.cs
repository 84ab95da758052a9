namespace Flywheel.Training;

/// <summary>
/// A node of the one binary tree over a step's micro-batches: the sum of those from Index * 2^Level to before
/// (Index + 1) * 2^Level, as far as there are any.
/// </summary>
internal readonly record struct MicroNode(int Level, int Index)
{
    public long First => (long)Index << Level;

    public long End => (long)(Index + 1) << Level;

    public MicroNode Parent => new(Level + 1, Index >> 1);

    /// <summary>Whether the two have the same parent.</summary>
    public bool IsRightOf(MicroNode left) => Level == left.Level && Index == left.Index + 1 && (Index & 1) == 1;
}

/// <summary>
/// The order in which gradients are added: it depends on the number of micro-batches alone. Ranks hold contiguous blocks
/// of micro-batches, add what lies in one subtree by themselves and exchange the rest, so that any number of ranks
/// computes the same sums in the same order.
/// </summary>
internal static class MicroTree
{
    /// <summary>The nodes that a rank sums by itself, from left to right: the largest subtrees inside its block.</summary>
    public static List<MicroNode> Nodes(int numMicros, int rank, int size)
    {
        (int first, int end) = CollectivesExtensions.Block(numMicros, rank, size);
        List<MicroNode> nodes = [];
        for (int micro = first; micro < end; micro++)
        {
            MicroNode node = new(0, micro);
            for (; nodes.Count > 0 && node.IsRightOf(nodes[^1]); node = node.Parent) nodes.RemoveAt(nodes.Count - 1);
            nodes.Add(node);
        }
        return nodes;
    }

    /// <summary>Sums that a rank holds at once while it goes through its block: the one that a pair is added in, and those that
    /// wait.</summary>
    public static int NumSums(int numMicros, int rank, int size)
    {
        (int first, int end) = CollectivesExtensions.Block(numMicros, rank, size);
        int most = 0;
        List<MicroNode> waiting = [];
        for (int micro = first; micro < end; micro++)
        {
            bool isSecond = (micro & 1) == 1 && micro > first;
            if ((micro & 1) == 0 && micro + 1 < end) continue; // its pair follows into the same sum
            MicroNode node = isSecond ? new MicroNode(0, micro).Parent : new MicroNode(0, micro);
            for (; waiting.Count > 0 && node.IsRightOf(waiting[^1]); node = node.Parent) waiting.RemoveAt(waiting.Count - 1);
            if (micro + 1 == end) break;
            waiting.Add(node);
            most = Math.Max(most, waiting.Count);
        }
        return 1 + most;
    }

    /// <summary>Adds the nodes of all ranks up to the root.</summary>
    /// <param name="numMicros">Of the whole step; at least 1.</param>
    /// <param name="parts">The value of each node.</param>
    /// <param name="add">Adds the second value to the first.</param>
    /// <returns>The root's value: one of the parts, into which the others were added.</returns>
    public static T Sum<T>(int numMicros, IReadOnlyDictionary<MicroNode, T> parts, Action<T, T> add)
    {
        MicroNode root = new(0, 0);
        while (root.End < numMicros) root = root.Parent;
        return Value(root);

        T Value(MicroNode node)
        {
            if (parts.TryGetValue(node, out T? part)) return part;
            MicroNode left = new(node.Level - 1, node.Index * 2), right = left with { Index = left.Index + 1 };
            T sum = Value(left);
            if (right.First < numMicros) add(sum, Value(right));
            return sum;
        }
    }
}
