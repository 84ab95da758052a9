using System.Text;
using CsCheck;
using Flywheel.Loop.Translation;
using Flywheel.Model;
using Flywheel.Testing;
using Microsoft.Data.Sqlite;

namespace Flywheel.Loop.Tests.Translation;

public sealed class GlossaryTests : IAsyncLifetime
{
    private static readonly LanguagePair s_pair = new(WorkspaceRow.Default, "en", "es");

    private readonly TempFolder _folder = new();
    private FlywheelStore _store = null!;
    private Glossary _glossary = null!;

    public async ValueTask InitializeAsync()
    {
        var clock = new Given.Clock(Given.Monday);
        _store = await FlywheelStore.OpenAsync(new FlywheelHome(_folder["home"]), clock);
        _glossary = new Glossary(_store, clock);
    }

    public async ValueTask DisposeAsync()
    {
        await _store.DisposeAsync();
        SqliteConnection.ClearAllPools();
        _folder.Dispose();
    }

    [Fact]
    public async Task Find_TermsInASource_AreTheLongestInAnyForm()
    {
        await _glossary.PutAsync(s_pair, "ann", [new("account", "cuenta"), new("user account", "cuenta de usuario"), new("C++", "C++"),
            new("天气", "tiempo")]);
        TermList terms = await _glossary.ListAsync(s_pair);
        const string Text = "Your User Accounts, an account; accountancy, C++, 今天天气好.";
        Assert.Equal(["User Accounts", "account", "C++", "天气"],
            terms.Find(Text).Select(found => Text.Substring(found.Start, found.Length)));
    }

    [Fact]
    public async Task Put_SameSourceAgain_ChangesTheTermAndDeleteNeedsTheWorkspace()
    {
        TermRow first = await _glossary.PutAsync(s_pair, "ann", new TermInput("account", "conto"));
        TermRow again = await _glossary.PutAsync(s_pair, "bob", new TermInput(" account ", "cuenta", "conto；relato", "bank"));
        Assert.Equal(first.Id, again.Id);
        TermRow row = Assert.Single((await _glossary.ListAsync(s_pair)).Rows);
        Assert.Equal(("cuenta", "conto; relato", "bank", "bob"), (row.Target, row.Forbidden, row.Note, row.User));
        Assert.False(await _glossary.DeleteAsync("other", row.Id));
        Assert.True(await _glossary.DeleteAsync(WorkspaceRow.Default, row.Id));
        Assert.Empty((await _glossary.ListAsync(s_pair)).Rows);
    }

    [Fact]
    public async Task Csv_FormulasInEachField_AreHarmlessOutsideAndTheSameAgainInside()
    {
        await _glossary.PutAsync(s_pair, "ann", [new("=1+1", "+x", "@y", "-z"), new("a,\"b\"", "c;d", "", " '=already"),
            new("’quoted’", "'plain'")]);
        byte[] csv = GlossaryCsv.Write((await _glossary.ListAsync(s_pair)).Rows);
        string text = Encoding.UTF8.GetString(csv);
        Assert.DoesNotMatch("(^|,)\"?\\s*[=+@-]", text.Split("\r\n", 2)[1]);
        IReadOnlyList<TermInput> read = GlossaryCsv.Read(text);
        Assert.Equal((await _glossary.ListAsync(s_pair)).Rows.Select(row => new TermInput(row.Source, row.Target, row.Forbidden, row.Note)),
            read);
    }

    [Fact]
    public void Csv_AnyTerms_RoundTrip()
    {
        Gen<string> text = Gen.OneOf<string>(Gen.OneOf("=x", "'=x", "''+", "\"", "a,b", "a;b", "中", "'", "-"),
            Gen.String[Gen.Char["ab'\"=,+ -@"], 1, 8]);
        Gen.Select(text, text, text).Sample((source, target, note) =>
        {
            if (source.Trim().Length == 0 || target.Trim().Length == 0) return;
            TermInput given = new TermInput(source, target, "", note).Checked();
            var row = new TermRow { Id = Guid.NewGuid(), User = "", SourceLanguage = "en", TargetLanguage = "es", Source = given.Source,
                Target = given.Target, Note = given.Note, Created = Given.Monday, Updated = Given.Monday };
            Assert.Equal(given, Assert.Single(GlossaryCsv.Read(Encoding.UTF8.GetString(GlossaryCsv.Write([row])))));
        }, iter: Fuzz.Iterations(1000), seed: "0N0XIzNsQ0O2");
    }

