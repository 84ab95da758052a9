using System.Text.Json.Serialization;

namespace Flywheel.Model;

/// <summary>
/// The file <c>task.yaml</c> of a task's folder: what it is, its fields, the form of its conversation, where its data comes from and how
/// it is measured. Data, training, evaluation, the API and the page of a task read this one file (docs/tasks.md).
/// </summary>
public sealed record TaskDescription
{
    /// <summary>The folder's name.</summary>
    public required string Name { get; init; }

    public required Phrase Title { get; init; }

    /// <summary>What it is, in one sentence.</summary>
    public required Phrase About { get; init; }

    /// <summary>Licence of the file and of the data beside it.</summary>
    public required string Licence { get; init; }

    /// <summary>What goes in.</summary>
    public required IReadOnlyList<TaskField> Fields { get; init; }

    /// <summary>Rules that its fields and answers keep to: a name of <see cref="Model.Game.All"/>; null for a task without any.</summary>
    public string? Game { get; init; }

    /// <summary>What comes out.</summary>
    public TaskOutput Output { get; init; } = new();

    public required TaskForm Form { get; init; }

    /// <summary>What is learnt from; none for a task that a model can do already.</summary>
    public IReadOnlyList<TaskSource> Sources { get; init; } = [];

    public TaskSplit Split { get; init; } = new();

    /// <summary>Names of <see cref="TaskMetricNames"/>, the one that counts first.</summary>
    public IReadOnlyList<string> Metrics { get; init; } = [];

    /// <summary>What the model has to beat.</summary>
    public TaskBaseline? Baseline { get; init; }

    /// <summary>Shown on the page, to try with one click.</summary>
    public IReadOnlyList<TaskExample> Examples { get; init; } = [];
}

/// <summary>Words in each language of the pages.</summary>
public sealed record Phrase
{
    [JsonPropertyName("en")]
    public required string En { get; init; }

    [JsonPropertyName("zh-CN")]
    public required string ZhCn { get; init; }

    /// <param name="language">A tag such as <c>zh-CN</c>.</param>
    public string In(string language) => language == "zh-CN" ? ZhCn : En;
}

/// <summary>One thing that goes in.</summary>
public sealed record TaskField
{
    public const string Text = "text", Line = "line", Lines = "lines", Number = "number", Choice = "choice", Symbols = "symbols",
        Picture = "picture";

    public required string Name { get; init; }

    public required Phrase Label { get; init; }

    /// <summary><c>text</c>, or a group of <see cref="ReservedTokens"/>, whose symbols are written with spaces between.</summary>
    public string Modality { get; init; } = Text;

    /// <summary><c>line</c>, <c>lines</c>, <c>number</c>, <c>choice</c>, <c>symbols</c> or, of an image, <c>picture</c>; empty:
    /// <see cref="WidgetOrDefault"/>.</summary>
    public string Widget { get; init; } = "";

    public bool Required { get; init; } = true;

    /// <summary>The only values that it takes.</summary>
    public IReadOnlyList<string> Choices { get; init; } = [];

    /// <summary>A list: a line is an item.</summary>
    public bool Many { get; init; }

    /// <summary>Longest value in characters; of a list, of an item.</summary>
    public int MaxLength { get; init; } = 2000;

    /// <summary>Most items of a list.</summary>
    public int MaxItems { get; init; } = 32;

    /// <summary>
    /// Of symbols: in so many places they are shown, of which those that are not taken hold a token without a meaning. So each stands at
    /// the
    /// same distance from its own place in an answer of equal length, however long it is; 0 shows them alone.
    /// </summary>
    public int Places { get; init; }

    /// <summary>Least value of a number.</summary>
    public double? Min { get; init; }

    /// <summary>Greatest value of a number.</summary>
    public double? Max { get; init; }

    public string WidgetOrDefault =>
        Widget.Length > 0 ? Widget : Choices.Count > 0 ? Choice : Modality != Text ? Symbols : Many ? Lines : Line;
}

