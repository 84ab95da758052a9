namespace Flywheel.Jinja;

/// <summary>
/// A Jinja template, rendered as transformers renders chat templates: sandboxed, blocks trimmed, with loop controls, with its
/// own tojson. A template sees data and no objects; its steps, the characters it makes and its depth are limited.
/// </summary>
public sealed class JinjaTemplate
{
    /// <summary>Published templates have some 10,000.</summary>
    private const int MaxCharacters = 1 << 20;

    private readonly Action<Scope> _body;

    /// <exception cref="JinjaException">Malformed, or uses what is not supported; names the line.</exception>
    public JinjaTemplate(string source)
    {
        if (source.Length > MaxCharacters)
            throw new JinjaException(1, $"the template has {source.Length} characters, expected at most {MaxCharacters}");
        _body = JinjaParser.Parse(source, out HashSet<string> names);
        Names = names;
    }

    /// <summary>Names that it reads and does not give a value itself: what it needs from whoever renders it.</summary>
    public IReadOnlyCollection<string> Names { get; }

    /// <param name="variables">What its names stand for.</param>
    /// <param name="now">What strftime_now answers with; null when there is no such function.</param>
    /// <exception cref="JinjaException">The template fails, by its own raise_exception or by a limit; names the line.</exception>
    public string Render(JinjaDict variables, DateTimeOffset? now = null) => new JinjaRun { Now = now }.Render(_body, variables);
}
