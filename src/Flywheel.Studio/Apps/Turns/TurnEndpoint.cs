using Flywheel.Loop;
using Flywheel.Studio.Access;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Studio.Apps.Turns;

/// <summary>Reports of turns, as the loop wrote them.</summary>
internal static class TurnEndpoint
{
    public static void Map(IEndpointRouteBuilder app) => app.MapGet("/loop/reports/{number:int}", ReportAsync);

    /// <summary>A report holds what people and models wrote: it is shown where no script of it could run.</summary>
    private static async Task<IResult> ReportAsync(HttpContext http, int number, FlywheelStore store)
    {
        // What was learnt, and from whom, is the home's: not for who is in another workspace. What one has learnt for itself is its own.
        if (!Caller.May(http.User, Scopes.Admin))
        {
            if (Caller.WorkspaceOf(http.User) != WorkspaceRow.Default) return Results.NotFound();
            await using FlywheelDb db = store.AllTables();
            if (await db.Turns.AnyAsync(turn => turn.Number == number && turn.Workspace != WorkspaceRow.Default, http.RequestAborted))
                return Results.NotFound();
        }
        string file = Path.Combine(store.Home.Runs, $"turn-{number:0000}", "turn.html");
        if (number < 1 || !File.Exists(file)) return Results.NotFound();
        http.Response.Headers.ContentSecurityPolicy = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:";
        http.Response.Headers.XContentTypeOptions = "nosniff";
        return Results.File(file, "text/html; charset=utf-8");
    }
}
