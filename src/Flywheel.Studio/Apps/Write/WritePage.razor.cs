using Flywheel.Engine;
using Flywheel.Loop;
using Flywheel.Loop.Ranking;
using Flywheel.Model;
using Flywheel.Studio.Serving;
using Flywheel.Studio.Shell;
using Microsoft.AspNetCore.Components;
using Microsoft.Extensions.Logging;
using Microsoft.JSInterop;
using MudBlazor;

namespace Flywheel.Studio.Apps.Write;

/// <summary>The copywriting page: a brief in, three drafts out, each choice is feedback the moment it is made, and nothing is ever
/// lost.</summary>
public sealed partial class WritePage
{
    private const int NumRecent = 5;

    /// <summary>As the model reads them, and as the task's training data says them.</summary>
    internal static readonly string[] Tones = ["friendly", "playful", "formal"],
        Lengths = ["short", "medium", "long", "one sentence", "two sentences", "three sentences"];

    private readonly HashSet<Guid> _without = [];
    private Guid? _id;
    private BriefBody _body = new();
    private BriefFields _fields = new(), _saved = new();
    private (string Field, string Message, object? About)? _error;
    private LiveSet? _live;
    private ServedModel _model = null!;
    private BrandVoice _voice = new();
    private FactCorrections _forms = FactCorrections.None;
    private (BriefFields? Fields, FactCorrections? Forms, IReadOnlyList<(string Fact, FactWay Way)> Facts) _said = (null, null, []);
    private IReadOnlyList<CopyWay> _ways = [];
    private IReadOnlyList<KeptText> _examples = [];
    private List<(Guid Id, string Title, DateTimeOffset Updated)> _recent = [];
    private IReadOnlyList<CopyTemplate> _templates = [];
    private readonly List<string> _templateProblems = [];
    private string? _template;
    private long _numFeedback;
    private string? _problem;
    private string _announcement = "";
    private bool _isFirstVisit, _missing, _deleted, _starting, _useExamples = true, _loaded, _knowsForms;
    private ElementReference _drafts;
    private Task<Guid>? _creating, _newId;

    [Inject] private Generator Generator { get; set; } = null!;

    [Inject] private Briefs Briefs { get; set; } = null!;

    [Inject] private Documents Documents { get; set; } = null!;

    [Inject] private DraftWriter Writer { get; set; } = null!;

    [Inject] private FlywheelStore Store { get; set; } = null!;

    [Inject] private TimeProvider Time { get; set; } = null!;

    [Inject] private NavigationManager Navigation { get; set; } = null!;

    [Inject] private IJSRuntime Js { get; set; } = null!;

    [Inject] private ISnackbar Snackbar { get; set; } = null!;

    [Inject] private ILogger<WritePage> Log { get; set; } = null!;

    [CascadingParameter] private Visit Visit { get; set; } = null!;

    /// <summary>Null opens the latest brief, or an empty one at /write/new.</summary>
    [Parameter] public Guid? Id { get; set; }

    private Strings Words => Visit.Words;

    private string Person => Visit.Person;

    /// <summary>What the browser's own store calls this brief; a brief that nothing was typed into yet has no id.</summary>
    private string DocumentKey => _id is { } id ? KeyOf(id) : KeptField.New;

    private static string KeyOf(Guid id) => id.ToString("N");

    private IReadOnlyList<string> Kinds => CopyAbilities.Kinds(_model);

    protected override void OnInitialized()
    {
        _model = Generator.Host.Current;
        _ways = CopyAbilities.Ways(_model);
        ReadTemplates();
        Generator.Host.Promoted += OnPromoted;
        Briefs.Changed += OnChanged;
        Writer.Progressed += OnProgressed;
    }

