using CsCheck;

namespace Flywheel.Loop.Tests;

/// <summary>People's texts in <c>turn.md</c>: shown, never obeyed.</summary>
public class TurnMarkdownTests
{
    [Fact]
    public void Text_Hostile_HoldsNoMarkup()
    {
        const string Hostile = "<script>alert(1)</script><img src=x onerror=alert(2)> [a](javascript:b) ![c](d) `e` | f\r\n# g\u001b[31m";
        Assert.Equal(
            "&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src=x onerror=alert(2)&gt; \\[a\\](javascript:b) \\!\\[c\\](d) \\`e\\` \\| f<br>\\# g \\[31m", Line(Hostile));
    }

    [Fact]
    public void Text_Any_StaysInItsCell() => Gen.String[Gen.Char["<>&|`*_[]()!#~\\\n\r\t\u001b\u2028ab -"], 0, 40].Sample(text =>
    {
        string line = Line(text);
        Assert.DoesNotContain('\n', line);
        string rest = line.Replace("<br>", "", StringComparison.Ordinal);
        Assert.DoesNotContain('<', rest);
        Assert.DoesNotContain('>', rest);
        for (int i = 0, escapes = 0; i < rest.Length; i++)
        {
            if ("|`*_[]!#~".Contains(rest[i])) Assert.Equal(1, escapes % 2);
            escapes = rest[i] == '\\' ? escapes + 1 : 0;
        }
    }, iter: 2000, seed: "0N0XIzNsQ0O2");

    private static string Line(string text) => TurnMarkdown.Line(text);
}
