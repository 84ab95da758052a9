using System.Text;
using Flywheel.Engine.Grammars;
using Flywheel.Model;

namespace Flywheel.Engine.Tests;

/// <summary>Reads texts by a grammar, and writes random ones through its masks, as a model without a will would.</summary>
internal static class GrammarReader
{
    public static bool Accepts(Grammar grammar, string text)
    {
        var automaton = new GrammarAutomaton(grammar);
        return automaton.Advance(automaton.Start, Encoding.UTF8.GetBytes(text)).Accepts;
    }

    /// <summary>A text of random tokens; after <paramref name="patience"/> of them, of those that bring it to an end. Null if that
    /// fails.</summary>
    public static string? Write(GrammarMasks masks, Tokenizer tokenizer, Random random, int patience)
    {
        int end = tokenizer.SpecialTokens[Tokenizer.MessageEnd];
        int[] all = [.. Enumerable.Range(0, tokenizer.VocabSize)];
        GrammarState state = masks.Start;
        var bytes = new List<byte>();
        for (int step = 0; step < 4 * patience + 200; step++)
        {
            TokenMask mask = masks.Mask(state);
            if (mask.Allows(end) && (step >= patience || random.Next(8) == 0)) return Encoding.UTF8.GetString([.. bytes]);
            int[] allowed = [.. all.Where(id => id != end && mask.Allows(id))];
            if (allowed.Length == 0)
                return mask.Allows(end)
                    ? Encoding.UTF8.GetString([.. bytes]) : throw new InvalidOperationException("a mask without tokens");
            int[] closing = step < patience ? [] : [.. allowed.Where(id => tokenizer.Bytes(id)[0] is (byte)'"' or (byte)'}' or (byte)']')];
            int chosen = (closing.Length > 0 ? closing : allowed)[random.Next(closing.Length > 0 ? closing.Length : allowed.Length)];
            bytes.AddRange(tokenizer.Bytes(chosen));
            state = masks.Advance(state, tokenizer.Bytes(chosen));
            Assert.False(state.IsDead, $"an allowed token leads nowhere after {Encoding.UTF8.GetString([.. bytes])}");
        }
        return null;
    }
}
