using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Flywheel.Engine.Grammars;
using Flywheel.Model;

namespace Flywheel.Engine.Text;

/// <summary>A piece of an answer with tool calls.</summary>
/// <param name="Content">Text for the person.</param>
/// <param name="Call">Number of the call that the piece belongs to, from 0; -1 for content.</param>
/// <param name="Name">Of the function, in the first piece of a call.</param>
/// <param name="Arguments">JSON of the arguments, as it comes.</param>
public readonly record struct ToolPiece(string Content, int Call = -1, string? Name = null, string Arguments = "");

/// <summary>
/// Takes an answer apart while it is written: text, then calls in the model's form. Text that may become the opening of a
/// call is held back, as is white space.
/// </summary>
public sealed class ToolCallReader
{
    private enum Part { Content, Head, Arguments, Tail }

    private readonly ToolCallForm _form;
    private readonly Regex _head, _next, _end;
    private readonly StringBuilder _held = new();
    private Part _part;
    private int _depth;
    private bool _inString, _escaped, _isText, _hasContent;

    /// <param name="form">How the model writes calls: its chat template's.</param>
    public ToolCallReader(ToolCallForm form)
    {
        _form = form;
        string Pattern(string literal) => ToolLiterals.Pattern(literal, form.IsJson);
        string call = $"{(form.IsJson ? """("(?:[^"\\]|\\.)*")""" : "([A-Za-z0-9_-]+)")}{Pattern(form.Between)}(?=\\{{)";
        _head = new Regex($@"^\s*{Pattern(form.AfterTag)}{call}");
        _next = new Regex($@"^\s*{Pattern(form.After)}\s*{Pattern(form.Separator)}\s*{Pattern(form.Before)}{call}");
        _end = new Regex($@"^\s*{Pattern(form.After)}\s*{Pattern(form.End)}");
    }

    /// <summary>Calls that have begun.</summary>
    public int NumCalls { get; private set; }

    public IReadOnlyList<ToolPiece> Append(string text)
    {
        var pieces = new List<ToolPiece>();
        _held.Append(text);
        while (_part switch { Part.Content => ReadContent(pieces), Part.Head => ReadHead(pieces, _head),
            Part.Arguments => ReadArguments(pieces), _ => ReadTail(pieces) }) { }
        return pieces;
    }

    /// <summary>What was held back, at the end of the answer.</summary>
    /// <param name="cut">
    /// The answer did not end by itself: then what looks like the opening of a call is one that was cut, and no text for a person.
    /// </param>
    public IReadOnlyList<ToolPiece> Flush(bool cut = false)
    {
        // An unfinished call's head has no name to show it under, and a bare one may be text; after calls there is no text.
        bool isText = _part == Part.Content || _part == Part.Head && _form.Tag.Length == 0;
        if (cut && isText) DropOpening();
        string rest = isText && (NumCalls == 0 || _held.ToString().Trim().Length > 0) ? _held.ToString() : "";
        _held.Clear();
        return rest.Length == 0 ? [] : [new ToolPiece(rest)];
    }

    /// <summary>A single character may well be text, unless nothing else was said.</summary>
    private void DropOpening()
    {
        string held = _held.ToString();
        if (_form.Tag.Length == 0)
        {
            string begun = Dense(held), opening = Dense(_form.AfterTag);
            if (_part == Part.Head
                && (begun.StartsWith(opening, StringComparison.Ordinal) || opening.StartsWith(begun, StringComparison.Ordinal)))
                _held.Clear();
            return;
        }
        int length = Beginning(held);
        if (length > 1 || !_hasContent) _held.Remove(held.Length - length, length);

        static string Dense(string text) => string.Concat(text.Where(c => !char.IsWhiteSpace(c)));
    }

    private bool ReadContent(List<ToolPiece> pieces)
    {
        string held = _held.ToString();
        if (_form.Tag.Length == 0) return ReadBare(pieces, held);
        int tag = held.IndexOf(_form.Tag, StringComparison.Ordinal);
        int ready = tag >= 0 ? tag : held.Length - Beginning(held);
        while (ready > 0 && char.IsWhiteSpace(held[ready - 1])) ready--; // a call may follow, and then it is no text
        if (ready > 0) pieces.Add(new ToolPiece(held[..ready]));
        _hasContent |= ready > 0;
        _held.Remove(0, tag >= 0 ? tag + _form.Tag.Length : ready);
        if (tag >= 0) _part = Part.Head;
        return tag >= 0;
    }

    /// <summary>Bare calls are the whole answer: its first sign tells.</summary>
    private bool ReadBare(List<ToolPiece> pieces, string held)
    {
        string begun = held.TrimStart();
        if (begun.Length == 0) return false;
        if (_isText |= NumCalls == 0 && begun[0] != _form.AfterTag.TrimStart()[0])
        {
            pieces.Add(new ToolPiece(held));
            _held.Clear();
            return false;
        }
        _part = Part.Head;
        return true;
    }

    private bool ReadHead(List<ToolPiece> pieces, Regex pattern)
    {
        Match head = pattern.Match(_held.ToString());
        if (!head.Success) return false;
        string name = head.Groups[1].Value;
        pieces.Add(new ToolPiece("", NumCalls++, _form.IsJson ? JsonSerializer.Deserialize<string>(name)! : name));
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

    private bool ReadTail(List<ToolPiece> pieces)
    {
        // Where each call has its own tag, the next one is found as the first was.
        if (!_form.IsTagged && ReadHead(pieces, _next)) return true;
        Match end = _end.Match(_held.ToString());
        if (!end.Success) return false;
        _held.Remove(0, end.Length);
        _part = Part.Content;
        return _form.Tag.Length > 0;
    }

    /// <summary>Length of the longest end of the text that begins a tag.</summary>
    private int Beginning(string text)
    {
        int length = Math.Min(text.Length, _form.Tag.Length - 1);
        while (!text.EndsWith(_form.Tag[..length], StringComparison.Ordinal)) length--;
        return length;
    }
}
