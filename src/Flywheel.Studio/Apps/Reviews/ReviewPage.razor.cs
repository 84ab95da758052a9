using System.Globalization;
using Flywheel.Loop;
using Flywheel.Loop.Reviews;
using Flywheel.Model;
using Flywheel.Studio.Apps.Write;
using Flywheel.Studio.Shell;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Forms;
using Microsoft.JSInterop;

namespace Flywheel.Studio.Apps.Reviews;

/// <summary>What people did, one item at a time, by keys.</summary>
public sealed partial class ReviewPage
{
    private const int MaxImport = 20 << 20, Shown = 40;

    private static readonly string[] s_reasons = ["untrue", "style", "garbage", "personal-data"];

    private readonly Stack<Guid> _mine = [];
    private ReviewList? _list;
    private ReviewAgreement? _agreement;
    private List<ReviewItem> _items = [];
    private ReviewView _view = ReviewView.Open;
    private string _app = "", _signal = "", _text = "", _reason = "", _label = "";
    private string? _said, _problem, _focus;
    private int _at;
    private bool _blind, _editing, _rejecting, _labelling, _busy, _required;

    [Inject] private FlywheelStore Store { get; set; } = null!;

    [Inject] private ReviewQueue Queue { get; set; } = null!;

    [Inject] private IJSRuntime Js { get; set; } = null!;

    private bool MayReview => Visit.MayAdminister || Visitor.MayReview(Visit.Role);

    /// <summary>A reviewer need not administer.</summary>
    protected override bool ForEveryone => MayReview;

    private ReviewItem? Here => _at < _items.Count ? _items[_at] : null;

    /// <summary>What the list beside the item shows: not thousands.</summary>
    private IEnumerable<(int Index, ReviewItem Item)> Window
    {
        get
        {
            int from = Math.Clamp(_at - Shown / 2, 0, Math.Max(0, _items.Count - Shown));
            return _items.Index().Skip(from).Take(Shown);
        }
    }

    private bool CanUndo => _mine.Count > 0 || Here?.State.By(Visit.Person) is not null;

    protected override async Task LoadAsync()
    {
        _required = HomeSettings.Read(Store.Home).RequireReview;
        await ReadAsync();
        _agreement = await ReviewAgreement.ReadAsync(Store, Gone);
    }

    /// <summary>The items that were asked for, from the first.</summary>
    private async Task ReadAsync()
    {
        await CountAsync();
        _items = [.. _list!.Items];
        (_at, _said, _problem) = (0, null, null);
        Close();
    }

    /// <summary>How far the queue is; what is shown stays where it is.</summary>
    private async Task CountAsync() => _list = await Queue.ListAsync(
        new() { App = _app.Length > 0 ? _app : null, Signal = _signal.Length > 0 ? _signal : null, View = _view, Reviewer = Visit.Person },
        Gone);

    private void Close() => _editing = _rejecting = _labelling = false;

    private async Task GoAsync(int index)
    {
        if (index < 0 || index >= _items.Count) return;
        _at = index;
        Close();
        try
        {
            // Somebody else may have decided meanwhile.
            _items[index] = Count(_items[index], await Queue.FindAsync(_items[index].Id, Gone));
        }
        catch (ReviewGoneException e)
        {
            _problem = e.Message;
            _items.RemoveAt(index);
            _at = Math.Min(_at, Math.Max(0, _items.Count - 1));
        }
    }

    /// <summary>An item has changed: what is counted changes with it, without reading the queue again.</summary>
    private ReviewItem Count(ReviewItem before, ReviewItem now)
    {
        now = ReviewSignals.Keep(now, before); // seen alone, an item knows nothing of the others that make it stand out
        if (_app.Length == 0 || _app == now.App) _list = _list!.With(before, now);
        _agreement = _agreement?.With(now);
        return now;
    }

    private Task ApproveAsync(ReviewItem item) => DecideAsync(item, new() { Item = item.Id, Act = ReviewAct.Approve });

    private Task CorrectAsync(ReviewItem item) => _text.Trim().Length == 0 ? Task.CompletedTask
        : _text.Trim() == Text(item).Trim() ? ApproveAsync(item)
        : DecideAsync(item, new() { Item = item.Id, Act = ReviewAct.Correct, Text = _text.Trim() });

    private Task RejectAsync(ReviewItem item, string reason) => reason.Trim().Length == 0 ? Task.CompletedTask
        : DecideAsync(item, new() { Item = item.Id, Act = ReviewAct.Reject, Reason = reason.Trim() });

