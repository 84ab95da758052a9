using System.Text;
using CsCheck;
using DocumentFormat.OpenXml.Packaging;
using DocumentFormat.OpenXml.Validation;
using Flywheel.Loop.Ranking;
using Flywheel.Studio.Apps.Write;

namespace Flywheel.Studio.Tests.Apps.Write;

/// <summary>What the page Write does with texts by rule: marks, brand voice, differences, export.</summary>
public sealed class CopyTests
{
    private static readonly BriefFields Brief = new() { Name = "Lanternfish", What = "photo editor",
        Facts = "edits 30 raw formats\nruns on Linux and Windows\nmade in New York" };

    [Fact]
    public void ToBrief_TypedAsItIsSaid_AsksWithoutArticleAndFor()
    {
        Flywheel.Model.Brief brief = (Brief with { What = "a photo editor, The Gimp, an", Audience = "for photographers" }).ToBrief();
        Assert.Equal(["Photo editor", "Gimp", "An"], brief.Categories);
        Assert.Equal("photographers", brief.Audience);
        Assert.Equal("forest rangers", (Brief with { Audience = "forest rangers" }).ToBrief().Audience);
    }

    /// <summary>What a brief was asked with stays, whatever is corrected afterwards; a choice in the brief comes before what the person
    /// corrected elsewhere.</summary>
    [Fact]
    public void ToBrief_CorrectedForms_AskWithThem()
    {
        BriefFields typed = new() { Name = "Quill", Kind = Flywheel.Model.Brief.Description,
            Facts = "roof terrace\nopens at six\nworks offline" };
        var own = new FactCorrections([new("roof terrace", FactWay.Offers), new("opens at six", FactWay.Is)]);
        BriefFields chosen =
            typed with {
                Forms = FactChoices.With("nonsense\nhas\nisA no such fact", new("opens at six", FactWay.Nothing), [.. typed.FactList]) };
        Assert.Equal("nothing opens at six", chosen.Forms);
        Assert.Equal([("roof terrace", FactWay.Offers), ("opens at six", FactWay.Nothing), ("works offline", FactWay.Does)],
            chosen.Said(own));
        BriefFields asked = chosen.SaidBy(own);
        Assert.Equal(["it offers a roof terrace", "it works offline"], asked.ToBrief().Facts);
        Assert.Equal(asked, asked.SaidBy(FactCorrections.None));
        Assert.Equal(["has a roof terrace", "it opens at six", "it works offline"], typed.SaidBy(FactCorrections.None).ToBrief().Facts);
        Assert.Empty((typed with { Order = "Write a haiku." }).Said(own));
        Assert.Empty((typed with { Facts = "六点开门\n屋顶露台" }).Said(own));
        Assert.Equal(asked.ToBrief().Facts, BriefBody.Parse(new BriefBody { Fields = asked }.ToJson()).Fields.ToBrief().Facts);
    }

    [Fact]
    public void FactChoices_AnyLines_AreReadWithoutFailing() => AnyText.Sample(text =>
    {
        FactCorrection[] read = [.. FactChoices.Parse(text)];
        Assert.Equal(read, FactChoices.Parse(FactChoices.Write(read)));
        _ = (Brief with { Forms = text }).SaidBy(FactCorrections.None).ToBrief();
        KeptForms kept = new KeptForms().With(new("a", FactWay.Is)).With(new("a", FactWay.Can));
        Assert.Equal(kept.Facts, KeptForms.Parse(kept.ToJson()).Facts);
        Assert.Single(kept.Facts);
    }, iter: 300);

    private static readonly Gen<string> AnyText = Gen.OneOf(Gen.String, Gen.String[Gen.Char["ab \n.,轮子-’'=@+\t\"<&"], 0, 40]);

