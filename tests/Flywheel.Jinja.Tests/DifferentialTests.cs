using System.Diagnostics;
using System.Text.Json;
using Flywheel.Testing;

namespace Flywheel.Jinja.Tests;

/// <summary>Random expressions, rendered by Python's Jinja too where it is installed: equal text, or both refuse.</summary>
public class DifferentialTests
{
    private static readonly string Script = Path.Combine(TestFiles.Root, "tests", "Flywheel.Jinja.Tests", "Fixtures", "make.py");

    [Fact]
    public async Task Render_RandomExpression_GivesWhatJinjaGives()
    {
        string python = await FindPythonAsync();
        int seed = int.TryParse(Environment.GetEnvironmentVariable("FLYWHEEL_SEED"), out int given) ? given : 11;
        var expressions = new RandomExpressions(new Random(seed));
        string[] templates = [.. Enumerable.Range(0, Fuzz.Iterations(3000)).Select(_ => expressions.Template())];
        string?[] expected = JsonSerializer.Deserialize<string?[]>(await RunAsync(python, [Script], JsonSerializer.Serialize(templates)))!;
        Assert.Equal(templates.Length, expected.Length);
        Assert.InRange(expected.Count(text => text is not null), templates.Length / 3, templates.Length);
        var wrong = new List<string>();
        for (int i = 0; i < templates.Length; i++)
        {
            string? found = TemplateTests.Rendered(templates[i], out string? error);
            if (found != expected[i]) wrong.Add($"{templates[i]}: expected {expected[i] ?? "a refusal"}, found {found ?? error}");
        }
        Assert.True(wrong.Count == 0,
            $"{wrong.Count} of {templates.Length} differ:\n{string.Join('\n', wrong.OrderBy(text => text.Length).Take(40))}");
    }

    private static async Task<string> FindPythonAsync()
    {
        foreach (string python in new[] { "python3", "/usr/bin/python3" })
            if (Tool.Exists(python) || File.Exists(python))
            {
                (int code, _) = await Tool.RunAsync(python, ["-c", "import jinja2; assert jinja2.__version__ >= '3.1'"], TestFiles.Root);
                if (code == 0) return python;
            }
        Assert.Skip("Python's Jinja is not installed (Debian: apt-get install python3-jinja2)");
        throw new UnreachableException();
    }

    private static async Task<string> RunAsync(string program, IEnumerable<string> arguments, string input)
    {
        using Process process =
            Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardInput = true, RedirectStandardOutput = true })!;
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        await process.StandardInput.WriteAsync(input);
        process.StandardInput.Close();
        await process.WaitForExitAsync();
        Assert.Equal(0, process.ExitCode);
        return await output;
    }
}

/// <summary>Writes expressions of mixed kinds, most of which mean something.</summary>
internal sealed class RandomExpressions(Random random)
{
    private static readonly string[] s_texts = ["''", "'a'", "'Ab c'", "'  x\\ty '", "'a,b,,c'", "'é灯😀'", "'12'", "' -7_0 '", "'3.25'",
        "'1e3'", "'0x1F'", "\"it's\"", "'a\\nb\\n'", "'x-y z'", "text", "messages[0].content", "messages[1].content", "eos_token"];
    private static readonly string[] s_numbers = ["0", "1", "-1", "2", "7", "-13", "255", "1000", "12345678901234567890", "(10 ** 25)",
        "0.5", "-2.5", "1.005", "1e16", "1e-7", "123456.789", "n", "x", "true", "false"];
    private static readonly string[] s_lists = ["[]", "[1, 2, 3]", "[3, 1, 2, 2]", "['b', 'A', 'a']", "('a', 'b')", "(1,)", "words",
        "empty", "[0, '', none, 'z']", "[[1, 2], [3, 4]]", "range(4)", "rows", "nested.a.b"];
    private static readonly string[] s_mappings = ["{}", "{'a': 1, 'b': 'x'}", "names", "{1: 'one', 'k': [1, none]}", "rows[0]", "nested"];
    private static readonly string[] s_specs = ["", "d", "5", "<6", "^7", "*>8", "05", "+", ",", "_", "x", "#x", "b", "o", "e", ".2e", "f",
        ".1f", "08.3f", "g", ".3g", "%", ".0%", "s", ".2", "c", "+,.2f", "=8", "010,"];
    private static readonly string[] s_percents = ["%s", "%d", "%5d|", "%-5s|", "%05.1f", "%x", "%#o", "%e", "%.3g", "%r", "%+d", "%.2s",
        "%i%%", "%c", "%8.2E"];

