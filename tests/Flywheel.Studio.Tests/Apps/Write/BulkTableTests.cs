using System.Text;
using CsCheck;
using Flywheel.Studio.Apps.Write;
using Flywheel.Studio.Apps.Write.Bulk;
using nietras.SeparatedValues;

namespace Flywheel.Studio.Tests.Apps.Write;

/// <summary>Tables of briefs as people's programs write them: what is read, what is refused, and with which words.</summary>
public sealed class BulkTableTests
{
    private static readonly Gen<string> Cell = Gen.String[Gen.Char["ab \n,;\t|\"'=轮子é-@"], 0, 12];

    [Theory]
    [InlineData("name,facts\nQuill,\"keeps, safely\"\n", ",", "Quill|keeps, safely")]
    [InlineData("name;facts\r\nQuill;\"a \"\"b\"\"\r\nc\"\r\n", ";", "Quill|a \"b\"\r\nc")]
    [InlineData("name\tfacts\nQuill\t24\" wide\n", "\t", "Quill|24\" wide")]
    [InlineData("sep=|\nname|facts\nQuill|x,y;z\n", "|", "Quill|x,y;z")]
    [InlineData("\uFEFF\n\nname,facts\n\nQuill,x\n , \n", ",", "Quill|x")]
    public void Read_AnyDialect_GivesTheCells(string text, string delimiter, string cells)
    {
        BulkTable table = BulkTable.Read(Encoding.UTF8.GetBytes(text));
        Assert.Equal(delimiter, table.Delimiter);
        Assert.Equal(["name", "facts"], table.Columns);
        Assert.Equal(cells.Split('|', 2), Assert.Single(table.Rows).Cells);
    }

    [Theory]
    [InlineData("utf-8", true)]
    [InlineData("utf-16", true)]
    [InlineData("utf-16BE", true)]
    [InlineData("utf-16", false)]
    [InlineData("utf-16BE", false)]
    public void Read_AnyEncoding_GivesTheLetters(string name, bool mark)
    {
        var encoding = Encoding.GetEncoding(name);
        BulkTable table = BulkTable.Read([.. mark ? encoding.GetPreamble() : [], .. encoding.GetBytes("name,特点\nQuill 笔,é\n")]);
        Assert.Equal(["name", "特点"], table.Columns);
        Assert.Equal(["Quill 笔", "é"], table.Rows[0].Cells);
    }

    [Theory]
    [InlineData("", "The file is empty")]
    [InlineData("name,facts\n", "only one row")]
    [InlineData("name,facts\nA,b\nC,\"d\nE,f\n", "Line 3: a quote is opened and never closed.")]
    [InlineData("name\nA\0\n", "Line 2 is no text")]
    public void Read_NoTable_SaysWhyAndWhere(string text, string expected) =>
        Assert.Contains(expected, Assert.Throws<BulkException>(() => BulkTable.Read(text)).Message, StringComparison.Ordinal);

    [Fact]
    public void Read_OtherBytes_NamesTheLine()
    {
        byte[] latin = [.. "name,facts\nQuill,caf"u8, 0xE9, .. "\n"u8];
        Assert.Equal("Line 2 is not UTF-8. Save the table as “CSV UTF-8”.",
            Assert.Throws<BulkException>(() => BulkTable.Read(latin)).Message);
    }

    [Fact]
    public void Read_TooMuch_IsRefusedWithTheLimit()
    {
        string rows = "name\n" + string.Concat(Enumerable.Range(0, 50_000).Select(i => $"p{i}\n"));
        Assert.Equal("The file has 50000 rows; up to 5000 are taken. Split it.",
            Assert.Throws<BulkException>(() => BulkTable.Read(rows)).Message);
        Assert.Equal("The file is larger than 4 MB. Split it.",
            Assert.Throws<BulkException>(() => BulkTable.Read(new byte[BulkTable.MaxBytes + 1])).Message);
    }

    [Fact]
    public void Read_LinesOfRows_AreThoseAnEditorShows()
    {
        BulkTable table = BulkTable.Read("name,facts\r\nA,\"x\r\ny\"\r\n\r\nB,z\r\nC\r\n");
        Assert.Equal([2, 5, 6], table.Rows.Select(row => row.Line));
    }