    [Theory]
    [InlineData("Lanternfish edits 30 raw formats on Linux.", "")]
    [InlineData("Lanternfish edits 300 raw formats.", "300")]
    [InlineData("It beats Photoshop and costs 9.99 a month.", "Photoshop|9.99")]
    [InlineData("Edit photos. Share them with Google Drive.", "Google Drive")]
    [InlineData("Made in New York’s heart.", "")]
    [InlineData("Edit Every Photo Without Internet", "")] // a title's capitals name nothing
    [InlineData("- Works with GIMP\n- Edits photos", "GIMP")]
    [InlineData("“Nothing else” compares. iPhone users agree.", "iPhone")]
    public void Claims_TextAndBrief_MarksWhatTheBriefDoesNotHave(string text, string expected) =>
        Assert.Equal(expected,
            string.Join('|', Claims.Unsupported(text, Brief).Select(claim => text.Substring(claim.Start, claim.Length))));

    [Fact]
    public void Claims_AnyText_LiesWithinItAndDoesNotOverlap() => AnyText.Sample(text =>
    {
        int end = 0;
        foreach ((int start, int length) in Claims.Unsupported(text, Brief))
        {
            Assert.True(start >= end && length > 0 && start + length <= text.Length, $"'{text}': {start} + {length}");
            end = start + length;
        }
    }, iter: 3000);

    [Fact]
    public void Voice_BannedWithReplacement_IsFixedKeepingTheCapital()
    {
        var voice = new BrandVoice { Banned = "utilize => use\nworld-class\nleverage=>use\n=> nothing\n轮子 => 飞轮" };
        const string Text = "Utilize it. We do not re-utilizes world-class 轮子 leverages.";
        Findings findings = voice.Check(Text);
        Assert.Equal(["Utilize", "world-class", "轮子"], findings.Banned.Select(finding => finding.Term));
        Assert.Equal("Use it. We do not re-utilizes world-class 飞轮 leverages.", voice.Fix(Text));
        Assert.Equal(["Lanternfish"], new BrandVoice { Required = "Lanternfish\nit" }.Check(Text).Missing);
    }

    [Fact]
    public void Voice_AnyTermsAndText_FindsOnlyWhatStandsThereAndFixingEnds() =>
    Gen.Select(AnyText, AnyText, AnyText).Sample((banned, required, text) =>
    {
        var voice = new BrandVoice { Banned = banned, Required = required };
        int end = 0;
        foreach (Finding finding in voice.Check(text).Banned)
        {
            Assert.True(finding.Start >= end);
            Assert.Equal(finding.Term, text.Substring(finding.Start, finding.Length));
            end = finding.Start + finding.Length;
        }
        _ = voice.Fix(text);
    }, iter: 3000);

    [Fact]
    public void RepeatedEdits_SameReplacementTwice_IsProposedUntilItIsARule()
    {
        (string, string)[] edits = [("We utilize light.", "We use light."), ("They utilize sound!", "They use sound!"),
            ("A fine day.", "A whole new sentence."), ("A fine night.", "Something else.")];
        Assert.Equal([("utilize", "use", 2)], RepeatedEdits.Find(edits, new BrandVoice()));
        Assert.Empty(RepeatedEdits.Find(edits, new BrandVoice { Banned = "utilize => use" }));
        Assert.Empty(RepeatedEdits.Find(edits[..1], new BrandVoice()));
    }

    [Fact]
    public void Diff_AnyTwoTexts_GivesBothBack() => Gen.Select(AnyText, AnyText).Sample((before, after) =>
    {
        IReadOnlyList<DiffPart> parts = TextDiff.Words(before, after);
        Assert.Equal(before, string.Concat(parts.Where(part => part.Kind != DiffKind.Added).Select(part => part.Text)));
        Assert.Equal(after, string.Concat(parts.Where(part => part.Kind != DiffKind.Removed).Select(part => part.Text)));
        Assert.DoesNotContain(parts, part => part.Text.Length == 0);
        if (before == after) Assert.DoesNotContain(parts, part => part.Kind != DiffKind.Same);
    }, iter: 3000);