    public string Template()
    {
        string expression = Any(3);
        return random.Next(8) switch
        {
            0 => $"{{% for v in {expression} %}}{{{{ loop.index }}}}{{{{ v }}}}{{{{ ',' if not loop.last }}}}{{% else %}}-{{% endfor %}}",
            1 => $"{{% set v = {expression} %}}{{{{ v | tojson }}}}",
            2 => $"{{% if {expression} %}}yes{{% else %}}no{{% endif %}}",
            _ => $"{{{{ {expression} }}}}",
        };
    }

    private string One(params string[] of) => of[random.Next(of.Length)];

    private string Any(int depth) =>
        random.Next(6) switch { 0 or 1 => Text(depth), 2 or 3 => Number(depth), 4 => List(depth),
            _ => random.Next(12) == 0 ? One("none", "missing") : Truth(depth) };

    private string Text(int depth)
    {
        if (depth == 0) return One(s_texts);
        string text = Text(depth - 1);
        return random.Next(24) switch
        {
            0 => $"({text} ~ {Any(depth - 1)})",
            1 => $"({text} + {Text(depth - 1)})",
            2 => $"({text} * {random.Next(4)})",
            3 => $"{text}[{Bound()}:{Bound()}{One("", "", ":2", ":-1", ":-2")}]",
            4 => $"({text} | {One("upper", "lower", "title", "capitalize", "trim", "string", "urlencode", "reverse", "center(9)", "indent(2)", "indent(3, true)", "trim('ax')", "replace('a', 'Z')", "replace('a', '', 1)", "truncate(4, leeway=0)", "truncate(3, true, '', 0)", "default('d', true)", "first", "last")})",
            5 => $"{text}.{One("upper()", "lower()", "title()", "strip()", "lstrip()", "rstrip('y ')", "swapcase()", "zfill(6)", "ljust(6, '.')", "rjust(6)", "center(7, '*')", "replace('a', 'bb')", "removeprefix('A')", "removesuffix('c')", "expandtabs(4)", "casefold()", "capitalize()")}",
            6 => $"('{{:{One(s_specs)}}}'.format({Any(depth - 1)}))",
            7 => $"('{{:{One(s_specs)}}}'.format({Number(depth - 1)}))",
            8 => $"('{One(s_percents)}' % {Number(depth - 1)})",
            9 => $"('{One(s_percents)}{One(s_percents)}' % ({Any(depth - 1)}, {Number(depth - 1)}))",
            10 => $"('{One(s_percents)}' | format({Any(depth - 1)}))",
            11 => $"({List(depth - 1)} | join({Text(0)}))",
            12 => $"({Any(depth - 1)} | tojson)",
            13 => $"({Any(depth - 1)} | string)",
            14 => $"({Number(depth - 1)} | filesizeformat{One("", "(true)")})",
            15 => $"('-'.join({List(depth - 1)} | map('string')))",
            16 => $"({text} if {Truth(depth - 1)} else {Text(depth - 1)})",
            17 => $"({Mapping()} | {One("tojson(sort_keys=true)", "tojson(indent=1)", "urlencode", "xmlattr", "string")})",
            18 => $"('{{0}}{{0!r:>{random.Next(9)}}}{{k[0]}}'.format({Any(depth - 1)}, k={List(depth - 1)}))",
            _ => text,
        };
    }

    private string Bound() => One("", "", "0", "1", "2", "-1", "-2", "5", "-9", "99");

    private string Number(int depth)
    {
        if (depth == 0) return One(s_numbers);
        string number = Number(depth - 1);
        return random.Next(20) switch
        {
            0 or 1 or 2 => $"({number} {One("+", "-", "*", "/", "//", "%")} {Number(depth - 1)})",
            3 => $"({number} ** {One("0", "1", "2", "3", "-1")})",
            4 => $"({One("-", "+")}{number})",
            5 => $"({Any(depth - 1)} | int)",
            6 => $"({Text(depth - 1)} | int({One("0", "7", "'x'")}, {One("0", "2", "8", "10", "16", "36")}))",
            7 => $"({Any(depth - 1)} | float{One("", "(1.5)")})",
            8 => $"({number} | round({One("0", "1", "2", "-1", "-2", "3, 'ceil'", "1, 'floor'", "0, 'ceil'")}))",
            9 => $"({number} | abs)",
            10 => $"({One(Text(depth - 1), List(depth - 1), Mapping())} | {One("length", "count")})",
            11 => $"({Text(depth - 1)} | wordcount)",
            12 => $"{Text(depth - 1)}.{One("find('a')", "count('a')", "rfind(' ')", "find('b', 1)", "count('a', 1, 3)", "index('a')")}",
            13 => $"({List(depth - 1)} | {One("sum", "min", "max", "first", "last", "sum(start=5)")})",
            14 => $"{List(depth - 1)}[{One("0", "1", "-1", "2", "-3", "9", "true")}]",
            _ => number,
        };
    }

