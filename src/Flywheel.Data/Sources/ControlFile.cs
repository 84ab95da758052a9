using System.Text;

namespace Flywheel.Data;

/// <summary>Debian's control format (deb822): stanzas of fields, parted by empty lines.</summary>
public static class ControlFile
{
    /// <summary>
    /// Each stanza as a map from field to value; continuation lines stay, each after a line break with its leading
    /// space. Lines that fit nothing (comments, garbage) are passed over.
    /// </summary>
    public static IEnumerable<IReadOnlyDictionary<string, string>> Read(TextReader reader)
    {
        var stanza = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        string? field = null;
        var value = new StringBuilder();
        void Close()
        {
            if (field is not null) stanza[field] = value.ToString();
            field = null;
            value.Clear();
        }
        while (reader.ReadLine() is { } line)
        {
            if (line.Length == 0)
            {
                Close();
                if (stanza.Count > 0) yield return stanza;
                stanza = new(StringComparer.OrdinalIgnoreCase);
            }
            else if (line[0] is ' ' or '\t')
            {
                if (field is not null) value.Append('\n').Append(line);
            }
            else if (line[0] != '#' && line.IndexOf(':') is > 0 and int colon)
            {
                Close();
                field = line[..colon];
                value.Append(line.AsSpan(colon + 1).Trim());
            }
        }
        Close();
        if (stanza.Count > 0) yield return stanza;
    }
}
