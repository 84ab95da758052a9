using System.Globalization;
using Flywheel.Model;
using Flywheel.Studio.Shell;
using Flywheel.Voice;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Web;

namespace Flywheel.Studio.Apps.Dubbing;

/// <summary>A script, who speaks it and how words are said; each line plays as it stands, and what changed since it was heard is
/// marked.</summary>
public sealed partial class VoiceProjectPage
{
    private const int PageSize = 100, MaxUndo = 50;

    /// <summary>While lines are rendered, those that are done are shown so often: to look where all lines lie takes longer than to render
    /// one.</summary>
    private static readonly TimeSpan s_showAfter = TimeSpan.FromSeconds(2);

    private readonly CancellationTokenSource _gone = new();
    private readonly Stack<UndoStep> _undo = new();
    private readonly HashSet<string> _chosen = [];
    private Dictionary<string, LineState> _states = [];
    private Dictionary<string, Wave> _waves = [];
    private IReadOnlyDictionary<string, DurationModel> _durations = new Dictionary<string, DurationModel>();
    private IReadOnlyList<Voice.Voice> _voices = [];
    private Document? _document;
    private VoiceProject? _project;
    private CancellationTokenSource? _rendering;
    private string? _problem, _typedLine, _fault;
    private string _word = "", _said = "";
    private int _picked, _first, _done, _todo, _asked, _own;
    private bool _missing;
    private Guid _shown;

    [Parameter] public Guid Id { get; set; }

    [Inject] private VoiceProjects Projects { get; set; } = null!;

    [Inject] private Documents Documents { get; set; } = null!;

    [Inject] private SpeechEngines Engines { get; set; } = null!;

    [Inject] private VoiceDictionaries Dictionaries { get; set; } = null!;

    [Inject] private VoiceRecord Record { get; set; } = null!;

    [CascadingParameter] private Visit Visit { get; set; } = null!;

    private Strings Words => Visit.Words;

    private IEnumerable<string> Roles =>
        _project!.Lines.Select(line => line.Role).OfType<string>().Concat(_project.Cast.Keys).Distinct(StringComparer.Ordinal);

    /// <summary>Lines of this page of which there is no sound as they stand.</summary>
    private int Waiting => _states.Values.Count(state => state is { IsReady: false, Fault: null });

    protected override async Task OnInitializedAsync()
    {
        Projects.Changed += OnChanged;
        _voices = await Engines.VoicesAsync(_gone.Token);
    }

    /// <summary>A dub that is opened to be edited is another project on the same page: nothing of the one before stays.</summary>
    protected override async Task OnParametersSetAsync()
    {
        if (Id == _shown) return;
        _shown = Id;
        _rendering?.Cancel();
        _undo.Clear();
        _chosen.Clear();
        (_document, _project, _problem, _fault, _typedLine, _missing, _first) = (null, null, null, null, null, false, 0);
        (_states, _waves) = ([], []);
        _offers.Clear();
        await LoadAsync();
    }

    private async Task LoadAsync()
    {
        Guid id = Id;
        Stored<VoiceProject>? found = await Projects.LookAsync(id, Visit.Person);
        if (id != _shown) return;
        if (found is not { } stored)
        {
            _missing = true;
            return;
        }
        (_document, _fault) = (stored.Document, stored.Fault);
        if (stored.Body is not { } project) return;
        if (_project is { } known) RememberRecorded(known, project);
        _project = project;
        _first = Math.Clamp(_first, 0, Math.Max(0, project.Lines.Count - 1) / PageSize * PageSize);
        await LookAsync();
    }

    /// <summary>Where each line of this page stands, and the outlines of those that are rendered.</summary>
    private async Task LookAsync()
    {
        int asked = ++_asked;
        VoiceProject shown = _project! with { Lines = [.. _project.Lines.Skip(_first).Take(PageSize)] };
        try
        {
            var states = (await Projects.Renderer.StatesAsync(shown, _gone.Token)).ToDictionary(state => state.LineId);
            var waves = new Dictionary<string, Wave>();
            foreach (LineState state in states.Values.Where(state => state is { IsReady: true, Fault: null }))
                waves[state.LineId] = await Projects.WaveAsync(shown, state);
            if (asked != _asked) return; // it was changed meanwhile
            (_states, _waves) = (states, waves);
            _durations = DurationModel.OfProject(_project);
            await OfferAsync(asked);
        }
        catch (OperationCanceledException)
        {
            // the page was left
        }
        catch (FlywheelException e)
        {
            _problem = e.Message;
        }
    }

