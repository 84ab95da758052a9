using System.Text.Json.Nodes;
using CsCheck;
using Flywheel.Testing;

namespace Flywheel.Jinja.Tests;

/// <summary>The oracle is Jinja itself: Fixtures/make.py says with which settings.</summary>
public class TemplateTests
{
    private static readonly DateTimeOffset s_now = new(2026, 11, 24, 9, 5, 3, TimeSpan.Zero);

    private static string Fixture(string name) =>
        File.ReadAllText(Path.Combine(TestFiles.Root, "tests", "Flywheel.Jinja.Tests", "Fixtures", name));

    private static readonly Lazy<JsonObject> s_variables = new(() => JsonNode.Parse(Fixture("variables.json"))!.AsObject());

    private static JinjaDict Variables() => (JinjaDict)JinjaJson.Read(s_variables.Value)!;

    private static string Render(string template) => new JinjaTemplate(template).Render(Variables(), s_now);

    private static string Error(string template) => Assert.Throws<JinjaException>(() => Render(template)).Message;

    private static List<(string Template, string? Text)> Cases(string file) =>
        [.. JsonNode.Parse(Fixture(file))!.AsArray().Select(item => ((string)item!["template"]!, (string?)item["text"]))];

    public static TheoryData<string, string?> Cases()
    {
        var data = new TheoryData<string, string?>();
        foreach ((string template, string? text) in Cases("cases.json")) data.Add(template, text);
        return data;
    }

    /// <summary>Some hundred expressions of every kind: what Jinja prints, or that it refuses.</summary>
    [Fact]
    public void Render_OwnExpression_GivesWhatJinjaGives()
    {
        var wrong = new List<string>();
        foreach ((string template, string? text) in Cases("expressions.json"))
            if (Rendered(template, out string? error) is var found && found != text)
                wrong.Add($"{template}: expected {text ?? "a refusal"}, found {found ?? error}");
        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
    }

    internal static string? Rendered(string template, out string? error)
    {
        error = null;
        try
        {
            return Render(template);
        }
        catch (JinjaException e)
        {
            error = e.Message;
            return null;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Render_OwnTemplate_GivesWhatJinjaGives(string template, string? text)
    {
        if (text is null) Error(template);
        else Assert.Equal(text, Render(template));
    }

    [Theory]
    [InlineData("a\n{{ raise_exception('Roles must alternate') }}", "line 2: Roles must alternate")]
    [InlineData("{{ none_value.x.y }}", "line 1: 'x' is undefined")]
    [InlineData("a\n\n{% if yes %}", "line 3: expected 'endif', found the end of the template")]
    [InlineData("{% include 'x' %}", "the statement 'include' is not supported")]
    [InlineData("{{ 'a' | urlize }}", "the filter 'urlize' is not supported")]
    [InlineData("{{ '%99999999999s' % 'a' }}", "a format is too wide")]
    [InlineData("{{ 'a' is escaped }}", "the test 'escaped' is not supported")]
    [InlineData("{{ words.append(1) }}", "append() would change a list")]
    [InlineData("{{ 1 / 0 }}", "division by zero")]
    [InlineData("{% for i in range(1000000) %}{% endfor %}", "expected at most 100000")]
    [InlineData("{{ 10 ** 99999 }}", "bits")]
    [InlineData("{{ 10 ** 9000 }}", "4300 digits")]
    public void Render_TemplateWrong_NamesLineAndWhat(string template, string expected) => Assert.Contains(expected, Error(template));

    [Theory]
    [InlineData("{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}", "characters")]
    [InlineData("{{ 'x' * 9999999999 }}", "characters")]
    [InlineData("{{ 'x'.center(99999999999) }}", "characters")]
    [InlineData("{% for i in range(99) %}{{ '%9999999s' % 'a' }}{% endfor %}", "characters")]
    [InlineData("{% for i in range(99) %}{{ '{:9999999}'.format(1) }}{% endfor %}", "characters")]
    [InlineData("{% for i in range(99999) %}{{ 10 ** 4000 }}{% endfor %}", "than")]
    [InlineData("{{ 'a\t'.expandtabs(99999999999) }}", "characters")]
    [InlineData("{{ [1] | slice(99999999999) | list }}", "steps")]
    [InlineData("{% set t = 'a' * 9999 %}{{ t.replace('a', t).replace('a', t) }}", "characters")]
    [InlineData("{{ [1] * 9999999999 }}", "steps")]
    [InlineData("{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}", "steps")]
    [InlineData("{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}", "than")]
    [InlineData("{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x == ns.x[0] }}",
        "False")]
    [InlineData("{% set ns = namespace(x=[1]) %}{% for i in range(90000) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x | tojson }}",
        "nested too deep")]
    [InlineData("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "more than 100 calls")]
    public void Render_TemplateWithoutEnd_StopsAtALimit(string template, string expected)
    {
        try
        {
            Assert.Contains(expected, Render(template));
        }
        catch (JinjaException e)
        {
            Assert.Contains(expected, e.Message);
        }
    }

    [Theory]
    [InlineData("(")]
    [InlineData("[")]
    [InlineData("not ")]
    [InlineData("-")]
    [InlineData("{% if yes %}")]
    public void Parse_NestedWithoutEnd_IsRefused(string opening)
    {
        string many = string.Concat(Enumerable.Repeat(opening, 100_000));
        Assert.Throws<JinjaException>(() => new JinjaTemplate(opening.StartsWith('{') ? many : "{{ " + many));
    }

    private static readonly string[] s_seeds =
        [.. JsonNode.Parse(Fixture("cases.json"))!.AsArray().Select(item => (string)item!["template"]!)];

    [Fact]
    public void Render_MutatedTemplate_FailsOnlyWithAJinjaException() => Gen.Select(
        Gen.OneOf(s_seeds), Gen.OneOf(s_seeds), Gen.Int[0, 400], Gen.Int[0, 400],
        Gen.Select(Gen.Int[0, 400],
            Gen.OneOf("{{", "}}", "{%", "%}", "-", "|", "(", ")", "[", "]", "'", "if ", "for x in ", " end", "set ", "0", "9999999999",
                " * ", "~", ".", ",", "\n", "é😀", "\uD800", "{#", "loop", "text", "messages", "none", ":")).Array[0, 5])
        .Sample((first, second, cut, join, inserts) =>
        {
            string template = first[..Math.Min(cut, first.Length)] + second[Math.Min(join, second.Length)..];
            foreach ((int at, string text) in inserts) template = template.Insert(Math.Min(at, template.Length), text);
            try
            {
                Render(template);
            }
            catch (JinjaException)
            {
            }
        }, iter: Fuzz.Iterations(2000));
}
