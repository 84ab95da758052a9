using Flywheel.Engine;
using Flywheel.Loop.Ranking;
using Flywheel.Model;

namespace Flywheel.Loop.Tasks;

/// <summary>A task's fields as a model is asked about them: the page, the API, the command line and the evaluation ask by this
/// one.</summary>
/// <param name="Conversation">Up to the answer.</param>
/// <param name="Prompt">Its ids.</param>
/// <param name="Sampler">Confined to the output's modality, or to its words.</param>
/// <param name="MaxTokens">Of the answer.</param>
public sealed record TaskAsk(Conversation Conversation, int[] Prompt, SamplerOptions Sampler, int MaxTokens)
{
    /// <param name="task">The task.</param>
    /// <param name="values">Checked.</param>
    /// <param name="model">Who is asked.</param>
    /// <param name="defaults">The model's own way to sample.</param>
    /// <exception cref="FlywheelException">The model cannot be talked to, has no tokens for a modality, or its context does not hold the
    /// prompt.</exception>
    public static TaskAsk For(TaskFolder task, IReadOnlyDictionary<string, string> values, ModelFolder model, SamplerOptions defaults)
    {
        if (Fault(task, model) is { } fault) throw new FlywheelException(fault);
        Conversation conversation = task.Ask(values);
        int[] prompt = model.ChatTemplate.Prompt(conversation);
        int room = model.Config.MaxPositions - prompt.Length;
        if (room < 1)
            throw new FlywheelException(
                $"the fields of the task '{task.Name}' make a prompt of {prompt.Length} tokens; this model's context holds {model.Config.MaxPositions}, prompt and answer together");
        TaskForm form = task.Description.Form;
        return new(conversation, prompt,
            defaults with { Temperature = (float?)form.Temperature ?? defaults.Temperature,
                Grammar =
                    GrammarOf(task, values) ?? SymbolAnswer.GrammarOf(conversation) ?? DraftWords.GrammarOf(task, conversation, model) },
                    Math.Min(form.MaxTokens, room));
    }

    /// <summary>Of a game one legal move and nothing else; of an output that says so, only some symbols, or as many as a field
    /// has.</summary>
    private static string? GrammarOf(TaskFolder task, IReadOnlyDictionary<string, string> values) =>
        task.Description is { Game: null, Output: { Symbols: { } states } output } && (output.Only.Count > 0 || output.AsLongAs is not null)
        ? Engine.Grammars.Grammar.Parse(
            $"root ::= one{(output.AsLongAs is { } like ? $"{{{values[like].Split(' ').Length}}}" : "+")}\none ::= {string.Join(" | ", ReservedTokens.Symbols(states).Where(symbol => output.Only.Count == 0 || output.Only.Contains(symbol.Key)).Select(symbol => symbol.Value))}").Source
        : task.Description is { Game: not null, Output.Symbols: { } moves }
        ? Engine.Grammars.Grammar.Parse(
            $"root ::= {string.Join(" | ", GameTask.Moves(task.Game!, values).Select(move => ReservedTokens.Symbols(moves)[move]))}").Source
            : null;

    /// <summary>Why a model cannot be asked at all; null when it can.</summary>
    public static string? Fault(TaskFolder task, ModelFolder model)
    {
        if (model.FindChatFault() is { } chat) return $"the model cannot be talked to: {chat}";
        IReadOnlyDictionary<string, TokenRange> ranges = ReservedTokens.Ranges(model.Tokenizer);
        string? missing =
            task.Description.Fields.SelectMany(field => field.Places > 0 ? [field.Modality, "spare"] : new[] { field.Modality })
                .Append(task.Description.Output.Modality).Append(task.Game?.PositionTokens ?? TaskField.Text)
            .FirstOrDefault(modality => modality != TaskField.Text && !ranges.ContainsKey(modality));
        if (missing is null && task.Description.Fields.Any(field => field.WidgetOrDefault == TaskField.Picture)
            && PictureCodec.FileOf(model) is null)
            return $"the task '{task.Name}' needs a codec of pictures, which this model was not trained with";
        return missing is null ? null : $"the task '{task.Name}' needs tokens of '{missing}', which this model's vocabulary does not have";
    }

    /// <summary>Whether it is recorded that a model, or one that it was made from, was trained for the task.</summary>
    public static bool IsTrained(TaskFolder task, ModelFolder model) => model.Manifest.Tasks?.Contains(task.Name) == true;

    /// <summary>Asks an engine that is here, without a record.</summary>
    /// <param name="engine">Of the model that the question was made for.</param>
    /// <param name="tokenizer">The model's.</param>
    /// <param name="seed">Of the sampling.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <returns>What the assistant said.</returns>
    public async Task<string> AnswerAsync(InferenceEngine engine, Tokenizer tokenizer, ulong seed, CancellationToken cancellation)
    {
        GenerationStream stream =
            engine.Submit(new GenerationRequest { PromptTokens = Prompt, MaxTokens = MaxTokens, Sampler = Sampler with { Seed = seed } },
                cancellation);
        return (await SymbolAnswer.ReadAsync(stream, tokenizer, Conversation)).Text.Trim();
    }
}
