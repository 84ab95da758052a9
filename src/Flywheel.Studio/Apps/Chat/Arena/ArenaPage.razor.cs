using System.Text.Json;
using Flywheel.Engine;
using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Studio.Serving;
using Flywheel.Studio.Shell;
using Microsoft.AspNetCore.Components;
using Microsoft.Extensions.Logging;
using Microsoft.JSInterop;
using MudBlazor;

namespace Flywheel.Studio.Apps.Chat.Arena;

/// <summary>Two anonymous models answer one prompt side by side, and the person says which answer is better. Then the names are
/// shown.</summary>
public sealed partial class ArenaPage
{
    private const string SettingsKind = "settings";

    private static readonly (ArenaChoice Choice, string Key)[] Choices = [(ArenaChoice.A, "1"), (ArenaChoice.B, "2"),
        (ArenaChoice.BothGood, "3"), (ArenaChoice.BothBad, "4")];

    private IReadOnlyList<Document> _list = [];
    private IReadOnlyList<Contestant> _all = [];
    private IReadOnlyList<string> _chosen = [];
    private List<(Role Role, string Text)> _said = [];
    private ArenaRound? _round;
    private LiveRound? _live;
    private string _text = "", _title = "", _announcement = "";
    private string? _problem;
    private Guid? _shown;
    private int _onward;
    private bool _missing, _showList, _showWho, _busy, _anew, _scrollDown, _loaded, _begun, _looksAgain;
    private ElementReference _scroll;

    [Inject] private Arenas Arenas { get; set; } = null!;

    [Inject] private Contestants Contestants { get; set; } = null!;

    [Inject] private Documents Documents { get; set; } = null!;

    [Inject] private ModelHost Host { get; set; } = null!;

    [Inject] private TimeProvider Time { get; set; } = null!;

    [Inject] private NavigationManager Navigation { get; set; } = null!;

    [Inject] private IJSRuntime Js { get; set; } = null!;

    [Inject] private ISnackbar Snackbar { get; set; } = null!;

    [Inject] private ILogger<ArenaPage> Log { get; set; } = null!;

    [CascadingParameter] private Visit Visit { get; set; } = null!;

    [Parameter] public Guid? Id { get; set; }

    private Strings Words => Visit.Words;

    private string Key => $"arena-{Id?.ToString("N") ?? "new"}";

    private bool Busy => _busy || _live is not null;

    /// <summary>Another server of the same record writes it, and tells nobody here.</summary>
    private bool IsWrittenElsewhere => _live is null && _round is { IsOver: false, IsReady: false };

    /// <summary>Those among which lots are drawn: whom the person chose, as far as they are still there.</summary>
    private IReadOnlyList<string> Among
    {
        get
        {
            string[] there = [.. _chosen.Where(id => _all.Any(one => one.Id == id))];
            return there.Length >= 2 ? there : Arenas.Usual(_all);
        }
    }

    private bool CanGoOn => _round?.Choice is not (null or ArenaChoice.BothBad);

    protected override async Task OnInitializedAsync()
    {
        Arenas.Changed += OnChanged;
        Host.Promoted += OnPromoted;
        _all = await Contestants.ListAsync();
        if ((await Documents.ListAsync(Visit.Person, Arenas.App, SettingsKind)) is [var settings, ..])
            _chosen = Stored.Read(settings.Body, json => JsonSerializer.Deserialize<string[]>(json)!) ?? [];
        _loaded = true;
    }

    protected override async Task OnParametersSetAsync()
    {
        if (_begun && Id == _shown) return;
        (_begun, _shown, _problem, _text, _anew) = (true, Id, null, "", false);
        await LoadAsync();
        await ListAsync();
        _scrollDown = true;
    }

