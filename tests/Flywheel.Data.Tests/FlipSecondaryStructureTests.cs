using System.IO.Compression;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Data.Tests;

/// <summary>Chains with states, from the publisher's archive and from rows, and how a file of a known hash is brought.</summary>
public sealed class FlipSecondaryStructureTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private string Archive(params (string Name, string Text)[] files)
    {
        string path = _folder["splits.zip"];
        using ZipArchive archive = ZipFile.Open(path, ZipArchiveMode.Create);
        foreach ((string name, string text) in files)
        {
            using Stream into = archive.CreateEntry($"splits/{name}").Open();
            into.Write(Encoding.UTF8.GetBytes(text));
        }
        return path;
    }

    private string Rows(params string[] rows)
    {
        File.WriteAllLines(_folder["rows.jsonl"], rows);
        return _folder["rows.jsonl"];
    }

    /// <summary>The order of entries differs between the publisher's files; a body may be of several lines.</summary>
    [Fact]
    public void Read_ArchiveAndRows_GiveTheSameChains()
    {
        string[] archive = [.. FlipSecondaryStructure.Read(Archive(
            ("sequences.fasta", ">b\nMK\nA\n>a\nGG\n"), ("mask.fasta", ">a\n11\n>b\n011\n"),
            ("sampled.fasta", ">a SET=test VALIDATION=False\nHE\n>b SET=train VALIDATION=True\nCCH\n"))).Select(row => row.ToJsonString())];
        string[] rows =
            [.. FlipSecondaryStructure
                .Read(Rows("""{"id": "a", "set": "test", "sequence": "GG", "labels": "HE", "mask": "11"}""",
                    """{"id": "b", "set": "validation", "sequence": "MKA", "labels": "CCH", "mask": "011"}"""))
                    .Select(row => row.ToJsonString())];
        Assert.Equal(rows, archive);
    }

    [Fact]
    public void Read_LongChain_ComesInEqualPiecesThatMakeTheWhole()
    {
        string path = Rows("""{"id": "a", "set": "train", "sequence": "ACDEFGHIKLM", "labels": "HHHHEEEECCC", "mask": "01111111110"}""");
        JsonObject[] pieces = [.. FlipSecondaryStructure.Read(path, longest: 4)];
        Assert.Equal(["a/1", "a/2", "a/3"], pieces.Select(piece => (string)piece["id"]!));
        Assert.Equal(("ACDEFGHIKLM", "HHHHEEEECCC", "01111111110"), (Joined("sequence"), Joined("labels"), Joined("mask")));
        Assert.All(pieces, piece => Assert.InRange(((string)piece["sequence"]!).Length, 3, 4));

        string Joined(string field) => string.Concat(pieces.Select(piece => (string)piece[field]!));
    }

    [Theory]
    [InlineData("""{"id": "a", "set": "exam", "sequence": "GG", "labels": "HE", "mask": "11"}""",
        "chain 'a' is of set 'exam', expected train, validation or test")]
    [InlineData("""{"id": "a", "set": "test", "sequence": "GG", "labels": "H", "mask": "11"}""",
        "chain 'a' has 2 residues, 1 labels and 2 marks, expected as many of each")]
    [InlineData("""{"id": "a", "set": "test", "sequence": "GG", "labels": "HX", "mask": "11"}""",
        "chain 'a' has the label 'X' at position 2, expected H, E or C")]
    [InlineData("""{"id": "a", "set": "test", "sequence": 3}""", "field 'sequence' is 3, expected a text")]
    public void Read_WrongChain_IsNamed(string row, string expected) =>
        Assert.EndsWith(expected, Assert.Throws<FlywheelException>(() => FlipSecondaryStructure.Read(Rows(row)).ToArray()).Message,
            StringComparison.Ordinal);

    [Fact]
    public void Read_DamagedArchive_IsSaidPlainly()
    {
        File.WriteAllText(_folder["splits.zip"], "no archive");
        Assert.Contains("is damaged",
            Assert.Throws<FlywheelException>(() => FlipSecondaryStructure.Read(_folder["splits.zip"]).ToArray()).Message,
            StringComparison.Ordinal);
        File.Delete(_folder["splits.zip"]);
        Assert.Contains("has no sequences.fasta",
            Assert.Throws<FlywheelException>(() => FlipSecondaryStructure.Read(Archive(("other.fasta", ""))).ToArray()).Message,
            StringComparison.Ordinal);
    }

    /// <summary>The counts that the data's own description gives; where the mirror has it.</summary>
    [Fact]
    public void Read_WholeDataSet_HasThePublishedCounts()
    {
        string? mirror = Environment.GetEnvironmentVariable("FLYWHEEL_MIRROR");
        string path = Path.Combine(mirror ?? "/", FlipSecondaryStructure.Name, "sequences.jsonl.gz");
        Assert.SkipUnless(mirror is not null && File.Exists(path), "the data set is in no mirror that FLYWHEEL_MIRROR names");
        JsonObject[] chains = [.. FlipSecondaryStructure.Read(path)];
        Assert.Equal((9712, 1080, 364), (Of("train").Length, Of("validation").Length, Of("test").Length));
        Assert.Equal(75402, Of("test").Sum(chain => ((string)chain["mask"]!).Count(mark => mark == '1')));

        JsonObject[] Of(string set) => [.. chains.Where(chain => (string)chain["set"]! == set)];
    }

    /// <summary>A download that broke off goes on; another file than expected is refused and nothing is left of it.</summary>
    [Fact]
    public async Task Fetch_BrokenOffAndWrong_GoesOnOrIsRefused()
    {
        byte[] content = Encoding.UTF8.GetBytes("what the publisher offers");
        string sha = Convert.ToHexStringLower(SHA256.HashData(content));
        List<string?> ranges = [];
        using var server = new TcpListener(IPAddress.Loopback, 0);
        server.Start();
        string address = $"http://{server.LocalEndpoint}/file";
        Task serving = Task.Run(() =>
        {
            for (int asked = 0; asked < 2; asked++)
            {
                using TcpClient client = server.AcceptTcpClient();
                using var stream = client.GetStream();
                using var reader = new StreamReader(stream, leaveOpen: true);
                string? range = null;
                for (string? line = reader.ReadLine(); !string.IsNullOrEmpty(line); line = reader.ReadLine())
                    if (line.StartsWith("Range: ", StringComparison.Ordinal)) range = line["Range: ".Length..];
                ranges.Add(range);
                byte[] body = content[(range is null ? 0 : int.Parse(range["bytes=".Length..^1]))..];
                stream.Write(
                    Encoding.ASCII.GetBytes(
                        $"HTTP/1.1 {(range is null ? "200 OK" : "206 Partial Content")}\r\nContent-Length: {body.Length}\r\nConnection: close\r\n\r\n"));
                stream.Write(body);
            }
        }, TestContext.Current.CancellationToken);
        File.WriteAllBytes(_folder["file.part"], content[..7]);
        Assert.Equal(_folder["file"], SourceDownload.Fetch(new Uri(address), sha, _folder["file"]));
        Assert.Equal(content, File.ReadAllBytes(_folder["file"]));
        SourceDownload.Fetch(new Uri(address), sha, _folder["file"]); // is there: nothing is asked
        string wrong =
            Assert.Throws<FlywheelException>(() => SourceDownload.Fetch(new Uri(address), new string('0', 64), _folder["other"])).Message;
        Assert.Contains($"has the SHA-256 {sha}, expected {new string('0', 64)}", wrong, StringComparison.Ordinal);
        Assert.Equal(["bytes=7-", null], ranges);
        Assert.Equal([_folder["file"]], Directory.GetFiles(_folder.Path));
        await serving;
        server.Stop();
        Assert.Contains("could not be fetched",
            Assert.Throws<FlywheelException>(() => SourceDownload.Fetch(new Uri(address), sha, _folder["more"])).Message,
            StringComparison.Ordinal);
    }
}
