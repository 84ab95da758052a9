using Flywheel.Engine;
using Flywheel.Loop;
using Flywheel.Loop.Translation;
using Flywheel.Model;
using Flywheel.Studio.OpenAI;
using Flywheel.Studio.Serving;
using Flywheel.Studio.Shell;
using Microsoft.AspNetCore.Components;
using Microsoft.Extensions.Logging;
using Microsoft.JSInterop;
using MudBlazor;

namespace Flywheel.Studio.Apps.Translate;

/// <summary>A document in two columns: a person mends drafts segment by segment, and each approval helps the next one at once.</summary>
public sealed partial class TranslatePage
{
    private const int PageSize = 200;

    private static readonly string[] Filters = ["all", "open", "remarks"];

    private readonly Stack<IReadOnlyDictionary<int, SegmentBody>> _undo = [];
    private readonly Dictionary<(string Source, string Target), IReadOnlyList<QualityIssue>> _issues = [];
    private Document? _document;
    private TranslationBody _body = new() { From = "en", To = "es", Format = "text", File = default };
    private TermList _terms = new([]);
    private IReadOnlyList<MemoryMatch> _matches = [];
    private IReadOnlyList<(DocumentVersion Version, int Approved, int Of)> _versions = [];
    private (int Own, int All) _counts;
    private LiveTranslation? _live;
    private int? _open;
    private Guid? _shown; // what is shown or just being read: a change meanwhile is read again
    private int _more = PageSize;
    private string? _problem, _again;
    private string _filter = "all", _announcement = "";
    private bool _missing;

    [Inject] private Translations Translations { get; set; } = null!;

    [Inject] private TranslationWriter Writer { get; set; } = null!;

    [Inject] private TranslationMemory Memory { get; set; } = null!;

    [Inject] private Glossary Glossary { get; set; } = null!;

    [Inject] private Translator Translator { get; set; } = null!;

    [Inject] private Documents Documents { get; set; } = null!;

    [Inject] private Generator Generator { get; set; } = null!;

    [Inject] private TimeProvider Time { get; set; } = null!;

    [Inject] private IJSRuntime Js { get; set; } = null!;

    [Inject] private ISnackbar Snackbar { get; set; } = null!;

    [Inject] private ILogger<TranslatePage> Log { get; set; } = null!;

    [CascadingParameter] private Visit Visit { get; set; } = null!;

    /// <summary>Null opens the latest.</summary>
    [Parameter] public Guid? Id { get; set; }

    private Strings Words => Visit.Words;

    private TranslatorPerson Person => new(Visit.Person, Visit.Workspace);

    private LanguagePair Pair => new(Visit.Workspace, _body.From, _body.To);

    private IReadOnlyList<int> Shown => [.. Enumerable.Range(0, _body.Segments.Count).Where(Fits)];

    // The segment that is open stays where it is, whatever it has become.
    private bool Fits(int number) => number == _open || _filter switch
    {
        "open" => _body.Segments[number].State != SegmentState.Approved,
        "remarks" => IssuesOf(number).Count > 0,
        _ => true,
    };

    private int Number(string filter) => filter switch
    {
        "open" => _body.Segments.Count - _body.NumApproved,
        "remarks" => Enumerable.Range(0, _body.Segments.Count).Count(number => IssuesOf(number).Count > 0),
        _ => _body.Segments.Count,
    };

    private string Share(SegmentState state) =>
        $"{100.0 * _body.Segments.Count(segment => segment.State == state) / Math.Max(1, _body.Segments.Count):0.##}%";

    private static string NameOf(string tag) => Language.Find(tag)?.Name ?? tag;

    private IReadOnlyList<QualityIssue> IssuesOf(int number)
    {
        SegmentBody segment = _body.Segments[number];
        if (segment.Target.Length == 0) return [];
        if (_issues.TryGetValue((segment.Source, segment.Target), out IReadOnlyList<QualityIssue>? known)) return known;
        if (_issues.Count > 20_000) _issues.Clear();
        return _issues[(segment.Source, segment.Target)] =
            QualityCheck.Check(segment.Source, segment.Target, _terms.Find(segment.Source), Language.Find(_body.To));
    }