    protected override async Task OnAfterRenderAsync(bool firstRender)
    {
        if (firstRender && (await Js.InvokeAsync<UnsavedText[]>("flywheel.unsaved", Key)) is [var unsent, ..])
        {
            _text = unsent.Value;
            StateHasChanged();
        }
        if (firstRender && Id is null)
        {
            // The page was loaded again after its round had begun, and before its address or the browser knew.
            Guid begun = await NewDocument.IdAsync(Js, Arenas.App, Time.GetUtcNow());
            if (Id is null && await Arenas.FindAsync(begun, Visit.Person) is not null)
            {
                await Js.InvokeVoidAsync("flywheel.forget", Key, "ask");
                Navigation.NavigateTo($"chat/arena/{begun}", replace: true);
            }
        }
        if (!_scrollDown) return;
        _scrollDown = false;
        await Js.InvokeVoidAsync("flywheel.toEnd", _scroll);
    }

    private async Task ListAsync() => _list = await Arenas.ListAsync(Visit.Person);

    private async Task LoadAsync()
    {
        ArenaRound? before = _round;
        _round = Id is { } id ? await Arenas.FindAsync(id, Visit.Person) : null;
        _live = Id is { } now ? Arenas.Find(now) : null;
        _missing = Id is not null && _round is null;
        _said = _round is null ? [] : [.. _round.Conversation.Messages.Select(message => (message.Role, message.Text))];
        _title = _said.Count > 0 ? _said[^1].Text : "";
        if (_title.Length > 60) _title = _title[..60];
        if (_round?.Choice != before?.Choice || before is null) _onward = _round?.Choice == ArenaChoice.B ? 1 : 0;
        if (!IsWrittenElsewhere || _looksAgain || !RendererInfo.IsInteractive) return;
        _looksAgain = true;
        _ = Following.RunAsync(TimeSpan.FromSeconds(2), Time, LookAgainAsync, Log, _left.Token);
    }

    /// <returns>Whether to look again.</returns>
    private async Task<bool> LookAgainAsync()
    {
        bool more = false;
        await InvokeAsync(async () =>
        {
            if (IsWrittenElsewhere)
            {
                await LoadAsync();
                StateHasChanged();
            }
            more = _looksAgain = IsWrittenElsewhere;
        });
        return more;
    }

    private string TextOf(int side) => _round!.Sides[side].State == ArenaState.Writing ? _live?.Texts[side] ?? "" : _round.Sides[side].Text;

    private static string Letter(int side) => side == 0 ? "A" : "B";

    private bool Kept(int side) => _round?.Choice is { } choice && (side == 0 ? ArenaResults.Kept(choice).A : ArenaResults.Kept(choice).B);

    private string Mark(int side) => _round?.Choice is null ? "" : Kept(side) ? "kept" : "lost";

    private string KindOf(Contestant one) => one switch
    {
        { Hash: null } => Words["arena.kind.upstream"],
        { AdapterHash: not null } => Words["arena.kind.adapter"],
        { IsReady: false } => $"{one.Hash[..12]} · {Words["arena.kind.disk"]}",
        _ when one.Hash == Host.Current.Hash => $"{one.Hash[..12]} · {Words["arena.kind.serves"]}",
        _ => $"{one.Hash[..12]} · {Words["arena.kind.memory"]}",
    };

    private async Task ToggleAsync(Contestant one)
    {
        string[] next = Among.Contains(one.Id) ? [.. Among.Where(id => id != one.Id)] : [.. Among, one.Id];
        if (next.Length < 2)
        {
            Snackbar.Add(Words["arena.two-at-least"], Severity.Normal);
            return;
        }
        _chosen = next;
        string body = JsonSerializer.Serialize(next);
        if ((await Documents.ListAsync(Visit.Person, Arenas.App, SettingsKind)) is [var known, ..])
            await Documents.ChangeAsync(known.Id, Visit.Person, document =>
            {
                document.Body = body;
                return true;
            });
        else await Documents.PutAsync(Guid.CreateVersion7(Time.GetUtcNow()), Visit.Person, Arenas.App, SettingsKind, "", body);
    }

    private Task SendAsync()
    {
        string text = _text.Trim();
        if (text.Length == 0) return Task.CompletedTask;
        return BeginAsync(CanGoOn && !_anew ? Arenas.GoOn(_round!, _onward, text) : new Conversation([Message.User(text)]));
    }

