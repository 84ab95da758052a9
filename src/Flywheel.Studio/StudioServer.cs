using System.Net.Sockets;
using System.Security.Cryptography;
using Flywheel.Loop;
using Flywheel.Loop.Jobs;
using Flywheel.Loop.Reviews;
using Flywheel.Loop.Translation;
using Flywheel.Model;
using Flywheel.Studio.Access;
using Flywheel.Studio.Apps;
using Flywheel.Studio.Apps.Chat;
using Flywheel.Studio.Apps.Chat.Arena;
using Flywheel.Studio.Apps.Console;
using Flywheel.Studio.Apps.Dubbing;
using Flywheel.Studio.Apps.Learn;
using Flywheel.Studio.Apps.Tasks;
using Flywheel.Studio.Apps.Translate;
using Flywheel.Studio.Apps.Turns;
using Flywheel.Studio.Apps.Write;
using Flywheel.Studio.Apps.Write.Bulk;
using Flywheel.Studio.Apps.Write.Sharing;
using Flywheel.Studio.OpenAI;
using Flywheel.Studio.Serving;
using Flywheel.Studio.Shell;
using Flywheel.Voice;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.DataProtection.KeyManagement;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;
using MudBlazor.Services;
using OpenTelemetry.Metrics;

namespace Flywheel.Studio;

/// <summary>The server of a home: the API, the record and the pages on one model.</summary>
public sealed class StudioServer : IAsyncDisposable
{
    /// <summary>Streams that were cut have so long to send their last event.</summary>
    private static readonly TimeSpan CutTime = TimeSpan.FromSeconds(3);

    private readonly RunningServer.Claim _claim;
    private readonly FlywheelStore _store;
    private readonly ModelHost _host;
    private readonly WebApplication _app;
    private readonly TimeSpan _drainTime;

    private StudioServer(RunningServer.Claim claim, FlywheelStore store, ModelHost host, WebApplication app, TimeSpan drainTime) =>
        (_claim, _store, _host, _app, _drainTime) = (claim, store, host, app, drainTime);

    /// <summary>An address at which this machine reaches it, with the port that it was given.</summary>
    public string Url => Listen.LocalUrl;

    /// <summary>Addresses at which other machines reach it; none when it listens to this one alone.</summary>
    public IReadOnlyList<string> UrlsForOthers => Listen.UrlsForOthers();

    /// <summary>Everyone must show a key.</summary>
    public bool NeedsKey => _app.Services.GetRequiredService<AccessRules>().NeedsKey;

    /// <summary>The key that this start made because the home had none and needs one; it is nowhere else.</summary>
    public string? FirstKey { get; private init; }

    /// <summary>The path of the link that makes the first account, which this start made because people can come in and none has one; it is
    /// nowhere else.</summary>
    public string? FirstLink { get; private init; }

    /// <summary>Where its models lie.</summary>
    public FlywheelHome Home => _store.Home;

    /// <summary>Where it is recorded what the server does, for people.</summary>
    public string Record => _store.Name;

    private ListenAddress Listen =>
        ListenAddress.Parse(
            _app.Services.GetRequiredService<IServer>().Features.GetRequiredFeature<IServerAddressesFeature>().Addresses.First());

    /// <summary>Name, hash and size of the model that answers now.</summary>
    public ModelFolder Model => _host.Current.Folder;

    /// <summary>Why the model only continues texts; null when it can be talked to.</summary>
    public string? ChatFault => _host.Current.ChatFault;

    /// <summary>Names of the adapters that are loaded.</summary>
    public IReadOnlyCollection<string> Adapters => [.. _host.Current.Adapters.Keys];