    /// <summary>Seconds by which a line's sound is longer than the time until the next line begins.</summary>
    private double OverOf(int number)
    {
        VoiceLine line = _project!.Lines[number];
        if (line.Start is not { } start || SecondsOf(line) is not { } seconds) return 0;
        TimeSpan? until = number + 1 < _project.Lines.Count ? _project.Lines[number + 1].Start : null;
        return until is { } next ? Math.Max(0, Math.Round(seconds - (next - start).TotalSeconds, 1)) : 0;
    }

    /// <summary>Of a line's sound, or as is expected; null where nothing is known of it.</summary>
    private double? SecondsOf(VoiceLine line) => _waves.TryGetValue(line.Id, out Wave? wave) ? wave.Seconds : Predicted(line, line.Text);

    /// <summary>Seconds that a text would take, by what its voice took for the lines so far; null where that is too little.</summary>
    private double? Predicted(VoiceLine line, string text)
    {
        VoiceSettings settings = _project!.SettingsOf(line);
        return line.IsMarkup || text.Trim().Length == 0 || !_durations.TryGetValue(settings.Voice ?? "", out DurationModel? model)
            ? null : model.Predict(text) / (settings.Speed ?? 1);
    }

    /// <param name="change">Makes another of what is on disk.</param>
    /// <param name="typed">Letters of one field are one step of undo.</param>
    /// <param name="remember">It can be undone.</param>
    /// <param name="of">The project; null: the one that is shown.</param>
    private Task ChangeAsync(Func<VoiceProject, VoiceProject> change, string? typed = null, bool remember = true, Guid? of = null)
    {
        Guid id = of ?? Id;
        VoiceProject? before = null;
        return DoAsync(id, () => Projects.ChangeAsync(id, Visit.Person, now => change(before = now)), typed, remember, () => before);
    }

    /// <summary>Changes a project; a fault is shown and the project stays as it is. Where another is shown by then, that one stays on the
    /// page.</summary>
    private async Task DoAsync(Guid id, Func<Task<VoiceProject>> act, string? typed = null, bool remember = true,
        Func<VoiceProject?>? changed = null)
    {
        _problem = null;
        VoiceProject? known = _project;
        VoiceProject after;
        try
        {
            _own++;
            after = await act();
        }
        catch (FlywheelException e)
        {
            _problem = e.Message;
            return;
        }
        finally
        {
            _own--;
        }
        if (id != _shown || _gone.IsCancellationRequested || (changed?.Invoke() ?? known) is not { } before) return;
        if (remember && known is not null) RememberRecorded(known, before);
        // Letters of one line are one step.
        if (remember && (typed is null || typed != _typedLine)) Remember(before, []);
        _typedLine = typed;
        _project = after;
        await LookAsync();
        StateHasChanged();
    }

    private void Remember(VoiceProject before, IReadOnlyList<string> recorded)
    {
        _undo.Push(new UndoStep(before.ToJson(), recorded));
        if (_undo.Count <= MaxUndo) return;
        UndoStep[] latest = [.. _undo.Take(MaxUndo)];
        _undo.Clear();
        foreach (UndoStep one in latest.Reverse()) _undo.Push(one);
    }

    /// <summary>What was recorded or uploaded since the page looked last is undone like any act.</summary>
    private void RememberRecorded(VoiceProject known, VoiceProject now)
    {
        string[] recorded = [.. Hashes(now).Except(Hashes(known))];
        if (recorded.Length == 0 && now.Original == known.Original) return;
        Remember(known, recorded);
        _typedLine = null;

        static IEnumerable<string> Hashes(VoiceProject project) =>
            project.Lines.SelectMany(line => line.Takes).Where(take => take.IsRecorded).Select(take => take.Hash);
    }

    private async Task UndoAsync()
    {
        if (!_undo.TryPop(out UndoStep? step)) return;
        VoiceOriginal? known = _project!.Original;
        await ChangeAsync(now =>
        {
            VoiceProject restored = VoiceProjects.Restore(VoiceProject.Parse(step.Before, "project"), now, step.Recorded);
            return now.Original == known ? restored : restored with { Original = now.Original }; // one that was uploaded since
        }, remember: false);
        if (_problem is not null) _undo.Push(step);
        else if (step.Suggestion is { } taken) await Record.TakenBackAsync(Visit.Person, taken);
    }