    /// <summary>The same prompt in a new round: who answers is drawn anew.</summary>
    private Task AgainAsync() => _round is null ? Task.CompletedTask : BeginAsync(_round.Conversation, keepTyped: true);

    private async Task BeginAsync(Conversation said, bool keepTyped = false)
    {
        if (Busy) return;
        (_busy, _problem) = (true, null);
        string key = Key;
        try
        {
            Guid round = Id is null ? await NewDocument.IdAsync(Js, Arenas.App, Time.GetUtcNow()) : Guid.CreateVersion7(Time.GetUtcNow());
            await Arenas.StartAsync(round, Visit.Person, "", said, [.. _all.Where(one => Among.Contains(one.Id))]);
            if (!keepTyped)
            {
                _text = "";
                await Js.InvokeVoidAsync("flywheel.forget", key, "ask");
            }
            _announcement = Words["arena.announce-writing"];
            Navigation.NavigateTo($"chat/arena/{round}");
        }
        catch (Exception e) when (e is FlywheelException or QueueFullException or OpenAI.ApiException)
        {
            _problem = e switch { MessageTooLongException => Words["chat.too-long"], QueueFullException => Words["chat.queue-full"],
                _ => e.Message };
            _all = await Contestants.ListAsync();
        }
        catch (Exception e)
        {
            Log.LogError(e, "A round of the arena could not be begun");
            _problem = Words["chat.not-saved"];
        }
        finally
        {
            _busy = false;
        }
    }

    private async Task ChooseAsync(ArenaChoice choice)
    {
        if (Id is not { } id || _busy) return;
        (_busy, _problem) = (true, null);
        try
        {
            await Arenas.ChooseAsync(id, Visit.Person, "", choice);
            await LoadAsync();
            _announcement = Words.Format($"arena.chose.{ArenaResults.NameOf(choice).Replace('_', '-')}", _round!.Sides[0].Name,
                _round.Sides[1].Name);
            _scrollDown = true;
        }
        catch (Exception e)
        {
            if (e is not (FlywheelException or OpenAI.ApiException)) Log.LogError(e, "A choice of the arena could not be recorded");
            _problem = e is FlywheelException or OpenAI.ApiException ? e.Message : Words["chat.not-saved"];
            await LoadAsync();
        }
        finally
        {
            _busy = false;
        }
    }

    private async Task DeleteAsync(Document row)
    {
        await Arenas.DeleteAsync(row.Id, Visit.Person);
        await ListAsync();
        if (row.Id == Id) Navigation.NavigateTo("chat/arena");
        Snackbar.Add(Words.Format("chat.deleted", row.Title), Severity.Normal, options =>
        {
            options.Action = Words["shell.undo"];
            options.OnClick = async _ =>
            {
                await Arenas.DeleteAsync(row.Id, Visit.Person, deleted: false);
                await InvokeAsync(async () =>
                {
                    await ListAsync();
                    StateHasChanged();
                });
            };
        });
    }

    private void OnChanged(Guid round) => _ = InvokeAsync(async () =>
    {
        try
        {
            if (round != Id) return;
            bool wrote = _live is not null;
            if (Arenas.Find(round) is null || _live is null)
            {
                await LoadAsync();
                await ListAsync();
                if (wrote && _live is null)
                    (_announcement, _scrollDown) = (Words[_round is { IsReady: true } ? "arena.announce-ready" : "arena.void"], true);
            }
            StateHasChanged();
        }
        catch (Exception e)
        {
            Log.LogError(e, "A round of the arena could not be read");
        }
    });

    private void OnPromoted() => _ = InvokeAsync(async () =>
    {
        _all = await Contestants.ListAsync();
        StateHasChanged();
    });

    private readonly CancellationTokenSource _left = new();

    public void Dispose()
    {
        _left.Cancel();
        Arenas.Changed -= OnChanged;
        Host.Promoted -= OnPromoted;
    }
}
