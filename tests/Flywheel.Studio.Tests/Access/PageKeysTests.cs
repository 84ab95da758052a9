using System.Security.Claims;
using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Studio.Access;
using Flywheel.Testing;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Authorization;
using Microsoft.Extensions.Logging.Abstractions;

namespace Flywheel.Studio.Tests.Access;

/// <summary>A page that stays open while what its person may do changes.</summary>
public sealed class PageKeysTests : IAsyncLifetime
{
    private readonly TempFolder _folder = new();
    private readonly AccessRules _rules = new(new StudioOptions { Home = new FlywheelHome("/nowhere", ""), Url = "http://127.0.0.1:0" });
    private FlywheelStore _store = null!;
    private Accounts _accounts = null!;
    private KeyRing _keys = null!;

    public async ValueTask InitializeAsync()
    {
        _store = await FlywheelStore.OpenAsync(new FlywheelHome(_folder["home"], ""));
        _accounts = new Accounts(_store, TimeProvider.System);
        _keys = new KeyRing("secret", new ApiKeys(_store, TimeProvider.System), _accounts, new Workspaces(_store, TimeProvider.System),
            NullLogger<KeyRing>.Instance);
    }

    public async ValueTask DisposeAsync()
    {
        await _store.DisposeAsync();
        Microsoft.Data.Sqlite.SqliteConnection.ClearAllPools();
        _folder.Dispose();
    }

    [Fact]
    public async Task Act_AfterARoleOrAnAccountChanged_IsNotDone()
    {
        AccountRow owner = await JoinAsync("ann", AccountRole.Owner), ben = await JoinAsync("ben", AccountRole.Editor);
        ClaimsPrincipal page = Caller.Principal(SignIn.Scheme, ben);
        Assert.Equal((true, null, ben.User), await ActAsync(page));
        await _accounts.RenameAsync(ben.Id, "Benjamin");
        Assert.True((await ActAsync(page)).Done);
        await _accounts.SetRoleAsync(ben.Id, AccountRole.Viewer);
        Assert.Equal((false, "http://localhost/write", null), await ActAsync(page)); // drawn anew
        await _accounts.SetRoleAsync(ben.Id, AccountRole.Editor);
        Assert.True((await ActAsync(page)).Done);
        await _accounts.EndSessionsAsync(ben.Id);
        Assert.Equal((false, "/sign-in", null), await ActAsync(page));
        await _accounts.DisableAsync(ben.Id);
        Assert.Equal((false, "/sign-in", null), await ActAsync(Caller.Principal(SignIn.Scheme, await _accounts.GetAsync("ben"))));
        Assert.True((await ActAsync(Caller.Principal(SignIn.Scheme, owner))).Done);
    }

    [Fact]
    public async Task Act_OfNobody_IsDoneUntilSomebodyHasAnAccount()
    {
        var nobody = new ClaimsPrincipal(new ClaimsIdentity());
        Assert.Equal((true, null, Actor.Visitor), await ActAsync(nobody));
        _rules.HasAccounts = true;
        Assert.Equal((false, "/sign-in", null), await ActAsync(nobody));
    }

    private async Task<(bool Done, string? To, string? Who)> ActAsync(ClaimsPrincipal page)
    {
        var navigation = new Navigation();
        (bool done, string? who) = (false, null);
        await new PageKeys(new State(page), _keys, _rules, navigation).CreateInboundActivityHandler(_ =>
        {
            (done, who) = (true, Actor.Name);
            return Task.CompletedTask;
        })(null!);
        return (done, navigation.To, who);
    }

    private async Task<AccountRow> JoinAsync(string name, AccountRole role)
    {
        (_, string token) = await _accounts.InviteAsync(role);
        return await _accounts.AcceptAsync(token, name, name, "plum lantern quay");
    }

    private sealed class State(ClaimsPrincipal user) : AuthenticationStateProvider
    {
        public override Task<AuthenticationState> GetAuthenticationStateAsync() => Task.FromResult(new AuthenticationState(user));
    }

    private sealed class Navigation : NavigationManager
    {
        public Navigation() => Initialize("http://localhost/", "http://localhost/write");

        public string? To { get; private set; }

        protected override void NavigateToCore(string uri, NavigationOptions options) =>
            To = options.ForceLoad ? uri : throw new InvalidOperationException("the page itself stays");
    }
}
