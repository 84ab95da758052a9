using Flywheel.Loop;
using Flywheel.Loop.Jobs;
using Flywheel.Model;
using Flywheel.Studio.Serving;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Flywheel.Studio.OpenAI;

/// <summary>Serves what fine-tuning jobs made: at the server's start, and whenever a model is served that they were made for.</summary>
internal sealed class FineTunedAdapters(FlywheelStore store, JobQueue queue, ModelHost host, ILogger<FineTunedAdapters> log)
    : IHostedService
{
    private const int MaxJobs = 1000;

    /// <summary>Lets requests name an adapter.</summary>
    /// <returns>Why they cannot; null when they can.</returns>
    public async Task<string?> LoadAsync(FineTuneInput input, FineTuneState state)
    {
        ServedModel model = host.Acquire();
        try
        {
            if (model.Hash != input.Base) return $"its model {input.Base[..12]} is not the one that is served now";
            if (model.Adapters.GetValueOrDefault(input.Name) != state.Adapter)
                await FirstModel.LoadAdapterAsync(store, model, state.Adapter!, input.Name);
            return null;
        }
        catch (FlywheelException e)
        {
            return e.Message;
        }
        finally
        {
            model.Release();
        }
    }

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await LoadAllAsync();
        host.Promoted += OnPromoted;
    }

    public Task StopAsync(CancellationToken cancellationToken)
    {
        host.Promoted -= OnPromoted;
        return Task.CompletedTask;
    }

    private void OnPromoted() => Task.Run(LoadAllAsync);

    private async Task LoadAllAsync()
    {
        try
        {
            foreach (JobRow row in await queue.ListAsync(kind: FineTuneJob.Kind, count: MaxJobs))
            {
                if (row.State != JobState.Done) continue;
                JobRow job = await queue.FindAsync(row.Id);
                FineTuneInput input = FineTuneJob.InputOf(job);
                if (input.Base == host.Current.Hash && await LoadAsync(input, FineTuneJob.StateOf(job)) is { } why)
                    log.LogWarning("The adapter {Name} is not served: {Why}", input.Name, why);
            }
        }
        catch (Exception e)
        {
            log.LogError(e, "Fine-tuned adapters could not be looked up");
        }
    }
}
