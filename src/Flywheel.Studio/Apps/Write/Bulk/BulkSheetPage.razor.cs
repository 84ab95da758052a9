using Flywheel.Loop.Jobs;
using Flywheel.Model;
using Flywheel.Studio.Serving;
using Flywheel.Studio.Shell;
using Microsoft.AspNetCore.Components;
using Microsoft.Extensions.Logging;
using MudBlazor;

namespace Flywheel.Studio.Apps.Write.Bulk;

/// <summary>One table of briefs: first how its columns are read, then what was written for each row, where each draft is chosen as in
/// Write.</summary>
public sealed partial class BulkSheetPage
{
    private const int PageSize = 20, MaxProblems = 50;

    private static readonly string[] Fields = ["name", "kind", "what", "facts", "audience", "tone", "length"];

    private Document? _document;
    private BulkBody? _body;
    private BulkTable? _table;
    private JobRow? _job;
    private IReadOnlyList<BulkProblem> _problems = [];
    private Dictionary<int, BulkProblem> _bad = [];
    private IReadOnlyList<(BriefBody? Brief, string Tags)> _shown = [];
    private BrandVoice _voice = new();
    private ServedModel _model = null!;
    private string? _problem;
    private string _announcement = "";
    private int _page;
    private bool _missing, _busy;
    private Guid _loaded;

    [Inject] private BulkBriefs Bulks { get; set; } = null!;

    [Inject] private Briefs Briefs { get; set; } = null!;

    [Inject] private DraftWriter Writer { get; set; } = null!;

    [Inject] private JobQueue Queue { get; set; } = null!;

    [Inject] private ModelHost Host { get; set; } = null!;

    [Inject] private ISnackbar Snackbar { get; set; } = null!;

    [Inject] private ILogger<BulkSheetPage> Log { get; set; } = null!;

    [Parameter] public Guid Id { get; set; }

    private int First => _page * PageSize;

    private int NumGood => _body is null ? 0 : _body.NumRows - _problems.Count;

    private string State => _job?.State.ToString().ToLowerInvariant() ?? "new";

    protected override bool ForEveryone => true;

    protected override bool IsMoving => _body?.Job is not null && (_job is null || Apps.Console.JobList.IsMoving(_job));

    /// <summary>Rows of a table that are written.</summary>
    internal static int Done(BulkBody body, JobRow? job) => job is null ? 0 : (int)Math.Round(job.Progress * body.NumGood);

    protected override void OnInitialized() => _model = Host.Current;

    protected override async Task OnParametersSetAsync()
    {
        if (_loaded != default && _loaded != Id)
        {
            (_document, _table, _page) = (null, null, 0);
            await LoadAsync();
        }
    }

    protected override async Task LoadAsync()
    {
        _loaded = Id;
        if (await Bulks.FindAsync(Id, Visit.Person) is not var (document, body))
        {
            (_missing, _body) = (true, null);
            return;
        }
        BulkTable table;
        try
        {
            table = _table ?? await Bulks.TableAsync(body, Visit.Person);
        }
        catch (BulkException e)
        {
            (_missing, _body, _problem) = (true, null, e.In(Words));
            return;
        }
        _model = Host.Current;
        // Read before it is asked how far the job is: what is shown as done is shown with its drafts.
        JobRow? job = await Bulks.JobAsync(body);
        if (body.Job is not null)
            _shown = await Bulks.RowsAsync(Id, Visit.Person, First, Math.Clamp(table.Rows.Count - First, 0, PageSize));
        if (_body is null || body.Job is null || _body.Job is null)
        {
            _problems = Bulks.Problems(body, table);
            _bad = _problems.ToDictionary(problem => problem.Index);
            _voice = await Briefs.VoiceAsync(Visit.Person);
        }
        (_document, _body, _table, _job) = (document, body, table, job);
    }

    /// <summary>What cells of a column look like.</summary>
    private string Sample(int column) =>
        string.Join(" · ",
            _table!.Rows.Where(row => column < row.Cells.Count).Select(row => row.Cells[column].ReplaceLineEndings(" ").Trim())
                .Where(cell => cell.Length > 0).Take(2));

    /// <summary>A choice as the page calls it; one of the person's own words as it is.</summary>
    private string Said(string field, string value) =>
        Words.Knows($"write.{field}.{value.Replace(' ', '-')}") ? Words[$"write.{field}.{value.Replace(' ', '-')}"] : value;

    private Task ChangeAsync(Func<BulkBody, BulkBody> change) => TryAsync(() => Bulks.ChangeAsync(Id, Visit.Person, change));

    private Task StartAsync() => TryAsync(() => Bulks.StartAsync(Id, Visit.Person));

    private Task DoAsync(Func<JobQueue, Task> act) => TryAsync(() => act(Queue));

    private async Task TryAsync(Func<Task> act)
    {
        if (_busy) return;
        (_busy, _problem) = (true, null);
        try
        {
            await act();
        }
        catch (BulkException e)
        {
            _problem = e.In(Words);
        }
        catch (FlywheelException e)
        {
            _problem = e.Message; // a job that ended meanwhile
        }
        finally
        {
            _busy = false;
        }
        await LoadAsync();
    }

    private async Task TurnAsync(int by)
    {
        _page += by;
        await LoadAsync();
    }

    private async Task ActAsync(int row, DraftSet set, Draft draft, DraftState state, string text)
    {
        try
        {
            await Bulks.ActAsync(Id, Visit.Person, row, set, draft.Generation, state, text);
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
        await LoadAsync();
        StateHasChanged();
    }
}