    [Theory]
    [InlineData("", "empty")]
    [InlineData("a,b\n1,2\n", "expected the columns source, target")]
    [InlineData("source,target\nx,\n", "line 2: field 'target' is empty")]
    public void Csv_Wrong_IsRefusedWithItsLine(string text, string words) =>
    Assert.Contains(words, Assert.Throws<FlywheelException>(() => GlossaryCsv.Read(text)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("note;target;source\r\nhi;cuenta;account\r\n")]
    [InlineData("\uFEFFSource\tTarget\naccount\tcuenta\n")]
    public void Csv_OfASpreadsheet_IsReadWhateverItsSeparator(string text)
    {
        TermInput term = Assert.Single(GlossaryCsv.Read(text));
        Assert.Equal(("account", "cuenta"), (term.Source, term.Target));
    }

    [Theory]
    [InlineData("Open your account.", "Abra su cuenta.", "")]
    [InlineData("Open your accounts.", "Abra sus cuentas.", "")]
    [InlineData("Open your account.", "Abra su relato.", "TermForbidden relato > Abra su cuenta.")]
    [InlineData("Account!", "Relato!", "TermForbidden Relato > Cuenta!")]
    [InlineData("Open your account.", "Abra su perfil.", "TermMissing cuenta")]
    [InlineData("It has 1,000.5 units and 3.", "Tiene 1.000,5 unidades y 3.", "")]
    [InlineData("It has 1,000 units.", "Tiene 100 unidades.", "NumberMissing 1,000|NumberAdded 100")]
    [InlineData("Hello {name}, **bold**.", "Hola {nombre}, **negrita**.", "MarkupMissing {name}|MarkupAdded {nombre}")]
    [InlineData("One two.", "Uno  dos.", "DoubleSpace  > Uno dos.")]
    [InlineData("One two.", "Uno dos", "EndPunctuation . > Uno dos.")]
    [InlineData("One two:", "Uno dos.", "EndPunctuation : > Uno dos:")]
    [InlineData("One two", "Uno dos.", "EndPunctuation  > Uno dos")]
    [InlineData("“One two.”", "«Uno dos»", "EndPunctuation . > «Uno dos.»")]
    [InlineData("One two?", "¿Uno dos", "EndPunctuation ?")]
    [InlineData("One two three.", "One two three.", "Untranslated ")]
    [InlineData("OK 5.", "OK 5.", "")]
    [InlineData("One.", "", "")]
    public async Task Check_Translation_FindsWhatIsWrongAndMendsWhatIsMechanical(string source, string target, string expected)
    {
        await _glossary.PutAsync(s_pair, "ann", new TermInput("account", "cuenta", "relato"));
        IReadOnlyList<QualityIssue> issues = QualityCheck.Check(source, target, (await _glossary.ListAsync(s_pair)).Find(source),
            Language.Find("es"));
        Assert.Equal(expected,
            string.Join('|', issues.Select(issue => $"{issue.Kind} {issue.What}{(issue.Fixed is null ? "" : $" > {issue.Fixed}")}")));
    }

    [Fact]
    public void Check_ChineseEnds_AreItsOwnMarks()
    {
        Assert.Empty(QualityCheck.Check("How are you?", "你好吗？", [], Language.Find("zh")));
        Assert.Equal("你好。", Assert.Single(QualityCheck.Check("Hello there.", "你好", [], Language.Find("zh"))).Fixed);
    }

    [Fact]
    public void Check_AnyFix_LeavesFewerIssues()
    {
        Gen<string> text =
            Gen.OneOf("a", "Word", " ", "  ", ".", "?", "。", "5", "{x}", "**", "»", "relato").Array[1, 12].Select(string.Concat);
        var term = new TermFound(new TermRow { Id = Guid.NewGuid(), User = "", SourceLanguage = "en", TargetLanguage = "fr", Source = "a",
            Target = "cuenta", Forbidden = "relato", Created = Given.Monday, Updated = Given.Monday }, 0, 1);
        Gen.Select(text, text).Sample((source, target) =>
        {
            Language to = Language.Find("fr")!;
            IReadOnlyList<QualityIssue> before = QualityCheck.Check(source, target, [term], to);
            foreach (QualityIssue issue in before.Where(issue => issue.Fixed is not null))
            {
                IReadOnlyList<QualityIssue> after = QualityCheck.Check(source, issue.Fixed!, [term], to);
                Assert.True(issue.Fixed!.Trim().Length == 0
                    || after.Count(one => one.Kind == issue.Kind) < before.Count(one => one.Kind == issue.Kind),
                    $"'{source}' '{target}' {issue} -> {string.Join(' ', after)}");
            }
        }, iter: Fuzz.Iterations(2000), seed: "0N0XIzNsQ0O2");
    }
}
