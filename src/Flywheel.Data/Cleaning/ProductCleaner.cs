using System.Text.RegularExpressions;

namespace Flywheel.Data;

/// <summary>
/// Turns raw catalogue entries into products worth learning from: sentence by sentence, with what many entries share
/// kept once. One cleaner sees all sources that are rendered alike, so that duplicates across sources are found.
/// </summary>
/// <param name="programsOnly">Drops libraries, data and transitional packages, which nobody writes copy for.</param>
public sealed partial class ProductCleaner(bool programsOnly)
{
    private const int MinimumParagraph = 40;

    private readonly HashSet<ulong> _paragraphs = [];
    private readonly HashSet<string> _taglines = new(StringComparer.Ordinal);

    /// <summary>The product with only clean text, or null when nothing worth learning is left.</summary>
    public Product? Clean(Product product, SourceReport report)
    {
        if (programsOnly && Auxiliary(product) is { } auxiliary)
        {
            report.Dropped(auxiliary, $"{product.Id}: {product.Summary}");
            return null;
        }
        List<Block> blocks = [];
        foreach (Block block in product.Blocks)
        {
            Block? clean = block.Kind switch
            {
                BlockKind.List => CleanList(block, report),
                BlockKind.Paragraph => CleanParagraph(product, block.Text, report),
                _ => null,
            };
            if (block.Kind == BlockKind.Verbatim) report.Dropped("line: verbatim table or code", block.Text);
            if (clean is null) continue;
            if (clean.Introduces || _paragraphs.Add(StableHash.Of(TextCleaner.Normalise(clean.Text)))) blocks.Add(clean);
            else report.Dropped("paragraph: seen before", clean.Text);
        }
        DropOrphanIntroductions(blocks, report);
        string summary = CleanSummary(product, report);
        if (summary.Length > 0 && !_taglines.Add(TextCleaner.Normalise(summary)))
        {
            report.Dropped("summary: seen before", summary);
            summary = "";
        }
        if (blocks.Count == 0 && summary.Length == 0)
        {
            report.Dropped("item: nothing left", product.Id);
            return null;
        }
        return product with { Summary = summary, Blocks = blocks };
    }

    private static string? Auxiliary(Product product)
    {
        string name = product.Id[(product.Id.IndexOf(':') + 1)..];
        if (AuxiliarySummary().IsMatch(product.Summary)) return "item: data, library or transitional package";
        if (product.Id.StartsWith("packages:", StringComparison.Ordinal) && AuxiliaryName().IsMatch(name))
            return "item: data, library or transitional package";
        return null;
    }

    private static Block? CleanParagraph(Product product, string paragraph, SourceReport report)
    {
        if (!TextCleaner.IsEnglish(paragraph))
        {
            report.Dropped("paragraph: not English", paragraph);
            return null;
        }
        List<string> kept = [];
        foreach (string sentence in TextCleaner.Sentences(paragraph))
        {
            string? fault = TextCleaner.Fault(sentence) ?? (Dangling().IsMatch(sentence) && kept.Count == 0 ? "opens in mid-air" : null);
            if (fault is null)
            {
                kept.Add(sentence);
                continue;
            }
            report.Dropped("sentence: " + fault, sentence);
            if (kept.Count == 0) return null; // the sentences that follow lean on their first
        }
        string text = string.Join(' ', kept);
        if (text.Length == 0) return null;
        if (text[^1] is not ('.' or '!' or '?' or ':' or '"' or ')'))
        {
            // Prose that the packager left without its full stop; a table or heading has no verb to end.
            if (text.Length < MinimumParagraph || !TextCleaner.Normalise(text).Contains(' '))
            {
                report.Dropped("paragraph: too short", $"{product.Id}: {text}");
                return null;
            }
            text = text.TrimEnd(',', ';', '-', ' ') + ".";
        }
        return Block.Paragraph(char.IsLower(text[0]) && !text.StartsWith(product.Name, StringComparison.Ordinal)
            ? char.ToUpperInvariant(text[0]) + text[1..] : text);
    }

