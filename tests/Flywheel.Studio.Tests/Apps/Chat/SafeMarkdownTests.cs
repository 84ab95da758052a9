using AngleSharp.Html.Parser;
using CsCheck;
using Flywheel.Studio.Apps.Chat;

namespace Flywheel.Studio.Tests.Apps.Chat;

/// <summary>Whatever a model writes, nothing in it runs and nothing is fetched. The oracle is another HTML parser.</summary>
public sealed class SafeMarkdownTests
{
    [Theory]
    [InlineData("<script>alert(1)</script>")]
    [InlineData("<img src=x onerror=alert(1)>")]
    [InlineData("![x](http://elsewhere/pixel.png)")]
    [InlineData("[x](javascript:alert(1))")]
    [InlineData("[x](java\nscript:alert(1))")]
    [InlineData("[x](data:text/html;base64,PHNjcmlwdD4=)")]
    [InlineData("<a href=\"vbscript:x\" onclick=\"alert(1)\">x</a>")]
    [InlineData("```html\"><script>alert(1)</script>\nx\n```")]
    [InlineData("```\n</code></pre><script>alert(1)</script>\n```")]
    [InlineData("<svg><style><img src=x onerror=alert(1)>")]
    [InlineData("<http://x\" onmouseover=\"alert(1)>")]
    [InlineData("| a |\n|---|\n| <iframe src=//evil> |")]
    [InlineData("<form action=//evil><input name=password>")]
    public void Html_Attack_LosesItsTeeth(string markdown) => CheckHarmless(markdown);

    [Fact]
    public void Html_AnyMixtureOfAttacks_IsHarmless() =>
        Gen.OneOf(
            Gen.OneOf(
                [.. new[] { "<", ">", "\"", "'", "](", "[", "![", "`", "```\n", "\n", "javascript:", "onerror=", "<script>", "<img src=x ",
                    "</pre>", "&#x6a;", "http://a", "|", "- ", "# ", "\0", "<a href=\"", "data:", "*", "\\" }.Select(Gen.Const)]),
                    Gen.String[0, 6])
            .Array[0, 24].Sample(pieces => CheckHarmless(string.Concat(pieces)), iter: 4000);

    [Fact]
    public void Html_Markdown_IsDrawn()
    {
        string html =
            SafeMarkdown.ToHtml(
                "# Title\n\n**bold** and `code`\n\n```csharp\nvar x = 1 < 2;\n```\n\n- a\n- b\n\n| h |\n|---|\n| c |\n\n[site](https://example.org/?a=1&b=2)", "Copy <code>").Value;
        Assert.Contains("<strong>bold</strong>", html, StringComparison.Ordinal);
        Assert.Contains("var x = 1 &lt; 2;", html, StringComparison.Ordinal);
        Assert.Contains("Copy &lt;code&gt;", html, StringComparison.Ordinal);
        Assert.Contains("<td>c</td>", html, StringComparison.Ordinal);
        Assert.Contains("rel=\"noopener noreferrer nofollow\"", html, StringComparison.Ordinal);
        Assert.Contains("href=\"https://example.org/?a=1&amp;b=2\"", html, StringComparison.Ordinal);
    }

    [Fact]
    public void Html_NestedWithoutEnd_IsShownAsItIs()
    {
        CheckHarmless(new string('>', 20_000) + " x");
        CheckHarmless(new string('[', 20_000) + "x");
        CheckHarmless(string.Concat(Enumerable.Repeat("- ", 5_000)) + "x");
    }

    private static void CheckHarmless(string markdown)
    {
        string html = SafeMarkdown.ToHtml(markdown, "Copy").Value;
        var document = new HtmlParser().ParseDocument(html);
        string[] allowed = ["p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "strong", "em", "del", "sub", "sup", "ins", "mark", "code",
            "pre", "blockquote", "ul", "ol", "li", "table", "thead", "tbody", "tr", "th", "td", "a", "div", "button"];
        foreach (var element in document.Body!.QuerySelectorAll("*"))
        {
            Assert.True(allowed.Contains(element.LocalName), $"<{element.LocalName}> of {markdown}");
            foreach (var attribute in element.Attributes)
            {
                Assert.False(attribute.Name.StartsWith("on", StringComparison.OrdinalIgnoreCase), $"{attribute.Name} of {markdown}");
                Assert.DoesNotContain(attribute.Name, (string[])["style", "src", "srcset", "action", "formaction"]);
                // What stands before the first colon is a scheme only where no path, query or fragment has begun.
                if (attribute.Name == "href") Assert.Matches("^(https?:|mailto:|[^:/?#]*([/?#]|$))", attribute.Value.Trim());
            }
        }
    }
}
