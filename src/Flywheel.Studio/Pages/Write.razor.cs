using System.Text.Json.Nodes;
using Flywheel.Engine;
using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Studio.Serving;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Web;
using Microsoft.Extensions.Logging;
using Microsoft.JSInterop;
using MudBlazor;

namespace Flywheel.Studio.Pages;

/// <summary>The copywriting page: a brief in, three drafts out, and each choice is feedback the moment it is made.</summary>
public sealed partial class Write
{
    private const int NumDrafts = 3;

    // Drafts that differ from each other, without the unlikely tail that a small model gets lost in.
    private const float Temperature = 0.8f, TopP = 0.95f;

    /// <summary>A browser redraws this often while text streams in; each token by itself would only cost.</summary>
    private static readonly TimeSpan RedrawEvery = TimeSpan.FromMilliseconds(40);

    private readonly List<DraftSet> _earlier = [];
    private BriefForm _form = new();
    private DraftSet? _current;
    private GenerationGroup? _group;
    private ServedModel _model = null!;
    private long _numFeedback;
    private string? _problem;
    private string _announcement = "";
    private ElementReference _drafts;

    [Inject] private Generator Generator { get; set; } = null!;

    [Inject] private FlywheelStore Store { get; set; } = null!;

    [Inject] private TimeProvider Time { get; set; } = null!;

    [Inject] private IJSRuntime Js { get; set; } = null!;

    [Inject] private ISnackbar Snackbar { get; set; } = null!;

    [Inject] private ILogger<Write> Log { get; set; } = null!;

    [CascadingParameter(Name = "Person")] private string Person { get; set; } = "";

    protected override async Task OnInitializedAsync()
    {
        _model = Generator.Host.Current;
        Generator.Host.Promoted += OnPromoted;
        _numFeedback = (await Store.CountAsync()).Feedback;
    }

    private async Task TryExampleAsync()
    {
        _form = BriefForm.Example();
        await WriteAsync();
    }

    private async Task WriteAsync()
    {
        _problem = null;
        if (_group is not null || _form.Read() is not { } brief) return;
        try
        {
            _group = Generator.Start(model => Order(brief, model), CancellationToken.None);
        }
        catch (Exception e) when (e is FlywheelException or QueueFullException)
        {
            _problem = e is QueueFullException ? "Many texts are being written right now. Try again in a moment." : e.Message;
            return;
        }
        if (_current is not null) _earlier.Insert(0, _current);
        _current = new DraftSet(brief.Name, brief.Kind, [.. _group.Choices.Select(choice => new Draft(choice.Index + 1, choice.Id))]);
        _announcement = "Writing three drafts";
        await using (GenerationGroup group = _group)
        {
            try
            {
                StateHasChanged();
                await Js.InvokeVoidAsync("flywheel.reveal", _drafts);
                await ReadAsync(group, _current);
                _announcement = "Three drafts are ready";
            }
            catch (Exception e)
            {
                // What could not be recorded must not be chosen from.
                Log.LogError(e, "Writing drafts failed");
                _current = null;
                _problem = "The drafts could not be saved, so they are not shown. The server's log says why.";
            }
            finally
            {
                _group = null;
            }
        }
    }

    private async Task ReadAsync(GenerationGroup group, DraftSet set)
    {
        long drawn = Time.GetTimestamp();
        await foreach ((Choice choice, SampledToken? token) in group.Events)
        {
            Draft draft = set.Drafts[choice.Index];
            if (token is null) (draft.State, draft.Text, draft.Written) = (DraftState.Ready, draft.Text.Trim(), choice.Text);
            else draft.Text += token.Text;
            if (token is not null && Time.GetElapsedTime(drawn) < RedrawEvery) continue;
            drawn = Time.GetTimestamp();
            StateHasChanged();
        }
    }

    private GenerationOrder Order(Brief brief, ServedModel model)
    {
        Conversation conversation = brief.ToConversation();
        int[] prompt = model.Template.Prompt(conversation, Time.GetLocalNow());
        int room = model.Folder.Config.MaxPositions - prompt.Length;
        if (room < 16) throw new FlywheelException("That is more than the model can read at once. Leave out or shorten some facts.");
        return new GenerationOrder
        {
            Conversation = conversation,
            Prompts = [prompt],
            NumChoices = NumDrafts,
            MaxTokens = brief.Kind == Brief.Tagline ? 48 : 256,
            Sampler = model.Defaults with { Temperature = Temperature, TopP = TopP, Seed = Generator.DrawSeed() },
            User = Person,
            App = "write",
        };
    }

    /// <summary>Records an act; the card changes when it is on disk.</summary>
    private async Task RecordAsync(Draft draft, DraftState state, string text)
    {
        (string metric, JsonNode value) = state switch
        {
            DraftState.Kept => (Metrics.Keep, (JsonNode)true),
            DraftState.Edited => (Metrics.Demonstration, text),
            DraftState.Discarded => (Metrics.Discard, true),
            _ => (Metrics.Retract, true),
        };
        try
        {
            await Store.AddFeedbackAsync(new FeedbackInput(draft.Generation, metric, value, Person));
        }
        catch (Exception e)
        {
            Log.LogError(e, "A choice could not be recorded");
            Snackbar.Add(e is FlywheelException ? e.Message : "Your choice could not be saved. Nothing was changed; try again.", Severity.Error);
            return;
        }
        draft.State = state;
        draft.Text = state == DraftState.Edited ? text : draft.Written.Trim();
        _announcement = state == DraftState.Ready ? $"Draft {draft.Number}: undone" : $"Draft {draft.Number}: {metric} recorded";
        _numFeedback = (await Store.CountAsync()).Feedback;
        StateHasChanged();
    }

    private void Stop() => _group?.Cancel();

    private async Task OnKeyAsync(KeyboardEventArgs key)
    {
        if (key is { Key: "Enter", CtrlKey: true } or { Key: "Enter", MetaKey: true }) await WriteAsync();
    }

    private static string Mark(Draft draft) => draft.State switch { DraftState.Kept => "kept", DraftState.Edited => "edited", DraftState.Discarded => "discarded", _ => "" };

    private void OnPromoted() => _ = InvokeAsync(() =>
    {
        _model = Generator.Host.Current;
        StateHasChanged();
    });

    /// <summary>The page is closed: what still runs is cancelled, and recorded as such by its group.</summary>
    public ValueTask DisposeAsync()
    {
        Generator.Host.Promoted -= OnPromoted;
        Stop();
        return ValueTask.CompletedTask;
    }
}