    [Fact]
    public void Diff_HugeTexts_EndsAndGivesBothBack()
    {
        string before = string.Join(' ', Enumerable.Range(0, 20_000)),
            after = string.Join(' ', Enumerable.Range(0, 20_000).Select(i => i * 7 % 20_001));
        Assert.Equal(after,
            string.Concat(TextDiff.Words(before, after).Where(part => part.Kind != DiffKind.Removed).Select(part => part.Text)));
    }

    [Theory]
    [InlineData("=HYPERLINK(\"http://x\")", "\"'=HYPERLINK(\"\"http://x\"\")\"")]
    [InlineData("  +1+1", "\"'  +1+1\"")]
    [InlineData("@SUM(A1)", "\"'@SUM(A1)\"")]
    [InlineData("- a list\n- of things", "\"'- a list\n- of things\"")]
    [InlineData("＝1", "\"'＝1\"")]
    [InlineData("plain, \"quoted\"", "\"plain, \"\"quoted\"\"\"")]
    public void Csv_CellThatIsAFormula_IsGuarded(string text, string expected) => Assert.Equal(expected, CopyExport.Cell(text));

    [Fact]
    public void Csv_AnyText_NeverBeginsAFormulaAndReadsBack() => AnyText.Sample(text =>
    {
        string cell = CopyExport.Cell(text), content = cell[1..^1].Replace("\"\"", "\"", StringComparison.Ordinal);
        Assert.True(content == text || content == "'" + text);
        Assert.False(content.TrimStart() is [('=' or '+' or '-' or '@'), ..], cell);
    }, iter: 3000);

    [Fact]
    public void Html_ScriptInEveryField_IsText()
    {
        const string Script = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";
        string html = Encoding.UTF8.GetString(CopyExport.Write("html", [Kept(Script) with { Name = Script }], kind => kind));
        Assert.DoesNotContain("<script", html, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("<img", html, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("&lt;script&gt;", html, StringComparison.Ordinal);
    }

    [Fact]
    public void Docx_AnyText_IsAValidDocumentWithTheWords() => AnyText.Sample(text =>
    {
        byte[] file = CopyExport.Write("docx", [Kept(text), Kept("- one\n- two")], kind => kind);
        using var document = WordprocessingDocument.Open(new MemoryStream(file), isEditable: false);
        Assert.Empty(new OpenXmlValidator().Validate(document));
        string read = document.MainDocumentPart!.Document!.Body!.InnerText;
        Assert.Contains("• one", read, StringComparison.Ordinal);
        foreach (string word in text.Split([' ', '\n', '\t'], StringSplitOptions.RemoveEmptyEntries)
            .Where(word => word.All(char.IsLetterOrDigit))) Assert.Contains(word, read, StringComparison.Ordinal);
    }, iter: 60);

    [Fact]
    public void Fields_WrongOnes_AreNamedWithWhatIsWrong()
    {
        Assert.Equal(("name", "write.name-missing", null), Brief.With("name", "  ").Problem());
        Assert.Equal(("name", "write.name-long", null), Brief.With("name", new string('x', 81)).Problem());
        Assert.Equal("facts", Brief.With("facts", string.Join('\n', Enumerable.Range(0, 13))).Problem()?.Field);
        Assert.Equal("facts", Brief.With("facts", new string('轮', 201)).Problem()?.Field);
        Assert.Equal(("audience", "write.field-long", null), Brief.With("audience", new string('x', 201)).Problem());
        Assert.Null(Brief.Problem());
        Assert.Equal(["edits 30 raw formats", "b"], (Brief with { Facts = "- edits 30 raw formats\n\n • b\n-\n" }).FactList);
    }

    private static KeptText Kept(string text) =>
        new() { Text = text, Kind = "tagline", Name = "Name", Brief = Guid.Empty, Generation = Guid.Empty, Feedback = Guid.Empty,
            Asked = "" };
}