    protected override void OnInitialized()
    {
        Translations.Changed += OnChanged;
        Writer.Progressed += OnChanged;
    }

    protected override async Task OnParametersSetAsync()
    {
        Guid? id = Id ?? (await Translations.ListAsync(Visit.Person) is [var latest, ..] ? latest.Document.Id : null);
        if (id is null || id == _shown) return;
        (_shown, _open, _filter, _more, _problem, _document, _missing) = (id, null, "all", PageSize, null, null, false);
        _undo.Clear();
        await LoadAsync(id.Value);
        _missing = _document is null;
    }

    protected override async Task OnAfterRenderAsync(bool firstRender)
    {
        if (!firstRender || _document is not { } document) return;
        // What a reload or a crash left in a segment: the browser's own copy is the newest.
        string key = document.Id.ToString("N");
        foreach (UnsavedText unsaved in await Js.InvokeAsync<UnsavedText[]>("flywheel.unsaved", key))
        {
            if (unsaved.Field.Split('-') is ["segment", var digits] && int.TryParse(digits, out int number) && number >= 0
                && number < _body.Segments.Count && unsaved.Value.Length <= TranslationMemory.MaxLength)
            {
                string now = _body.Segments[number].Target;
                if (now != unsaved.Value && now != unsaved.Base)
                {
                    await OpenAsync(number); // both are shown there
                    StateHasChanged();
                    continue;
                }
                await SaveAsync(number, unsaved.Value, now);
            }
            await Js.InvokeVoidAsync("flywheel.forget", key, unsaved.Field);
        }
    }

    private async Task LoadAsync(Guid id)
    {
        if (await Translations.FindAsync(id, Visit.Person) is not var (document, body)) return;
        TermList terms = await Glossary.ListAsync(new(Visit.Workspace, body.From, body.To));
        if (!ReferenceEquals(terms, _terms)) _issues.Clear();
        (_document, _body, _terms) = (document, body, terms);
        _live = Writer.Find(id);
        _counts = await Translations.CountAsync(Person);
    }

    private Task OpenNextAsync(int after)
    {
        IEnumerable<int> order = Enumerable.Range(after + 1, _body.Segments.Count - after - 1).Concat(Enumerable.Range(0, after + 1));
        int next = order.Where(Fits).FirstOrDefault(number => _body.Segments[number].State != SegmentState.Approved, -1);
        if (next >= 0) return OpenAsync(next);
        _announcement = Words["translate.all-done"];
        return CloseAsync();
    }

    private async Task OpenAsync(int number)
    {
        if (_document is null) return;
        (_open, _matches, _problem) = (number, [], null);
        while (Shown.Take(_more).All(shown => shown != number) && _more < _body.Segments.Count) _more += PageSize;
        SegmentBody segment = _body.Segments[number];
        _matches =
            (await Memory.FindAsync(Pair, Visit.Person, [new(segment.Source, number > 0 ? _body.Segments[number - 1].Source : "")]))[0]
            .Where(match => match.Unit.DocumentId != _document.Id || match.Unit.Segment != number).ToList();
        _again = _body.Engine.Length > 0 && Translator.Engine(_body.Engine) is { } engine
            && (await engine.StateAsync(_body.From, _body.To)).CanDraft ? _body.Engine : null;
    }

    private Task CloseAsync()
    {
        _open = null;
        return Task.CompletedTask;
    }

    private async Task StepAsync(int number, int by)
    {
        IReadOnlyList<int> shown = Shown;
        int at = Enumerable.Range(0, shown.Count).First(i => shown[i] == number) + by;
        if (at < 0 || at >= shown.Count) return;
        await OpenAsync(shown[at]);
        StateHasChanged();
    }

