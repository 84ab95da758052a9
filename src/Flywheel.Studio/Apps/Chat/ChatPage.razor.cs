using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Flywheel.Engine;
using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Studio.Serving;
using Flywheel.Studio.Shell;
using Microsoft.AspNetCore.Components;
using Microsoft.Extensions.Logging;
using Microsoft.JSInterop;
using MudBlazor;

namespace Flywheel.Studio.Apps.Chat;

/// <summary>Talk with the served model: every conversation is kept, every message can be tried anew, every answer judged.</summary>
public sealed partial class ChatPage
{
    private IReadOnlyList<ConversationRow> _list = [];
    private IReadOnlyDictionary<Guid, bool> _ratings = new Dictionary<Guid, bool>();
    private ChatTree? _tree;
    private ChatSettings _settings = new();
    private LiveAnswer? _live;
    private ServedModel _model = null!;
    private string _search = "", _text = "", _system = "", _announcement = "";
    private string? _problem;
    private int _left;
    private bool _missing, _showSettings, _showList, _busy, _scrollDown;
    private Guid? _shown;
    private ElementReference _scroll;

    [Inject] private Generator Generator { get; set; } = null!;

    [Inject] private Chats Chats { get; set; } = null!;

    [Inject] private ChatWriter Writer { get; set; } = null!;

    [Inject] private Documents Documents { get; set; } = null!;

    [Inject] private FlywheelStore Store { get; set; } = null!;

    [Inject] private TimeProvider Time { get; set; } = null!;

    [Inject] private NavigationManager Navigation { get; set; } = null!;

    [Inject] private IJSRuntime Js { get; set; } = null!;

    [Inject] private ISnackbar Snackbar { get; set; } = null!;

    [Inject] private ILogger<ChatPage> Log { get; set; } = null!;

    [CascadingParameter] private Visit Visit { get; set; } = null!;

    [Parameter] public Guid? Id { get; set; }

    private Strings Words => Visit.Words;

    /// <summary>What the browser's own store calls the message that is being typed here.</summary>
    private string Key => $"chat-{Id?.ToString("N") ?? "new"}";

    protected override async Task OnInitializedAsync()
    {
        _model = Generator.Host.Current;
        Generator.Host.Promoted += OnPromoted;
        Chats.Changed += OnChanged;
        Writer.Progressed += OnProgressed;
        if ((await Documents.ListAsync(Visit.Person, Chats.App, "settings")) is [var settings, ..])
            _settings = Stored.Read(settings.Body, json => JsonSerializer.Deserialize<ChatSettings>(json, JsonText.Compact)!) ?? new();
        _system = _settings.System;
        await ListAsync();
    }

    protected override async Task OnParametersSetAsync()
    {
        if (Id is { } id && id == _shown) return;
        (_tree, _live, _missing, _problem, _left, _shown, _text) = (null, null, false, null, 0, Id, "");
        await LoadAsync();
        _scrollDown = true;
    }

    protected override async Task OnAfterRenderAsync(bool firstRender)
    {
        if (firstRender && (await Js.InvokeAsync<UnsavedText[]>("flywheel.unsaved", Key)) is [var unsent, ..])
        {
            _text = unsent.Value;
            StateHasChanged();
        }
        if (firstRender && Id is null) await GoOnAsync();
        if (!_scrollDown) return;
        _scrollDown = false;
        await Js.InvokeVoidAsync("flywheel.toEnd", _scroll);
    }

    /// <summary>The page was loaded again after its first message was saved, and before its address or the browser knew.</summary>
    private async Task GoOnAsync()
    {
        Guid begun = await NewDocument.IdAsync(Js, Chats.App, Time.GetUtcNow());
        if (Id is not null || await Chats.FindAsync(begun, Visit.Person) is not { } tree) return;
        if (ChatTree.TextOf(tree.Path[^1]) == _text.Trim())
        {
            _text = "";
            await Js.InvokeVoidAsync("flywheel.forget", Key, "ask");
        }
        Navigation.NavigateTo($"chat/{begun}", replace: true);
    }

    private async Task ListAsync() => _list = await Chats.ListAsync(Visit.Person, _search);

    private async Task LoadAsync()
    {
        if (Id is not { } id) return;
        _tree = await Chats.FindAsync(id, Visit.Person);
        _missing = _tree is null;
        _live = Writer.Find(id);
        if (_tree is not null)
            _ratings = await Chats.RatingsAsync([.. _tree.Path.Select(message => message.GenerationId).OfType<Guid>()], Visit.Person);
    }

    private bool? RatingOf(ConversationMessage message) =>
        message.GenerationId is { } generation && _ratings.TryGetValue(generation, out bool liked) ? liked : null;

    private async Task SendAsync()
    {
        string text = _text.Trim();
        if (text.Length == 0 || _live is not null || _busy) return;
        _busy = true;
        _problem = null;
        string key = Key;
        try
        {
            Guid? conversation = Id, parent = _tree?.Row.Leaf,
                begin = Id is null ? await NewDocument.IdAsync(Js, Chats.App, Time.GetUtcNow()) : null;
            if (conversation is null && _system.Trim().Length > 0)
                (conversation, parent) = await Chats.AddAsync(null, Visit.Person, null, Role.System, _system.Trim(), begin: begin);
            (conversation, Guid message) = await Chats.AddAsync(conversation, Visit.Person, parent, Role.User, text, begin: begin);
            // It is on disk: the browser need not keep it.
            _text = "";
            await Js.InvokeVoidAsync("flywheel.forget", key, "ask");
            if (Id is null)
            {
                (Id, _shown) = (conversation, conversation);
                Navigation.NavigateTo($"chat/{conversation}", replace: true);
            }
            await LoadAsync();
            await BeginAsync(message);
        }
        catch (Exception e) when (e is not FlywheelException)
        {
            Log.LogError(e, "A message could not be saved");
            _problem = Words["chat.not-saved"];
        }
        finally
        {
            _busy = false;
        }
    }