    protected override async Task OnParametersSetAsync()
    {
        bool isNew = new Uri(Navigation.Uri).AbsolutePath.EndsWith("/new", StringComparison.Ordinal);
        if (_loaded && Id is not null && Id == _id) return; // the address has caught up with a brief that was just made
        _loaded = true;
        var briefs = await Briefs.ListAsync(Person);
        Guid? id = Id ?? (isNew || briefs.Count == 0 ? null : briefs[0].Document.Id);
        (_id, _creating, _newId, _body, _fields, _saved) = (id, null, null, new(), new(), new());
        (_missing, _deleted, _error, _problem, _template) = (false, false, null, null, null);
        if (!Kinds.Contains(_fields.Kind)) _fields = _fields with { Kind = Kinds[0] };
        if (id is not null) await LoadAsync();
        _isFirstVisit = id is null && briefs.Count == 0 && await Briefs.IsFirstVisitAsync(Person);
        _recent =
            [.. briefs.Where(one => one.Document.Id != id).Take(NumRecent)
                .Select(one => (one.Document.Id, one.Document.Title, one.Document.Updated))];
        _voice = await Briefs.VoiceAsync(Person);
        _forms = await Briefs.FormsAsync(Person);
        _numFeedback = (await Store.CountAsync()).Feedback;
        await ReadExamplesAsync();
    }

    protected override async Task OnAfterRenderAsync(bool firstRender)
    {
        if (!firstRender) return;
        if (CopyAbilities.IsRanked(_model)) _ = LearnFormsAsync();
        if (_id is null)
        {
            // The page was loaded again before its address had the id of what was begun on it.
            Guid begun = await (_newId ??= NewDocument.IdAsync(Js, Briefs.App, Time.GetUtcNow()));
            if (_id is null && await Briefs.FindAsync(begun, Person) is not null) await NameAsync(begun);
            return;
        }
        Guid id = _id.Value;
        // What a reload or a crash left in the middle of an edit is an edit: the browser's own copy first, it is the newest.
        UnsavedText[] unsaved = await Js.InvokeAsync<UnsavedText[]>("flywheel.unsaved", DocumentKey);
        foreach (DraftSet set in _body.Sets)
            foreach (Draft draft in set.Drafts)
            {
                string? text = unsaved.FirstOrDefault(one => one.Field == $"draft-{draft.Generation:N}")?.Value ?? draft.Edit;
                if (text is null || draft.State is DraftState.Writing or DraftState.Lost) continue;
                if (text.Trim() is { Length: > 0 } edit && edit != draft.Text) await ActAsync(set, draft, DraftState.Edited, edit);
                else if (draft.Edit is not null) await SaveEditAsync(set, draft, null);
                await Js.InvokeVoidAsync("flywheel.forget", DocumentKey, $"draft-{draft.Generation:N}");
            }
    }

    /// <summary>How facts are said, for a model that is asked with their forms.</summary>
    private IReadOnlyList<(string Fact, FactWay Way)> Said
    {
        get
        {
            if (!_knowsForms || !CopyAbilities.IsRanked(_model)) return [];
            if (_said.Fields != _fields || _said.Forms != _forms) _said = (_fields, _forms, _fields.Said(_forms));
            return _said.Facts;
        }
    }

    /// <summary>The first time takes about a second, in which nobody waits for the page.</summary>
    private async Task LearnFormsAsync()
    {
        await Task.Run(FactForms.Prepare);
        _knowsForms = true;
        await InvokeAsync(StateHasChanged);
    }

    /// <summary>Holds for this brief and, where something is to be said at all, for the person's next ones.</summary>
    private async Task ChooseFormAsync((string Fact, FactWay Way) choice)
    {
        var correction = new FactCorrection(choice.Fact, choice.Way);
        await ChooseAsync("forms", FactChoices.With(_fields.Forms, correction, [.. _fields.FactList]));
        if (choice.Way == FactWay.Nothing) return;
        try
        {
            await Briefs.KeepFormAsync(Person, correction);
            _forms = await Briefs.FormsAsync(Person);
        }
        catch (Exception e)
        {
            Log.LogError(e, "How a fact is said could not be kept");
            _problem = Words["write.not-saved"];
        }
    }

    private async Task LoadAsync()
    {
        if (_id is not { } id) return;
        var found = await Briefs.FindAsync(id, Person);
        _missing = found is null;
        if (found is not var (document, body)) return;
        // What is being typed here stays; the fields that it is typed into compare for themselves.
        foreach (string name in (string[])[.. BriefFields.Names, "order", "forms"])
            if (_fields[name] == _saved[name]) _fields = _fields.With(name, body.Fields[name]);
        (_body, _saved, _deleted) = (body, body.Fields, document.Deleted is not null);
        _live = Writer.Find(id);
    }