    private async Task<string?> SaveLineAsync(Guid id, string line, string text, string over)
    {
        string? theirs = null;
        await ChangeAsync(project =>
        {
            VoiceLine now = project.Line(line);
            if (now.Text != over && now.Text != text) theirs = now.Text;
            return theirs is null ? project.With(now.WithText(text)) : project;
        }, line, of: id);
        return theirs;
    }

    private async Task<string?> SaveTitleAsync(Guid id, string text, string over)
    {
        string? theirs = null;
        await ChangeAsync(project =>
        {
            if (project.Name != over && project.Name != text) theirs = project.Name;
            return theirs is null ? project with { Name = text } : project;
        }, "title", of: id);
        return theirs;
    }

    private Task AddAsync(string after) => ChangeAsync(project =>
    {
        VoiceLine before = project.Line(after);
        int number = project.Lines.ToList().IndexOf(before),
            free = 1 + project.Lines.Max(line => int.TryParse(line.Id, out int id) ? id : 0);
        var added = new VoiceLine { Id = free.ToString(CultureInfo.InvariantCulture), Role = before.Role, Text = "" };
        return project with { Lines = [.. project.Lines.Take(number + 1), added, .. project.Lines.Skip(number + 1)] };
    });

    private Task RemoveAsync(string id) =>
        ChangeAsync(project => project.Lines.Count == 1
            ? throw new FlywheelException(Words["voice.last-line"]) : project
                with { Lines = [.. project.Lines.Where(line => line.Id != id)] });

    private Task CastAsync(string role, VoiceSettings settings) =>
        ChangeAsync(project => role.Length == 0 ? project with { Voice = settings }
        : project with { Cast = new Dictionary<string, VoiceSettings>(project.Cast) { [role] = settings } });

    private async Task AddWordAsync()
    {
        string word = _word.Trim(), said = _said.Trim();
        if (word.Length == 0 || said.Length == 0) return;
        // Between slashes, as phoneticians write it, it is IPA; else a respelling.
        bool isIpa = said.Length > 2 && said[0] == '/' && said[^1] == '/';
        var entry = new Pronunciation { Word = word, Ipa = isIpa ? said[1..^1].Trim() : null, Respelling = isIpa ? null : said };
        await ChangeAsync(project => project with { Dictionary = [.. project.Dictionary.Where(one => one.Word != word), entry] });
        if (_problem is null) (_word, _said) = ("", "");
    }

    private Task ChooseAsync(Guid id, string line, VoiceTake take) => DoAsync(id, () => Projects.ChooseAsync(id, Visit.Person, line, take));

    /// <summary>From now on the word is said so in every project.</summary>
    private Task GiveAsync(Guid id, Pronunciation entry) => DoAsync(id, async () =>
    {
        Pronunciation given = entry.Language.Length > 0 ? entry : entry with { Language = _project!.Language.Split('-')[0] };
        (IReadOnlyList<Pronunciation> before, IReadOnlyList<Pronunciation> after) =
            await Dictionaries.ChangeAsync(known => VoiceDictionaries.With(known, [given]));
        await Record.WordsAsync(Visit.Person, VoiceRecord.Team, "", before, after);
        return await Projects.ChangeAsync(id, Visit.Person,
            now => now with { Dictionary = [.. now.Dictionary.Where(one => one != entry)] });
    });

    /// <summary>Makes the sound of every line that has none; what was made stays, also when it is stopped.</summary>
    private async Task RenderAsync()
    {
        if (_rendering is not null) return;
        using var rendering = _rendering = CancellationTokenSource.CreateLinkedTokenSource(_gone.Token);
        var shown = System.Diagnostics.Stopwatch.StartNew();
        Guid id = Id;
        string[] waiting = [.. _states.Values.Where(state => state is { IsReady: false, Fault: null }).Select(state => state.LineId)];
        (_done, _todo, _problem) = (0, waiting.Length, null);
        try
        {
            foreach (string line in waiting)
            {
                rendering.Token.ThrowIfCancellationRequested(); // also where another project is shown by now
                if (_project!.Lines.All(one => one.Id != line)) continue; // it was removed meanwhile
                VoiceProject now = _project;
                RenderedLine rendered = await Task.Run(() => Projects.Renderer.RenderLineAsync(now, line, rendering.Token));
                await Projects.SpokenAsync(id, Visit.Person, now, rendered);
                _done++;
                if (shown.Elapsed > s_showAfter)
                {
                    await LoadAsync();
                    shown.Restart();
                }
                StateHasChanged();
            }
        }
        catch (OperationCanceledException)
        {
            // stopped, or left
        }
        catch (FlywheelException e)
        {
            _problem = e.Message;
        }
        _rendering = null;
        if (!_gone.IsCancellationRequested) await LoadAsync();
    }

