using System.Collections.Concurrent;
using Flywheel.Engine;
using Flywheel.Loop.Translation;
using Flywheel.Model;
using Flywheel.Studio.OpenAI;
using Microsoft.Extensions.Logging;

namespace Flywheel.Studio.Apps.Translate;

/// <summary>Documents that are being drafted. They belong to the server, not to the page: a reload finds them going on.</summary>
internal sealed class TranslationWriter(Translator translator, Translations translations, ILogger<TranslationWriter> log) : IAsyncDisposable
{
    /// <summary>Segments at once: what was drafted so far is on disk and shown.</summary>
    private const int Batch = 24;

    private readonly ConcurrentDictionary<Guid, LiveTranslation> _live = [];

    /// <summary>Segments of a document were drafted, or it ended: the document's id.</summary>
    public event Action<Guid>? Progressed
    {
        add => _progressed.Add(value);
        remove => _progressed.Remove(value);
    }

    private readonly Bell _progressed = new();

    public LiveTranslation? Find(Guid document) => _live.GetValueOrDefault(document);

    /// <summary>Drafts every empty segment, in the background.</summary>
    public async Task StartAsync(Guid id, TranslatorPerson person, string engine)
    {
        if (await translations.FindAsync(id, person.Name) is not var (_, body)) return;
        int[] open = [.. Enumerable.Range(0, body.Segments.Count).Where(i => body.Segments[i].State == SegmentState.Empty)];
        var live = new LiveTranslation(open.Length);
        if (open.Length == 0 || !_live.TryAdd(id, live)) return;
        live.Running = Task.Run(() => RunAsync(id, person, body, open, engine, live));
        _progressed.Ring(id);
    }

    /// <summary>Another draft of one segment, by the engine alone.</summary>
    /// <exception cref="FlywheelException">The engine cannot.</exception>
    public async Task AgainAsync(Guid id, TranslatorPerson person, int number, string engine)
    {
        if (await translations.FindAsync(id, person.Name) is not var (_, body)) return;
        IReadOnlyList<TranslatedSegment> drafts =
            await translator.TranslateAsync(Order(body, person, [number], engine) with { UseMemory = false });
        await translations.FillAsync(id, person.Name, new Dictionary<int, TranslatedSegment> { [number] = drafts[0] }, again: true);
    }

    private async Task RunAsync(Guid id, TranslatorPerson person, TranslationBody body, int[] open, string engine, LiveTranslation live)
    {
        try
        {
            foreach (int[] some in open.Chunk(Batch))
            {
                IReadOnlyList<TranslatedSegment> drafts = await translator.TranslateAsync(Order(body, person, some, engine), live.Stopped);
                await translations.FillAsync(id, person.Name, some.Zip(drafts).ToDictionary(pair => pair.First, pair => pair.Second));
                live.Done += some.Length;
                _progressed.Ring(id);
            }
        }
        catch (OperationCanceledException) when (live.Stopped.IsCancellationRequested)
        {
            // What is drafted is drafted.
        }
        catch (Exception e) when (e is FlywheelException or QueueFullException or ApiException)
        {
            live.Fault = e.Message;
        }
        catch (Exception e)
        {
            log.LogError(e, "Drafting a translation failed");
            live.Fault = "";
        }
        finally
        {
            _live.TryRemove(id, out _);
            live.Dispose();
            _progressed.Ring(id);
        }
    }

    private static TranslationOrder Order(TranslationBody body, TranslatorPerson person, int[] numbers, string engine) => new()
    {
        Segments = [.. numbers.Select(number => body.Segments[number].Source)],
        Contexts = [.. numbers.Select(number => number > 0 ? body.Segments[number - 1].Source : "")],
        Pair = new(person.Workspace, body.From, body.To),
        Engine = engine.Length > 0 ? engine : null,
        ExactOnly = engine.Length > 0,
        Caller = new DraftCaller(person.Name, "", Translations.App),
    };

    /// <summary>The server ends: what is not drafted yet stays empty.</summary>
    public async ValueTask DisposeAsync()
    {
        LiveTranslation[] running = [.. _live.Values];
        foreach (LiveTranslation one in running) one.Stop();
        await Task.WhenAll(running.Select(one => one.Running));
    }
}

/// <summary>A document while it is drafted.</summary>
internal sealed class LiveTranslation : IDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private bool _ended;

    public LiveTranslation(int total) => (Total, Stopped) = (total, _stop.Token);

    /// <summary>Segments to draft.</summary>
    public int Total { get; }

    public int Done { get; set; }

    /// <summary>Why it ended before its end; empty: the server's log says it.</summary>
    public string? Fault { get; set; }

    public CancellationToken Stopped { get; }

    public Task Running { get; set; } = Task.CompletedTask;

    public void Stop()
    {
        lock (_stop)
            if (!_ended) _stop.Cancel();
    }

    public void Dispose()
    {
        lock (_stop)
        {
            _ended = true;
            _stop.Dispose();
        }
    }
}