    private Func<string, string, Task<string?>> SaveField(string field) => async (text, over) =>
    {
        try
        {
            string? theirs = await Briefs.SaveFieldAsync(await IdAsync(), Person, field, text, over);
            if (theirs is null) _saved = _saved.With(field, text);
            _problem = null;
            return theirs;
        }
        catch (Exception e) when (e is not (JSDisconnectedException or OperationCanceledException)) // of those nobody is there to be told
        {
            Log.LogError(e, "A brief could not be saved");
            _problem = Words["write.not-saved"];
            StateHasChanged();
            throw;
        }
    };

    /// <summary>The brief's id; the first thing that is typed makes the brief.</summary>
    private async Task<Guid> IdAsync()
    {
        if (_id is { } known) return known;
        try
        {
            return await (_creating ??= CreateAsync());
        }
        catch
        {
            (_creating, _newId) = (null, null); // the next letter tries again
            throw;
        }

        async Task<Guid> CreateAsync()
        {
            // Without what was typed: that is put into it next, field by field.
            var chosen = new BriefFields { Kind = _fields.Kind, Tone = _fields.Tone, Length = _fields.Length, Order = _fields.Order,
                Forms = _fields.Forms };
            Guid id = await Briefs.CreateAsync(await (_newId ??= NewDocument.IdAsync(Js, Briefs.App, Time.GetUtcNow())), Person, chosen);
            (_id, _saved) = (id, chosen);
            await LoadAsync(); // what lay there already, saved just before a reload
            StateHasChanged(); // its fields know their document before they say that it is saved
            _ = NameAsync(id); // saving waits for no browser
            return id;
        }
    }

    /// <summary>What the browser holds of the new brief is this one's, and so is the page's address.</summary>
    private async Task NameAsync(Guid id)
    {
        ValueTask named = Js.InvokeVoidAsync("flywheel.named", KeyOf(id));
        Navigation.NavigateTo($"write/{id}", replace: true);
        try
        {
            await named;
        }
        catch (Exception e) when (e is JSDisconnectedException or OperationCanceledException)
        {
            // Nobody is there any more. Loaded again, the page finds the brief by the id that the tab keeps.
        }
    }

    private EventCallback<string> Typed(string field) => EventCallback.Factory.Create<string>(this, text =>
    {
        _fields = _fields.With(field, text);
        if (_error?.Field == field) _error = null;
    });

    private string? ErrorOf(string field) => _error is { } error && error.Field == field ? Words.Format(error.Message, error.About) : null;

    /// <summary>What is chosen from a list is on disk at once.</summary>
    private async Task ChooseAsync(string field, string? choice)
    {
        string over = _saved[field];
        _fields = _fields.With(field, choice ?? "");
        if (_id is not null && await SaveField(field)(choice ?? "", over) is { } theirs) await SaveField(field)(choice ?? "", theirs);
        if (field != "kind") return;
        if (_fields.Order.Length > 0) await ChooseAsync("order", ""); // another kind has its own
        _without.Clear();
        await ReadExamplesAsync();
    }

    private async Task ReadExamplesAsync() => _examples = await Briefs.ExamplesAsync(Person, _fields.Kind, _id);

    private void Toggle(KeptText example)
    {
        if (!_without.Add(example.Generation)) _without.Remove(example.Generation);
    }

    /// <summary>What the template says is chosen; texts only go where nothing stands.</summary>
    private async Task UseTemplateAsync(string? name)
    {
        if (_templates.FirstOrDefault(one => one.Name == name) is not { } template) return;
        await ChooseAsync("kind", template.Kind);
        await ChooseAsync("order", template.Order);
        foreach ((string field, string text) in template.Fields)
            if (field is "tone" or "length") await ChooseAsync(field, text);
            else if (_fields[field].Trim().Length == 0)
            {
                await IdAsync(); // there is something to keep now
                if (await SaveField(field)(text, _saved[field]) is null) _fields = _fields.With(field, text);
            }
        _template = template.Name;
    }

    private void ReadTemplates()
    {
        _templateProblems.Clear();
        _templates = [.. CopyTemplate.List(Store.Home, _templateProblems.Add).Where(template => template.IsFor(_model))];
    }

    private async Task DismissAsync()
    {
        await Briefs.DismissWelcomeAsync(Person);
        _isFirstVisit = false;
    }

    private async Task TryExampleAsync()
    {
        BriefFields example = BriefFields.Example(Kinds[0]);
        Guid id = await IdAsync();
        foreach (string field in BriefFields.Names)
            if (_saved[field] != example[field]) await SaveField(field)(example[field], _saved[field]);
        _fields = example;
        await WriteAsync();
    }