    /// <summary>A line is chosen, or no longer; with Shift, all between it and the one before do as it does.</summary>
    private Task PickAsync(int number, bool range)
    {
        bool chosen = !_chosen.Contains(_project!.Lines[number].Id);
        int other = range ? Math.Clamp(_picked, 0, _project.Lines.Count - 1) : number;
        for (int i = Math.Min(number, other); i <= Math.Max(number, other); i++)
        {
            if (chosen) _chosen.Add(_project.Lines[i].Id);
            else _chosen.Remove(_project.Lines[i].Id);
        }
        _picked = number;
        StateHasChanged();
        return Task.CompletedTask;
    }

    /// <summary>Changes all lines that are chosen, in one step; "-" is no change.</summary>
    private Task ChangeChosenAsync(ChangeEventArgs change, Func<VoiceLine, string?, VoiceLine> with) =>
        change.Value is "-" ? Task.CompletedTask
        : ChangeAsync(project =>
            project with {
                Lines = [
                    .. project.Lines.Select(line => _chosen.Contains(line.Id)
                        ? with(line, change.Value is string { Length: > 0 } value ? value : null) : line)] });

    private static TimeSpan? Pause(ChangeEventArgs change) =>
        NumberField.Read(change.Value) is { } seconds
            ? TimeSpan.FromMilliseconds(Math.Round(1000 * Math.Clamp(seconds, -1, 100_000))) : null;

    /// <summary>A line's cue, dragged on the timeline or typed.</summary>
    /// <returns>Whether it is so now.</returns>
    private async Task<bool> MoveAsync(string line, TimeSpan start, TimeSpan end)
    {
        await ChangeAsync(project => project.With(project.Line(line) with { Start = start, End = end }));
        return _problem is null;
    }

    /// <summary>The recording is removed, or the lines take its times or words. These are found in minutes, in which the project goes on,
    /// or another is opened.</summary>
    private async Task<bool> OriginalAsync(Func<VoiceProject, Task<Func<VoiceProject, VoiceProject>>> find)
    {
        (Guid id, VoiceProject over) = (Id, _project!);
        _problem = null;
        try
        {
            await ChangeAsync(await find(over), of: id);
        }
        catch (FlywheelException e)
        {
            _problem = e.Message;
        }
        if (_problem is not null && id != _shown) _problem = $"{over.Name}: {_problem}";
        return _problem is null;
    }

    /// <summary>The lines are turned to where this one is.</summary>
    private async Task ShowLineAsync(string line)
    {
        int number = _project!.Lines.ToList().FindIndex(one => one.Id == line), first = Math.Max(0, number) / PageSize * PageSize;
        if (first == _first) return;
        _first = first;
        await LookAsync();
        StateHasChanged();
    }

    private async Task TurnAsync(int by)
    {
        _first += by;
        await LoadAsync();
    }

    // Another window, or a line that was played.
    private void OnChanged(Guid id)
    {
        if (id != Id || _own > 0 || _rendering is not null) return; // what is rendered is shown now and then, and in the end
        _ = InvokeAsync(async () =>
        {
            if (_gone.IsCancellationRequested || _project is null) return;
            await LoadAsync();
            StateHasChanged();
        });
    }

    public void Dispose()
    {
        Projects.Changed -= OnChanged;
        _gone.Cancel();
        _gone.Dispose();
    }

    /// <param name="Before">The project as it was.</param>
    /// <param name="Recorded">Hashes of takes that the act itself recorded.</param>
    private sealed record UndoStep(string Before, IReadOnlyCollection<string> Recorded)
    {
        /// <summary>A suggested shorter text that the act took, in the record.</summary>
        public Guid? Suggestion { get; init; }
    }
}
