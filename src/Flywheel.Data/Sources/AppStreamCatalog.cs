using System.Text.RegularExpressions;
using Flywheel.Model;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Flywheel.Data;

/// <summary>
/// Applications of an AppStream catalogue in DEP-11 YAML (freedesktop.org AppStream specification, "catalog YAML"):
/// one document a component. Only the untranslated texts are read.
/// </summary>
public static partial class AppStreamCatalog
{
    /// <param name="reader">The catalogue.</param>
    /// <param name="source">Named in errors.</param>
    /// <param name="groupOf">From a binary package to the group that decides its split.</param>
    /// <exception cref="FlywheelException">Not YAML; names the line.</exception>
    public static IEnumerable<Product> Read(TextReader reader, string source, Func<string, string> groupOf)
    {
        var parser = new Parser(reader);
        while (Next(parser, source))
        {
            if (parser.Current is not MappingStart) continue;
            Dictionary<string, object> component = Component(parser, source);
            if (ToProduct(component, groupOf) is { } product) yield return product;
        }
    }

    private static Product? ToProduct(Dictionary<string, object> component, Func<string, string> groupOf)
    {
        string Text(string field) => component.GetValueOrDefault(field) switch
        {
            string text => text,
            Dictionary<string, object> translations => translations.GetValueOrDefault("C") as string ?? "",
            _ => "",
        };
        IEnumerable<string> List(string field) => (component.GetValueOrDefault(field) switch
        {
            Dictionary<string, object> translations => translations.GetValueOrDefault("C"),
            var value => value,
        } as List<object> ?? []).OfType<string>();

        if (Text("Type") is not ("desktop-application" or "console-application" or "web-application")) return null;
        string id = Text("ID"), name = TextCleaner.Line(Text("Name"));
        if (id.Length == 0 || name.Length == 0) return null;
        return new Product(
            "appstream:" + id,
            groupOf(Text("Package")),
            name,
            TextCleaner.Line(Text("Summary")),
            DescriptionParser.FromHtml(Text("Description")),
            [.. List("Categories").Select(Readable).OfType<string>().Distinct()],
            [.. List("Keywords").Select(TextCleaner.Line).Where(keyword => keyword.Length is > 2 and < 30)
                .Distinct(StringComparer.OrdinalIgnoreCase)],
            Text("ProjectLicense"));
    }

    /// <summary>"2DGraphics" to "2D Graphics"; null for names of toolkits and desktops, which say nothing of the use.</summary>
    internal static string? Readable(string category) => category switch
    {
        "GNOME" or "GTK" or "Qt" or "KDE" or "XFCE" or "LXQt" or "MATE" or "Core" or "Java" or "Motif" or "ConsoleOnly" or "Applet"
            or "Application" or "PackageManager" => null,
        "AudioVideo" => "Audio and Video",
        "HamRadio" => "Amateur Radio",
        "IDE" or "OCR" or "TV" or "P2P" => category,
        _ when category.StartsWith("X-", StringComparison.Ordinal) => null,
        _ => Hump().Replace(category, " "),
    };

    private static bool Next(IParser parser, string source) => Guard(parser, source, parser => parser.MoveNext());

    private static Dictionary<string, object> Component(IParser parser, string source) => Guard(parser, source, parser =>
    {
        parser.MoveNext();
        var component = new Dictionary<string, object>();
        while (parser.Current is not MappingEnd)
        {
            string key = parser.Consume<Scalar>().Value;
            if (Wanted.Contains(key)) component[key] = Node(parser);
            else parser.SkipThisAndNestedEvents();
        }
        return component;
    });

    private static readonly HashSet<string> Wanted = ["Type", "ID", "Package", "Name", "Summary", "Description", "Categories", "Keywords",
        "ProjectLicense"];

    private static T Guard<T>(IParser parser, string source, Func<IParser, T> step)
    {
        try
        {
            return step(parser);
        }
        catch (YamlException e)
        {
            throw new FlywheelException($"{source}:{e.Start.Line}: {e.Message}", e);
        }
        catch (InvalidOperationException e)
        {
            // YamlDotNet's scanner ends so on some malformed scalars.
            throw new FlywheelException($"{source}:{parser.Current?.Start.Line}: not valid YAML: {e.Message}", e);
        }
    }

    /// <summary>A text, a list or a map; of a map of translations only what is needed.</summary>
    private static object Node(IParser parser)
    {
        switch (parser.Current)
        {
            case MappingStart:
                parser.MoveNext();
                var map = new Dictionary<string, object>();
                while (parser.Current is not MappingEnd)
                {
                    string key = parser.Consume<Scalar>().Value;
                    if (key == "C") map[key] = Node(parser);
                    else parser.SkipThisAndNestedEvents();
                }
                parser.MoveNext();
                return map;
            case SequenceStart:
                parser.MoveNext();
                List<object> list = [];
                while (parser.Current is not SequenceEnd) list.Add(Node(parser));
                parser.MoveNext();
                return list;
            default:
                return parser.Consume<Scalar>().Value;
        }
    }

    [GeneratedRegex("(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")]
    private static partial Regex Hump();
}
