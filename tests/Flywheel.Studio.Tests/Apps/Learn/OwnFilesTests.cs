using System.IO.Compression;
using System.Text;
using CsCheck;
using DocumentFormat.OpenXml;
using DocumentFormat.OpenXml.Packaging;
using DocumentFormat.OpenXml.Wordprocessing;
using Flywheel.Data;
using Flywheel.Studio.Apps.Learn;
using Flywheel.Studio.Shell;

namespace Flywheel.Studio.Tests.Apps.Learn;

/// <summary>Files as people have them, and as attackers make them: texts come out, or words that say why not.</summary>
public sealed class OwnFilesTests
{
    [Theory]
    [InlineData("notes.txt", "About the mill\n\nIt grinds rye.\nSlowly.\n", "About the mill", "It grinds rye.\nSlowly.")]
    [InlineData("the_old-mill.txt", "It grinds rye.", "the old mill", "It grinds rye.")]
    [InlineData("0042.txt", "It grinds rye.", "", "It grinds rye.")]
    [InlineData("a.md", "---\ntags: x\n---\n# The *Mill*\n\nIt **grinds** [rye](http://x).\n\n- one\n- two <b>x</b>\n", "The Mill",
        "It grinds rye.\n- one\n- two <b>x</b>")]
    [InlineData("a.html",
        "<title>T</title><body><nav>Home</nav><main><h1>The Mill</h1><p>It <b>grinds</b>\n rye &amp; spelt.<p>Slowly.<ul><li><p>one</p><li>two</ul><script>x()</script></main><footer>©", "The Mill", "It grinds rye & spelt.\n\nSlowly.\n- one\n- two")]
    [InlineData("t.csv", "product;text\nMill;\"It grinds; slowly\"\nOven;It bakes.\n", "Mill|Oven", "It grinds; slowly|It bakes.")]
    [InlineData("t.tsv", "id\tsays\n1\tIt grinds rye.\n", "1", "It grinds rye.")]
    public void Add_AFileOfEachKind_GivesNamesAndTexts(string name, string content, string names, string texts)
    {
        OwnFiles files = Read(name, Encoding.UTF8.GetBytes(content));
        Assert.Empty(files.Unread);
        Assert.Equal(names, string.Join('|', files.Texts.Select(text => text.Name)));
        Assert.Equal(texts, string.Join('|', files.Texts.Select(text => text.Text.Trim())));
    }

    [Fact]
    public void Add_AWordDocument_GivesItsParagraphs()
    {
        OwnFiles files =
            Read("mill.docx", Docx(("The Mill", "Heading1"), ("It grinds rye.", null), ("one", "ListParagraph"), ("two", "ListParagraph")));
        OwnText text = Assert.Single(files.Texts);
        Assert.Equal(("The Mill", "It grinds rye.\n- one\n- two"), (text.Name, text.Text));
    }

    [Fact]
    public void Add_AnArchive_ReadsWhatItCanAndNamesTheRest()
    {
        OwnFiles files =
            Read("all.zip",
                Zip(("a/one.txt", "It grinds rye."u8.ToArray()), ("b.docx", Docx(("It bakes.", null))),
                    ("../../etc/passwd.txt", "root"u8.ToArray()), ("C:\\x.txt", "root"u8.ToArray()),
            ("/abs.txt", "root"u8.ToArray()), ("photo.jpg", [1]), ("inner.zip", Zip()), ("latin.txt", [0xE9, 0x20]),
            ("broken.docx", "PK"u8.ToArray()), ("__MACOSX/._a", [0]), (".hidden.txt", [65]), ("empty.txt", [])));
        Assert.Equal(["It grinds rye.", "It bakes."], files.Texts.Select(text => text.Text));
        Assert.Equal(2, files.NumRead);
        Assert.Equal(["../../etc/passwd.txt", "C:/x.txt", "/abs.txt", "photo.jpg", "inner.zip", "latin.txt", "broken.docx", "empty.txt"],
            files.Unread.Select(file => file.File));
        Assert.All(files.Unread.Take(3), file => Assert.Equal("Its name leads out of the archive.", file.Why));
        Assert.Equal("Of another kind; read are .txt, .md, .markdown, .html, .htm, .docx, .csv, .tsv, .zip.", files.Unread[3].Why);
        Assert.Equal("An archive within an archive is not opened.", files.Unread[4].Why);
        Assert.Equal("Not UTF-8. Save it as UTF-8.", files.Unread[5].Why);
        Assert.StartsWith("the DOCX file cannot be opened", files.Unread[6].Why, StringComparison.Ordinal);
        Assert.Equal("Holds no text.", files.Unread[7].Why);
    }

