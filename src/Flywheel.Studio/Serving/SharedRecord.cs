using Flywheel.Loop;
using Flywheel.Loop.Translation;
using Flywheel.Model;
using Flywheel.Studio.Access;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Flywheel.Studio.Serving;

/// <summary>
/// Follows what other servers do to the same record: serves the model that one of them promoted, lets nobody in unknown once somebody has
/// an
/// account, and reads the translation memory and the glossary anew when they have changed.
/// </summary>
internal sealed class SharedRecord(FlywheelStore store, ModelHost host, TranslationMemory memory, Glossary glossary, AccessRules rules,
    Accounts accounts, TimeProvider time, ILogger<SharedRecord> log)
    : BackgroundService
{
    private static readonly TimeSpan s_poll = TimeSpan.FromSeconds(2);

    private string? _said;
    private (int, DateTimeOffset?, int, DateTimeOffset?)? _words;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(s_poll, time);
        try
        {
            do
            {
                try
                {
                    await FollowAsync(stoppingToken);
                    if (_said is not null) log.LogInformation("What other servers do to the record is followed again");
                    _said = null;
                }
                catch (Exception e) when (!stoppingToken.IsCancellationRequested)
                {
                    // The database is away, or the model's folder is not here yet: said once, tried on.
                    string message = e.GetBaseException().Message;
                    if (message != _said)
                        log.LogWarning("What other servers did to the record cannot be followed: {Message}", _said = message);
                }
            }
            while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The server stops.
        }
    }

    private async Task FollowAsync(CancellationToken cancellation)
    {
        // First, and whatever becomes of the rest: from the first account on nobody is let in who is not known.
        rules.HasAccounts = rules.HasAccounts || await accounts.AnyAsync(cancellation);
        if (await store.ChampionAsync(cancellation) is { } champion && champion.Hash != host.Current.Hash)
            await host.PromoteAsync(Open(champion), async () =>
            {
                // This server may have promoted yet another while the model was loaded.
                if ((await store.ChampionAsync(cancellation))?.Hash != champion.Hash)
                    throw new FlywheelException("another model was promoted meanwhile");
            });
        await using FlywheelDb db = store.AllTables();
        var words = (await db.TranslationUnits.CountAsync(cancellation),
            await db.TranslationUnits.MaxAsync(row => (DateTimeOffset?)row.Updated, cancellation),
            await db.Terms.CountAsync(cancellation), await db.Terms.MaxAsync(row => (DateTimeOffset?)row.Updated, cancellation));
        if (words == _words) return;
        if (_words is not null)
        {
            memory.Reload();
            glossary.Reload();
        }
        _words = words;
    }

    private ModelFolder Open(ModelRow champion)
    {
        string folder = store.FolderOf(champion);
        return Directory.Exists(folder) ? ModelFolder.Open(folder)
            : throw new FlywheelException(
                $"model {champion.Name} ({champion.ShortHash}) was promoted, but {folder} is not on this machine; share or copy it to {Path.Combine(store.Home.Path, "models", champion.ShortHash)}");
    }
}
