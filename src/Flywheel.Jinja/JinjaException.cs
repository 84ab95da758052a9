namespace Flywheel.Jinja;

/// <summary>A template that is malformed, or that fails while it renders. The message names the line.</summary>
public sealed class JinjaException(int line, string reason, Exception? inner = null) : Exception($"line {line}: {reason}", inner)
{
    /// <summary>Counted from 1.</summary>
    public int Line => line;

    /// <summary>What went wrong, without the line.</summary>
    public string Reason => reason;
}
