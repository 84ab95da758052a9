using Flywheel.Model;

namespace Flywheel.Data;

/// <summary>A document as the dataset holds it.</summary>
/// <param name="Tokens">Ids.</param>
/// <param name="Targets">1 where the token is learnt.</param>
/// <param name="Label">What was thought of it, where the objective asks.</param>
/// <param name="LogProbs">Of each token when it was sampled, where the objective asks; 0 where it was not.</param>
internal sealed record EncodedDocument(int[] Tokens, byte[] Targets, float? Label = null, float[]? LogProbs = null)
{
    public int PromptLength => Targets.AsSpan().IndexOf((byte)1);
}

/// <summary>From an example to the token documents of one objective.</summary>
internal sealed class DocumentEncoder
{
    private readonly Tokenizer _tokenizer;
    private readonly Lazy<ChatTemplate> _template;
    private readonly Objective _objective;
    private readonly DocumentForm _form;
    private readonly int _context, _endOfText;

    /// <param name="tokenizer">Of the model that will learn.</param>
    /// <param name="objective">Decides what a document is.</param>
    /// <param name="context">Its longest, in tokens.</param>
    /// <param name="parent">The model that learns on, whose chat template it is; null for a new one, which speaks ChatML.</param>
    public DocumentEncoder(Tokenizer tokenizer, string objective, int context, ModelFolder? parent = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(context, 2);
        _tokenizer = tokenizer;
        _template = new Lazy<ChatTemplate>(() => parent is null ? new ChatTemplate(tokenizer)
            // Sampled answers bring their own end.
            : _form != DocumentForm.Sampled && parent.FindEndFault() is { } fault ? throw new FlywheelException($"{parent.Path}: {fault}")
            : parent.ChatTemplate);
        _objective = Objective.Named(objective);
        _form = _objective.Form;
        _context = context;
        _endOfText = tokenizer.SpecialTokens.TryGetValue(Tokenizer.EndOfText, out int end)
            ? end : parent?.Config.EosTokenIds is [int own, ..]
            ? own : throw new FlywheelException(
                $"the tokenizer has no {Tokenizer.EndOfText} and the model no end token; expected one to end a document with");
    }

    public DocumentForm Form => _form;

    /// <summary>
    /// One document; several when a long text is split; two (preferred, rejected) for a pair; none when the example
    /// is too long to be kept.
    /// </summary>
    /// <exception cref="FlywheelException">The example does not suit the objective; names the item.</exception>
    public IReadOnlyList<EncodedDocument> Encode(string id, Example example)
    {
        switch (example)
        {
            case TextExample text when _form == DocumentForm.Text:
                return Continue([.. _tokenizer.EncodeWhole(text.Text), _endOfText]);
            case ConversationExample conversation when _form == DocumentForm.Text:
                return Continue(_template.Value.Document(conversation.Conversation).Tokens);
            case ConversationExample conversation when _form == DocumentForm.Answers:
                return Fitting(Document(conversation.Conversation));
            case PairExample pair when _form == DocumentForm.Pairs:
                return Fitting(Document(pair.Preferred), Document(pair.Rejected));
            case JudgedExample judged when _form == DocumentForm.Judged:
                return Fitting(Judged(judged));
            case SampledExample sampled when _form == DocumentForm.Sampled:
                return Fitting(Sampled(id, sampled));
            default:
                string found = example switch
                {
                    TextExample => "plain text",
                    ConversationExample => "a conversation",
                    JudgedExample => "a judged answer",
                    SampledExample => "a sampled answer",
                    _ => "a preference pair",
                };
                throw new FlywheelException($"{id} is {found}; objective '{_objective.Name}' expects {_form.Expects}");
        }
    }

    /// <summary>
    /// Puts behind every judged answer its prompt with the next other prompt's answer: KTO measures on them how far the model
    /// has moved. What exceeds the context is cut.
    /// </summary>
    public IEnumerable<EncodedDocument> WithOthers(IReadOnlyList<EncodedDocument> documents)
    {
        for (int i = 0; i < documents.Count; i++)
        {
            yield return documents[i];
            int[] prompt = documents[i].Tokens[..documents[i].PromptLength];
            EncodedDocument other = Enumerable.Range(1, documents.Count).Select(step => documents[(i + step) % documents.Count])
                .FirstOrDefault(candidate => !candidate.Tokens.AsSpan(0, candidate.PromptLength).SequenceEqual(prompt)) ?? documents[i];
            int length = Math.Min(_context, prompt.Length + other.Tokens.Length - other.PromptLength) - prompt.Length;
            yield return documents[i] with
            {
                Tokens = [.. prompt, .. other.Tokens.AsSpan(other.PromptLength, length)],
                Targets = [.. new byte[prompt.Length], .. other.Targets.AsSpan(other.PromptLength, length)],
            };
        }
    }

    private EncodedDocument Document(Conversation conversation)
    {
        (int[] tokens, byte[] targets) = _template.Value.Document(conversation);
        return new EncodedDocument(tokens, targets);
    }

    /// <summary>Only the last answer was judged.</summary>
    private EncodedDocument Judged(JudgedExample example)
    {
        EncodedDocument document = Document(example.Conversation) with { Label = example.Liked ? 1 : -1 };
        document.Targets.AsSpan(0,
            _template.Value.Prompt(example.Conversation with { Messages = [.. example.Conversation.Messages.SkipLast(1)] }).Length).Clear();
        return document;
    }

    /// <summary>The answer's ids are those that were sampled, whatever the tokenizer would make of their text.</summary>
    private EncodedDocument Sampled(string id, SampledExample example)
    {
        int outside = example.Tokens.FirstOrDefault(token => token < 0 || token >= _tokenizer.VocabSize, -1);
        if (outside != -1 || example.Tokens.Contains(-1))
            throw new FlywheelException($"{id}: field 'tokens' holds {outside}, expected ids below {_tokenizer.VocabSize}");
        int[] prompt = _template.Value.Prompt(example.Prompt);
        byte[] targets = new byte[prompt.Length + example.Tokens.Count];
        targets.AsSpan(prompt.Length).Fill(1);
        return new EncodedDocument([.. prompt, .. example.Tokens], targets, example.Reward,
            [.. new float[prompt.Length], .. example.LogProbs]);
    }

    /// <summary>Every token is learnt but the first, which nothing comes before.</summary>
    private List<EncodedDocument> Continue(int[] tokens)
    {
        List<EncodedDocument> documents = [];
        for (int start = 0; start + 1 < tokens.Length; start += _context)
        {
            int[] part = tokens[start..Math.Min(tokens.Length, start + _context)];
            if (part.Length < 2) break;
            byte[] targets = new byte[part.Length];
            targets.AsSpan(1).Fill(1);
            documents.Add(new EncodedDocument(part, targets));
        }
        return documents;
    }

    private EncodedDocument[] Fitting(params EncodedDocument[] documents) =>
        documents.All(document => document.Tokens.Length <= _context) ? documents : [];
}
