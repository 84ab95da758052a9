using System.Text.Json.Nodes;
using Flywheel.Studio.Apps;
using Flywheel.Studio.Apps.Write;
using Flywheel.Studio.Apps.Write.Bulk;
using Flywheel.Studio.Apps.Write.Sharing;

namespace Flywheel.Studio.Tests.Apps;

/// <summary>What is damaged in the record is named where a program lists it, too.</summary>
public sealed class DamagedListTests(OneServer one) : IClassFixture<OneServer>
{
    [Theory]
    [InlineData("/v1/shares", Shares.Kind, "share")]
    [InlineData("/v1/write/bulk", BulkBriefs.BulkKind, "write.bulk")]
    public async Task List_OfTheApi_NamesWhatIsDamaged(string path, string kind, string type)
    {
        var id = Guid.CreateVersion7();
        await one.Server.Service<Documents>().PutAsync(id, "dora", Briefs.App, kind, "spring", """{"drafts":[null]""");

        JsonNode listed = Assert.Single((await one.Server.GetAsync($"{path}?user=dora"))["data"]!.AsArray())!;

        Assert.Equal(($"{id}", type, "spring", "damaged"),
            ((string)listed["id"]!, (string)listed["object"]!, (string)listed["name"]!, (string)listed["state"]!));
        Assert.NotEmpty((string)listed["message"]!);
    }
}
