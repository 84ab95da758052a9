using System.Collections.Concurrent;
using System.Diagnostics;
using Flywheel.Loop.Jobs;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Loop.Tests;

public sealed class SqliteJobTests() : JobTests(Provider.Sqlite);

public sealed class PostgresJobTests() : JobTests(Provider.Postgres);

/// <summary>Each job is done once and survives its worker, on either database.</summary>
public abstract class JobTests(Provider provider) : IAsyncLifetime
{
    private static readonly TimeSpan s_lease = TimeSpan.FromMinutes(1);

    private readonly TestRecord _record = new(provider);
    private readonly Given.Clock _clock = new(Given.Monday);
    private FlywheelStore _store = null!;
    private JobQueue _queue = null!;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _store = await FlywheelStore.OpenAsync(await _record.HomeAsync());
        _queue = new JobQueue(_store, _clock);
    }

    public async ValueTask DisposeAsync()
    {
        if (_store is not null) await _store.DisposeAsync();
        _record.Dispose();
    }

    [Fact]
    public async Task Claim_ManyWorkersOfSeveralStores_EachJobOnce()
    {
        Guid[] jobs = new Guid[60];
        for (int i = 0; i < jobs.Length; i++) jobs[i] = (await _queue.EnqueueAsync("count", $"{i}", cancellation: Stop)).Id;
        FlywheelStore[] stores = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => FlywheelStore.OpenAsync(_store.Home)));
        var claimed = new ConcurrentBag<Guid>();

        await Task.WhenAll(Enumerable.Range(0, 16).Select(worker => Task.Run(async () =>
        {
            var queue = new JobQueue(stores[worker % 4], _clock);
            while (await queue.ClaimAsync($"worker {worker}", ["count"], s_lease, Stop) is { } job)
            {
                claimed.Add(job.Id);
                await queue.CompleteAsync(job.Id, $"worker {worker}", job.Payload!.Input, Stop);
            }
        })));

        Assert.Equal(jobs.Order(), claimed.Order());
        for (int i = 0; i < jobs.Length; i++) Assert.Equal((JobState.Done, $"{i}"), await ResultAsync(jobs[i]));
        foreach (FlywheelStore store in stores) await store.DisposeAsync();
    }

    [Fact]
    public async Task GiveUp_DeadWorkersJob_IsClaimedAtOnceAndALivingOnesIsNot()
    {
        Assert.True(JobWorker.IsDead($"{Environment.MachineName}/{int.MaxValue}/a"));
        foreach (string? alive in new[] { new JobWorker(_queue, new Dictionary<string, JobHandler>()).Name, $"elsewhere/{int.MaxValue}/a",
            "worker", null }) Assert.False(JobWorker.IsDead(alive));
        await _queue.EnqueueAsync("count", "1", cancellation: Stop);
        JobRow job = (await _queue.ClaimAsync("dead", ["count"], s_lease, Stop))!;
        Assert.Null(await _queue.ClaimAsync("next", ["count"], s_lease, Stop));
        // It said something after it was looked at: it lives.
        _clock.Now += TimeSpan.FromSeconds(1);
        await _queue.ReportAsync(job.Id, "dead", s_lease, 0.5, cancellation: Stop);
        await _queue.GiveUpAsync(job, Stop);
        Assert.Null(await _queue.ClaimAsync("next", ["count"], s_lease, Stop));
        await _queue.GiveUpAsync(Assert.Single(await _queue.ListAsync(state: JobState.Running, cancellation: Stop)), Stop);
        Assert.Equal(job.Id, (await _queue.ClaimAsync("next", ["count"], s_lease, Stop))!.Id);
    }

    /// <summary>Whatever workers and people do in whatever order: one worker has a job, and its row says how it stands.</summary>
    [Fact]
    public async Task Queue_AnyOrderOfActs_OneWorkerHasAJobAndNothingIsStuck()
    {
        var random = new Random(17);
        string[] workers = ["a", "b", "c"];
        for (int round = 0; round < 12; round++)
        {
            JobRow job = await _queue.EnqueueAsync("play", "{}", maxAttempts: 1000, cancellation: Stop);
            string? holder = null;
            for (int step = 0; step < 25; step++)
            {
                string worker = workers[random.Next(3)];
                JobRow before = await _queue.FindAsync(job.Id, Stop);
                switch (random.Next(8))
                {
                    case 0:
                        if (await _queue.ClaimAsync(worker, ["play"], s_lease, Stop) is { } won)
                        {
                            Assert.True(before.State == JobState.Queued || before.ClaimedUntil < _clock.Now);
                            Assert.Equal(job.Id, won.Id);
                            holder = worker;
                        }
                        break;
                    case 1: _clock.Now += TimeSpan.FromSeconds(random.Next(90)); break;
                    case 2: await Refused(() =>
                        _queue.PauseAsync(job.Id, Stop), before.State is JobState.Done or JobState.Failed or JobState.Cancelled); break;
                    case 3: await Refused(() => _queue.ResumeAsync(job.Id, Stop), before.State is JobState.Queued or JobState.Done
                        || (before.State == JobState.Running && before.Wish != JobWish.Pause)); break;
                    case 4 when step > 15: await Refused(() =>
                        _queue.CancelAsync(job.Id, Stop), before.State is JobState.Done or JobState.Failed or JobState.Cancelled); break;
                    case 5: await Mine(() => _queue.FailAsync(before, worker, "no", retry: true, Stop), before, worker); break;
                    case 6: await Mine(() => _queue.ReleaseAsync(before, worker, Stop), before, worker); break;
                    default: await Mine(() =>
                        _queue.ReportAsync(job.Id, worker, s_lease, random.NextDouble(), cancellation: Stop), before, worker); break;
                }
                JobRow after = await _queue.FindAsync(job.Id, Stop);
                if (after.State == JobState.Running) Assert.Equal(holder, after.ClaimedBy);
                Assert.Equal(after.State == JobState.Running, after.ClaimedUntil is not null);
                Assert.Equal(after.State is JobState.Done or JobState.Failed or JobState.Cancelled, after.Finished is not null);
                if (after.State != JobState.Running) Assert.Null(after.Wish);
            }
            // However it stands: it can be brought to its end.
            JobRow last = await _queue.FindAsync(job.Id, Stop);
            if (last.Wish is null
                && last.State is JobState.Paused or JobState.Failed or JobState.Cancelled) await _queue.ResumeAsync(job.Id, Stop);
            for (int claims = 0; claims < 3; claims++)
            {
                _clock.Now += TimeSpan.FromHours(2);
                if (await _queue.ClaimAsync("last", ["play"], s_lease, Stop) is not { } mine) break;
                await _queue.CompleteAsync(mine.Id, "last", cancellation: Stop);
            }
            Assert.NotEqual(JobState.Running, (await _queue.FindAsync(job.Id, Stop)).State);
        }

        static async Task Refused(Func<Task> act, bool refused)
        {
            if (refused) await Assert.ThrowsAsync<FlywheelException>(act);
            else await act();
        }

        static async Task Mine(Func<Task> act, JobRow before, string worker)
        {
            if (before.State == JobState.Running && before.ClaimedBy == worker) await act();
            else await Assert.ThrowsAsync<JobLostException>(act);
        }
    }

    [Fact]
    public async Task Fail_AgainAndAgain_WaitsLongerAndIsGivenUpWithItsReason()
    {
        JobRow job = await _queue.EnqueueAsync("import", "{}", cancellation: Stop);
        List<double> waits = [];
        for (int attempt = 1; attempt <= 3; attempt++)
        {
            JobRow mine = (await _queue.ClaimAsync("w", ["import"], s_lease, Stop))!;
            Assert.Equal(attempt, mine.Attempts);
            await _queue.FailAsync(mine, "w", $"reason {attempt}", retry: true, Stop);
            Assert.Null(await _queue.ClaimAsync("w", ["import"], s_lease, Stop)); // not at once
            JobRow now = await _queue.FindAsync(job.Id, Stop);
            waits.Add((now.NotBefore - _clock.Now).TotalSeconds);
            _clock.Now = now.NotBefore;
        }

        Assert.Equal([5.0, 10.0], waits[..2]);
        JobRow ended = await _queue.FindAsync(job.Id, Stop);
        Assert.Equal((JobState.Failed, "reason 3"), (ended.State, ended.Message));
        await _queue.ResumeAsync(job.Id, Stop);
        Assert.Equal(1, (await _queue.ClaimAsync("w", ["import"], s_lease, Stop))!.Attempts);
    }

    [Fact]
    public async Task Claim_WorkerThatDiesEachTime_IsGivenUp()
    {
        JobRow job = await _queue.EnqueueAsync("crash", "{}", cancellation: Stop);
        for (int attempt = 0; attempt < 3; attempt++)
        {
            Assert.NotNull(await _queue.ClaimAsync($"w{attempt}", ["crash"], s_lease, Stop));
            _clock.Now += s_lease + TimeSpan.FromSeconds(1);
        }

        Assert.Null(await _queue.ClaimAsync("w", ["crash"], s_lease, Stop));
        JobRow ended = await _queue.FindAsync(job.Id, Stop);
        Assert.Equal((JobState.Failed, "its worker w2 died 3 times while it ran"), (ended.State, ended.Message));
    }

    [Fact]
    public async Task Report_AfterTheClaimRanOut_IsRefusedAndTheOtherWorkersWordCounts()
    {
        JobRow job = await _queue.EnqueueAsync("slow", "{}", cancellation: Stop);
        await _queue.ClaimAsync("first", ["slow"], s_lease, Stop);
        await _queue.ReportAsync(job.Id, "first", s_lease, 0.25, "a quarter", "25", Stop);
        _clock.Now += s_lease + TimeSpan.FromSeconds(1);

        JobRow second = (await _queue.ClaimAsync("second", ["slow"], s_lease, Stop))!;

        Assert.Equal((0.25, "a quarter", "25"), (second.Progress, second.Message, second.Payload!.Checkpoint));
        await Assert.ThrowsAsync<JobLostException>(() => _queue.ReportAsync(job.Id, "first", s_lease, 0.5, cancellation: Stop));
        await Assert.ThrowsAsync<JobLostException>(() => _queue.CompleteAsync(job.Id, "first", "wrong", Stop));
        await _queue.CompleteAsync(job.Id, "second", "right", Stop);
        Assert.Equal((JobState.Done, "right"), await ResultAsync(job.Id));
    }

    [Fact]
    public async Task Worker_PausedAndResumed_GoesOnFromItsCheckpoint()
    {
        List<int> steps = [];
        JobRow job = null!;
        await WithWorkerAsync(async (context, stop) =>
        {
            for (int step = int.Parse(context.Checkpoint ?? "0"); step < 6; step++)
            {
                steps.Add(step);
                if (step == 2 && steps.Count == 3) await _queue.PauseAsync(context.Id, Stop);
                await context.ReportAsync((step + 1) / 6.0, $"step {step}", $"{step + 1}");
                stop.ThrowIfCancellationRequested();
            }
            return "6";
        }, async () =>
        {
            job = await _queue.EnqueueAsync("steps", "{}", cancellation: Stop);
            JobRow paused = await WhenAsync(job.Id, JobState.Paused);
            Assert.Equal((0.5, "step 2", 0), (paused.Progress, paused.Message, paused.Attempts));
            await _queue.ResumeAsync(job.Id, Stop);
            await WhenAsync(job.Id, JobState.Done);
        });

        Assert.Equal([0, 1, 2, 3, 4, 5], steps);
        Assert.Equal((JobState.Done, "6"), await ResultAsync(job.Id));
    }

    [Fact]
    public async Task Worker_CancelledJobThatSaysNothing_IsStoppedAtTheNextRenewal() => await WithWorkerAsync(
        async (_, stop) =>
        {
            await Task.Delay(Timeout.Infinite, stop);
            return null;
        },
        async () =>
        {
            JobRow job = await _queue.EnqueueAsync("steps", "{}", cancellation: Stop);
            await WhenAsync(job.Id, JobState.Running);
            await _queue.CancelAsync(job.Id, Stop);
            Assert.NotNull((await WhenAsync(job.Id, JobState.Cancelled)).Finished);
        });

    [Fact]
    public async Task Worker_HandlerThrows_RetriesWhatMayPassAndFailsWhatAPersonMustMend()
    {
        int tries = 0;
        JobRow flaky = null!, wrong = null!;
        await WithWorkerAsync((context, _) => context.Input == "wrong" ? throw new FlywheelException("line 3: no such language")
            : ++tries < 2 ? throw new IOException("the line was cut") : Task.FromResult<string?>("fine"), async () =>
        {
            flaky = await _queue.EnqueueAsync("steps", "flaky", cancellation: Stop);
            JobRow failed = await WhenAsync(flaky.Id, JobState.Queued, row => row.Attempts == 1 && row.ClaimedUntil is null);
            Assert.Equal("the line was cut", failed.Message);
            wrong = await _queue.EnqueueAsync("steps", "wrong", cancellation: Stop);
            Assert.Equal("line 3: no such language", (await WhenAsync(wrong.Id, JobState.Failed)).Message);
            _clock.Now += TimeSpan.FromSeconds(10);
            await WhenAsync(flaky.Id, JobState.Done);
        });

        Assert.Equal(2, tries);
    }

    [Fact]
    public async Task Worker_Stopped_PutsItsJobBackUncounted()
    {
        JobRow job = await _queue.EnqueueAsync("steps", "{}", cancellation: Stop);
        await WithWorkerAsync(async (_, stop) =>
        {
            await Task.Delay(Timeout.Infinite, stop);
            return null;
        }, () => WhenAsync(job.Id, JobState.Running));

        JobRow back = await _queue.FindAsync(job.Id, Stop);
        Assert.Equal((JobState.Queued, 0, null), (back.State, back.Attempts, back.ClaimedUntil));
    }

    /// <summary>Whatever a handler falls over once it was told to stop, the job has not failed.</summary>
    [Fact]
    public async Task Worker_StoppedHandlerThatThrowsAnotherException_PutsItsJobBackUncounted()
    {
        JobRow job = await _queue.EnqueueAsync("steps", "{}", cancellation: Stop);
        await WithWorkerAsync(async (_, stop) =>
        {
            await Task.Delay(Timeout.Infinite, stop).ContinueWith(_ => { }, TaskScheduler.Default);
            throw new AggregateException(new ObjectDisposedException("a stream that the stop had closed"));
        }, () => WhenAsync(job.Id, JobState.Running));

        JobRow back = await _queue.FindAsync(job.Id, Stop);
        Assert.Equal((JobState.Queued, 0, null), (back.State, back.Attempts, back.ClaimedUntil));
    }

    /// <summary>Workers die by SIGKILL in the middle of the work; others end it, and repeat no step that was noted.</summary>
    [Fact]
    public async Task Worker_KilledAgainAndAgain_EndsItsJobsFromTheirCheckpoints()
    {
        var queue = new JobQueue(_store);
        Guid[] jobs = [(await queue.EnqueueAsync("steps", "a", maxAttempts: 20, cancellation: Stop)).Id,
            (await queue.EnqueueAsync("steps", "b", maxAttempts: 20, cancellation: Stop)).Id];
        string log = _record.Folder["steps.log"];
        int kills = 0;
        var random = new Random(5);
        for (; kills < 4; kills++)
        {
            using Process child = Program.StartChild(nameof(JobTests), _store.Home.Path, log, _store.Home.Server ?? "");
            for (int line = random.Next(3, 8); line > 0 && await child.StandardOutput.ReadLineAsync(Stop) is not null; line--) { }
            child.Kill();
            await child.WaitForExitAsync(Stop);
        }
        using (Process child = Program.StartChild(nameof(JobTests), _store.Home.Path, log, _store.Home.Server ?? ""))
        {
            while (await Task.WhenAll(jobs.Select(job => queue.FindAsync(job, Stop))) is var rows
                && rows.Any(row => row.State is JobState.Queued or JobState.Running)) await Task.Delay(50, Stop);
            child.Kill();
            await child.WaitForExitAsync(Stop);
        }

        foreach (Guid job in jobs) Assert.Equal((JobState.Done, "20"), await ResultAsync(job, queue));
        string[] steps = await File.ReadAllLinesAsync(log, Stop);
        foreach (string name in new[] { "a", "b" })
            Assert.Equal(Enumerable.Range(0, 20)
                .Select(step => $"{name} {step}"), steps.Where(line => line.StartsWith(name, StringComparison.Ordinal)).Distinct());
        Assert.InRange(steps.Length, 40, 40 + kills); // of a killed worker, only the step that it had not noted yet
    }

    /// <summary>The child: does jobs of twenty steps, with a line for each.</summary>
    internal static async Task WorkForEver(string home, string log, string server)
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(home, server));
        var worker = new JobWorker(new JobQueue(store), new Dictionary<string, JobHandler>
        {
            ["steps"] = async (job, _) =>
            {
                for (int step = int.Parse(job.Checkpoint ?? "0"); step < 20; step++)
                {
                    File.AppendAllText(log, $"{job.Input} {step}\n");
                    await job.ReportAsync(step / 20.0, checkpoint: $"{step + 1}");
                    Console.WriteLine(step);
                }
                return "20";
            },
        }) { Lease = TimeSpan.FromMilliseconds(600), Poll = TimeSpan.FromMilliseconds(50) };
        await worker.RunAsync(CancellationToken.None);
    }

    private async Task WithWorkerAsync(JobHandler handler, Func<Task> meanwhile)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        var worker = new JobWorker(_queue, new Dictionary<string, JobHandler> { ["steps"] = handler }) { Lease = s_lease,
            Poll = TimeSpan.FromMilliseconds(20) };
        Task running = worker.RunAsync(stop.Token);
        try
        {
            await meanwhile();
        }
        finally
        {
            await stop.CancelAsync();
            await running;
        }
    }

    private async Task<JobRow> WhenAsync(Guid job, JobState state, Func<JobRow, bool>? also = null)
    {
        while (true)
        {
            JobRow row = await _queue.FindAsync(job, Stop);
            if (row.State == state && (also is null || also(row))) return row;
            await Task.Delay(10, Stop);
        }
    }

    private async Task<(JobState, string?)> ResultAsync(Guid job, JobQueue? queue = null)
    {
        JobRow row = await (queue ?? _queue).FindAsync(job, Stop);
        return (row.State, row.Payload!.Result);
    }
}
