using Flywheel.Model;

namespace Flywheel.Data;

/// <summary>From an example to the token documents of one objective.</summary>
internal sealed class DocumentEncoder
{
    private readonly Tokenizer _tokenizer;
    private readonly ChatTemplate _template;
    private readonly string _objective;
    private readonly int _context, _endOfText;

    public DocumentEncoder(Tokenizer tokenizer, string objective, int context)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(context, 2);
        _tokenizer = tokenizer;
        _template = new ChatTemplate(tokenizer);
        _objective = objective;
        _context = context;
        _endOfText = tokenizer.SpecialTokens[Tokenizer.EndOfText];
    }

    public bool Pairs => _objective == TrainRecipe.Preference;

    /// <summary>
    /// One document; several when a long text is split; two (preferred, rejected) for a pair; none when the example
    /// is too long to be kept.
    /// </summary>
    /// <exception cref="FlywheelException">The example does not suit the objective; names the item.</exception>
    public IReadOnlyList<(int[] Tokens, byte[] Targets)> Encode(string id, Example example)
    {
        switch (_objective, example)
        {
            case (TrainRecipe.NextToken, TextExample text):
                return Continue([.. _tokenizer.Encode(text.Text), _endOfText]);
            case (TrainRecipe.NextToken, ConversationExample conversation):
                return Continue(_template.Document(conversation.Conversation).Tokens);
            case (TrainRecipe.Supervised, ConversationExample conversation):
                return Fitting(_template.Document(conversation.Conversation));
            case (TrainRecipe.Preference, PairExample pair):
                return Fitting(_template.Document(pair.Preferred), _template.Document(pair.Rejected));
            default:
                string found = example switch { TextExample => "plain text", ConversationExample => "a conversation", _ => "a preference pair" };
                string expected = _objective switch
                {
                    TrainRecipe.NextToken => "text or conversations",
                    TrainRecipe.Supervised => "conversations (a jsonl source, or 'as: copy')",
                    _ => "preference pairs (a jsonl source with preferred_output and non_preferred_output)",
                };
                throw new FlywheelException($"{id} is {found}; objective '{_objective}' expects {expected}");
        }
    }

    /// <summary>Every token is learnt but the first, which nothing comes before.</summary>
    private List<(int[], byte[])> Continue(int[] tokens)
    {
        List<(int[], byte[])> documents = [];
        for (int start = 0; start + 1 < tokens.Length; start += _context)
        {
            int[] part = tokens[start..Math.Min(tokens.Length, start + _context)];
            if (part.Length < 2) break;
            byte[] targets = new byte[part.Length];
            targets.AsSpan(1).Fill(1);
            documents.Add((part, targets));
        }
        return documents;
    }

    private (int[], byte[])[] Fitting(params (int[] Tokens, byte[] Targets)[] documents) =>
        documents.All(document => document.Tokens.Length <= _context) ? documents : [];
}