/// <summary>What comes out.</summary>
public sealed record TaskOutput
{
    public Phrase? Label { get; init; }

    /// <summary>As of a field; decoding is confined to it.</summary>
    public string Modality { get; init; } = TaskField.Text;

    /// <summary><c>line</c>, <c>lines</c> or <c>symbols</c>.</summary>
    public string Widget { get; init; } = "";

    /// <summary>
    /// A file of English words in the folder, between commas or each on a line, "#" before a comment: with what a request says, the only
    /// ones
    /// that an answer of a model that was trained for the task may have. Null allows all.
    /// </summary>
    public string? Words { get; init; }

    /// <summary>Of symbols: the only ones that come out; empty for all of the modality.</summary>
    public IReadOnlyList<string> Only { get; init; } = [];

    /// <summary>Of symbols: a field that has exactly as many.</summary>
    public string? AsLongAs { get; init; }

    /// <summary>A group of <see cref="ReservedTokens"/>; null for text.</summary>
    public string? Symbols => Modality == TaskField.Text ? null : Modality;

    public string WidgetOrDefault => Widget.Length > 0 ? Widget : Symbols is null ? TaskField.Lines : TaskField.Symbols;
}

/// <summary>From fields to a conversation, and from its answer to the output. Texts in it are Jinja templates.</summary>
public sealed record TaskForm
{
    public string? System { get; init; }

    /// <summary>What the user says; knows the fields, of which those that are no text stand behind it.</summary>
    public required string Ask { get; init; }

    /// <summary>What the assistant says; knows the fields and <c>answer</c>.</summary>
    public string Answer { get; init; } = "{{ answer }}";

    /// <summary>What of it is the output; knows <c>answer</c>, what the assistant said.</summary>
    public string Output { get; init; } = "{{ answer }}";

    public int MaxTokens { get; init; } = 256;

    /// <summary>As the model's own default when not given; 0 takes the likeliest token.</summary>
    public double? Temperature { get; init; }
}

/// <summary>Where training data comes from, and how its items become fields and an answer.</summary>
public sealed record TaskSource
{
    public const string Jsonl = "jsonl", Draw = "draw", CmuDictionary = "cmu-dictionary", PackageDescriptions = "package-descriptions",
        ProteinStructure = "flip-secondary-structure", Clothes = "fashion-mnist";

    /// <summary>Sources whose items are rows; the others are a recipe's, whose items are conversations in the task's form
    /// already.</summary>
    public static readonly IReadOnlyList<string> OfRows = [Jsonl, Draw, CmuDictionary, PackageDescriptions, ProteinStructure, Clothes];

    /// <summary><c>jsonl</c> (rows of a file), <c>draw</c> (drawn by rules), a named data set (docs/tasks.md), or a source of a
    /// recipe.</summary>
    public required string Source { get; init; }

    /// <summary>File, relative to the task's folder.</summary>
    public string? Path { get; init; }

    /// <summary>What a recipe's source is read as: <c>copy</c> or <c>chat</c>.</summary>
    public string? As { get; init; }

    /// <summary>Of a data set in several languages: which.</summary>
    public string? Language { get; init; }

    /// <summary>At most so many items; 0 takes all.</summary>
    public int Limit { get; init; }

    /// <summary>Values that each item is drawn from, in their order.</summary>
    public IReadOnlyList<TaskDraw> Draws { get; init; } = [];

    /// <summary>A template: only items for which it is <c>True</c>.</summary>
    public string? Keep { get; init; }

    /// <summary>A template, of a source that is split by its publisher: the items for which it is <c>True</c> are held out, and no
    /// others.</summary>
    public string? HeldOut { get; init; }

    /// <summary>A template: for each letter of the answer a 1, or a 0 where it is not measured; null measures all.</summary>
    public string? Scored { get; init; }

    /// <summary>Of sequences: a longer one comes in equal pieces of at most so many; 0 cuts none.</summary>
    public int Longest { get; init; }

