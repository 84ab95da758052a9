using System.Text;
using Flywheel.Engine;
using Flywheel.Engine.Grammars;
using Flywheel.Model;

namespace Flywheel.Loop;

/// <summary>Answers that may be of symbols instead of text (<see cref="Conversation.AnswerModality"/>): how they are confined and
/// read.</summary>
public static class SymbolAnswer
{
    /// <summary>What the answer must look like; null where it is text.</summary>
    public static string? GrammarOf(Conversation prompt) =>
        prompt.AnswerModality is { } modality ? Grammar.OfSymbols(modality).Source : null;

    /// <summary>The whole answer, symbols by their names with spaces between, and how many tokens it has.</summary>
    public static async Task<(string Text, int NumTokens)> ReadAsync(GenerationStream stream, Tokenizer tokenizer, Conversation prompt)
    {
        IReadOnlyDictionary<int, string>? symbols = prompt.AnswerModality is { } modality
            ? ReservedTokens.SymbolsById(tokenizer, modality) : null;
        var text = new StringBuilder();
        int count = 0;
        await foreach (SampledToken token in stream.Tokens)
        {
            text.Append(token.Text);
            if (symbols?.GetValueOrDefault(token.Id) is { } symbol) text.Append(text.Length > 0 ? " " : "").Append(symbol);
            count++;
        }
        return (text.ToString(), count);
    }
}