    private Task LabelAsync(ReviewItem item) => _label.Trim().Length == 0 ? Task.CompletedTask
        : DecideAsync(item, new() { Item = item.Id, Act = ReviewAct.Label, Label = _label.Trim() });

    private Task CompareAsync(ReviewItem item, Guid better) => DecideAsync(item, new()
    {
        Item = item.Id, Act = ReviewAct.Compare, Preferred = better,
        Over = item.PairFor(Visit.Person)!.Single(text => text.GenerationId != better).GenerationId,
    });

    private async Task UndoAsync()
    {
        if (_busy || !CanUndo) return;
        Guid id = _mine.Count > 0 ? _mine.Peek() : Here!.Id;
        int at = _items.FindIndex(item => item.Id == id);
        ReviewItem? item = at >= 0 ? _items[at] : null;
        if (item is null)
        {
            try
            {
                await CountAsync(); // of what is not in the list it is not known how it was counted
                item = _list!.Items.FirstOrDefault(one => one.Id == id) ?? await Queue.FindAsync(id, Gone);
            }
            catch (ReviewGoneException e)
            {
                _mine.TryPop(out Guid _);
                _problem = e.Message;
                return;
            }
            _items.Insert(at = 0, item);
        }
        _at = at;
        await DecideAsync(item, new() { Item = id, Act = ReviewAct.Undo });
    }

    private async Task DecideAsync(ReviewItem item, ReviewInput input)
    {
        if (_busy || !MayReview) return;
        (_busy, _problem) = (true, null);
        try
        {
            ReviewReceipt receipt = await Queue.DecideAsync(input with { Reviewer = Visit.Person, Workspace = Visit.Workspace });
            int at = _items.FindIndex(one => one.Id == item.Id);
            ReviewItem now = Count(item, receipt.Item);
            if (at >= 0) _items[at] = now;
            if (input.Act == ReviewAct.Undo) _mine.TryPop(out Guid _);
            else _mine.Push(item.Id);
            Review? other = receipt.Item.State.Standing.FirstOrDefault(review => review.Reviewer != Visit.Person);
            _said = receipt.Item.State.Outcome == ReviewOutcome.Disputed && other is not null
                ? Words.Format("review.said.disputed", Called(other.Reviewer))
                : input.Act == ReviewAct.Compare
                ? Words[receipt.Item.State.By(Visit.Person)?.Agrees == true ? "review.said.agrees" : "review.said.disagrees"]
                : Words[$"review.said.{Review.NameOf(input.Act)}"];
            (_text, _reason, _label) = ("", "", "");
            Close();
            if (input.Act is not (ReviewAct.Undo or ReviewAct.Label)) Next();
        }
        catch (ReviewGoneException e)
        {
            _problem = e.Message;
            _items.RemoveAll(one => one.Id == item.Id);
            _at = Math.Min(_at, Math.Max(0, _items.Count - 1));
        }
        catch (FlywheelException e)
        {
            _problem = e.Message;
        }
        finally
        {
            _busy = false;
        }
    }

    /// <summary>To the next item that this reviewer has not decided; where there is none, what is done is taken from the list.</summary>
    private void Next()
    {
        int next = _items.FindIndex(_at, IsMine);
        if (next < 0) next = _items.FindIndex(IsMine);
        if (next >= 0) _at = next;
        else if (_view is ReviewView.Open or ReviewView.Second or ReviewView.Disputed) (_items, _at) = ([], 0);

        bool IsMine(ReviewItem item) =>
            item.State.By(Visit.Person) is null && (_view != ReviewView.Open || item.State.Outcome == ReviewOutcome.Open);
    }

    private void EditAsync(ReviewItem item)
    {
        Close();
        (_text, _editing, _focus) = (Text(item), true, "edit");
    }

    private void AskWhyAsync(bool reject)
    {
        Close();
        (_rejecting, _labelling) = (reject, !reject);
        _focus = reject ? "why-1" : "label"; // keys of a part of the page are heard from within it
    }

    protected override async Task OnAfterRenderAsync(bool firstRender)
    {
        if (_focus is not { } id) return;
        _focus = null;
        await Js.InvokeVoidAsync("flywheel.focus", id);
    }

