using System.Runtime.InteropServices;
using Flywheel.Model;

namespace Flywheel.Engine.Grammars;

/// <summary>A place in a grammar where a rule that was entered goes on; every place is one object.</summary>
internal sealed class GrammarStack(int element, GrammarStack? below)
{
    public int Element { get; } = element;

    public GrammarStack? Below { get; } = below;
}

/// <summary>Everywhere that a text so far can be in the grammar.</summary>
internal sealed class GrammarState(GrammarStack?[] stacks)
{
    /// <summary>Each stands before a byte; null is the end of the whole.</summary>
    public GrammarStack?[] Stacks { get; } = stacks;

    public bool Accepts { get; } = stacks.Contains(null);

    /// <summary>The state after each byte, where known.</summary>
    public GrammarState?[] Next { get; } = new GrammarState?[256];

    /// <summary>Bit of every token that may follow, once it was asked for.</summary>
    public ulong[]? Mask { get; set; }
}

/// <summary>
/// Which tokens may follow a text under a grammar. States and masks are made when first met and kept: a state's mask
/// costs one walk over the tree of all tokens. Safe for concurrent use.
/// </summary>
internal sealed class GrammarMasks
{
    /// <summary>States that are kept; a grammar that nests without end starts afresh beyond.</summary>
    private const int MaxStates = 10_000;

    private readonly Lock _lock = new();
    private readonly Grammar _grammar;
    private readonly TokenTrie _trie;
    private readonly Dictionary<(int, GrammarStack?), GrammarStack> _stacks = [];
    private readonly Dictionary<string, GrammarState> _states = new(StringComparer.Ordinal);
    private readonly Dictionary<GrammarStack, int> _numbers = new(ReferenceEqualityComparer.Instance);

    public GrammarMasks(Grammar grammar, TokenTrie trie)
    {
        (_grammar, _trie) = (grammar, trie);
        var start = new HashSet<GrammarStack?>();
        foreach (int alternative in grammar.Rules[0]) Expand(alternative, null, start);
        Start = Intern(start);
    }

    public GrammarState Start { get; }

    private static GrammarState Dead { get; } = new([]);

    /// <summary>Forbids every token that cannot follow; end tokens may where the whole may end.</summary>
    public unsafe void Apply(GrammarState state, float* logits, int vocabSize, IReadOnlyList<int> endTokens)
    {
        ulong[] mask = Mask(state);
        bool any = state.Accepts && endTokens.Count > 0;
        for (int word = 0; word < mask.Length; word++)
        {
            ulong allowed = mask[word];
            any |= allowed != 0;
            if (allowed == ulong.MaxValue) continue;
            for (int id = word * 64; id < Math.Min(vocabSize, word * 64 + 64); id++)
                if ((allowed >> id % 64 & 1) == 0 && !(state.Accepts && endTokens.Contains(id))) logits[id] = float.NegativeInfinity;
        }
        if (!any) throw new FlywheelException("the grammar allows no token of the vocabulary here");
    }

    /// <summary>The state after a token's bytes.</summary>
    public GrammarState Advance(GrammarState state, ReadOnlySpan<byte> bytes)
    {
        lock (_lock)
        {
            foreach (byte b in bytes) state = Advance(state, b);
            return state;
        }
    }

    private ulong[] Mask(GrammarState state)
    {
        lock (_lock)
        {
            if (state.Mask is null)
            {
                ulong[] mask = new ulong[(_trie.VocabSize + 63) / 64];
                Walk(0, state);
                state.Mask = mask;

                void Walk(int node, GrammarState at)
                {
                    foreach ((byte b, int child) in _trie.Children(node))
                    {
                        GrammarState next = Advance(at, b);
                        if (next == Dead) continue;
                        foreach (int id in _trie.Ends(child)) mask[id / 64] |= 1UL << id % 64;
                        Walk(child, next);
                    }
                }
            }
            return state.Mask;
        }
    }

    private GrammarState Advance(GrammarState state, byte b)
    {
        if (state.Next[b] is { } known) return known;
        var next = new HashSet<GrammarStack?>();
        foreach (GrammarStack? stack in state.Stacks)
        {
            if (stack is null) continue;
            GrammarElement element = _grammar.Elements[stack.Element];
            if (b >= element.Low && b <= element.High) Expand(stack.Element + 1, stack.Below, next);
        }
        return state.Next[b] = next.Count == 0 ? Dead : Intern(next);
    }

    /// <summary>Follows rules and ends from an element until every path stands before a byte or at the end.</summary>
    private void Expand(int element, GrammarStack? below, HashSet<GrammarStack?> into)
    {
        while (_grammar.Elements[element].Kind == ElementKind.End)
        {
            if (below is null)
            {
                into.Add(null);
                return;
            }
            (element, below) = (below.Element, below.Below);
        }
        if (_grammar.Elements[element].Kind == ElementKind.Bytes)
        {
            into.Add(Stack(element, below));
            return;
        }
        // Nothing comes back for a rule at the end of an alternative, so that repetitions do not grow the stack.
        GrammarStack? after = _grammar.Elements[element + 1].Kind == ElementKind.End ? below : Stack(element + 1, below);
        foreach (int alternative in _grammar.Rules[_grammar.Elements[element].Rule]) Expand(alternative, after, into);
    }

    private GrammarStack Stack(int element, GrammarStack? below)
    {
        ref GrammarStack? stack = ref CollectionsMarshal.GetValueRefOrAddDefault(_stacks, (element, below), out _);
        return stack ??= new GrammarStack(element, below);
    }

    private GrammarState Intern(HashSet<GrammarStack?> stacks)
    {
        if (_states.Count > MaxStates)
        {
            foreach (GrammarState state in _states.Values)
            {
                Array.Clear(state.Next);
                state.Mask = null;
            }
            _states.Clear();
            _stacks.Clear();
            _numbers.Clear();
        }
        string key = string.Join(',', stacks.Select(Number).Order());
        ref GrammarState? known = ref CollectionsMarshal.GetValueRefOrAddDefault(_states, key, out _);
        return known ??= new GrammarState([.. stacks]);
    }

    private int Number(GrammarStack? stack)
    {
        if (stack is null) return 0;
        if (!_numbers.TryGetValue(stack, out int number)) _numbers[stack] = number = _numbers.Count + 1;
        return number;
    }
}

/// <summary>One request's place in its grammar.</summary>
internal sealed unsafe class GrammarCursor(GrammarMasks masks, Tokenizer tokenizer, IReadOnlyList<int> endTokens)
{
    private GrammarState _state = masks.Start;

    /// <summary>Forbids what cannot follow; [V] logits.</summary>
    public void Apply(float* logits, int vocabSize) => masks.Apply(_state, logits, vocabSize, endTokens);

    public void Accept(int id) => _state = masks.Advance(_state, tokenizer.Bytes(id));
}
