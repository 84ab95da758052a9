namespace Flywheel.Data;

/// <summary>What a catalogue says about one program, before it becomes training text.</summary>
/// <param name="Id">Source and name, such as <c>appstream:org.gimp.GIMP</c>.</param>
/// <param name="Group">Items of one group land in the same split: the Debian source package.</param>
/// <param name="Name">As people write it.</param>
/// <param name="Summary">One line; empty when unknown.</param>
/// <param name="Blocks">The description's paragraphs and lists, in order.</param>
/// <param name="Categories">Readable, such as "Graphics".</param>
/// <param name="Keywords">Search words, and what package tags say.</param>
/// <param name="Licence">Of the program; empty when the catalogue does not say.</param>
public sealed record Product(
    string Id,
    string Group,
    string Name,
    string Summary,
    IReadOnlyList<Block> Blocks,
    IReadOnlyList<string> Categories,
    IReadOnlyList<string> Keywords,
    string Licence = "")
{
    /// <summary>Running text, without the lines that only introduce a list.</summary>
    public IEnumerable<string> Paragraphs =>
        Blocks.Where(block => block is { Kind: BlockKind.Paragraph, Introduces: false }).Select(block => block.Text);

    public IEnumerable<string> Items => Blocks.Where(block => block.Kind == BlockKind.List).SelectMany(block => block.Texts);
}

/// <summary>How a block is laid out.</summary>
public enum BlockKind
{
    Paragraph,
    List,

    /// <summary>Lines as they stand: tables, code, drawings.</summary>
    Verbatim,
}

/// <summary>A paragraph (one text), a list (its items) or verbatim lines.</summary>
public sealed record Block(BlockKind Kind, IReadOnlyList<string> Texts)
{
    public static Block Paragraph(string text) => new(BlockKind.Paragraph, [text]);

    public string Text => Kind == BlockKind.List ? string.Join('\n', Texts.Select(item => "- " + item)) : string.Join('\n', Texts);

    /// <summary>Such as "Features include:".</summary>
    public bool Introduces => Kind == BlockKind.Paragraph && Texts[0].EndsWith(':');
}
