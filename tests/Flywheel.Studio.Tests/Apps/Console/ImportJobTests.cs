using Flywheel.Loop;
using Flywheel.Loop.Jobs;
using Flywheel.Model;
using Flywheel.Studio.Apps.Console;
using Flywheel.Testing;

namespace Flywheel.Studio.Tests.Apps.Console;

/// <summary>Bringing a model in as a job: what came is known and named, and what failed says why.</summary>
public sealed class ImportJobTests : IAsyncLifetime
{
    private readonly TempFolder _folder = new();
    private FlywheelStore _store = null!;

    public async ValueTask InitializeAsync() => _store = await FlywheelStore.OpenAsync(new FlywheelHome(_folder["home"]));

    public async ValueTask DisposeAsync()
    {
        await _store.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task Run_AFolder_RegistersTheModelUnderItsName()
    {
        ModelFolder tiny = TinyModel.Create(_folder["models"]);
        JobRow job = await RunAsync(tiny.Path, "mine");
        Assert.Equal((JobState.Done, 1.0), (job.State, job.Progress));
        ModelRow row = Assert.Single(await _store.ModelsAsync());
        Assert.Equal("mine", row.Name);
        Assert.Equal($"mine {row.ShortHash}", job.Message);
        Assert.Equal(row.Hash, new ModelCatalog(_store.Home).FindModel("mine").Hash);
    }

    [Theory]
    [InlineData("/nowhere/model", "/nowhere/model: no such file or folder; expected")]
    [InlineData("hf:nobody", "hf:nobody")]
    public async Task Run_WhatIsNotThere_FailsOnceAndSaysWhy(string from, string expected)
    {
        JobRow job = await RunAsync(from, "");
        Assert.Equal((JobState.Failed, 1), (job.State, job.Attempts));
        Assert.Contains(expected, job.Message, StringComparison.Ordinal);
        Assert.Empty(await _store.ModelsAsync());
    }

    private async Task<JobRow> RunAsync(string from, string name)
    {
        var queue = new JobQueue(_store);
        var import = new ImportJob(_store, queue, TimeProvider.System);
        Guid id = (await import.EnqueueAsync(from, name, "ann")).Id;
        using var end = new CancellationTokenSource();
        Task worker =
            new JobWorker(queue, new Dictionary<string, JobHandler> { [ImportJob.Kind] = import.RunAsync })
                { Poll = TimeSpan.FromMilliseconds(20) }.RunAsync(end.Token);
        JobRow job;
        while ((job = await queue.FindAsync(id)).State is JobState.Queued or JobState.Running)
            await Task.Delay(20, TestContext.Current.CancellationToken);
        await end.CancelAsync();
        await worker;
        return job;
    }
}