    /// <summary>A template for each field, which knows the row; a field that is not here is the row's column of its name.</summary>
    public IReadOnlyDictionary<string, string> Fields { get; init; } = new Dictionary<string, string>();

    /// <summary>A template for the answer, which knows the row.</summary>
    public string Answer { get; init; } = "{{ answer }}";

    public string Licence { get; init; } = "";

    /// <summary>The same as a recipe's source.</summary>
    public SourceRecipe ToRecipe() => new() { Source = Source, Path = Path, As = As ?? "text", Limit = Limit };
}

/// <summary>One value of a drawn item: a whole number, one of a list, or what a template makes of those before it.</summary>
public sealed record TaskDraw
{
    public required string Name { get; init; }

    public int? From { get; init; }

    public int? To { get; init; }

    public IReadOnlyList<string> Of { get; init; } = [];

    public string? Is { get; init; }
}

/// <summary>What is held out to measure on: a share of the sources' items, or a file.</summary>
public sealed record TaskSplit
{
    /// <summary>A template that knows the fields: items for which it says the same are on the same side. Empty: all fields.</summary>
    public string By { get; init; } = "";

    public double HeldOut { get; init; } = 0.05;

    /// <summary>JSON lines with the fields and, where the metrics compare with one, <c>answer</c>; relative to the task's folder. Nothing
    /// of the sources is held out then.</summary>
    public string? File { get; init; }

    /// <summary>Of the file: a template for each field that is no column of its name, as of a source.</summary>
    public IReadOnlyDictionary<string, string> Fields { get; init; } = new Dictionary<string, string>();
}

/// <summary>What answers without a model.</summary>
public sealed record TaskBaseline
{
    public const string Nearest = "nearest", Common = "common", Template = "template", Program = "command", Window = "window";

    public required Phrase Name { get; init; }

    /// <summary><c>nearest</c>: the answer of the training item whose fields are nearest by edits; <c>common</c>: the commonest answer;
    /// <c>template</c>: <see cref="Answer"/>; <c>command</c>: what <see cref="Command"/> writes, made an answer by <see cref="Answer"/>;
    /// <c>window</c>: each symbol from the <see cref="Width"/> symbols of the first field around its place, by naive Bayes.</summary>
    public required string Kind { get; init; }

    /// <summary>Of a window: an odd number of symbols; 0 knows only which answer is the commonest.</summary>
    public int Width { get; init; }

    /// <summary>A template that knows the fields and, of a command, <c>said</c>: what it wrote.</summary>
    public string? Answer { get; init; }

    /// <summary>A program of this machine and its arguments, each a template that knows the fields; only an evaluation on the command line
    /// runs it.</summary>
    public IReadOnlyList<string> Command { get; init; } = [];
}

/// <summary>Fields with a right answer, to show.</summary>
public sealed record TaskExample
{
    public required IReadOnlyDictionary<string, string> Fields { get; init; }

    /// <summary>Empty where many answers are right.</summary>
    public string Answer { get; init; } = "";
}

/// <summary>How an output is measured; each is defined where it is computed (Flywheel.Loop's TaskMetric).</summary>
public static class TaskMetricNames
{
    public const string Exact = "exact", ChrF = "chrf", WordError = "word-error", SymbolError = "symbol-error",
        CharacterError = "character-error", PerLetter = "per-letter", OneOf = "one-of",
        NameExact = "name-exact", FactsRestated = "facts-restated", NothingForeign = "nothing-foreign";

    /// <summary>Those that compare with a right answer.</summary>
    public static readonly IReadOnlyList<string> WithAnswer = [Exact, OneOf, ChrF, WordError, SymbolError, CharacterError, PerLetter];

    /// <summary>Those that compare with the fields <c>name</c> and <c>facts</c>, as copywriting has them.</summary>
    public static readonly IReadOnlyList<string> WithBrief = [NameExact, FactsRestated, NothingForeign];
}
