using Flywheel.Engine.Text;

namespace Flywheel.Engine.Grammars;

/// <summary>
/// The bytes of all tokens as a tree, laid out in the order of a walk: a node's children follow it, and a walk that has
/// no use for a node goes on at its end. Tokens that begin alike are tried once. Immutable.
/// </summary>
internal sealed class TokenTrie
{
    private readonly TokenSpelling _spelling;
    private readonly byte[] _bytes, _depths;
    private readonly int[] _ends, _firstTokens, _tokens;

    public TokenTrie(TokenSpelling tokens, int vocabSize)
    {
        (VocabSize, _spelling) = (vocabSize, tokens);
        int[] ids = [.. Enumerable.Range(0, vocabSize).Where(id => !tokens.Bytes(id).IsEmpty)]; // special tokens are no text
        Array.Sort(ids, (a, b) => tokens.Bytes(a).SequenceCompareTo(tokens.Bytes(b)));
        var bytes = new List<byte>(3 * ids.Length);
        var depths = new List<byte>(3 * ids.Length);
        var ends = new List<int>(3 * ids.Length);
        var firstTokens = new List<int>(3 * ids.Length);
        var ordered = new List<int>(ids.Length);
        var path = new List<int>(); // nodes of the token before
        ReadOnlySpan<byte> before = [];
        foreach (int id in ids)
        {
            ReadOnlySpan<byte> token = tokens.Bytes(id);
            // Beyond a byte's range nobody's tokens go; such a one would simply never be allowed.
            if (token.Length > byte.MaxValue) continue;
            int shared = token.CommonPrefixLength(before);
            Leave(shared);
            for (int depth = shared; depth < token.Length; depth++)
            {
                path.Add(bytes.Count);
                bytes.Add(token[depth]);
                depths.Add((byte)depth);
                ends.Add(0);
                firstTokens.Add(ordered.Count);
            }
            ordered.Add(id);
            before = token;
            MaxTokenBytes = Math.Max(MaxTokenBytes, token.Length);
        }
        Leave(0);
        firstTokens.Add(ordered.Count);
        (_bytes, _depths, _ends, _firstTokens, _tokens) = ([.. bytes], [.. depths], [.. ends], [.. firstTokens], [.. ordered]);

        void Leave(int shared)
        {
            for (int i = shared; i < path.Count; i++) ends[path[i]] = bytes.Count;
            path.RemoveRange(shared, path.Count - shared);
        }
    }

    public int VocabSize { get; }

    /// <summary>Bytes of the longest token.</summary>
    public int MaxTokenBytes { get; }

    public bool Has(int id) => id < VocabSize && _spelling.Has(id);

    /// <summary>The token with a spelling, special ones first; -1 without one.</summary>
    public int Find(string name) => _spelling.Find(name) is var id && id < VocabSize ? id : -1;

    public int NumNodes => _bytes.Length;

    public byte Byte(int node) => _bytes[node];

    /// <summary>Bytes before the node's own.</summary>
    public int Depth(int node) => _depths[node];

    /// <summary>The first node after the node's descendants.</summary>
    public int End(int node) => _ends[node];

    /// <summary>Tokens that end at the node.</summary>
    public ReadOnlySpan<int> Tokens(int node) => _tokens.AsSpan(_firstTokens[node].._firstTokens[node + 1]);
}