    private async Task BeginAsync(Guid message)
    {
        try
        {
            _left = await Writer.StartAsync(Id!.Value, Visit.Person, message, _settings);
            _announcement = Words["chat.announce-writing"];
        }
        catch (Exception e) when (e is FlywheelException or QueueFullException or OpenAI.ApiException)
        {
            _problem = e switch { MessageTooLongException => Words["chat.too-long"], QueueFullException => Words["chat.queue-full"],
                _ => e.Message };
        }
        await LoadAsync();
        _scrollDown = true;
        StateHasChanged();
    }

    private async Task AnswerAsync(Guid message)
    {
        if (_live is not null || Id is null) return;
        _problem = null;
        await BeginAsync(message);
    }

    /// <summary>An edited question begins a branch beside the old one.</summary>
    private async Task ResendAsync(ConversationMessage message, string text)
    {
        if (_live is not null || Id is null || text.Trim().Length == 0) return;
        (_, Guid edited) = await Chats.AddAsync(Id, Visit.Person, message.ParentId, Role.User, text.Trim());
        await LoadAsync();
        await AnswerAsync(edited);
    }

    /// <summary>Another answer beside the old one.</summary>
    private async Task RegenerateAsync(ConversationMessage message)
    {
        if (_live is not null || Id is not { } id || message.ParentId is not { } question) return;
        await Chats.ShowAsync(id, Visit.Person, question);
        await LoadAsync();
        await AnswerAsync(question);
    }

    private async Task ShowAsync(ConversationMessage sibling)
    {
        if (Id is { } id && _tree is not null) await Chats.ShowAsync(id, Visit.Person, _tree.LeafUnder(sibling));
    }

    /// <summary>Null takes back what was said; a reason goes with it as a comment.</summary>
    private async Task RateAsync(ConversationMessage message, bool? liked, string reason)
    {
        if (message.GenerationId is not { } generation) return;
        try
        {
            var tags = new JsonObject { ["application"] = Chats.App };
            // The thumb is in the record when its reason comes.
            if (reason.Length == 0)
                await Store.AddFeedbackAsync(liked is { } rating
                    ? new FeedbackInput(generation, Metrics.Rating, rating ? 1 : 0, Visit.Person, tags) : new FeedbackInput(generation,
                        Metrics.Retract, true, Visit.Person, tags));
            else await Store.AddFeedbackAsync(new FeedbackInput(generation, Metrics.Comment, reason, Visit.Person,
                (JsonObject)tags.DeepClone()));
            await LoadAsync();
            _announcement = Words["chat.announce-rated"];
        }
        catch (Exception e)
        {
            Log.LogError(e, "A rating could not be recorded");
            Snackbar.Add(e is FlywheelException ? e.Message : Words["chat.not-saved"], Severity.Error);
        }
        StateHasChanged();
    }

    private async Task DeleteAsync(ConversationRow row)
    {
        await Chats.DeleteAsync(row.Id, Visit.Person);
        await ListAsync();
        if (row.Id == Id) Navigation.NavigateTo("chat");
        Snackbar.Add(Words.Format("chat.deleted", row.Title), Severity.Normal, options =>
        {
            options.Action = Words["shell.undo"];
            options.OnClick = async _ => await Chats.DeleteAsync(row.Id, Visit.Person, deleted: false);
        });
    }

    private Task SaveSettingsAsync() => SetAsync(settings => settings with { System = _system });

    private async Task SetAsync(Func<ChatSettings, ChatSettings> change)
    {
        _settings = change(_settings);
        string body = JsonSerializer.Serialize(_settings, JsonText.Compact);
        if ((await Documents.ListAsync(Visit.Person, Chats.App, "settings")) is [var known, ..])
            await Documents.ChangeAsync(known.Id, Visit.Person, document =>
            {
                document.Body = body;
                return true;
            });
        else await Documents.PutAsync(Guid.CreateVersion7(Time.GetUtcNow()), Visit.Person, Chats.App, "settings", "", body);
    }

    private static double? Number(ChangeEventArgs change, double min, double max) =>
        double.TryParse(change.Value as string, NumberStyles.Float, CultureInfo.InvariantCulture, out double number)
            && double.IsFinite(number) ? Math.Clamp(number, min, max) : null;

    private static string? Plain(double? number) => number?.ToString("0.##", CultureInfo.InvariantCulture);

    private void OnChanged(Guid id) => Refresh(async () =>
    {
        await ListAsync();
        if (id == Id) await LoadAsync();
    });

    private void OnProgressed(Guid id)
    {
        if (id == Id)
            Refresh(async () =>
            {
                bool ended = _live is not null && Writer.Find(id) is null;
                if (ended && _live!.Fault is { } fault) _problem = fault;
                if (_live is null || ended) await LoadAsync();
                if (ended) _announcement = Words["chat.announce-ready"];
                _scrollDown = true;
            });
    }

    private void Refresh(Func<Task> read) => _ = InvokeAsync(async () =>
    {
        try
        {
            await read();
            StateHasChanged();
        }
        catch (Exception e)
        {
            Log.LogError(e, "A conversation could not be read");
        }
    });

    private void OnPromoted() => Refresh(() =>
    {
        _model = Generator.Host.Current;
        return Task.CompletedTask;
    });

    public void Dispose()
    {
        Generator.Host.Promoted -= OnPromoted;
        Chats.Changed -= OnChanged;
        Writer.Progressed -= OnProgressed;
    }
}
