using YamlDotNet.Serialization;

namespace Flywheel.Model.Tests;

public sealed class ModelCardTests
{
    private static readonly ModelManifest Manifest = new()
    {
        Hash = new string('a', 64), Name = "tiny", Parent = new string('b', 64), Run = "tiny-1", Dataset = new string('c', 64), Licence = "apache-2.0", Created = new DateTimeOffset(2026, 1, 2, 0, 0, 0, TimeSpan.Zero),
        Evaluation = new Dictionary<string, double> { ["validation_loss"] = 3.25 },
    };

    [Fact]
    public void Render_TrainedModel_SaysDataEvaluationLineageAndLicence()
    {
        string card = ModelCard.Render(Manifest, ModelFolderTests.TinyConfig);
        foreach (string part in new[] { "# tiny", "## Intended use", $"`{Manifest.Dataset}`", "| validation loss | 3.25 |", $"| parent | `{Manifest.Parent}` |", "| run | `tiny-1` |", "2026-01-02", "`apache-2.0`" }) Assert.Contains(part, card);
        Assert.Equal("apache-2.0", ModelCard.ReadLicence(card));
    }

    /// <summary>The front matter is YAML whatever the fields hold.</summary>
    [Theory]
    [InlineData("mit", null)]
    [InlineData("it's: a \"licence\" # of\nours", "hf:acme/small-1b@main")]
    [InlineData(null, "folder")]
    public void Render_AnyFields_HasFrontMatterThatParses(string? licence, string? source)
    {
        string card = ModelCard.Render(Manifest with { Licence = licence, Source = source }, ModelFolderTests.TinyConfig);
        string yaml = card.Split("---\n")[1];
        var fields = new DeserializerBuilder().Build().Deserialize<Dictionary<string, object>>(yaml);
        Assert.Equal(licence?.ReplaceLineEndings(" ") ?? "other", fields["license"]);
        Assert.Equal(source?.StartsWith("hf:", StringComparison.Ordinal) == true, fields.TryGetValue("base_model", out object? parent));
        if (parent is not null) Assert.Equal("acme/small-1b", parent);
    }

    [Theory]
    [InlineData("---\nlicense: mit\n---\n", "mit")]
    [InlineData("---\r\nlicense: 'llama3.2'\r\ntags: [x]\r\n---\r\ntext", "llama3.2")]
    [InlineData("---\nlicense: other\nlicense_name: qwen-research\n---\n", "qwen-research")]
    [InlineData("---\nlicense: other\n---\n", "other")]
    [InlineData("---\ntags: [x]\n---\nlicense: mit", null)]
    [InlineData("# No front matter\nlicense: mit\n", null)]
    [InlineData("", null)]
    public void ReadLicence_FrontMatter_IsTheLicence(string card, string? expected) => Assert.Equal(expected, ModelCard.ReadLicence(card));
}
