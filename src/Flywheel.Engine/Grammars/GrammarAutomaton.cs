using System.Runtime.InteropServices;
using Flywheel.Model;

namespace Flywheel.Engine.Grammars;

/// <summary>
/// A place in a grammar, and below it where the rules that were entered go on. Every place is one object, so that equal
/// ones are the same.
/// </summary>
/// <param name="element">The element that comes next; negative for a hole, of which only the number is known.</param>
/// <param name="count">How often a repetition was taken.</param>
/// <param name="below">Where it goes on after its rule; null at the end of the whole.</param>
/// <param name="number">Tells places apart.</param>
internal sealed class GrammarStack(int element, int count, GrammarStack? below, int number)
{
    public int Element { get; } = element;

    public int Count { get; } = count;

    public GrammarStack? Below { get; } = below;

    public int Number { get; } = number;

    public bool IsHole => Element < 0;
}

/// <summary>Everywhere that a text so far can be in the grammar; each place stands before a byte, null is the end of the whole.</summary>
internal sealed class GrammarState(GrammarStack?[] stacks, int numClasses)
{
    private readonly GrammarState?[] _next = new GrammarState?[numClasses];

    public GrammarStack?[] Stacks { get; } = stacks;

    public bool Accepts { get; } = Array.Exists(stacks, stack => stack is null);

    /// <summary>Some place is a hole: what comes next depends on what the hole stands for.</summary>
    public bool HasHoles { get; } = Array.Exists(stacks, stack => stack is { IsHole: true });

    public bool IsDead => Stacks.Length == 0;

    /// <summary>Tokens that may follow, once it was asked for.</summary>
    public TokenMask? Mask { get; set; }

    /// <summary>The state after a byte of a class, where known.</summary>
    public ref GrammarState? Next(int byteClass) => ref _next[byteClass];

    /// <summary>Drops what was derived from it.</summary>
    public void Forget()
    {
        Array.Clear(_next);
        Mask = null;
    }
}

/// <summary>
/// Follows texts through a grammar, byte by byte. States are made when first met, and kept. Not safe for concurrent use.
/// </summary>
internal sealed class GrammarAutomaton
{
    /// <summary>States that are kept; a grammar that nests without end starts afresh beyond.</summary>
    private const int MaxStates = 20_000;

    /// <summary>Ways to read one text at once; more is a grammar that doubles them with every byte.</summary>
    private const int MaxStacks = 1000;

    private readonly GrammarElement[] _elements;
    private readonly int[][] _rules;
    private readonly byte[] _classes = new byte[256];
    private readonly Dictionary<(int, int, GrammarStack?), GrammarStack> _stacks = [];
    private readonly Dictionary<string, GrammarState> _states = new(StringComparer.Ordinal);
    private readonly Stack<(int Element, int Count, GrammarStack? Below)> _open = new();
    private readonly HashSet<(int, int, GrammarStack?)> _seen = [];
    private readonly HashSet<GrammarStack?> _next = [];
    private readonly GrammarState _dead;
    private int _numNumbers;

    public GrammarAutomaton(Grammar grammar)
    {
        (_elements, _rules) = (grammar.Elements, grammar.Rules);
        NumClasses = Classify();
        _dead = new GrammarState([], NumClasses);
        foreach (int alternative in _rules[0]) Expand(alternative, 0, null);
        Start = Intern();
    }

    public GrammarState Start { get; }

    /// <summary>Kinds of bytes that the grammar tells apart.</summary>
    public int NumClasses { get; }

    /// <summary>Places that were added to new states: what following texts has cost so far.</summary>
    public long Work { get; private set; }

    public int ClassOf(byte b) => _classes[b];

    public GrammarState Advance(GrammarState state, ReadOnlySpan<byte> bytes)
    {
        foreach (byte b in bytes) state = Advance(state, b);
        return state;
    }

    public GrammarState Advance(GrammarState state, byte b)
    {
        ref GrammarState? known = ref state.Next(_classes[b]);
        if (known is not null) return known;
        foreach (GrammarStack? stack in state.Stacks)
        {
            if (stack is null or { IsHole: true }) continue;
            GrammarElement element = _elements[stack.Element];
            if (element.Kind == ElementKind.Bytes && b >= element.Low && b <= element.High) Expand(stack.Element + 1, 0, stack.Below);
        }
        return known = _next.Count == 0 ? _dead : Intern();
    }

    /// <summary>
    /// The state after a whole token: where its bytes lead, and behind the elements that name it.
    /// </summary>
    /// <param name="state">Before it.</param>
    /// <param name="bytes">The token's; none for one that is no text.</param>
    /// <param name="isNamed">Whether an element that speaks of tokens means this one.</param>
    public GrammarState Advance(GrammarState state, ReadOnlySpan<byte> bytes, Func<int, bool> isNamed)
    {
        GrammarState spelt = bytes.IsEmpty ? _dead : Advance(state, bytes);
        foreach (GrammarStack? stack in spelt.Stacks) _next.Add(stack);
        foreach (GrammarStack stack in TokensOf(state))
            if (isNamed(_elements[stack.Element].Rule)) Expand(stack.Element + 1, 0, stack.Below);
        return _next.Count == 0 ? _dead : Intern();
    }

    /// <summary>Numbers of the tokens that a state stands before.</summary>
    public IEnumerable<int> NamedIn(GrammarState state) => TokensOf(state).Select(stack => _elements[stack.Element].Rule);

