// P trained values, W ranks, M micro-batches of a step.
using System.Numerics.Tensors;
using Flywheel.Model;
using TorchSharp;
using static TorchSharp.torch;

namespace Flywheel.Training;

/// <summary>
/// Sums a step's gradients over micro-batches and ranks in one fixed order (<see cref="MicroTree"/>). Each parameter has
/// one owner: the rank that receives its gradient, keeps its optimiser's state, updates it and hands it to the others.
/// </summary>
/// <remarks>
/// The gradients of a backward pass lie in one buffer, grouped by owner, of which the parameters' <c>grad</c> are views; so an
/// owner's share is one stretch of memory. The same buffer carries the updated parameters.
/// </remarks>
internal sealed unsafe class GradientExchange : IDisposable
{
    /// <summary>Floats between starts of parameters: a cache line.</summary>
    private const int Alignment = 16;

    private readonly List<Parameter> _parameters;
    private readonly int[] _owners, _starts, _counts, _offsets;
    private readonly Tensor _gradients;
    private readonly List<(MicroNode Node, Tensor Sum)> _stack = [];
    private readonly Stack<Tensor> _free = [];
    private Tensor? _received;
    private int _numMicros;
    private MicroNode? _current;

    /// <exception cref="FlywheelException">More values than one exchange can carry.</exception>
    public GradientExchange(IReadOnlyList<Parameter> parameters, ICollectives world)
    {
        (_parameters, World) = ([.. parameters], world);
        _owners = Owners([.. parameters.Select(parameter => parameter.Tensor.numel())], world.Size);
        (_starts, _counts, _offsets) = (new int[parameters.Count], new int[world.Size], new int[world.Size]);
        long at = 0;
        for (int rank = 0; rank < world.Size; rank++)
        {
            _offsets[rank] = Size(at);
            for (int i = 0; i < parameters.Count; i++)
            {
                if (_owners[i] != rank) continue;
                _starts[i] = Size(at);
                at += (parameters[i].Tensor.numel() + Alignment - 1) / Alignment * Alignment;
            }
            _counts[rank] = Size(at) - _offsets[rank];
        }
        _gradients = Arena.Zeros(at).DetachFromDisposeScope();
        for (int i = 0; i < parameters.Count; i++)
        {
            Tensor parameter = parameters[i].Tensor;
            using Tensor flat = _gradients.narrow(0, _starts[i], parameter.numel());
            parameter.grad = flat.view(parameter.shape).DetachFromDisposeScope();
        }
    }

    public ICollectives World { get; }

    /// <summary>The parameters that this rank updates.</summary>
    public IEnumerable<Parameter> Owned => _parameters.Where((_, i) => _owners[i] == World.Rank);

    /// <summary>Before the first micro-batch of a step.</summary>
    public void Begin(int numMicros)
    {
        (_numMicros, _current) = (numMicros, null);
        Rows.Clear(_gradients);
    }

    /// <summary>
    /// After the backward pass of this rank's next micro-batch, which added to what lay in the gradients. The two halves of
    /// a pair are added there; what is larger goes through sums of its own.
    /// </summary>
    public void Add(int micro)
    {
        (int first, int end) = CollectivesExtensions.Block(_numMicros, World.Rank, World.Size);
        bool isSecond = (micro & 1) == 1 && micro > first, hasSecond = (micro & 1) == 0 && micro + 1 < end;
        if (hasSecond) return;
        MicroNode node = isSecond ? new MicroNode(0, micro).Parent : new MicroNode(0, micro);
        for (; _stack.Count > 0 && node.IsRightOf(_stack[^1].Node); node = node.Parent)
        {
            AddTo(_gradients, _stack[^1].Sum);
            _free.Push(_stack[^1].Sum);
            _stack.RemoveAt(_stack.Count - 1);
        }
        _current = node;
        if (micro + 1 == end) return;
        Tensor sum = _free.Count > 0 ? _free.Pop() : Arena.Empty(_gradients.shape).DetachFromDisposeScope();
        Move(sum);
        _stack.Add((node, sum));
        _current = null;
    }

    /// <summary>After the last micro-batch: the whole step's gradient of the owned parameters is in their <c>grad</c>.</summary>
    /// <returns>The norm of the gradient of all parameters, the same on every rank.</returns>
    public double Sum()
    {
        var parts = Exchange();
        int own = _counts[World.Rank];
        float* sum = (float*)MicroTree.Sum(_numMicros, parts, (to, from) => AddTo((float*)to, (float*)from, own)),
            gradients = Rows.Floats(_gradients) + _offsets[World.Rank];
        if (sum != gradients) new ReadOnlySpan<float>(sum, own).CopyTo(new Span<float>(gradients, own));
        foreach ((_, Tensor used) in _stack) _free.Push(used);
        _stack.Clear();
        return Norm();
    }

    /// <summary>After the optimiser: every rank has every updated parameter.</summary>
    public void ShareParameters()
    {
        if (World.Size == 1) return;
        float* buffer = Rows.Floats(_gradients);
        for (int i = 0; i < _parameters.Count; i++)
            if (_owners[i] == World.Rank) Values(i).CopyTo(new Span<float>(buffer + _starts[i], Values(i).Length));
        World.AllGather(new Span<float>(buffer, (int)_gradients.numel()), _counts, _offsets);
        for (int i = 0; i < _parameters.Count; i++)
            if (_owners[i] != World.Rank) new ReadOnlySpan<float>(buffer + _starts[i], Values(i).Length).CopyTo(Values(i));
    }

