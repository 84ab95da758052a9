using Flywheel.Data;
using Flywheel.Loop.Runs;
using Flywheel.Model;
using Flywheel.Testing;
using Flywheel.Training;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop.Tests;

/// <summary>Runs that belong to no turn.</summary>
public sealed class RunRecordTests
{
    [Fact]
    public async Task RecordRun_OutsideATurn_IsFoundByLineageAndRecordedOnce()
    {
        using var folder = new TempFolder();
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(folder["home"]), new Given.Clock(Given.Monday));
        ModelFolder model = MiniLoop.Champion(store.Home.Models);
        var run = new FinishedRun(new TrainedModel(model, null), null, Path.Combine(store.Home.Runs, "starter-0123456789"),
            new BuiltData(Path.Combine(store.Home.Datasets, "abcdef0123456789"), null, null!));

        await store.RecordRunAsync(run, TestContext.Current.CancellationToken);
        await store.RecordRunAsync(run, TestContext.Current.CancellationToken);

        await using FlywheelDb db = store.Tables();
        RunRow row = await db.Runs.SingleAsync(TestContext.Current.CancellationToken);
        Assert.Equal((null, null, "abcdef0123456789", model.Hash), (row.TurnId, row.Base, row.Dataset, row.Model));
        LineageNode of = await Lineage.TraceAsync(store, "starter-0123456789", TestContext.Current.CancellationToken);
        Assert.Equal($"2026-03-02 09:00, from random weights, made {model.Hash[..12]}, by itself on data abcdef012345", of.Text);
        LineageNode back = await Lineage.TraceAsync(store, model.Hash, TestContext.Current.CancellationToken);
        Assert.Contains(back.Children, node => node.Kind == "run" && node.Id == "starter-0123456789");
    }
}
