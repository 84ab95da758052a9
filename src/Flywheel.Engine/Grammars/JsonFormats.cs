namespace Flywheel.Engine.Grammars;

/// <summary>
/// JSON Schema's formats as patterns (ECMA-262), each within its definition: RFC 3339 (dates, times, durations), RFC 5321
/// and 1123 (addresses, host names), RFC 4291 (IPv6), RFC 3986 (URIs), RFC 9562 (UUIDs).
/// </summary>
internal static class JsonFormats
{
    // Leap days in years that have them: divisible by 4, of centuries only those divisible by 400.
    private const string Date =
        "(?:[12][0-9]{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
        + "|(?:[12][0-9](?:0[48]|[2468][048]|[13579][26])|(?:12|16|20|24|28)00)-02-29)";

    private const string Time = "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,6})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])";

    private const string Hours = "(?:[0-9]{1,4}H(?:[0-9]{1,4}M(?:[0-9]{1,4}S)?)?|[0-9]{1,4}M(?:[0-9]{1,4}S)?|[0-9]{1,4}S)";

    private const string Days = "(?:[0-9]{1,4}Y(?:[0-9]{1,4}M(?:[0-9]{1,4}D)?)?|[0-9]{1,4}M(?:[0-9]{1,4}D)?|[0-9]{1,4}D)";

    // No two hyphens in a row: "xn--" would promise Punycode.
    private const string Label = "[a-zA-Z0-9]{1,20}(?:-[a-zA-Z0-9]{1,20}){0,2}";

    private const string Host = "(?:" + Label + "\\.){0,3}" + Label;

    private const string Byte = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";

    // Never two slashes at the beginning: what follows them would be a host.
    private const string Path =
        "(?:/(?:[a-zA-Z0-9._~!$&'()*+,;=:@-]+(?:/[a-zA-Z0-9._~!$&'()*+,;=:@-]*)*)?)?(?:\\?[a-zA-Z0-9._~!$&'()*+,;=:@/?-]*)?(?:#[a-zA-Z0-9._~!$&'()*+,;=:@/?-]*)?";

    public static IReadOnlyDictionary<string, string> Patterns { get; } = new Dictionary<string, string>
    {
        ["date"] = $"^{Date}$",
        ["time"] = $"^{Time}$",
        ["date-time"] = $"^{Date}T{Time}$",
        ["duration"] = $"^P(?:{Days}(?:T{Hours})?|T{Hours}|[0-9]{{1,4}}W)$",
        ["uuid"] = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$",
        ["email"] = $"^[a-zA-Z0-9_+-]{{1,20}}(?:\\.[a-zA-Z0-9_+-]{{1,20}}){{0,2}}@(?:{Label}\\.){{1,3}}[a-zA-Z]{{2,20}}$",
        ["hostname"] = $"^{Host}$",
        ["ipv4"] = $"^{Byte}(?:\\.{Byte}){{3}}$",
        ["ipv6"] = $"^(?:{IPv6})$",
        ["uri"] = $"^(?:https?|ftp)://{Host}(?::[1-9][0-9]{{0,3}})?{Path}$",
        ["uri-reference"] = $"^(?:(?:https?|ftp)://{Host}(?::[1-9][0-9]{{0,3}})?)?{Path}$",
    };

    /// <summary>Eight groups, or fewer with one gap.</summary>
    private static string IPv6
    {
        get
        {
            const string Group = "[0-9a-fA-F]{1,4}";
            var forms = new List<string> { $"(?:{Group}:){{7}}{Group}" };
            for (int before = 0; before <= 7; before++)
            {
                string head = before == 0 ? ":" : $"(?:{Group}:){{{before}}}",
                    tail = before == 7 ? "" : $"(?:{Group}(?::{Group}){{0,{6 - before}}})?";
                forms.Add($"{head}:{tail}");
            }
            return string.Join('|', forms);
        }
    }
}
