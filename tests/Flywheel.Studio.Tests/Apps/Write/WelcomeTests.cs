using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;
using Flywheel.Model;
using Flywheel.Studio.Apps.Write;

namespace Flywheel.Studio.Tests.Apps.Write;

/// <summary>The first visit to Write: what it says of a model is what was published of it.</summary>
public sealed class WelcomeTests
{
    [Fact]
    public void Published_FiguresOfTheFirstModel_AreThoseOfItsCard()
    {
        string folder = ModelCatalog.Starter!;
        string hash = (string)JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "flywheel.json")))!["hash"]!;
        PublishedFigures figures = PublishedFigures.Of(hash)
            ?? throw new Xunit.Sdk.XunitException(
                $"models/first/{PublishedFigures.FileName} is of another model than models/first, {hash}: write down what was measured of this one");
        string card =
            string.Join(' ',
                File.ReadAllText(Path.Combine(folder, "README.md")).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        Assert.Contains(string.Create(CultureInfo.InvariantCulture,
            $"On {figures.Briefs} briefs that no training and no choice looked at, its first description without ranking has the exact name in {100 * figures.NameExact:0}%, a fact restated in {100 * figures.FactRestated:0}%, a foreign name or number in {100 * figures.SomethingForeign:0}%."), card, StringComparison.Ordinal);
        Assert.Null(PublishedFigures.Of(new string('0', 64)));
    }

    [Fact]
    public async Task Page_OfTheFirstVisit_WelcomesWithoutFiguresOfAnotherModel()
    {
        await using TestServer server = await TestServer.StartAsync();
        string page = WebUtility.HtmlDecode(await server.Http.GetStringAsync("/write"));
        Assert.Contains("Welcome. This model is yours", page);
        Assert.Contains("was not measured here", page);
        Assert.DoesNotContain("briefs that it had never seen", page);
    }
}