    private Task WriteAsync() => StartAsync("", brief => brief.ToConversation(), withExamples: true);

    private Task AgainAsync(DraftSet set, Draft draft, CopyWay way)
    {
        _fields = _fields with { Kind = set.Kind };
        return StartAsync(way.Name, brief => way.Ask(brief.ToConversation(), draft.Text), withExamples: false);
    }

    private async Task StartAsync(string way, Func<BriefFields, Conversation> ask, bool withExamples)
    {
        if (_live is not null || _starting) return;
        _problem = null;
        _error = _fields.Problem();
        if (_error is not null)
        {
            await Js.InvokeVoidAsync("flywheel.focus", _error.Value.Field);
            return;
        }
        _starting = true;
        try
        {
            IReadOnlyList<KeptText> examples = withExamples && _useExamples
                ? [.. _examples.Where(one => !_without.Contains(one.Generation))] : [];
            BriefFields asked = CopyAbilities.FollowsOrders(_model) ? _fields : _fields with { Order = "" };
            if (CopyAbilities.IsRanked(_model)) asked = asked.SaidBy(_forms);
            await Writer.StartAsync(await IdAsync(), Person, asked, ask(asked), way, examples);
            _announcement = Words["write.announce-writing"];
            await LoadAsync();
            StateHasChanged();
            await Js.InvokeVoidAsync("flywheel.reveal", _drafts);
        }
        catch (Exception e) when (e is PromptTooLongException or QueueFullException or FlywheelException)
        {
            _problem = e switch { PromptTooLongException => Words["write.too-long"], QueueFullException => Words["write.queue-full"],
                _ => e.Message };
        }
        finally
        {
            _starting = false;
        }
    }

    private void Stop() => _live?.Stop();

    /// <summary>Records an act; the card changes when it is on disk.</summary>
    private async Task ActAsync(DraftSet set, Draft draft, DraftState state, string text)
    {
        if (_id is not { } id) return;
        try
        {
            await Briefs.ActAsync(id, Person, set, draft.Generation, state, text);
        }
        catch (Exception e)
        {
            Log.LogError(e, "A choice could not be recorded");
            Snackbar.Add(e is FlywheelException ? e.Message : Words["write.choice-not-saved"], Severity.Error);
            return;
        }
        int number = set.Drafts.FindIndex(one => one.Generation == draft.Generation) + 1;
        _announcement =
            Words.Format(state == DraftState.Ready ? "write.announce-undone" : $"write.announce-{state.ToString().ToLowerInvariant()}",
                number);
        _numFeedback = (await Store.CountAsync()).Feedback;
        await LoadAsync();
        await ReadExamplesAsync();
        StateHasChanged();
    }

    private async Task SaveEditAsync(DraftSet set, Draft draft, string? text)
    {
        if (_id is { } id) await Briefs.SaveEditAsync(id, Person, set, draft.Generation, text);
    }

    private async Task UndeleteAsync()
    {
        if (_id is { } id) await Documents.DeleteAsync(id, Person, deleted: false);
    }

    // Another tab, or the writer in the background.
    private void OnChanged(Guid id)
    {
        if (id == _id) _ = RefreshAsync(load: true);
    }

    private void OnProgressed(Guid id)
    {
        if (id == _id) _ = RefreshAsync(load: Writer.Find(id) is null || _live is null);
    }

    private Task RefreshAsync(bool load) => InvokeAsync(async () =>
    {
        try
        {
            bool wrote = _live is not null;
            if (load) await LoadAsync();
            if (wrote && _live is null) _announcement = Words["write.announce-ready"];
            StateHasChanged();
        }
        catch (Exception e)
        {
            Log.LogError(e, "A brief could not be read");
        }
    });

    private void OnPromoted() => _ = InvokeAsync(() =>
    {
        _model = Generator.Host.Current;
        _ways = CopyAbilities.Ways(_model);
        ReadTemplates();
        StateHasChanged();
    });

    /// <summary>The page is closed; what is being written goes on, and is there when the brief is opened again.</summary>
    public ValueTask DisposeAsync()
    {
        Generator.Host.Promoted -= OnPromoted;
        Briefs.Changed -= OnChanged;
        Writer.Progressed -= OnProgressed;
        return ValueTask.CompletedTask;
    }
}
