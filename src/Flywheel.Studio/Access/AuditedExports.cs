using Flywheel.Loop;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Flywheel.Studio.Access;

/// <summary>Has the audit say who took a file out.</summary>
internal static class AuditedExports
{
    /// <summary>Noted before the first byte is sent, so that a client that cuts the line has its entry, too.</summary>
    /// <param name="route">Its handler returns the file as a result, and does not send it itself.</param>
    /// <param name="what">What is in it.</param>
    public static RouteHandlerBuilder Audited(this RouteHandlerBuilder route, string what) => route.AddEndpointFilter(async (call, next) =>
    {
        object? answer = await next(call);
        if (answer is not IStatusCodeHttpResult { StatusCode: >= 400 })
            await call.HttpContext.RequestServices.GetRequiredService<FlywheelStore>()
                .NoteAsync(AuditAct.Export, about: what, cancellation: CancellationToken.None);
        return answer;
    });
}
