using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Authorization;
using Microsoft.AspNetCore.Components.Server.Circuits;

namespace Flywheel.Studio.Access;

/// <summary>
/// An open page keeps its connection for hours; its key is looked up at each thing that the person does there. Once it is revoked,
/// nothing is done and the browser goes to the sign-in page.
/// </summary>
internal sealed class PageKeys(AuthenticationStateProvider state, KeyRing keys, NavigationManager navigation) : CircuitHandler
{
    public override Func<CircuitInboundActivityContext, Task> CreateInboundActivityHandler(Func<CircuitInboundActivityContext, Task> next) => async activity =>
    {
        if (Caller.KeyOf((await state.GetAuthenticationStateAsync()).User) is { } id && (await keys.JudgeAsync(id, SignIn.Scheme, CancellationToken.None)).Caller is null)
        {
            navigation.NavigateTo(SignIn.Path, forceLoad: true);
            return;
        }
        await next(activity);
    };
}