    private IEnumerable<GrammarStack> TokensOf(GrammarState state) =>
        state.Stacks.OfType<GrammarStack>().Where(stack => !stack.IsHole && _elements[stack.Element].Kind == ElementKind.Token);

    /// <summary>The state that goes on at places of which only these are known.</summary>
    public GrammarState Resume(IEnumerable<GrammarStack> places)
    {
        foreach (GrammarStack place in places) Expand(place.Element, place.Count, place.Below);
        return Intern();
    }

    /// <summary>
    /// The state seen only <paramref name="frames"/> rules deep, its repetitions no further than <paramref name="reach"/>
    /// bytes can tell. What lies below becomes holes; <paramref name="below"/> holds what they stand for.
    /// </summary>
    public GrammarState Shallow(GrammarState state, int frames, int reach, List<GrammarStack> below)
    {
        GrammarStack?[] cut = new GrammarStack?[state.Stacks.Length];
        for (int i = 0; i < cut.Length; i++) cut[i] = Cut(state.Stacks[i], frames);
        foreach (GrammarStack? stack in cut) _next.Add(stack);
        return Intern();

        GrammarStack? Cut(GrammarStack? stack, int left)
        {
            if (stack is null) return null;
            if (left > 0) return Stack(stack.Element, Near(_elements[stack.Element], stack.Count, reach), Cut(stack.Below, left - 1));
            int hole = below.IndexOf(stack);
            if (hole < 0) (hole, _) = (below.Count, 0);
            if (hole == below.Count) below.Add(stack);
            return Stack(-1 - hole, 0, null);
        }
    }

    /// <summary>The count among those that look alike within so many bytes.</summary>
    private static int Near(GrammarElement element, int count, int reach)
    {
        if (element.Kind != ElementKind.Repeat) return count;
        if (count >= element.Least) return element.Most - count > reach ? element.Least : count;
        return element.Least - count > reach ? 0 : count;
    }

    /// <summary>Adds to the next state: follows rules and ends from an element until every path stands before a byte or at the
    /// end.</summary>
    private void Expand(int from, int count, GrammarStack? below)
    {
        _open.Push((from, count, below));
        while (_open.TryPop(out var place))
        {
            if (!_seen.Add(place)) continue;
            (int at, count, below) = place;
            if (at < 0)
            {
                Add(Stack(at, 0, null));
                continue;
            }
            GrammarElement element = _elements[at];
            switch (element.Kind)
            {
                case ElementKind.End when below is null:
                    Add(null);
                    break;
                case ElementKind.End:
                    _open.Push((below.Element, below.Count, below.Below));
                    break;
                case ElementKind.Bytes or ElementKind.Token:
                    Add(Stack(at, 0, below));
                    break;
                case ElementKind.Rule:
                    // Nothing comes back for a rule at the end of an alternative, so that right recursion does not grow the stack.
                    Enter(element.Rule, _elements[at + 1].Kind == ElementKind.End ? below : Stack(at + 1, 0, below));
                    break;
                default:
                    if (count >= element.Least) _open.Push((at + 1, 0, below));
                    if (count < element.Most)
                        Enter(element.Rule,
                            Stack(at, element.Most == GrammarElement.Unbounded ? Math.Min(count + 1, element.Least) : count + 1, below));
                    break;
            }
        }

        void Enter(int rule, GrammarStack? after)
        {
            foreach (int alternative in _rules[rule]) _open.Push((alternative, 0, after));
        }

        void Add(GrammarStack? stack)
        {
            Work++;
            if (_next.Add(stack) && _next.Count > MaxStacks)
            {
                _next.Clear();
                _seen.Clear();
                _open.Clear();
                throw new FlywheelException($"grammar: the text can be read in more than {MaxStacks} ways; make it less ambiguous");
            }
        }
    }

    private GrammarStack Stack(int element, int count, GrammarStack? below)
    {
        ref GrammarStack? stack = ref CollectionsMarshal.GetValueRefOrAddDefault(_stacks, (element, count, below), out _);
        return stack ??= new GrammarStack(element, count, below, ++_numNumbers);
    }

    /// <summary>The state of all places that were added, which are then forgotten.</summary>
    private GrammarState Intern()
    {
        if (_states.Count > MaxStates || _stacks.Count > 20 * MaxStates) Clear();
        Span<int> numbers = stackalloc int[_next.Count];
        int i = 0;
        foreach (GrammarStack? stack in _next) numbers[i++] = stack?.Number ?? 0;
        numbers.Sort();
        var lookup = _states.GetAlternateLookup<ReadOnlySpan<char>>();
        ReadOnlySpan<char> key = MemoryMarshal.Cast<int, char>(numbers);
        if (!lookup.TryGetValue(key, out GrammarState? known)) lookup[key] = known = new GrammarState([.. _next], NumClasses);
        _next.Clear();
        _seen.Clear();
        return known;
    }

    // Places that someone still holds stay good; they are only no longer found, and made again.
    private void Clear()
    {
        foreach (GrammarState state in _states.Values) state.Forget();
        _states.Clear();
        _stacks.Clear();
    }

    /// <summary>Bytes between two bounds of any element behave alike.</summary>
    private int Classify()
    {
        bool[] starts = new bool[257];
        foreach (GrammarElement element in _elements)
            if (element.Kind == ElementKind.Bytes) starts[element.Low] = starts[element.High + 1] = true;
        int number = 0;
        for (int b = 0; b < 256; b++)
        {
            if (b > 0 && starts[b]) number++;
            _classes[b] = (byte)number;
        }
        return number + 1;
    }
}