    [Fact]
    public void Add_Bombs_AreNotOpened()
    {
        byte[] zeros = new byte[OwnFiles.MaxFile];
        Assert.Equal("bomb.zip has a part that unpacks to more than 200 times its size; it is not opened.",
            Assert.Throws<LearnException>(() => Read("bomb.zip", Zip(("big.txt", zeros)))).Message);
        var random = new Random(1);
        byte[] noise = new byte[OwnFiles.MaxFile];
        random.NextBytes(noise);
        OwnFiles large = Read("large.zip", Zip(("big.txt", [.. noise, 1])));
        Assert.Equal("Larger than 8 MB.", Assert.Single(large.Unread).Why);
        // Many that are each allowed are too much together.
        byte[] half = [.. noise[..(noise.Length / 16)], .. zeros[..(noise.Length / 2)]];
        byte[] many = Zip([.. Enumerable.Range(0, 40).Select(i => ($"{i}.txt", half))]);
        Assert.Equal("many.zip unpacks to more than 128 MB; it is not opened.",
            Assert.Throws<LearnException>(() => Read("many.zip", many)).Message);
        Assert.Equal("n.zip holds 10001 files; up to 10000 are taken.",
            Assert.Throws<LearnException>(() =>
                Read("n.zip", Zip([.. Enumerable.Range(0, 10_001).Select(i => ($"{i}.txt", Array.Empty<byte>()))]))).Message);
        Assert.StartsWith("no.zip cannot be opened", Assert.Throws<LearnException>(() => Read("no.zip", "PK no"u8.ToArray())).Message,
            StringComparison.Ordinal);
        OwnFiles docx = Read("bomb.docx", Zip(("word/document.xml", zeros)));
        Assert.Contains("200 times its size", Assert.Single(docx.Unread).Why, StringComparison.Ordinal);
    }

    [Fact]
    public void Add_APageNestedDeeperThanAnyStack_GivesItsText()
    {
        OwnFiles files = Read("deep.html", Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat("<div>", 20_000)) + "It grinds rye."));
        Assert.Equal("It grinds rye.", Assert.Single(files.Texts).Text);
    }

    [Fact]
    public void Add_AnyBytesOfAnyKind_GiveTextsOrWords() =>
    Gen.Select(Gen.Int[0, OwnFiles.Extensions.Count - 1],
        Gen.OneOf(Gen.Byte.Array[0, 200], Gen.String[Gen.Char["<p>li/h1 \n#-,;\"a轮"], 0, 200].Select(Encoding.UTF8.GetBytes)))
        .Sample((kind, bytes) =>
    {
        try
        {
            OwnFiles files = Read("x" + OwnFiles.Extensions[kind], bytes);
            Assert.True(files.Texts.Count > 0 || files.Unread.Count == 1);
        }
        catch (LearnException e)
        {
            Assert.Equal(".zip", OwnFiles.Extensions[kind]);
            Assert.NotEmpty(e.Message);
        }
    }, iter: 2000, seed: "0N0XIzNsQ0O2");

    private static OwnFiles Read(string name, byte[] content)
    {
        var files = new OwnFiles(Strings.Of("en"));
        files.Add(name, content);
        return files;
    }

    private static byte[] Zip(params (string Name, byte[] Content)[] entries)
    {
        using var stream = new MemoryStream();
        using (var zip = new ZipArchive(stream, ZipArchiveMode.Create, leaveOpen: true))
            foreach ((string name, byte[] content) in entries)
            {
                using Stream entry = zip.CreateEntry(name).Open();
                entry.Write(content);
            }
        return stream.ToArray();
    }

    private static byte[] Docx(params (string Text, string? Style)[] paragraphs)
    {
        using var stream = new MemoryStream();
        using (var document = WordprocessingDocument.Create(stream, WordprocessingDocumentType.Document))
        {
            var body =
                new Body(
                    paragraphs.Select(one =>
                        new Paragraph(
                            new ParagraphProperties { ParagraphStyleId = one.Style is null
                                ? null : new ParagraphStyleId { Val = one.Style } }, new Run(new Text(one.Text)))));
            document.AddMainDocumentPart().Document = new DocumentFormat.OpenXml.Wordprocessing.Document(body);
        }
        return stream.ToArray();
    }
}
