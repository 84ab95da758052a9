using System.Security.Claims;
using Flywheel.Loop;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Authorization;
using Microsoft.AspNetCore.Components.Server.Circuits;

namespace Flywheel.Studio.Access;

/// <summary>
/// An open page keeps its connection for hours; its key or account is looked up at each thing that the person does there. Once it opens
/// nothing, nothing is done and the browser goes to the sign-in page; once it opens something else, the page is drawn anew. What is done
/// then is done by that person (<see cref="Actor"/>).
/// </summary>
internal sealed class PageKeys(AuthenticationStateProvider state, KeyRing keys, AccessRules rules, NavigationManager navigation)
    : CircuitHandler
{
    public override Func<CircuitInboundActivityContext, Task> CreateInboundActivityHandler(
        Func<CircuitInboundActivityContext, Task> next) => async activity =>
    {
        ClaimsPrincipal caller = (await state.GetAuthenticationStateAsync()).User;
        if (Caller.IsKnown(caller))
        {
            ClaimsPrincipal? now = await keys.LookAgainAsync(caller, SignIn.Scheme, Caller.WorkspaceOf(caller), CancellationToken.None);
            if (now is null || !Caller.ScopesOf(now).SequenceEqual(Caller.ScopesOf(caller)))
            {
                navigation.NavigateTo(now is null ? SignIn.Path : navigation.Uri, forceLoad: true);
                return;
            }
            Actor.Is(Caller.UserOf(now) ?? now.Identity!.Name!, Caller.ScopesOf(now), Caller.WorkspaceOf(now));
        }
        else if (rules.NeedsKey)
        {
            navigation.NavigateTo(SignIn.Path, forceLoad: true); // the page was opened when nobody had an account yet
            return;
        }
        else Actor.Is(Actor.Visitor, workspace: WorkspaceRow.Default);
        await next(activity);
    };
}