    private static Block? CleanList(Block list, SourceReport report)
    {
        List<string> items = [];
        foreach (string raw in list.Texts)
        {
            string item = raw.TrimEnd('.', ';', ',', ' ');
            string? fault = item.Length is < 4 or > 160 || item.EndsWith(':') ? "too short or long" : TextCleaner.Fault(item);
            if (fault is null) items.Add(item);
            else report.Dropped("list item: " + fault, raw);
        }
        return items.Count == 0 ? null : new Block(BlockKind.List, items);
    }

    /// <summary>"Features include:" without its list says nothing.</summary>
    private static void DropOrphanIntroductions(List<Block> blocks, SourceReport report)
    {
        for (int i = blocks.Count - 1; i >= 0; i--)
        {
            if (!blocks[i].Introduces || (i + 1 < blocks.Count && blocks[i + 1].Kind == BlockKind.List)) continue;
            report.Dropped("paragraph: introduces nothing", blocks[i].Text);
            blocks.RemoveAt(i);
        }
    }

    private static string CleanSummary(Product product, SourceReport report)
    {
        string summary = product.Summary.TrimEnd('.', ' ', ';', ',');
        summary = NameFirst(product.Name).Replace(summary, "");
        summary = TrailingNote().Replace(Article().Replace(summary, ""), "");
        string? fault = summary.Length is < 10 or > 90 || !summary.Contains(' ') ? "too short or long" : TextCleaner.Fault(summary);
        if (fault is not null)
        {
            report.Dropped("summary: " + fault, $"{product.Id}: {product.Summary}");
            return "";
        }
        return char.ToUpperInvariant(summary[0]) + summary[1..];
    }

    /// <summary>"KOrganizer is a calendar" as a line under the name is "Calendar".</summary>
    private static Regex NameFirst(string name) =>
        new($@"^{Regex.Escape(name)}( is|,|:| -)\s+((a|an|the)\s+)?", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant);

    [GeneratedRegex(@"^(a|an|the)\s+(?=\w)", RegexOptions.IgnoreCase)]
    private static partial Regex Article();

    /// <summary>"Saturn emulator - Qt port", "Chess engine (graphical version)".</summary>
    [GeneratedRegex(@"\s*[(\[][^)\]]*[)\]]$|\s+-+\s+\S+(\s\S+)?$")]
    private static partial Regex TrailingNote();

    [GeneratedRegex(@"\b(transitional|dummy|meta-?package|documentation|docs|development files|header files|headers|common lisp|shared librar\w+|runtime librar\w+|bindings?|plug-?ins?|modules?|debug\w*|data files?|common files|architecture[- ]independent|examples?|themes?|fonts?|translations?|localization|librar(y|ies)|add-?ons?|extensions?|backend|support files|test suite|toolchain|cross[- ]compiler|binutils|GNU (C|C\+\+|Fortran|Ada|D|Go) (compiler|preprocessor)|virtual package)\b", RegexOptions.IgnoreCase)]
    private static partial Regex AuxiliarySummary();

    [GeneratedRegex(@"^(lib|golang-|cl-|lua-|elpa-|haskell-|ocaml-|tcl-|erlang-|node-|ruby-|python3?-|r-|php-|gcc-|g\+\+-|gnat-|cpp-|gobjc|gfortran-|linux-|binutils-|fonts-)|-(el|dev|dbg|dbgsym|doc|data|common|l10n|perl|plugins?|modules?|tests?|examples?)$")]
    private static partial Regex AuxiliaryName();

    [GeneratedRegex(@"^(However|But|Therefore|Thus|Also|Additionally|Furthermore|Moreover|Otherwise|Note that|Note|Please|See|And|Or|Unlike|NOTE|WARNING|N\.?B)\b")]
    private static partial Regex Dangling();
}
