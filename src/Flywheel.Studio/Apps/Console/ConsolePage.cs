using Flywheel.Studio.Shell;
using Microsoft.AspNetCore.Components;
using Microsoft.Extensions.Logging;

namespace Flywheel.Studio.Apps.Console;

/// <summary>What the pages of the console share: they load for an administrator, and look again while something moves.</summary>
public abstract class ConsolePage : ComponentBase, IDisposable
{
    private static readonly TimeSpan s_pause = TimeSpan.FromSeconds(1);

    private readonly CancellationTokenSource _gone = new();

    [Inject] protected TimeProvider Time { get; set; } = null!;

    [CascadingParameter] protected Visit Visit { get; set; } = null!;

    protected Strings Words => Visit.Words;

    /// <summary>Fires when nobody looks any more.</summary>
    protected CancellationToken Gone => _gone.Token;

    /// <summary>Whether everyone may look; then the page itself shows each what is theirs.</summary>
    protected virtual bool ForEveryone => false;

    /// <summary>Whether what is shown changes by itself, so that it is loaded again every second.</summary>
    protected virtual bool IsMoving => false;

    [Inject] private ILogger<ConsolePage> FollowingLog { get; set; } = null!;

    [Inject] private Access.Accounts Accounts { get; set; } = null!;

    private Access.NameBook _names = Access.NameBook.Empty;

    /// <summary>What a user is called; only who may administer learns it of others.</summary>
    protected string Called(string user) => user == Visit.Person && Visit.Name is { } own ? own : _names.Of(user);

    /// <summary>Reads what the page shows.</summary>
    protected abstract Task LoadAsync();

    protected override async Task OnInitializedAsync()
    {
        if (Visit.MayAdminister) _names = await Accounts.NamesAsync(Gone);
        if (Visit.MayAdminister || ForEveryone) await LoadAsync();
    }

    protected override void OnAfterRender(bool firstRender)
    {
        if (firstRender && (Visit.MayAdminister || ForEveryone)) _ = Following.RunAsync(s_pause, Time, LookAsync, FollowingLog, Gone);
    }

    private async Task<bool> LookAsync()
    {
        if (!IsMoving) return true;
        await InvokeAsync(LoadAsync);
        await InvokeAsync(StateHasChanged);
        return true;
    }

    public virtual void Dispose()
    {
        _gone.Cancel();
        _gone.Dispose();
        GC.SuppressFinalize(this);
    }
}
