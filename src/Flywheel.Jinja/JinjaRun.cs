using System.Runtime.CompilerServices;
using System.Text;

namespace Flywheel.Jinja;

/// <summary>
/// One rendering: where text goes, and how much work is left. A template is a stranger's program, so steps, characters
/// made, and depth are limited; what passes a limit is an error like any other.
/// </summary>
internal sealed class JinjaRun
{
    private const int MaxSteps = 20_000_000, MaxCharacters = 64 << 20, MaxCalls = 100;

    [ThreadStatic]
    private static JinjaRun? s_current;

    private readonly Stack<StringBuilder> _outputs = new([new StringBuilder()]);
    private int _steps, _calls;
    private long _characters;

    /// <summary>Line of the statement that runs.</summary>
    public int Line { get; set; }

    /// <summary>What strftime_now answers with; null when there is no such function.</summary>
    public DateTimeOffset? Now { get; init; }

    /// <summary>Runs a template; what it writes.</summary>
    /// <exception cref="JinjaException">The template fails; names the line.</exception>
    public string Render(Action<Scope> template, JinjaDict variables)
    {
        JinjaRun? outer = s_current;
        s_current = this;
        try
        {
            template(new Scope(this, null, variables));
            return _outputs.Peek().ToString();
        }
        catch (TemplateError e)
        {
            throw new JinjaException(Line, e.Message, e);
        }
        catch (InsufficientExecutionStackException e)
        {
            throw new JinjaException(Line, "nested too deep", e);
        }
        finally
        {
            s_current = outer;
        }
    }

    public void Write(string text) => _outputs.Peek().Append(Made(text));

    /// <summary>What a part of the template writes, instead of writing it.</summary>
    public string Capture(Action part)
    {
        _outputs.Push(new StringBuilder());
        try
        {
            part();
            return _outputs.Peek().ToString();
        }
        finally
        {
            _outputs.Pop();
        }
    }

    public object? Call(Func<object?> body)
    {
        if (++_calls > MaxCalls) throw new TemplateError($"more than {MaxCalls} calls inside each other");
        try
        {
            return body();
        }
        finally
        {
            _calls--;
        }
    }

    /// <summary>Counts a step of the rendering that runs on this thread.</summary>
    public static void Step(int count = 1)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        if (s_current is { } run && (run._steps += count) > MaxSteps) throw new TemplateError($"it takes more than {MaxSteps} steps");
    }

    /// <summary>Counts characters before they are made.</summary>
    public static void Make(long count)
    {
        if (s_current is { } run && (run._characters += count) > MaxCharacters)
            throw new TemplateError($"it makes more than {MaxCharacters} characters");
    }

    public static string Made(string text)
    {
        Make(text.Length);
        return text;
    }
}

/// <summary>Names and what they stand for, inside a template, a loop's turn or a macro.</summary>
internal sealed class Scope(JinjaRun run, Scope? outer, JinjaDict? variables = null)
{
    private readonly JinjaDict _variables = variables ?? [];

    public JinjaRun Run => run;

    public object? Get(string name)
    {
        for (Scope? scope = this; scope is not null; scope = scope.Outer)
            if (scope._variables.TryGetValue(name, out object? value)) return value;
        return (object?)JinjaFunctions.Global(name, run) ?? new Undefined(name);
    }

    private Scope? Outer => outer;

    public void Set(string name, object? value) => _variables[name] = value;

    public Scope Inner() => new(run, this);
}
