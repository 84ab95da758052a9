using Flywheel.Loop;
using Flywheel.Model;
using Microsoft.Playwright;

namespace Flywheel.EndToEnd.Tests.Pages;

/// <summary>A page of elsewhere, open in the browser of the person at this machine, tries everything that a browser lets it.</summary>
public sealed class ForeignPageTests
{
    /// <summary>What each try came to: the server's status where the browser tells it, else that it failed.</summary>
    private const string Tries = """
        async server => {
          const json = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ model: 'flywheel', prompt: 'x', max_tokens: 2 }) };
          const keep = JSON.stringify({ inference_id: '01a20a5c-0000-7000-8000-000000000001', metric_name: 'keep', value: true });
          const tried = async (name, what) => { try { return `${name}: ${await what()}`; } catch (e) { return `${name}: failed`; } };
          const status = async (path, options) => (await fetch(server + path, options)).status;
          const socket = path => new Promise(done => { const s = new WebSocket(server.replace('http', 'ws') + path); s.onopen = () => done('open'); s.onerror = () => done('failed'); });
          const loaded = (tag, path) => new Promise(done => { const e = document.createElement(tag); e.onload = () => done('loaded'); e.onerror = () => done('failed'); e.src = server + path; document.body.append(e); });
          return [
            await tried('read models', () => status('/v1/models')),
            await tried('ask', () => status('/v1/completions', json)),
            await tried('ask with cookies', () => status('/v1/completions', { ...json, credentials: 'include' })),
            await tried('status', () => status('/admin/status')),
            await tried('page', () => status('/write')),
            await tried('negotiate', () => status('/_blazor/negotiate?negotiateVersion=1', { method: 'POST' })),
            await tried('feedback', () => status('/feedback', { ...json, body: keep })),
            await tried('blind feedback', async () => (await fetch(server + '/feedback', { method: 'POST', mode: 'no-cors', body: keep })).type),
            await tried('socket', () => socket('/_blazor')),
            await tried('script', () => loaded('script', '/_content/Flywheel.Studio/studio.js')),
            await tried('picture', () => loaded('img', '/_content/Flywheel.Studio/wheel.svg')),
          ];
        }
        """;

    [Theory]
    [InlineData("evil.example")]
    [InlineData("127.0.0.1")] // the same site, another origin
    public async Task Page_OfAnotherOrigin_ReachesNothing(string host)
    {
        await using Elsewhere elsewhere = await Elsewhere.StartAsync();
        await using StudioBrowser studio = await StudioBrowser.StartProcessAsync("--cors", $"http://app.example:{elsewhere.Port}");
        IPage page = await OpenAsync(studio, $"http://{host}:{elsewhere.Port}");

        string[] results = await page.EvaluateAsync<string[]>(Tries, studio.Server.Url);

        Assert.All(results,
            result => Assert.True(result.EndsWith(": failed", StringComparison.Ordinal) || result == "blind feedback: opaque", result));
        await SendFormAsync(page, studio.Server.Url + "/v1/completions");
        await SendFormAsync(page, studio.Server.Url + "/feedback");
        await SendFormAsync(page, studio.Server.Url + "/sign-in");
        await AssertNothingAsync(studio);
    }

    /// <summary>That it is the server that refuses, and not the browser: from an origin that is listed the same calls come
    /// through.</summary>
    [Fact]
    public async Task Page_OfAListedOrigin_ReachesTheApiAndNothingElse()
    {
        await using Elsewhere elsewhere = await Elsewhere.StartAsync();
        string listed = $"http://app.example:{elsewhere.Port}";
        await using StudioBrowser studio = await StudioBrowser.StartProcessAsync("--cors", listed);
        IPage page = await OpenAsync(studio, listed);

        string[] results = await page.EvaluateAsync<string[]>(Tries, studio.Server.Url);

        Assert.Equal(["read models: 200", "ask: 200", "ask with cookies: failed", "status: failed", "page: failed", "negotiate: failed",
            "feedback: 200", "blind feedback: opaque", "socket: failed", "script: failed", "picture: failed"], results);
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(studio.Home));
        Assert.Equal((1, 1), ((await store.CountAsync()).Generations, (await store.CountAsync()).Feedback));
    }

    /// <summary>DNS rebinding: the page's own name points at this machine, so the browser holds the server for the page's.</summary>
    [Fact]
    public async Task Page_WhoseNamePointsHere_ReachesNothing()
    {
        await using StudioBrowser studio = await StudioBrowser.StartAsync();
        string server = studio.Server.Url.Replace("127.0.0.1", "evil.example", StringComparison.Ordinal);
        IBrowserContext person = await studio.NewPersonAsync();
        IPage page = await person.NewPageAsync();
        IResponse? visited = await page.GotoAsync(server + "/write");
        Assert.Equal(403, visited!.Status);
        Assert.Contains("--host evil.example", await visited.TextAsync(), StringComparison.Ordinal);
        string[] results = await page.EvaluateAsync<string[]>("() => " + $"({Tries})(location.origin)");
        Assert.All(results,
            result =>
                Assert.True(result.EndsWith(": failed", StringComparison.Ordinal) || result.EndsWith(": 403", StringComparison.Ordinal)
                    || result == "blind feedback: basic", result));
        await AssertNothingAsync(studio);
    }

    private static async Task<IPage> OpenAsync(StudioBrowser studio, string origin)
    {
        IPage page = await (await studio.NewPersonAsync()).NewPageAsync();
        await page.GotoAsync(origin + "/");
        return page;
    }

    /// <summary>A form that makes its text look like JSON; it opens in a tab of its own.</summary>
    private static async Task SendFormAsync(IPage page, string address)
    {
        IPage answer = await page.RunAndWaitForPopupAsync(() => page.EvaluateAsync("""
            address => {
              const form = document.createElement('form');
              Object.assign(form, { method: 'post', action: address, enctype: 'text/plain', target: '_blank' });
              const field = document.createElement('input');
              Object.assign(field, { name: '{"model": "flywheel", "prompt": "x", "user": "', value: '"}' });
              form.append(field);
              document.body.append(form);
              form.submit();
            }
            """, address));
        await answer.WaitForLoadStateAsync();
        Assert.Contains("may not call", await answer.Locator("body").InnerTextAsync(), StringComparison.Ordinal);
        await answer.CloseAsync();
    }

    private static async Task AssertNothingAsync(StudioBrowser studio)
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(studio.Home));
        Assert.Equal((0, 0), ((await store.CountAsync()).Generations, (await store.CountAsync()).Feedback));
    }
}
