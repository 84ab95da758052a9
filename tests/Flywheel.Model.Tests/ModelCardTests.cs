using Flywheel.Testing;
using YamlDotNet.Serialization;

namespace Flywheel.Model.Tests;

public sealed class ModelCardTests
{
    private static readonly ModelManifest Manifest = new()
    {
        Hash = new string('a', 64), Name = "tiny", Parent = new string('b', 64), Run = "tiny-1", Dataset = new string('c', 64),
        Licence = "apache-2.0", Created = new DateTimeOffset(2026, 1, 2, 0, 0, 0, TimeSpan.Zero),
        Evaluation = new Dictionary<string, double> { ["validation_loss"] = 3.25 },
    };

    [Fact]
    public void Render_TrainedModel_SaysDataEvaluationLineageAndLicence()
    {
        string card = ModelCard.Render(Manifest, ModelFolderTests.TinyConfig, chats: true);
        foreach (string part in new[] { "# tiny", "## Intended use", $"`{Manifest.Dataset}`", "| validation loss | 3.25 |",
            $"| parent | `{Manifest.Parent}` |", "| run | `tiny-1` |", "2026-01-02", "`apache-2.0`" }) Assert.Contains(part, card);
        Assert.Equal("apache-2.0", ModelCard.ReadLicence(card));
    }

    /// <summary>The front matter is YAML whatever the fields hold.</summary>
    [Theory]
    [InlineData("mit", null, "mit", null)]
    [InlineData("it's: a \"licence\" # of\nours", "hf:acme/small-1b@main", "other", "it's: a \"licence\" # of ours")]
    [InlineData(null, "folder", "other", null)]
    public void Render_AnyFields_HasFrontMatterThatParses(string? licence, string? source, string id, string? named)
    {
        string card = ModelCard.Render(Manifest with { Licence = licence, Source = source }, ModelFolderTests.TinyConfig, chats: false);
        string yaml = card.Split("---\n")[1];
        var fields = new DeserializerBuilder().Build().Deserialize<Dictionary<string, object>>(yaml);
        Assert.Equal((id, named), (fields["license"], fields.GetValueOrDefault("license_name")));
        Assert.Equal(source?.StartsWith("hf:", StringComparison.Ordinal) == true, fields.TryGetValue("base_model", out object? parent));
        if (parent is not null) Assert.Equal("acme/small-1b", parent);
    }

    [Theory]
    [InlineData(null, "license: llama3.2\n", "`llama3.2`, the licence of the model that it was made from")]
    [InlineData("mit", "license: other\nlicense_name: 'mit and llama3.2'\n",
        "`mit` for what was trained here; the model that it was made from is under `llama3.2`")]
    public void Render_MadeFromAnImport_NamesItsOriginAndKeepsItsTerms(string? own, string fields, string says)
    {
        using var folder = new TempFolder();
        ModelFolder parent = ModelFolder.Create(folder.Path, ModelFolderTests.TinyConfig, TokenizerTests.Small, TensorType.F32,
            name => new float[ModelFolderTests.TinyConfig.Tensors().First(tensor => tensor.Name == name).Shape.Aggregate(1L,
                (all, size) => all * size)],
            new ModelManifest { Name = "small", Source = "hf:acme/small-1b@main", Licence = "llama3.2" });
        ModelManifest made = (Manifest with { Licence = own, IntendedUse = "Taglines." }).MadeFrom(parent);
        string card = ModelCard.Render(made, ModelFolderTests.TinyConfig, chats: true);
        foreach (string part in new[] { fields, says, "base_model: acme/small-1b\n", "## Intended use\n\nTaglines.\n",
            "| first made from | `hf:acme/small-1b@main` |", $"| parent | `{parent.Hash}` |" }) Assert.Contains(part, card);
        string adapter =
            ModelCard.Render(made, new AdapterConfig { Rank = 4, Alpha = 8, TargetModules = ["q_proj", "v_proj"], Base = parent.Hash });
        foreach (string part in new[] { "library_name: peft\n", "- lora\n", says,
            $"for the model `{parent.Hash}`: rank 4, alpha 8, on q_proj" }) Assert.Contains(part, adapter);
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
