using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Loop.Tests;

/// <summary>Answers of which counts are kept and nothing else.</summary>
public class CountsOnlyTests
{
    // Feedback may come before its generation is recorded; a turn must then do without it.
    [Fact]
    public async Task Turn_FeedbackCameFirst_LeavesTheAnswerOut()
    {
        using var folder = new TempFolder();
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(folder["home"]));
        var id = Guid.CreateVersion7();
        await store.AddFeedbackAsync(new FeedbackInput(id, Metrics.Keep, true));
        await store.RecordAsync(new Generation { Id = id, Group = id, Time = DateTimeOffset.UtcNow, ModelHash = "x",
            FinishReason = Engine.FinishReason.Stop, NumTokens = 3, Store = StoreLevel.Counts });
        await using FlywheelDb db = store.Tables();
        foreach (bool withTokens in new[] { false, true })
            Assert.Empty((await FeedbackReader.ReadAsync(db, new(), withTokens, default)).Shown);
    }
}
