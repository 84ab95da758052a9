using System.Text;
using Flywheel.Model;

namespace Flywheel.Engine.Text;

/// <summary>
/// What each token adds to an answer's text: its bytes, nothing for a special token, but its name for those with which
/// the model writes tool calls (Mistral's <c>[TOOL_CALLS]</c>): they are part of what it says.
/// </summary>
internal sealed class TokenSpelling
{
    private readonly Tokenizer _tokenizer;
    private readonly Dictionary<int, byte[]> _shown;

    /// <param name="tokenizer">The model's.</param>
    /// <param name="shown">Names of special tokens that are text.</param>
    public TokenSpelling(Tokenizer tokenizer, params IReadOnlyList<string> shown) =>
        (_tokenizer, _shown) = (tokenizer, shown.ToDictionary(name => tokenizer.SpecialTokens[name], Encoding.UTF8.GetBytes));

    /// <summary>The spelling of a model that may have a chat template.</summary>
    public static TokenSpelling Of(Tokenizer tokenizer, ModelFolder? model)
    {
        if (model?.ReadChatTemplate() is null) return new(tokenizer);
        try
        {
            return new(tokenizer, model.ChatTemplate.ToolCalls.Specials);
        }
        catch (FlywheelException)
        {
            return new(tokenizer); // whoever wants to talk to it is told; it still continues texts
        }
    }

    public bool Has(int id) => _tokenizer.Has(id);

    /// <summary>The token with a spelling, special ones first; -1 without one.</summary>
    public int Find(string name)
    {
        if (_tokenizer.SpecialTokens.TryGetValue(name, out int special)) return special;
        byte[] bytes = Encoding.UTF8.GetBytes(name);
        return Enumerable.Range(0, _tokenizer.VocabSize).Where(id => _tokenizer.Bytes(id).SequenceEqual(bytes)).FirstOrDefault(-1);
    }

    public ReadOnlySpan<byte> Bytes(int id) => _shown.TryGetValue(id, out byte[]? name) ? name : _tokenizer.Bytes(id);
}
