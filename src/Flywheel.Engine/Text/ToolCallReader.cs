using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Flywheel.Model;

namespace Flywheel.Engine.Text;

/// <summary>A piece of an answer with tool calls.</summary>
/// <param name="Content">Text for the person.</param>
/// <param name="Call">Number of the call that the piece belongs to, from 0; -1 for content.</param>
/// <param name="Name">Of the function, in the first piece of a call.</param>
/// <param name="Arguments">JSON of the arguments, as it comes.</param>
public readonly record struct ToolPiece(string Content, int Call = -1, string? Name = null, string Arguments = "");

/// <summary>
/// Takes an answer apart while it is written: text, then calls as <see cref="ToolText"/> writes them. Text that may become
/// a tag is held back, as is white space.
/// </summary>
public sealed partial class ToolCallReader
{
    private enum Part { Content, Head, Arguments, Tail }

    private readonly StringBuilder _held = new();
    private Part _part;
    private int _depth;
    private bool _inString, _escaped;

    /// <summary>Calls that have begun.</summary>
    public int NumCalls { get; private set; }

    public IReadOnlyList<ToolPiece> Append(string text)
    {
        var pieces = new List<ToolPiece>();
        _held.Append(text);
        while (_part switch { Part.Content => ReadContent(pieces), Part.Head => ReadHead(pieces), Part.Arguments => ReadArguments(pieces), _ => ReadTail() }) { }
        return pieces;
    }

    /// <summary>What was held back, at the end of the answer.</summary>
    public IReadOnlyList<ToolPiece> Flush()
    {
        // An unfinished call's head has no name to show it under; after calls there is no text.
        string rest = _part == Part.Content && (NumCalls == 0 || _held.ToString().Trim().Length > 0) ? _held.ToString() : "";
        _held.Clear();
        return rest.Length == 0 ? [] : [new ToolPiece(rest)];
    }

    private bool ReadContent(List<ToolPiece> pieces)
    {
        string held = _held.ToString();
        int tag = held.IndexOf(ToolText.CallStart, StringComparison.Ordinal);
        int ready = tag >= 0 ? tag : held.Length - Beginning(held);
        while (ready > 0 && char.IsWhiteSpace(held[ready - 1])) ready--; // a call may follow, and then it is no text
        if (ready > 0) pieces.Add(new ToolPiece(held[..ready]));
        _held.Remove(0, tag >= 0 ? tag + ToolText.CallStart.Length : ready);
        if (tag >= 0) _part = Part.Head;
        return tag >= 0;
    }

    private bool ReadHead(List<ToolPiece> pieces)
    {
        Match head = Head().Match(_held.ToString());
        if (!head.Success) return false;
        pieces.Add(new ToolPiece("", NumCalls++, JsonSerializer.Deserialize<string>(head.Groups[1].Value)!));
        _held.Remove(0, head.Length);
        (_part, _depth, _inString, _escaped) = (Part.Arguments, 0, false, false);
        return true;
    }

    private bool ReadArguments(List<ToolPiece> pieces)
    {
        int at = 0;
        for (bool ended = false; at < _held.Length && !ended; at++)
        {
            char c = _held[at];
            if (_inString)
            {
                if (_escaped) _escaped = false;
                else if (c == '\\') _escaped = true;
                else if (c == '"') _inString = false;
                continue;
            }
            if (c == '"') _inString = true;
            else if (c is '{' or '[') _depth++;
            else if (c is '}' or ']') ended = --_depth == 0;
            if (ended) _part = Part.Tail;
        }
        if (at > 0) pieces.Add(new ToolPiece("", NumCalls - 1, Arguments: _held.ToString(0, at)));
        _held.Remove(0, at);
        return _part == Part.Tail;
    }

    private bool ReadTail()
    {
        int end = _held.ToString().IndexOf(ToolText.CallEnd, StringComparison.Ordinal);
        if (end < 0) return false;
        _held.Remove(0, end + ToolText.CallEnd.Length);
        _part = Part.Content;
        return true;
    }

    /// <summary>Length of the longest end of the text that begins a tag.</summary>
    private static int Beginning(string text)
    {
        int length = Math.Min(text.Length, ToolText.CallStart.Length - 1);
        while (!text.EndsWith(ToolText.CallStart[..length], StringComparison.Ordinal)) length--;
        return length;
    }

    [GeneratedRegex("""^\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"arguments"\s*:\s*(?=\{)""")]
    private static partial Regex Head();
}