    private async Task<string?> SaveAsync(int number, string text, string over)
    {
        try
        {
            string? theirs = await Translations.SaveTargetAsync(_document!.Id, Person, number, text, over);
            _problem = null;
            return theirs;
        }
        catch (Exception e)
        {
            Log.LogError(e, "A translation could not be saved");
            _problem = Words["translate.not-saved"];
            StateHasChanged();
            throw;
        }
    }

    private async Task ApproveAsync(int number, string text)
    {
        if (_document is not { } document) return;
        try
        {
            IReadOnlyDictionary<int, SegmentBody> before = await Translations.ApproveAsync(document.Id, Person, number, text);
            if (before.Count > 0) _undo.Push(before);
            await Js.InvokeVoidAsync("flywheel.forget", document.Id.ToString("N"), $"segment-{number}");
            await LoadAsync(document.Id);
            _announcement = Words.Format("translate.announce-approved", number + 1);
            if (before.Count > 1) Snackbar.Add(Words.Count("translate.repeated", before.Count - 1), Severity.Normal, options =>
            {
                options.Action = Words["shell.undo"];
                options.OnClick = _ => InvokeAsync(UndoAsync);
            });
        }
        catch (Exception e)
        {
            Log.LogError(e, "An approval could not be recorded");
            _problem = e is FlywheelException ? e.Message : Words["translate.approval-not-saved"];
            StateHasChanged();
            return;
        }
        await OpenNextAsync(number);
        StateHasChanged();
    }

    private async Task UndoAsync()
    {
        if (_document is not { } document || !_undo.TryPop(out IReadOnlyDictionary<int, SegmentBody>? before)) return;
        (_open, _matches) = (null, []);
        StateHasChanged();
        await Translations.UndoAsync(document.Id, Person, before);
        await LoadAsync(document.Id);
        _announcement = Words["translate.announce-undone"];
        StateHasChanged();
    }

    private async Task DraftAsync()
    {
        if (_document is { } document) await Writer.StartAsync(document.Id, Person, _body.Engine);
    }

    private async Task AgainAsync(int number)
    {
        if (_document is not { } document) return;
        try
        {
            await Writer.AgainAsync(document.Id, Person, number, _body.Engine);
            await Js.InvokeVoidAsync("flywheel.forget", document.Id.ToString("N"), $"segment-{number}");
            await LoadAsync(document.Id);
        }
        catch (Exception e) when (e is FlywheelException or QueueFullException or ApiException)
        {
            _problem = e.Message;
        }
        StateHasChanged();
    }

    private async Task LoadVersionsAsync()
    {
        if (_document is not { } document) return;
        _versions =
            [.. (await Documents.VersionsAsync(document.Id, Visit.Person))
                .Select(version => (version, Body: Stored.Read(version.Body, TranslationBody.Parse)))
            .Where(pair => pair.Body is not null).Select(pair => (pair.version, pair.Body!.NumApproved, pair.Body.Segments.Count))];
    }

    private async Task RestoreAsync(DocumentVersion version)
    {
        if (_document is not { } document) return;
        (_open, _matches) = (null, []);
        _undo.Clear();
        await Translations.RestoreAsync(document.Id, Visit.Person, version);
        await LoadAsync(document.Id);
        await LoadVersionsAsync();
    }

    // Another tab, or the drafts in the background.
    private void OnChanged(Guid id)
    {
        if (id == _shown) _ = RefreshAsync(id);
    }

    private Task RefreshAsync(Guid id) => InvokeAsync(async () =>
    {
        try
        {
            LiveTranslation? was = _live;
            await LoadAsync(id);
            if (was is not null && _live is null)
            {
                _announcement = Words["translate.announce-drafted"];
                if (was.Fault is { } fault) _problem = fault.Length > 0 ? fault : Words["translate.draft-failed"];
            }
            StateHasChanged();
        }
        catch (Exception e)
        {
            Log.LogError(e, "A translation could not be read");
        }
    });

    /// <summary>The page is closed; what is being drafted goes on.</summary>
    public ValueTask DisposeAsync()
    {
        Translations.Changed -= OnChanged;
        Writer.Progressed -= OnChanged;
        return ValueTask.CompletedTask;
    }
}
