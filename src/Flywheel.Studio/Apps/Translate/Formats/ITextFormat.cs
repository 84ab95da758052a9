namespace Flywheel.Studio.Apps.Translate.Formats;

/// <summary>A kind of file: finds the texts in it, and writes it again with others in their place.</summary>
internal interface ITextFormat
{
    /// <summary>As a document's body names it.</summary>
    string Name { get; }

    /// <summary>Ending of its files, with the dot.</summary>
    string Extension { get; }

    string MediaType { get; }

    /// <summary>Texts in their order: a paragraph, a cell, a subtitle each, none without a letter or digit.</summary>
    /// <exception cref="Model.FlywheelException">It is no such file, or one that nobody should open.</exception>
    IReadOnlyList<TextBlock> Read(byte[] file);

    /// <summary>The file with a text of <paramref name="texts"/> in the place of each block.</summary>
    byte[] Write(byte[] file, IReadOnlyList<string> texts);
}

/// <summary>A text of a file.</summary>
/// <param name="IsWhole">It is one segment, however many sentences it has.</param>
internal sealed record TextBlock(string Text, bool IsWhole = false);

/// <summary>A part of a text file: kept as it is, or a text.</summary>
internal readonly record struct Piece(string Text, TextBlock? Block = null);
