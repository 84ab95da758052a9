using System.Text.RegularExpressions;
using Flywheel.Model;

namespace Flywheel.Loop.Ranking;

/// <summary>
/// A name may have full stops, signs and small letters in it ("St. Mary's", "pebbl.notes", "Yahoo!", ".NET Days", "C#"). Rules that look
/// for sentences, their
/// beginnings and their verbs see a plain word in its place.
/// </summary>
internal static class PlainName
{
    /// <summary>A word that is nobody's and no plural.</summary>
    private const string StandIn = "Quorlby";

    /// <summary>The brief and a draft with the name replaced wherever they say it; as they are where the brief has none.</summary>
    public static (Brief Brief, Draft Draft) In(Brief brief, Draft draft)
    {
        if (brief.Name.Length == 0) return (brief, draft);
        string pattern = $@"(?<![\p{{L}}\d]){Regex.Escape(brief.Name)}(?![\p{{L}}\d])";
        // "Yahoo!" before a capital or at the end also ends the sentence
        bool ends = brief.Name[^1] is '.' or '!' or '?';
        string Plain(string text) =>
            Regex.Replace(text, pattern, at => ends && IsEnd(text.AsSpan(at.Index + at.Length)) ? StandIn + brief.Name[^1] : StandIn);
        return (brief with { Name = StandIn, Facts = [.. brief.Facts.Select(Plain)], Categories = [.. brief.Categories.Select(Plain)],
            Audience = Plain(brief.Audience) }, draft with { Text = Plain(draft.Text) });
    }

    private static bool IsEnd(ReadOnlySpan<char> rest)
    {
        ReadOnlySpan<char> next = rest.TrimStart();
        return next.Length == 0 || next.Length < rest.Length
            && (char.IsUpper(next[0]) || rest.Contains('\n') && rest.IndexOf('\n') < rest.Length - next.Length);
    }
}
