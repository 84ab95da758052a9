using Ganss.Xss;
using Markdig;
using Microsoft.AspNetCore.Components;

namespace Flywheel.Studio.Apps.Chat;

/// <summary>
/// A model's Markdown as HTML in which nothing runs and nothing is fetched: raw HTML is text, then what remains goes through a list of
/// allowed tags (two walls, each enough by itself).
/// </summary>
internal static class SafeMarkdown
{
    private static readonly MarkdownPipeline Pipeline =
        new MarkdownPipelineBuilder().UsePipeTables().UseEmphasisExtras().UseTaskLists().UseAutoLinks().DisableHtml().Build();

    private static readonly HtmlSanitizer Sanitizer = new(new HtmlSanitizerOptions
    {
        AllowedTags = new HashSet<string>(StringComparer.OrdinalIgnoreCase)
        {
            "p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "strong", "em", "del", "sub", "sup", "ins", "mark", "code", "pre",
            "blockquote", "ul", "ol", "li", "table", "thead", "tbody", "tr", "th", "td", "a",
        },
        AllowedAttributes = new HashSet<string>(StringComparer.OrdinalIgnoreCase) { "href", "start" },
        AllowedSchemes = new HashSet<string>(StringComparer.OrdinalIgnoreCase) { "http", "https", "mailto" },
        UriAttributes = new HashSet<string>(StringComparer.OrdinalIgnoreCase) { "href" },
        AllowedCssProperties = new HashSet<string>(StringComparer.OrdinalIgnoreCase),
        AllowedAtRules = new HashSet<AngleSharp.Css.Dom.CssRuleType>(),
    });

    /// <param name="markdown">What the model wrote, whole or as far as it has come.</param>
    /// <param name="copy">What the button of a block of code says.</param>
    public static MarkupString ToHtml(string markdown, string copy)
    {
        string html;
        try
        {
            html = Markdown.ToHtml(markdown, Pipeline);
        }
        catch (Exception e) when (e is ArgumentException or InvalidOperationException)
        {
            // Markdig refuses what nests too deep; then it is shown as it is.
            html = $"<pre><code>{System.Net.WebUtility.HtmlEncode(markdown)}</code></pre>";
        }
        html = Sanitizer.Sanitize(html)
            .Replace("<a href=", "<a rel=\"noopener noreferrer nofollow\" target=\"_blank\" href=", StringComparison.Ordinal)
            .Replace("<th></th>", "<td></td>", StringComparison.Ordinal) // a heading of nothing tells a screen reader nothing
            .Replace("<pre>",
                $"<div class=\"code\"><button type=\"button\" class=\"plain copy-code\">{System.Net.WebUtility.HtmlEncode(copy)}</button><pre tabindex=\"0\">", StringComparison.Ordinal)
            .Replace("</pre>", "</pre></div>", StringComparison.Ordinal);
        return new MarkupString(html);
    }
}
