using System.IO.Compression;
using System.Text.Json.Nodes;
using Flywheel.Model;

namespace Flywheel.Data;

/// <summary>
/// Chains of proteins with a state for each residue (H helix, E strand, C coil): the secondary structure split of FLIP (Dallago et al.
/// 2021; data of
/// NetSurfP-2.0, Klausen et al. 2019, and CASP12, Moult et al. 2018; Academic Free License 3.0). Read from the publisher's archive, three
/// FASTA
/// files in splits.zip, or from the same rows as JSON lines. Rows: <c>{"id", "set", "sequence", "labels", "mask"}</c>; set is train,
/// validation or
/// test, mask 0 where a residue was not resolved and its label (C) is not to be measured.
/// </summary>
public static class FlipSecondaryStructure
{
    public const string Name = "flip-secondary-structure", Publisher = "https://github.com/J-SNACKKB/FLIP";

    private const string Archive = "splits.zip", Rows = "sequences.jsonl.gz",
        Address =
            "https://raw.githubusercontent.com/J-SNACKKB/FLIP/62cace8735f5610e2743cf06ce0f944b37fffaa6/splits/secondary_structure/splits.zip",
        Sha256 = "2e9bbbfd18a055bcac7edd4e059a6bf4bb35ca3ad8f8fa4fc3106422652a4726";

    /// <summary>The archive or the rows in the mirror or the home; else the archive is fetched into the home, and its hash
    /// compared.</summary>
    /// <exception cref="FlywheelException">It is not there and cannot be fetched.</exception>
    public static string Find(SourceFiles files, FlywheelHome home) => files.TryFind(Name, Archive) ?? files.TryFind(Name, Rows)
        ?? SourceDownload.Fetch(new Uri(Address), Sha256, Path.Combine(home.Sources, Name, Archive));

    /// <param name="path">An archive or JSON lines.</param>
    /// <param name="longest">Chains with more residues come in equal pieces, whose ids end in their number; 0 cuts none.</param>
    /// <exception cref="FlywheelException">A chain has another form; it is named.</exception>
    public static IEnumerable<JsonObject> Read(string path, int longest = 0)
    {
        foreach ((string id, string set, string sequence, string labels, string mask) in path.EndsWith(".zip", StringComparison.Ordinal)
            ? FromArchive(path) : FromRows(path))
        {
            string where = $"{path}: chain '{id}'";
            if (set is not ("train" or "validation" or "test"))
                throw new FlywheelException($"{where} is of set '{set}', expected train, validation or test");
            if (sequence.Length == 0 || labels.Length != sequence.Length || mask.Length != sequence.Length)
                throw new FlywheelException(
                    $"{where} has {sequence.Length} residues, {labels.Length} labels and {mask.Length} marks, expected as many of each");
            int wrong = labels.AsSpan().IndexOfAnyExcept("HEC");
            if (wrong >= 0)
                throw new FlywheelException($"{where} has the label '{labels[wrong]}' at position {wrong + 1}, expected H, E or C");
            int pieces = longest == 0 ? 1 : (sequence.Length + longest - 1) / longest;
            for (int piece = 0; piece < pieces; piece++)
            {
                int from = sequence.Length * piece / pieces, to = sequence.Length * (piece + 1) / pieces;
                yield return new JsonObject
                {
                    ["id"] = pieces == 1 ? id : $"{id}/{piece + 1}",
                    ["set"] = set,
                    ["sequence"] = sequence[from..to],
                    ["labels"] = labels[from..to],
                    ["mask"] = mask[from..to],
                };
            }
        }
    }

    private static IEnumerable<(string, string, string, string, string)> FromRows(string path)
    {
        foreach ((JsonObject row, string where) in SourceFiles.Rows(path))
        {
            string Text(string field) => SourceFiles.Text(row, field, where);
            yield return (Text("id"), Text("set"), Text("sequence"), Text("labels"), Text("mask"));
        }
    }

    private static IEnumerable<(string, string, string, string, string)> FromArchive(string path)
    {
        List<(string Head, string Body)> sequences = Fasta(path, "sequences.fasta"), labels = Fasta(path, "sampled.fasta"),
            masks = Fasta(path, "mask.fasta");
        Dictionary<string, string> sequenceOf = ById(sequences, path), maskOf = ById(masks, path);
        foreach ((string head, string states) in labels)
        {
            string id = IdOf(head);
            if (!sequenceOf.TryGetValue(id, out string? sequence) || !maskOf.TryGetValue(id, out string? mask))
                throw new FlywheelException($"{path}: chain '{id}' is not in all three files");
            string set = head.Contains("VALIDATION=True", StringComparison.Ordinal) ? "validation" : head.Split("SET=") is [_, var rest]
                ? rest.Split(' ')[0] : "";
            yield return (id, set, sequence, states, mask);
        }
    }

    private static Dictionary<string, string> ById(List<(string Head, string Body)> entries, string path)
    {
        var byId = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach ((string head, string body) in entries)
            if (!byId.TryAdd(IdOf(head), body)) throw new FlywheelException($"{path}: chain '{IdOf(head)}' is there twice");
        return byId;
    }

    private static string IdOf(string head) => head.Split(' ', 2)[0];

    private static List<(string Head, string Body)> Fasta(string path, string name)
    {
        try
        {
            using ZipArchive archive = ZipFile.OpenRead(path);
            ZipArchiveEntry entry = archive.Entries.FirstOrDefault(one => one.Name == name)
                ?? throw new FlywheelException($"{path}: has no {name}; expected FLIP's archive of secondary structure");
            using var plain = new MemoryStream();
            using (Stream zipped = entry.Open()) zipped.CopyTo(plain);
            plain.Position = 0;
            List<(string, string)> entries = [];
            foreach (string block in Utf8File.ReadText(plain, $"{path}/{name}").Split('>', StringSplitOptions.RemoveEmptyEntries))
            {
                int end = block.IndexOf('\n', StringComparison.Ordinal);
                if (end < 0) throw new FlywheelException($"{path}: {name} ends in the middle of '{block}'");
                entries.Add((block[..end].Trim(), string.Concat(block[end..].Where(c => !char.IsWhiteSpace(c)))));
            }
            return entries;
        }
        catch (InvalidDataException e)
        {
            throw new FlywheelException($"{path}: is damaged: {e.Message}; expected a ZIP archive", e);
        }
    }
}