    /// <summary>
    /// Sends every rank its share of this rank's partial sums, one node a round, and receives theirs.
    /// </summary>
    /// <returns>Where this rank's share of each node lies.</returns>
    private Dictionary<MicroNode, nint> Exchange()
    {
        int own = _counts[World.Rank], at = 0;
        Dictionary<MicroNode, nint> parts = [];
        foreach ((MicroNode node, Tensor sum) in _stack) parts[node] = (nint)(Rows.Floats(sum) + _offsets[World.Rank]);
        if (_current is { } last) parts[last] = (nint)(Rows.Floats(_gradients) + _offsets[World.Rank]);
        if (World.Size == 1) return parts;
        List<MicroNode>[] nodes = [.. Enumerable.Range(0, World.Size).Select(rank => MicroTree.Nodes(_numMicros, rank, World.Size))];
        long needed = (long)own * nodes.Where((_, rank) => rank != World.Rank).Sum(list => list.Count);
        if ((_received?.numel() ?? -1) < needed)
        {
            _received?.Dispose();
            _received = Arena.Empty(needed).DetachFromDisposeScope();
        }
        float* received = Rows.Floats(_received!);
        for (int round = 0; round < nodes.Max(list => list.Count); round++)
        {
            int[] sendCounts = new int[World.Size], receiveCounts = new int[World.Size], receiveOffsets = new int[World.Size];
            Tensor send = round < _stack.Count ? _stack[round].Sum : _gradients;
            int total = 0;
            for (int rank = 0; rank < World.Size; rank++)
            {
                if (rank == World.Rank) continue;
                if (round < nodes[World.Rank].Count) sendCounts[rank] = _counts[rank];
                if (round >= nodes[rank].Count) continue;
                (receiveCounts[rank], receiveOffsets[rank]) = (own, total);
                parts[nodes[rank][round]] = (nint)(received + at + total);
                total += own;
            }
            World.AllToAll(new(Rows.Floats(send), (int)send.numel()), sendCounts, _offsets, new(received + at, total), receiveCounts,
                receiveOffsets);
            at += total;
        }
        return parts;
    }

    private double Norm()
    {
        // Per parameter and then over parameters in their own order, so that who owns what changes nothing.
        double[] squares = new double[_parameters.Count];
        int[] byOwner = [.. Enumerable.Range(0, _parameters.Count).OrderBy(i => _owners[i])]; // stable
        int[] counts = [.. Enumerable.Range(0, World.Size).Select(rank => _owners.Count(owner => owner == rank))];
        int[] offsets = [.. Enumerable.Range(0, World.Size).Select(rank => _owners.Count(owner => owner < rank))];
        for (int place = offsets[World.Rank]; place < offsets[World.Rank] + counts[World.Rank]; place++)
        {
            int i = byOwner[place];
            squares[place] = Rows.SumOfSquares(new(Rows.Floats(_gradients) + _starts[i], Values(i).Length));
        }
        World.AllGather<double>(squares, counts, offsets);
        double[] ordered = new double[squares.Length];
        for (int place = 0; place < squares.Length; place++) ordered[byOwner[place]] = squares[place];
        return Math.Sqrt(ordered.Sum());
    }

    /// <summary>Largest first, each to the rank that has least.</summary>
    private static int[] Owners(long[] sizes, int numRanks)
    {
        int[] owners = new int[sizes.Length];
        long[] loads = new long[numRanks];
        foreach (int i in Enumerable.Range(0, sizes.Length).OrderByDescending(i => sizes[i]))
        {
            owners[i] = Array.IndexOf(loads, loads.Min());
            loads[owners[i]] += sizes[i];
        }
        return owners;
    }

    private Span<float> Values(int i) => new(Rows.Floats(_parameters[i].Tensor), (int)_parameters[i].Tensor.numel());

    /// <summary>The gradients' values go to <paramref name="sum"/>, and zeros take their place.</summary>
    private void Move(Tensor sum)
    {
        (nint to, nint from) = ((nint)Rows.Floats(sum), (nint)Rows.Floats(_gradients));
        Rows.ForEach(sum.numel(), 2, (first, end) =>
        {
            var part = new Span<float>((float*)from + first, end - first);
            part.CopyTo(new Span<float>((float*)to + first, end - first));
            part.Clear();
        });
    }

    private static void AddTo(Tensor sum, Tensor other) => AddTo(Rows.Floats(sum), Rows.Floats(other), (int)sum.numel());

    private static void AddTo(float* sum, float* other, int length) =>
        Rows.ForEach(length, 2, (first, end) =>
        {
            var to = new Span<float>(sum + first, end - first);
            TensorPrimitives.Add(to, new ReadOnlySpan<float>(other + first, end - first), to);
        });

    private static int Size(long floats) => floats <= int.MaxValue
        ? (int)floats
        : throw new FlywheelException($"the model trains more than {int.MaxValue:N0} values; that many are not exchanged at once yet");

    public void Dispose()
    {
        foreach ((_, Tensor parameter) in _parameters) parameter.grad = null;
        foreach ((_, Tensor sum) in _stack) sum.Dispose();
        foreach (Tensor sum in _free) sum.Dispose();
        _received?.Dispose();
        _gradients.Dispose();
    }
}
