using Flywheel.Model;

namespace Flywheel.Engine.Grammars;

/// <summary>The bytes of all tokens as a tree: tokens that begin alike are tried once. Immutable.</summary>
internal sealed class TokenTrie
{
    private readonly List<SortedDictionary<byte, int>> _children = [[]];
    private readonly List<List<int>> _ends = [[]];

    public TokenTrie(Tokenizer tokenizer, int vocabSize)
    {
        VocabSize = vocabSize;
        for (int id = 0; id < vocabSize; id++)
        {
            if (tokenizer.Bytes(id).IsEmpty) continue; // special tokens are no text
            int node = 0;
            foreach (byte b in tokenizer.Bytes(id))
            {
                if (!_children[node].TryGetValue(b, out int child))
                {
                    child = _children.Count;
                    _children[node].Add(b, child);
                    _children.Add([]);
                    _ends.Add([]);
                }
                node = child;
            }
            _ends[node].Add(id);
        }
    }

    public int VocabSize { get; }

    public IReadOnlyDictionary<byte, int> Children(int node) => _children[node];

    public IReadOnlyList<int> Ends(int node) => _ends[node];
}