    private void RequireAsync(ChangeEventArgs change)
    {
        if (!Visit.MayAdminister) return;
        try
        {
            Actor.Demand(Scopes.Admin);
            _required = change.Value is true;
            (HomeSettings.Read(Store.Home) with { RequireReview = _required }).Write(Store.Home);
        }
        catch (FlywheelException e)
        {
            _problem = e.Message;
        }
    }

    private async Task ImportAsync(InputFileChangeEventArgs change)
    {
        (_said, _problem) = (null, null);
        if (change.File.Size > MaxImport)
        {
            _problem = Words.Format("translate.too-large", MaxImport >> 20);
            return;
        }
        try
        {
            using var bytes = new MemoryStream();
            await using (Stream stream = change.File.OpenReadStream(MaxImport)) await stream.CopyToAsync(bytes);
            IReadOnlyList<ReviewInput> inputs =
                [.. ReviewFile.Read(Utf8File.Decode(bytes.ToArray(), change.File.Name), change.File.Name, Visit.Person, onlyTheirs: true)
                .Select(input => input with { Workspace = Visit.Workspace })];
            (int recorded, IReadOnlyList<string> gone) = await Queue.ImportAsync(inputs, change.File.Name, Gone);
            await LoadAsync();
            _said = Words.Count("review.imported", recorded, gone.Count);
        }
        catch (Exception e) when (e is FlywheelException or IOException or JSException)
        {
            _problem = e is FlywheelException ? e.Message : Words["translate.not-read"];
        }
    }

    /// <summary>Who gives a second opinion judges what the person did, not what another reviewer made of it.</summary>
    private string Text(ReviewItem item) => _view == ReviewView.Second ? item.Text : item.Current;

    private IReadOnlyList<string> Signals(ReviewItem item) =>
        _view == ReviewView.Second ? [.. item.Signals.Where(code => code != ReviewSignals.LowAgreement)] : item.Signals;

    private string Why(string code, ReviewItem item) => code switch
    {
        ReviewSignals.Garbage => Words.Format("review.why.garbage", item.Garbage.ToString("0.00", CultureInfo.InvariantCulture)),
        ReviewSignals.PersonalData =>
            string.Join(", ", ReviewSignals.PersonalDataIn(item.Text).Select(kind => Words[$"review.data.{kind.Replace(' ', '-')}"])),
        _ => Words[$"review.why.{code}"],
    };

    private static string Asked(ReviewItem item) =>
        item.Prompt?.Messages.LastOrDefault(message => message.Role == Role.User)?.Text.Trim() ?? "";

    private string Export(string format) => $"{ReviewEndpoints.PageExport.TrimStart('/')}?format={format}&view={Name(_view)}"
        + (_app.Length > 0 ? $"&app={Uri.EscapeDataString(_app)}" : "") + (_signal.Length > 0 ? $"&signal={_signal}" : "")
        + $"&user={Uri.EscapeDataString(Visit.Person)}";

    private string ReasonName(string reason) => Words[$"review.reason.{reason}"];

    private string AppName(string app) => Words.Knows($"shell.{app}") ? Words[$"shell.{app}"]
        : app.StartsWith(Generation.TaskApp, StringComparison.Ordinal)
        ? Words.Format("review.app.task", app[Generation.TaskApp.Length..]) : app;

    private string Kappa(AgreementOfTwo two) =>
        two.IsTooFew ? Words["review.too-few"] : two.Kappa is { } kappa
            ? kappa.ToString("0.00", CultureInfo.InvariantCulture) : Words["review.one-answer"];

    private string StateOf(ReviewItem item) =>
        _view == ReviewView.Second && item.State.By(Visit.Person) is null ? "open" : Name(item.State.Outcome);

    private static string Name(Enum value) => value.ToString().ToLowerInvariant();

    private static string Percent(ReviewList list) =>
        list.NumAll == 0 ? "0" : (100.0 * list.NumDecided / list.NumAll).ToString("0.#", CultureInfo.InvariantCulture);

    private static string Short(string text, int length) =>
        text.Length <= length ? text.Trim() : string.Concat(text.AsSpan(0, length).TrimEnd(), "…");

    private static RenderFragment Part(DiffPart part) => builder =>
    {
        if (part.Kind == DiffKind.Same) builder.AddContent(0, part.Text);
        else
        {
            builder.OpenElement(1, part.Kind == DiffKind.Added ? "ins" : "del");
            builder.AddContent(2, part.Text);
            builder.CloseElement();
        }
    };
}
