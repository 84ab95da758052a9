using System.Diagnostics;
using Flywheel.Engine.Text;
using Flywheel.Model;

namespace Flywheel.Engine.Grammars;

/// <summary>
/// Which tokens may follow a text under a grammar. A mask costs a walk over the tree of all tokens; it is made once for
/// all states that look alike from near (the innermost rules, and counts that no token can exhaust). Tokens that reach
/// further out, few, are tried for each state. Safe for concurrent use.
/// </summary>
/// <remarks>After the split into context-free and context-dependent tokens of XGrammar (Dong et al. 2024, arXiv 2411.15100).</remarks>
internal sealed class GrammarMasks
{
    /// <summary>Rules that a near state keeps: of a JSON string the character, the repetition and the closing quote.</summary>
    private const int Frames = 3;

    /// <summary>Masks of one grammar; beyond, they are made again.</summary>
    private const int MaxMaskBytes = 16 << 20;

    /// <summary>
    /// Places that one mask may cost. Honest grammars need thousands; one that reads every text in its own many ways would
    /// stop the engine for seconds, and is refused instead.
    /// </summary>
    private const long MaxWork = 5_000_000;

    /// <summary>States whose masks are made ahead, and how long that may take.</summary>
    private const int StatesAhead = 600;

    private static readonly TimeSpan TimeAhead = TimeSpan.FromMilliseconds(60);

    private readonly Lock _lock = new();
    private readonly GrammarAutomaton _automaton;
    private readonly TokenTrie _trie;
    private readonly IReadOnlyList<int> _endTokens;
    private readonly (int Id, bool Negated)[] _tokens;
    private readonly Dictionary<GrammarState, Near> _near = new(ReferenceEqualityComparer.Instance);
    private readonly List<GrammarState> _masked = [];
    private readonly GrammarState[] _path;
    private readonly ulong[] _bits;
    private readonly long _maxWork;
    private long _maskBytes, _workLimit;

    public GrammarMasks(Grammar grammar, TokenTrie trie, IReadOnlyList<int> endTokens, long maxWork = MaxWork)
    {
        _maxWork = maxWork;
        (_automaton, _trie, _endTokens) = (new GrammarAutomaton(grammar), trie, endTokens);
        _path = new GrammarState[trie.MaxTokenBytes + 1];
        _bits = new ulong[(trie.VocabSize + 63) / 64];
        _tokens = [.. grammar.Tokens.Select(token => (Resolve(token), token.Negated))];
        MakeAhead();
    }

    public GrammarState Start => _automaton.Start;

    /// <summary>Masks that were made by walks over the tree.</summary>
    public int NumWalks { get; private set; }

    /// <summary>The tokens that may follow; end tokens may where the whole may end.</summary>
    /// <exception cref="FlywheelException">None may.</exception>
    public TokenMask Mask(GrammarState state)
    {
        lock (_lock)
        {
            TokenMask mask = state.Mask ?? Make(state);
            return mask.IsEmpty ? throw new FlywheelException("grammar: no token of the vocabulary may follow here") : mask;
        }
    }

    /// <summary>The state after a token's bytes.</summary>
    public GrammarState Advance(GrammarState state, ReadOnlySpan<byte> bytes)
    {
        lock (_lock) return _automaton.Advance(state, bytes);
    }

    /// <summary>The state after a token.</summary>
    public GrammarState Advance(GrammarState state, int id, ReadOnlySpan<byte> bytes)
    {
        lock (_lock) return _tokens.Length == 0
            ? _automaton.Advance(state, bytes) : _automaton.Advance(state, bytes, token => Means(_tokens[token], id));
    }

    /// <summary>"Any token but" does not mean those that end an answer: it may end where the grammar does.</summary>
    private bool Means((int Id, bool Negated) token, int id) =>
        token.Negated ? id != token.Id && _trie.Has(id) && !_endTokens.Contains(id) : id == token.Id;

    private int Resolve(GrammarToken token)
    {
        int id = token.Id >= 0 ? token.Id : _trie.Find(token.Name);
        return _trie.Has(id) ? id : throw new FlywheelException($"grammar: the model has no token {token.Name}");
    }

