using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Engine.Tests;

/// <summary>A model for which there is no room is refused before anything is taken.</summary>
public class MemoryTests
{
    [Fact]
    public async Task Load_MoreThanIsFree_IsRefusedWithBothNumbers()
    {
        using var folder = new TempFolder();
        ModelFolder model = TinyModel.Create(folder["models"]);
        FlywheelException refused =
            Assert.Throws<FlywheelException>(() => InferenceEngine.Load(model, new EngineOptions { Threads = 1, AvailableBytes = 1000 }));
        Assert.Contains("MiB of memory are free here", refused.Message, StringComparison.Ordinal);
        await using InferenceEngine engine = InferenceEngine.Load(model, new EngineOptions { Threads = 1, AvailableBytes = 1L << 30 });
        Assert.Null(engine.Defect);
    }
}
