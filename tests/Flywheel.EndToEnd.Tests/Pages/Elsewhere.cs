using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Flywheel.EndToEnd.Tests.Pages;

/// <summary>
/// Another server of this machine, with one page. (The page comes from loopback as the Studio does: from farther away, a browser of
/// today would ask the person before it lets the page call this machine, and the Studio would not be tested.)
/// </summary>
internal sealed class Elsewhere : IAsyncDisposable
{
    private readonly WebApplication _app;

    private Elsewhere(WebApplication app) => _app = app;

    public int Port => new Uri(_app.Urls.First()).Port;

    public static async Task<Elsewhere> StartAsync(string body = "")
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Logging.ClearProviders();
        WebApplication app = builder.Build();
        app.Run(http =>
        {
            http.Response.ContentType = "text/html";
            return http.Response.WriteAsync(
                $"<!DOCTYPE html><title>elsewhere</title><link rel=\"icon\" href=\"data:,\"><body>{body}</body>");
        });
        await app.StartAsync();
        return new Elsewhere(app);
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();
}