    [Fact]
    public void Read_AnyCellsInQuotes_GivesThemBack() =>
    Gen.Select(Gen.Int[0, 3].Select(i => new[] { ",", ";", "\t", "|" }[i]), Cell.Array[3].Array[1, 6]).Sample((delimiter, rows) =>
    {
        var text = new StringBuilder(string.Join(delimiter, "a", "b", "c") + "\n");
        foreach (string[] row in rows)
            text.AppendJoin(delimiter, row.Select(cell => $"\"{cell.Replace("\"", "\"\"", StringComparison.Ordinal)}\"")).Append('\n');
        string[][] whole = [.. rows.Where(row => !row.All(string.IsNullOrWhiteSpace))];
        if (whole.Length == 0) return;
        Assert.Equal(whole, BulkTable.Read(text.ToString()).Rows.Select(row => row.Cells.ToArray()));
    }, iter: 2000, seed: "0N0XIzNsQ0O2");

    [Fact]
    public void Read_AnyBytes_GivesATableOrSaysWhy() => Gen.Byte.Array[0, 60].Sample(bytes =>
    {
        try
        {
            Assert.NotEmpty(BulkTable.Read(bytes).Rows);
        }
        catch (BulkException e)
        {
            Assert.NotEmpty(e.Message);
        }
    }, iter: 5000, seed: "0N0XIzNsQ0O2");

    [Theory]
    [InlineData("Product Name,Category,Feature 1,Feature_2,Target audience,SKU", "name,what,facts,facts,audience,")]
    [InlineData("产品名称,类别,卖点1,卖点2,受众,语气", "name,what,facts,facts,audience,tone")]
    [InlineData("SKU,Colour,Facts", "name,,facts")]
    [InlineData("Title,Name,Type,Länge", "name,,kind,")]
    public void Guess_HeaderNames_AreTheFieldsThatTheyMean(string header, string fields) =>
    Assert.Equal(fields.Split(','), BulkColumns.Guess(header.Split(',')));

    [Fact]
    public void Body_Row_IsTheBriefThatItStates()
    {
        var body = new BulkBody { Table = default, NumRows = 1, Fields = ["name", "kind", "facts", "facts", "tone", ""], Kind = "tagline",
            Length = "short" };
        BriefFields brief =
            body.Read(new(2, ["Quill\nPro", "广告", "- keeps every version\n• counts words", "offline; free", "Friendly", "4711"]));
        Assert.Equal(("Quill Pro", "ad", "friendly", "short"), (brief.Name, brief.Kind, brief.Tone, brief.Length));
        Assert.Equal(["keeps every version", "counts words", "offline", "free"], brief.FactList);
        Assert.Equal(["", "", "facts", "facts", "tone", "name"], body.With(5, "name").With(1, "").Fields);
    }

    [Theory]
    [InlineData("Quill,x,y", "It has 3 cells, the first row has 2.")]
    [InlineData(",x", "Give it a name.")]
    [InlineData("Quill,a;b;c;d;e;f;g;h;i;j;k;l;m", "Keep to 12 facts; there are 13.")]
    public void Problem_BadRow_IsSaid(string row, string expected)
    {
        var body = new BulkBody { Table = default, NumRows = 1, Fields = ["name", "facts"], Kind = "tagline" };
        (string message, object?[] about) = body.Problem(new(2, row.Split(',')), 2, ["tagline"])!.Value;
        Assert.StartsWith(expected, Studio.Shell.Strings.Of("en").Format(message, about), StringComparison.Ordinal);
    }

    /// <summary>Another reader than ours finds in an exported line what was put in, formulas disarmed.</summary>
    [Fact]
    public void Cell_AnyText_IsReadByAnotherLibraryAndIsNoFormula() => Cell.Array[2].Sample(cells =>
    {
        string csv = "a;b\r\n" + string.Join(';', cells.Select(CopyExport.Cell)) + "\r\n";
        using SepReader reader = Sep.New(';').Reader(options => options with { Unescape = true }).FromText(csv);
        Assert.True(reader.MoveNext());
        for (int i = 0; i < cells.Length; i++)
        {
            string read = reader.Current[i].ToString();
            Assert.Equal(cells[i], Loop.CsvCell.Unquoted(read));
            Assert.DoesNotMatch(@"^\s*[=+\-@]", read);
        }
    }, iter: 1000, seed: "0N0XIzNsQ0O2");
}
