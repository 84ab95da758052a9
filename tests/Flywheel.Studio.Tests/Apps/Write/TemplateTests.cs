using System.Net;
using Flywheel.Model;
using Flywheel.Studio.Apps.Write;
using Flywheel.Testing;

namespace Flywheel.Studio.Tests.Apps.Write;

/// <summary>Templates of briefs: those of the program, those that people add, and files that are none.</summary>
public sealed class TemplateTests : IDisposable
{
    private readonly TempFolder _folder = new();

    private FlywheelHome Home => new(_folder["home"]);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Shipped_EveryTemplate_CanBeAskedForAndHasBothLanguages()
    {
        List<string> problems = [];
        IReadOnlyList<CopyTemplate> all = CopyTemplate.List(Home, problems.Add);
        Assert.Empty(problems);
        Assert.True(all.Count >= 20, $"{all.Count} templates");
        Assert.Equal(all.Count, all.Select(template => template.In("en")).Distinct().Count());
        Assert.Equal(all.Count, all.Select(template => template.In("zh-CN")).Distinct().Count());
        foreach (CopyTemplate template in all)
        {
            BriefFields fields = template.Fields.Aggregate(new BriefFields { Name = "Quill", Kind = template.Kind, Order = template.Order },
                (now, field) => now.With(field.Key, field.Value));
            Assert.Null(fields.Problem());
            string asked = fields.ToConversation().Messages[^1].Text;
            Assert.StartsWith(template.Order.Length > 0 ? template.Order + "\nName: Quill" : fields.ToBrief().Order + "\nName: Quill",
                asked, StringComparison.Ordinal);
            Assert.NotEqual(template.In("en"), template.In("zh-CN"));
        }
        // What was trained for is asked exactly as it was taught.
        Assert.All(all.Where(template => template.Order.Length == 0), template =>
            Assert.Equal(new Brief("Quill", template.Kind, [], []).ToConversation(),
                new BriefFields { Name = "Quill", Kind = template.Kind }.ToConversation()));
    }

    [Fact]
    public void Own_FileInTheHome_IsThereAndWinsOverTheProgramsOfThatName()
    {
        Write("haiku.json", """{"title": {"en": "Haiku"}, "kind": "tagline", "order": "Write a haiku.", "fields": {"tone": "playful"}}""");
        Write("feature-list.json", """{"title": {"en": "Ours"}, "kind": "features"}""");
        IReadOnlyList<CopyTemplate> all = CopyTemplate.List(Home, problem => Assert.Fail(problem));
        CopyTemplate own = all.Single(template => template.Name == "haiku");
        Assert.Equal(("Haiku", "Haiku", "Write a haiku.", "playful"), (own.In("en"), own.In("zh-CN"), own.Order, own.Fields["tone"]));
        Assert.Equal("Ours", all.Single(template => template.Name == "feature-list").In("en"));
    }

    [Theory]
    [InlineData("""{"title": {"en": "A"}, "kind": "poem"}""", "field 'kind' is 'poem', expected")]
    [InlineData("""{"title": {"en": "A"}}""", "field 'kind' is missing")]
    [InlineData("""{"kind": "ad"}""", "field 'title' is missing")]
    [InlineData("""{"title": {"zh-CN": "甲"}, "kind": "ad"}""", "field 'title.en' is missing")]
    [InlineData("""{"title": {"en": 7}, "kind": "ad"}""", "field 'title.en' is 7, expected a text")]
    [InlineData("""{"title": {"en": "A"}, "kind": "ad", "colour": "red"}""", "field 'colour' is unknown")]
    [InlineData("""{"title": {"en": "A"}, "kind": "ad", "fields": {"tone": "angry"}}""", "field 'fields.tone' is 'angry', expected")]
    [InlineData("""{"title": {"en": "A"}, "kind": "ad", "fields": {"kind": "ad"}}""", "field 'fields.kind' is unknown")]
    [InlineData("""{"title": {"en": "A"}, "kind": "ad", "kind": "ad"}""", "is not valid JSON")]
    [InlineData("[]", "is no object")]
    [InlineData("{", "is not valid JSON")]
    [InlineData("null", "is no object")]
    public void Own_FileThatIsNone_IsRefusedByNameFieldAndValueAndTheOthersStay(string json, string says)
    {
        Write("broken.json", json);
        List<string> problems = [];
        IReadOnlyList<CopyTemplate> all = CopyTemplate.List(Home, problems.Add);
        Assert.Contains(says, Assert.Single(problems), StringComparison.Ordinal);
        Assert.Contains("broken.json", problems[0], StringComparison.Ordinal);
        Assert.True(all.Count >= 20);
    }

    [Fact]
    public async Task Page_WithABrokenFile_SaysSoAndShowsWhatTheModelCan()
    {
        // One from elsewhere follows any order; one of ours has what it was trained for.
        foreach (bool elsewhere in new[] { true, false })
        {
            await using TestServer server =
                await TestServer.StartAsync(options: options => elsewhere ? options : options with { StarterModel = ModelCatalog.Starter });
            string templates = Directory.CreateDirectory(Path.Combine(server.Home.Path, "templates")).FullName;
            await File.WriteAllTextAsync(Path.Combine(templates, "broken.json"),
                """{"title": {"en": "<script>alert(1)</script>"}, "kind": "<img src=x>"}""");
            string page = await server.Http.GetStringAsync("/write");
            Assert.DoesNotContain("<img src=x>", page);
            page = WebUtility.HtmlDecode(page);
            Assert.Contains("broken.json: field 'kind' is '<img src=x>', expected", page);
            Assert.Equal(elsewhere, page.Contains("Press release", StringComparison.Ordinal));
            Assert.Contains("Feature list", page);
        }
    }

    private void Write(string name, string json)
    {
        string folder = Directory.CreateDirectory(Path.Combine(Home.Path, "templates")).FullName;
        File.WriteAllText(Path.Combine(folder, name), json);
    }
}