    /// <summary>The states nearest to the start, so that the first request of a form seldom makes a mask while others wait.</summary>
    private void MakeAhead()
    {
        long start = Stopwatch.GetTimestamp();
        var seen = new HashSet<GrammarState>(ReferenceEqualityComparer.Instance) { Start };
        var queue = new Queue<GrammarState>(seen);
        byte[] samples = [.. Enumerable.Range(0, 256).Select(b => (byte)b).DistinctBy(b => _automaton.ClassOf(b))];
        while (queue.TryDequeue(out GrammarState? state) && Stopwatch.GetElapsedTime(start) < TimeAhead)
        {
            Make(state);
            foreach (byte b in samples)
                if (_automaton.Advance(state, b) is { IsDead: false } next && seen.Count < StatesAhead && seen.Add(next))
                    queue.Enqueue(next);
        }
    }

    private TokenMask Make(GrammarState state)
    {
        _workLimit = _automaton.Work + _maxWork;
        var below = new List<GrammarStack>();
        GrammarState shallow = _automaton.Shallow(state, Frames, _trie.MaxTokenBytes + 1, below);
        if (!_near.TryGetValue(shallow, out Near? near)) _near[shallow] = near = Look(shallow);
        TokenMask mask = near.Mask;
        if (near.Exits.Count > 0)
        {
            Array.Clear(_bits);
            mask.AddTo(_bits);
            foreach ((int node, int[] holes) in near.Exits)
                Walk(node + 1, _trie.End(node), _automaton.Resume(holes.Select(hole => below[hole])), null);
            mask = TokenMask.Of(_bits);
        }
        if (_maskBytes > MaxMaskBytes) Forget();
        _masked.Add(state);
        if (!ReferenceEquals(mask, near.Mask)) _maskBytes += mask.Size;
        return state.Mask = mask;
    }

    private Near Look(GrammarState shallow)
    {
        NumWalks++;
        Array.Clear(_bits);
        var exits = new List<(int, int[])>();
        Walk(0, _trie.NumNodes, shallow, exits);
        foreach (int token in _automaton.NamedIn(shallow))
            if (!_tokens[token].Negated) _bits[_tokens[token].Id / 64] |= 1UL << _tokens[token].Id % 64;
            else
                for (int id = 0; id < _trie.VocabSize; id++)
                    if (Means(_tokens[token], id)) _bits[id / 64] |= 1UL << id % 64;
        if (shallow.Accepts)
            foreach (int id in _endTokens) _bits[id / 64] |= 1UL << id % 64;
        var near = new Near(TokenMask.Of(_bits), exits);
        _maskBytes += near.Mask.Size + 48 * exits.Count;
        return near;
    }

    /// <summary>Allows the tokens among nodes that can be read from a state; nodes at which a token leaves for a hole become
    /// exits.</summary>
    private void Walk(int node, int end, GrammarState from, List<(int Node, int[] Holes)>? exits)
    {
        if (node == end) return;
        int top = _trie.Depth(node);
        _path[top] = from;
        while (node < end)
        {
            int depth = _trie.Depth(node);
            GrammarState next = _automaton.Advance(_path[depth], _trie.Byte(node));
            if (_automaton.Work > _workLimit)
                throw new FlywheelException("grammar: what may follow here is too ambiguous to be found in time; make it simpler");
            if (next.IsDead)
            {
                node = _trie.End(node);
                continue;
            }
            foreach (int id in _trie.Tokens(node)) _bits[id / 64] |= 1UL << id % 64;
            if (next.HasHoles && exits is not null && _trie.End(node) > node + 1)
                exits.Add((node, [.. next.Stacks.Where(stack => stack is { IsHole: true }).Select(stack => -1 - stack!.Element)]));
            _path[depth + 1] = next;
            node++;
        }
    }

    private void Forget()
    {
        foreach (GrammarState state in _masked) state.Mask = null;
        _masked.Clear();
        _near.Clear();
        _maskBytes = 0;
    }

    /// <summary>What a near state allows for sure, and at which nodes of the tree a token goes on beyond it.</summary>
    private sealed record Near(TokenMask Mask, List<(int Node, int[] Holes)> Exits);
}

/// <summary>One request's place in its grammar.</summary>
internal sealed unsafe class GrammarCursor(GrammarMasks masks, TokenSpelling spelling)
{
    private GrammarState _state = masks.Start;

    /// <summary>Forbids what cannot follow; [V] logits.</summary>
    public void Apply(float* logits, int vocabSize) => masks.Mask(_state).Apply(logits, vocabSize);

    public void Accept(int id) => _state = masks.Advance(_state, id, spelling.Bytes(id));
}
