using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Data.Tests;

public sealed class BriefFileTests : IDisposable
{
    private const string Good =
        """{"id": "a", "name": "Olmo", "categories": ["Desk"], "facts": ["made of ash"], "audience": "", "tone": ""}""";

    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private IReadOnlyList<(string Id, Brief Brief)> Read(params string[] lines)
    {
        File.WriteAllLines(_folder["briefs.jsonl"], lines);
        return BriefFile.Read(_folder["briefs.jsonl"]);
    }

    [Theory]
    [InlineData("\"name\": \"Olmo\"", "\"name\": 3", "briefs.jsonl:2: field 'name' is 3, expected a text")]
    [InlineData("\"name\": \"Olmo\"", "\"name\": \"\"", "briefs.jsonl:2: field 'name' is empty")]
    [InlineData("[\"made of ash\"]", "\"ash\"", "briefs.jsonl:2: field 'facts' is no list of texts")]
    [InlineData("\"tone\": \"\"", "\"ton\": \"\"", "briefs.jsonl:2: field 'tone' is missing")]
    public void Read_BadLine_NamesFileLineAndField(string good, string bad, string expected) =>
        Assert.Contains(expected,
            Assert.Throws<FlywheelException>(() => Read(Good, Good.Replace(good, bad, StringComparison.Ordinal))).Message,
            StringComparison.Ordinal);

    [Fact]
    public void Read_EmptyOrMissing_SaysSo()
    {
        Assert.Contains("holds no brief", Assert.Throws<FlywheelException>(() => Read("")).Message, StringComparison.Ordinal);
        Assert.Contains("no such file", Assert.Throws<FlywheelException>(() => BriefFile.Read(_folder["none"])).Message,
            StringComparison.Ordinal);
    }

    /// <summary>What the model was tested by must not be what it learnt from or was chosen by.</summary>
    [Fact]
    public void Committed_Briefs_AreApart()
    {
        string folder = Path.Combine(TestFiles.Root, "tasks", "copywriting");
        string[] heldOut = [.. BriefFile.Read(Path.Combine(folder, "held-out-briefs.jsonl")).Select(entry => entry.Brief.Name)];
        string[] development = [.. BriefFile.Read(Path.Combine(folder, "development-briefs.jsonl")).Select(entry => entry.Brief.Name)];
        Assert.Equal((40, 48), (heldOut.Length, development.Length));
        Assert.Empty(heldOut.Intersect(development));
        string grammar = File.ReadAllText(Path.Combine(folder, "grammar.yaml"));
        Assert.All(heldOut, name => Assert.DoesNotContain(name, grammar, StringComparison.Ordinal));
    }
}