    /// <summary>Serves until cancelled; then lets running answers end.</summary>
    /// <param name="options">Where and what.</param>
    /// <param name="ready">Called once requests are answered.</param>
    /// <param name="cancellation">Stops the server.</param>
    /// <exception cref="FlywheelException">The home is taken, the port is in use, or there is no model to serve.</exception>
    /// <returns>What became of the answers that still ran.</returns>
    public static async Task<ServerEnd> RunAsync(StudioOptions options, Action<StudioServer> ready, CancellationToken cancellation)
    {
        StudioServer server = await StartAsync(options, cancellation);
        await using (server)
        {
            ready(server);
            using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellation, server._app.Lifetime.ApplicationStopping);
            await Task.Delay(Timeout.Infinite, over.Token).ContinueWith(_ => { }, TaskScheduler.Default);
        }
        if (!cancellation.IsCancellationRequested)
            throw new FlywheelException("a part of the server has failed, as is said above, so the server has stopped; start it again");
        return server.End!;
    }

    /// <summary>What became of the answers that ran when it was told to stop; known once it is disposed.</summary>
    public ServerEnd? End { get; private set; }

    /// <inheritdoc cref="RunAsync"/>
    public static async Task<StudioServer> StartAsync(StudioOptions options, CancellationToken cancellation = default)
    {
        var rules = new AccessRules(options);
        Actor.Is(Actor.Server);
        RunningServer.Claim claim = RunningServer.ClaimHome(options.Home);
        FlywheelStore? store = null;
        WebApplication? app = null;
        try
        {
            store = await FlywheelStore.OpenAsync(options.Home, TimeProvider.System, cancellation);
            string? champion = (await store.ChampionAsync(cancellation))?.Hash;
            (ModelFolder folder, string? reason) =
                await FirstModel.FindAsync(store, options, TimeProvider.System.GetUtcNow(), cancellation);
            ServedModel model = await ServedModel.LoadAsync(folder, options.Engine, cancellation);
            var keys = new ApiKeys(store, TimeProvider.System);
            var accounts = new Accounts(store, TimeProvider.System);
            rules.HasAccounts = await accounts.AnyAsync(cancellation);
            app = Build(options, rules, keys, claim.Secret, store, model);
            var host = app.Services.GetRequiredService<ModelHost>();
            foreach (string adapter in options.Adapters) await FirstModel.LoadAdapterAsync(store, model, adapter);
            await store.RegisterModelAsync(folder, cancellation: cancellation);
            if (reason is not null) await ReleaseAsync(store, folder, reason, champion, options, cancellation);
            await app.Services.GetRequiredService<OwnModels>().FollowAsync(cancellation);
            await app.Services.GetRequiredService<RolloutHost>().RefreshAsync(); // a rollout goes on before the first request
            await ListenAsync(app, options.Url, cancellation);
            // Only once it can be said: a key that nobody was told would be one that nobody revokes.
            // Where people have accounts they make the keys that they want.
            bool first = rules.NeedsKey && !rules.HasAccounts && (await keys.ListAsync(cancellation)).Count == 0;
            string? key = first
                ? (await keys.CreateAsync("first", [Scopes.Inference, Scopes.Feedback], cancellation: cancellation)).Key : null;
            string? link = rules.NeedsKey && await accounts.InviteFirstAsync(cancellation) is { } token ? Join.PathOf(token) : null;
            var server = new StudioServer(claim, store, host, app, options.DrainTime) { FirstKey = key, FirstLink = link };
            claim.Publish(server.Url);
            await FollowAsync(store, host, cancellation);
            return server;
        }
        catch
        {
            if (app is not null) await app.DisposeAsync();
            if (store is not null) await store.DisposeAsync();
            claim.Dispose();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (End is not null) return;
        var ending = _app.Services.GetRequiredService<ServerEnding>();
        ending.Begin();
        if (ending.NumRunning > 0) _app.Logger.LogInformation("Stopping: {Count} running answers have {Seconds} seconds to end",
            ending.NumRunning, _drainTime.TotalSeconds);
        using (var limit = new CancellationTokenSource(_drainTime + CutTime))
        {
            Task stop = _app.StopAsync(limit.Token);
            if (await Task.WhenAny(stop, Task.Delay(_drainTime)) != stop) ending.CutAll();
            try
            {
                await stop;
            }
            catch (OperationCanceledException)
            {
                // Whoever does not even take the last event is disconnected.
            }
        }
        await _app.DisposeAsync(); // with it the model host, which waits for what still runs on the model
        await _store.DisposeAsync(); // after everything that is recorded
        _claim.Dispose();
        End = new ServerEnd(ending.NumEnded, ending.NumCut, _drainTime);
    }

    /// <summary>Makes the model the champion, unless another has become it since the start began: that is for a person to decide.</summary>
    private static async Task ReleaseAsync(FlywheelStore store, ModelFolder folder, string reason, string? champion,
        StudioOptions options, CancellationToken cancellation)
    {
        if (await store.ReleaseOverAsync(champion, folder.Hash, reason, cancellation) || options.Model is null) return;
        ModelRow other = (await store.ChampionAsync(cancellation))!;
        throw new FlywheelException(
            $"{other.Name} ({other.ShortHash}) was promoted while the server started with --model {options.Model}; start it again, without --model to serve that one");
    }

    /// <summary>A turn that ended before this server could be found has promoted in the record alone.</summary>
    private static async Task FollowAsync(FlywheelStore store, ModelHost host, CancellationToken cancellation)
    {
        while (await store.ChampionAsync(cancellation) is { } champion && champion.Hash != host.Current.Hash)
            await host.PromoteAsync(ModelFolder.Open(store.FolderOf(champion)), () => Task.CompletedTask);
    }

    /// <summary>Who was forgotten is also gone from this server's memory, and it serves what was rebuilt.</summary>
    private static ForgetJob NewForgetJob(IServiceProvider provider)
    {
        FlywheelStore store = provider.GetRequiredService<FlywheelStore>();
        return new ForgetJob(store, provider.GetRequiredService<JobQueue>(), provider.GetRequiredService<TimeProvider>())
        {
            Swap = async (hash, reason) => await provider.GetRequiredService<ModelHost>().PromoteAsync(
                ModelFolder.Open(store.FolderOf((await store.FindModelAsync(hash))!)), () => Task.CompletedTask),
            Removed = async () =>
            {
                provider.GetRequiredService<TranslationMemory>().Reload();
                provider.GetRequiredService<Glossary>().Reload();
                provider.GetRequiredService<AccessRules>().HasAccounts = await provider.GetRequiredService<Accounts>().AnyAsync();
            },
        };
    }

    private static WebApplication Build(StudioOptions options, AccessRules rules, ApiKeys keys, string adminSecret, FlywheelStore store,
        ServedModel model)
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions
        {
            ApplicationName = "flywheel", // under this name the build has listed the pages' files
            EnvironmentName = Environments.Production,
            ContentRootPath = AppContext.BaseDirectory,
        });
        builder.WebHost.UseUrls(options.Url);
        builder.WebHost.UseStaticWebAssets(); // also when run from the build's output, wherever the caller stands
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = RequestBody.MaxBytes;
            kestrel.Limits.MinResponseDataRate = options.SlowestReader;
        });
        builder.Logging.ClearProviders().AddSimpleConsole(console => (console.SingleLine, console.TimestampFormat) = (true, "HH:mm:ss "))
            .SetMinimumLevel(LogLevel.Warning)
            .AddFilter("Flywheel", LogLevel.Information)
            .AddFilter("Microsoft.Extensions.Hosting", LogLevel.Critical) // a failing start is thrown, and said once
            // anybody can send forwarding headers; those of strangers are passed over
            .AddFilter("Microsoft.AspNetCore.HttpOverrides", LogLevel.Error)
            .AddFilter("Microsoft.AspNetCore.StaticFiles", LogLevel.Error) // the pages' files come from the build's list, not from wwwroot
            .AddFilter("Microsoft.AspNetCore.DataProtection", LogLevel.Error); // that keys are not encrypted: they are the owner's alone
        builder.Services.Configure<ConsoleLoggerOptions>(console => console.LogToStandardErrorThreshold = LogLevel.Trace);

        IServiceCollection services = builder.Services;
        services.RemoveAll<ILoggerProvider>().AddSingleton<ConsoleLoggerProvider>().AddSingleton<ILoggerProvider>(provider =>
            new StoreFaultLog(provider.GetRequiredService<ConsoleLoggerProvider>(), TimeProvider.System));
        services.AddSingleton<IHostLifetime, NoLifetime>(); // Ctrl-C is the command line's
        services.Configure<HostOptions>(host => host.ShutdownTimeout = options.DrainTime + CutTime);
        services.AddSingleton(TimeProvider.System);
        services.AddSingleton(store); // given, so ours to dispose, after the host
        services.AddSingleton(provider => new ModelHost(model, options.Engine, provider.GetRequiredService<ILogger<ModelHost>>()));
        services.AddSingleton<ModelSwitch>();
        services.AddSingleton<ServerEnding>();
        services.AddSingleton<ServingMetrics>();
        services.AddSingleton<ServingContext>();
        services.AddSingleton(provider =>
            new Generator(provider.GetRequiredService<ModelHost>(), provider.GetRequiredService<ServingContext>(),
            () => BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(sizeof(ulong))), provider.GetRequiredService<RolloutHost>(),
            provider.GetRequiredService<UpstreamClient>()));
        services.AddSingleton(options.Engine).AddSingleton<RolloutHost>().AddSingleton<UpstreamClient>();
        services.AddHostedService<RolloutService>();
        services.AddSingleton<OwnModels>().AddHostedService(provider => provider.GetRequiredService<OwnModels>());
        services.AddSingleton<ReleaseWatcher>().AddHostedService(provider => provider.GetRequiredService<ReleaseWatcher>());
        services.AddHostedService<RetentionService>().AddSingleton(new ReviewQueue(store, TimeProvider.System));
        services.AddOpenApi(ApiDescription.Describe);
        services.AddOpenTelemetry().WithMetrics(metrics => metrics
            .AddMeter(ServingMetrics.MeterName, "Microsoft.AspNetCore.Hosting", "System.Runtime")
            // a scrape tells what is, not what was
            .AddPrometheusExporter(exporter => exporter.ScrapeResponseCacheDurationMilliseconds = 0));
        services.AddSingleton(new JobQueue(store, TimeProvider.System));
        services.AddSingleton(provider => new JobKind(ImportJob.Kind, provider.GetRequiredService<ImportJob>().RunAsync, "import"))
            .AddSingleton<ImportJob>();
        services.AddSingleton(provider => new JobKind(BulkBriefs.Job, provider.GetRequiredService<BulkJob>().RunAsync, "write"))
            .AddSingleton<BulkJob>().AddSingleton<BulkBriefs>();
        services.AddSingleton(provider => new JobKind(Teacher.Job, provider.GetRequiredService<Teacher>().RunAsync, "training"));
        services.AddSingleton(provider => new JobKind(OwnLearning.Job, provider.GetRequiredService<LearnJob>().RunAsync, "training"))
            .AddSingleton<LearnJob>().AddSingleton<OwnLearning>();
        services.AddSingleton(provider => new JobKind(FineTuneJob.Kind, provider.GetRequiredService<FineTuneJob>().RunAsync, "training"))
            .AddSingleton<FineTuneJob>();
        services.AddSingleton(new UploadedFiles(options.Home, TimeProvider.System)).AddSingleton<FineTunedAdapters>();
        services.AddHostedService(provider => provider.GetRequiredService<FineTunedAdapters>());
        services.AddSingleton(NewForgetJob);
        services.AddSingleton(provider => new JobKind(ForgetJob.Kind, provider.GetRequiredService<ForgetJob>().RunAsync, "training"));
        services.AddHostedService<JobService>();
        IDataProtectionBuilder cookies = services.AddDataProtection().SetApplicationName("flywheel");
        if (store.IsShared) services.Configure<KeyManagementOptions>(keyring => keyring.XmlRepository = new SharedCookieKeys(store));
        else cookies.PersistKeysToFileSystem(CookieKeys(options.Home));
        if (store.IsShared) services.AddHostedService<SharedRecord>();
        services.AddAccess(rules, keys, adminSecret);
        services.AddSingleton<Documents>().AddSingleton<Briefs>().AddSingleton<DraftWriter>().AddSingleton<Shares>().AddSingleton<Chats>()
            .AddSingleton<ChatWriter>().AddSingleton<Contestants>().AddSingleton<Arenas>();
        services.AddSingleton<TranslationMemory>().AddSingleton<Glossary>().AddSingleton<Translator>().AddSingleton<Translations>()
            .AddSingleton<TranslationWriter>();
        services.AddSingleton<IDraftEngine>(new Apertium(TimeProvider.System, options.Apertium)).AddSingleton<IDraftEngine, ModelEngine>();
        services.AddSingleton<TaskDesk>().AddSingleton<TaskSheets>().AddSingleton<Archives>();
        services.AddSingleton(SpeechEngines.In(options.Home)).AddSingleton(SegmentCache.In(options.Home));
        services.AddSingleton(provider => new Renderer(provider.GetRequiredService<SpeechEngines>(),
            provider.GetRequiredService<SegmentCache>(), provider.GetRequiredService<VoiceDictionaries>().ScopesAsync,
            Recordings.In(options.Home)));
        services.AddSingleton(_ => Transcriber.In(options.Home, options.Engine.Threads)).AddSingleton<Transcripts>()
            .AddSingleton(new Uploads(options.Home)).AddSingleton<Shortener>().AddSingleton<LineShortener>();
        services.AddSingleton<VoiceDictionaries>().AddSingleton<VoiceRecord>().AddSingleton<VoiceProjects>();
        services.AddSingleton(provider => new JobKind(DubJob.Kind, provider.GetRequiredService<DubJob>().RunAsync, "voice"))
            .AddSingleton<DubJob>().AddSingleton<Dubs>().AddSingleton(new DubFolders(options.Home));
        services.AddSingleton(Recordings.In(options.Home)).AddHostedService<VoiceSweep>();
        services.AddSingleton(options).AddSingleton<Teacher>();
        // What is typed comes in one message; the fields' own limits, at three bytes a character, stay well below.
        services.AddRazorComponents().AddInteractiveServerComponents().AddHubOptions(hub => hub.MaximumReceiveMessageSize = 128 << 10);
        services.AddMudServices();
        services.AddGuests();

        WebApplication app = builder.Build();
        ILogger log = app.Logger;
        app.UseWorkspaceAddresses();
        app.Use(next => http => ErrorAnswers.Middleware(http, next, log));
        app.UseGate(rules);
        // A page that loses its connection dials again at once; taken in a stopping server, that call would hold up the end.
        app.Use(next => http => app.Lifetime.ApplicationStopping.IsCancellationRequested && http.Request.Path.StartsWithSegments("/_blazor")
            ? Task.FromResult(http.Response.StatusCode = StatusCodes.Status503ServiceUnavailable) : next(http));
        app.Use(next => http => MissingPage.Middleware(http, next));
        app.UseRouting();
        app.UseStaticFiles();
        app.UseRateLimiter();
        app.UseKeys();
        app.UseAntiforgery();
        app.MapGet("/v1/models", ModelList.AllAsync);
        app.MapGet("/v1/models/{id}", ModelList.OneAsync);
        app.MapPost("/v1/chat/completions", Completions.ChatAsync);
        app.MapGet("/v1/chat/completions", StoredChats.ListAsync);
        app.MapGet("/v1/chat/completions/{id}", StoredChats.GetAsync);
        app.MapDelete("/v1/chat/completions/{id}", StoredChats.DeleteAsync);
        app.MapGet("/v1/chat/completions/{id}/messages", StoredChats.MessagesAsync);
        app.MapPost("/v1/completions", Completions.TextAsync);
        app.MapPost("/v1/responses", ResponsesEndpoint.CreateAsync);
        app.MapGet("/v1/responses/{id}", ResponsesEndpoint.GetAsync);
        app.MapDelete("/v1/responses/{id}", ResponsesEndpoint.DeleteAsync);
        app.MapGet("/v1/responses/{id}/input_items", ResponsesEndpoint.InputItemsAsync);
        app.MapPost("/v1/embeddings", Embeddings.HandleAsync);
        app.MapPost("/v1/files", Files.UploadAsync);
        app.MapGet("/v1/files", Files.ListAsync);
        app.MapGet("/v1/files/{id}", Files.GetAsync);
        app.MapGet("/v1/files/{id}/content", Files.Content).Audited("uploaded file");
        app.MapDelete("/v1/files/{id}", Files.DeleteAsync);
        app.MapPost("/v1/fine_tuning/jobs", FineTuning.CreateAsync);
        app.MapGet("/v1/fine_tuning/jobs", FineTuning.ListAsync);
        app.MapGet("/v1/fine_tuning/jobs/{id}", FineTuning.GetAsync);
        app.MapGet("/v1/fine_tuning/jobs/{id}/events", FineTuning.EventsAsync);
        app.MapGet("/v1/fine_tuning/jobs/{id}/checkpoints", FineTuning.CheckpointsAsync);
        app.MapPost("/v1/fine_tuning/jobs/{id}/cancel", FineTuning.CancelAsync);
        app.MapPost("/v1/fine_tuning/jobs/{id}/pause", FineTuning.PauseAsync);
        app.MapPost("/v1/fine_tuning/jobs/{id}/resume", FineTuning.ResumeAsync);
        app.MapPost("/v1/audio/speech", Speech.SpeakAsync);
        app.MapGet("/v1/voices", Speech.VoicesAsync);
        app.MapPost("/v1/audio/transcriptions", Transcriptions.TranscribeAsync);
        app.MapPost("/v1/audio/translations", Transcriptions.TranslateAsync);
        app.MapPost("/v1/audio/shorten", ShortenEndpoint.HandleAsync);
        app.MapGet("/v1/tasks", TaskEndpoints.ListAsync);
        app.MapGet("/v1/tasks/{name}", TaskEndpoints.OneAsync);
        app.MapPost("/v1/tasks/{name}", TaskEndpoints.AskAsync);
        app.MapPost("/feedback", FeedbackEndpoint.HandleAsync);
        app.MapPost("/admin/promote", AdminEndpoints.PromoteAsync);
        app.MapGet("/admin/turns", TurnEndpoints.ListAsync);
        app.MapPost("/admin/turns", TurnEndpoints.StartAsync);
        app.MapGet("/admin/turns/{number:int}", TurnEndpoints.ShowAsync);
        app.MapPost("/admin/turns/{number:int}", TurnEndpoints.AnswerAsync);
        app.MapGet("/admin/adapters", AdminEndpoints.AdaptersAsync);
        app.MapPost("/admin/adapters", AdminEndpoints.LoadAdapterAsync);
        app.MapDelete("/admin/adapters/{name}", AdminEndpoints.UnloadAdapterAsync);
        app.MapGet("/admin/status", AdminEndpoints.StatusAsync);
        app.MapGet("/health", HealthEndpoints.BothAsync);
        app.MapGet("/health/live", HealthEndpoints.LiveAsync);
        app.MapGet("/health/ready", HealthEndpoints.ReadyAsync);
        app.MapPrometheusScrapingEndpoint("/metrics");
        app.MapDescription();
        app.MapGet("/", (HttpContext http) => Results.Redirect($"{http.Request.PathBase}/write"));
        WriteEndpoints.Map(app);
        BulkApi.Map(app);
        ShareApi.Map(app);
        GuestPages.Map(app);
        TranslateApi.Map(app);
        DeletionEndpoints.Map(app);
        PeopleEndpoints.Map(app);
        KeyEndpoints.Map(app);
        WorkspaceEndpoints.Map(app);
        ArchiveEndpoints.Map(app);
        ReviewEndpoints.Map(app);
        RolloutEndpoints.Map(app);
        ArenaApi.Map(app);
        TranslateEndpoints.Map(app);
        TurnEndpoint.Map(app);
        DubbingEndpoints.Map(app);
        DubApi.Map(app);
        app.MapRazorComponents<App>().AddInteractiveServerRenderMode();
        return app;
    }

    /// <summary>Whoever can read what cookies are sealed with can make some.</summary>
    private static DirectoryInfo CookieKeys(FlywheelHome home)
    {
        DirectoryInfo folder = Directory.CreateDirectory(Path.Combine(home.Path, "keys"));
        if (!OperatingSystem.IsWindows()) folder.UnixFileMode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
        return folder;
    }

    private static async Task ListenAsync(WebApplication app, string url, CancellationToken cancellation)
    {
        try
        {
            await app.StartAsync(cancellation);
        }
        catch (IOException e) when (e.InnerException is AddressInUseException)
        {
            throw new FlywheelException(
                $"port {new Uri(url).Port} is in use: another program listens on {url}; stop it, or choose another port with --port (0 takes a free one)", e);
        }
        catch (Exception e) when (e is SocketException or UnauthorizedAccessException || e.InnerException is SocketException)
        {
            throw new FlywheelException($"cannot listen on {url}: {e.Message}", e);
        }
    }

    /// <summary>Starts and stops when it is told to, and listens to no signal.</summary>
    private sealed class NoLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