    private string List(int depth)
    {
        if (depth == 0) return One(s_lists);
        string list = List(depth - 1);
        return random.Next(22) switch
        {
            0 => $"({list} + {List(depth - 1)})",
            1 => $"({list} * {random.Next(3)})",
            2 => $"({list}[{Bound()}:{Bound()}{One("", "", ":2", ":-1")}] | list)",
            3 => $"({list} | {One("sort", "sort(true)", "sort(case_sensitive=true)", "list")})",
            4 => $"({list} | {One("reverse", "unique", "unique(true)", "batch(2)", "batch(2, 0)", "slice(2)", "slice(3, 'f')", "select", "reject", "select('string')", "select('odd')", "reject('none')", "select('>', 1)", "select('in', [1, 2, 'a'])")} | list)",
            5 => $"({list} | map('{One("string", "upper", "int", "float", "length", "list", "first", "tojson", "abs", "round")}') | list)",
            6 => $"(rows | {One("sort(attribute='v')", "sort(attribute='k,v')", "groupby('k')", "groupby('v')", "map(attribute='k') | list", "selectattr('v', 'ge', 2) | list", "rejectattr('k', 'eq', 'x') | list", "selectattr('zz') | list", "map(attribute='zz', default=0) | list", "sum(attribute='v')", "groupby('zz', default=1)")})",
            7 => $"{Text(depth - 1)}.{One("split()", "split(',')", "split('a', 1)", "rsplit(' ', 1)", "rsplit(none, 1)", "splitlines()", "splitlines(true)", "partition('a')", "rpartition(' ')")}",
            8 => $"({Text(depth - 1)} | list)",
            9 => $"({Mapping()} | {One("dictsort", "dictsort(true)", "dictsort(false, 'value')", "items | list", "list")})",
            10 => $"({Mapping()}.{One("keys()", "values()", "items()")} | list)",
            11 => $"[{Any(depth - 1)}, {Any(depth - 1)}]",
            12 => $"({Any(depth - 1)}, {Any(depth - 1)})",
            13 => $"(range({One("3", "0", "5")}{One("", ", 6", ", 1, 2")}) | list)",
            _ => list,
        };
    }

    private string Mapping() => random.Next(4) == 0 ? $"{{'k': {Any(1)}, {One("1", "'z'", "2.0", "true")}: {Any(1)}}}" : One(s_mappings);

    private string Truth(int depth)
    {
        if (depth == 0) return One("true", "false", "yes");
        return random.Next(10) switch
        {
            0 or 1 => $"({Any(depth - 1)} {One("==", "!=")} {Any(depth - 1)})",
            2 => $"({Number(depth - 1)} {One("<", "<=", ">", ">=", "==")} {Number(depth - 1)})",
            3 => $"({Any(depth - 1)} {One("<", ">=")} {Any(depth - 1)})",
            4 => $"({Any(depth - 1)} {One("in", "not in")} {One(Text(depth - 1), List(depth - 1), Mapping())})",
            5 => $"({Any(depth - 1)} is {One("", "not ")}{One("string", "number", "integer", "float", "boolean", "mapping", "sequence", "iterable", "defined", "none", "true", "lower", "upper", "odd", "even", "divisibleby 3", "callable", "eq 1", "in [1, 'a']")})",
            6 => $"({Any(depth - 1)} {One("and", "or")} {Any(depth - 1)})",
            7 => $"(not {Any(depth - 1)})",
            8 => $"{Text(depth - 1)}.{One("isdigit()", "isalpha()", "isalnum()", "isspace()", "isupper()", "islower()", "istitle()", "startswith('a')", "endswith(('c', 'b'))", "startswith('b', 1)", "isascii()", "isdecimal()", "isnumeric()")}",
            _ => $"({Text(depth - 1)} == {Text(depth - 1)})",
        };
    }
}
