using System.Text;
using AngleSharp.Dom;
using AngleSharp.Html.Parser;
using Flywheel.Data;

namespace Flywheel.Studio.Apps.Learn;

/// <summary>The text of a web page: what a reader reads, without what every page of the site has.</summary>
internal static class WebText
{
    private static readonly HashSet<string> s_left = ["script", "style", "noscript", "template", "nav", "header", "footer", "aside", "form",
        "button", "svg", "head", "iframe", "figcaption", "pre"];

    private static readonly HashSet<string> s_blocks = ["p", "div", "section", "article", "main", "h1", "h2", "h3", "h4", "h5", "h6", "ul",
        "ol", "table", "tr", "blockquote", "dl", "dt", "dd", "figure", "hr", "body"];

    /// <param name="source">The file.</param>
    /// <param name="called">Its name, where the page has no title.</param>
    /// <param name="html">Any: the parser mends what is broken, as browsers do.</param>
    public static OwnText Read(string source, string called, string html)
    {
        using IDocument page = new HtmlParser().ParseDocument(html);
        IElement? heading = page.QuerySelector("h1");
        string title = One(heading?.TextContent ?? page.QuerySelector("title")?.TextContent ?? "");
        INode root = page.QuerySelector("main") ?? page.QuerySelector("article") ?? (INode?)page.Body ?? page;
        return new(source, title.Length > 0 ? title : called, Text(root, heading));
    }

    // A page may be nested deeper than a stack holds: this walks, it does not recurse.
    private static string Text(INode root, IElement? without)
    {
        var text = new StringBuilder();
        INode? node = root;
        while (node is not null)
        {
            bool enters = node is not IElement element || (!s_left.Contains(element.LocalName) && element != without);
            if (node is IElement { LocalName: var name })
            {
                if (name == "li") Break(text, "\n- ");
                else if (name == "br") text.Append('\n');
                else if (s_blocks.Contains(name)) Break(text, "\n\n");
            }
            else if (node is IText { Data: var words }) Append(text, words);
            if (enters && node.FirstChild is { } child)
            {
                node = child;
                continue;
            }
            while (node is not null && node != root && node.NextSibling is null) node = Leave(text, node.Parent);
            if (node is null || node == root) break;
            node = node.NextSibling;
        }
        return text.ToString().Trim();

        static INode? Leave(StringBuilder text, INode? node)
        {
            if (node is IElement { LocalName: var name } && s_blocks.Contains(name)) Break(text, "\n\n");
            return node;
        }
    }

    private static void Break(StringBuilder text, string with)
    {
        bool item = with.Length > 2;
        if (!item && text.Length > 2 && text[^1] == ' ' && text[^2] == '-' && text[^3] == '\n') return; // a block within an item
        while (text.Length > 0 && text[^1] is ' ') text.Length--;
        if (text.Length == 0 || (!item && text[^1] == '\n')) return;
        // Items of one list stand on lines below each other.
        while (item && text.Length > 0 && text[^1] == '\n') text.Length--;
        text.Append(with);
    }

    private static void Append(StringBuilder text, string words)
    {
        foreach (char c in words)
        {
            bool blank = char.IsWhiteSpace(c);
            if (blank && (text.Length == 0 || char.IsWhiteSpace(text[^1]))) continue;
            text.Append(blank ? ' ' : c);
        }
    }

    private static string One(string text) => string.Join(' ', text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
}
