using System.Buffers;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Threading.RateLimiting;
using Flywheel.Loop;
using Flywheel.Studio.Access;
using Flywheel.Studio.Shell;
using Microsoft.AspNetCore.Antiforgery;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace Flywheel.Studio.Apps.Write.Sharing;

/// <summary><c>/s/TOKEN</c>, the one address that outsiders open without a key.</summary>
internal static class GuestPages
{
    /// <summary>The first part of the address, by which the doors know it.</summary>
    public const string Root = "s";

    private const string GuestCookie = "flywheel_guest", Prefix = "guest-", Policy = "guests";

    /// <summary>Calls from one address in a minute.</summary>
    internal const int MaxCalls = 60;

    private static readonly SearchValues<char> s_digits = SearchValues.Create("0123456789abcdef");

    private static readonly TimeSpan s_window = TimeSpan.FromMinutes(1);

    public static void AddGuests(this IServiceCollection services) => services.AddRateLimiter(limiter =>
    {
        limiter.RejectionStatusCode = StatusCodes.Status429TooManyRequests;
        limiter.OnRejected = async (rejected, cancellation) =>
        {
            rejected.HttpContext.Response.Headers.RetryAfter = s_window.TotalSeconds.ToString(CultureInfo.InvariantCulture);
            await rejected.HttpContext.Response.WriteAsync("Too many requests; try again in a minute.\n", cancellation);
        };
        limiter.AddPolicy(Policy,
            http => RateLimitPartition.GetFixedWindowLimiter(NetworkOf(http.Connection.RemoteIpAddress),
                _ => new FixedWindowRateLimiterOptions { PermitLimit = MaxCalls, Window = s_window, QueueLimit = 0 }));
    });

    public static void Map(IEndpointRouteBuilder app)
    {
        app.MapGet($"/{Root}/{{token}}", ShowAsync).RequireRateLimiting(Policy);
        // the form's token is judged here, so that the page can say so
        app.MapPost($"/{Root}/{{token}}", ChooseAsync).RequireRateLimiting(Policy).DisableAntiforgery();
    }

    /// <summary>Of IPv6 the network: who has one address has all of it.</summary>
    internal static string NetworkOf(IPAddress? address) =>
        address is { AddressFamily: AddressFamily.InterNetworkV6, IsIPv4MappedToIPv6: false }
        ? Convert.ToHexString(address.GetAddressBytes().AsSpan(0, 8)) : address?.ToString() ?? "";

    private static async Task<IResult> ShowAsync(HttpContext http, string token, Shares shares, IAntiforgery antiforgery)
    {
        if (await OpenAsync(shares, token) is not var (id, share, workspace)) return Gone(http);
        Actor.Enter(workspace);
        string person = PersonOf(http) ?? NewPerson(http);
        return Page(http, antiforgery, share, person, await shares.ChoiceOfAsync(id, share, person),
            thanks: http.Request.Query.ContainsKey("thanks"));
    }

    private static async Task<IResult> ChooseAsync(HttpContext http, string token, Shares shares, IAntiforgery antiforgery)
    {
        if (await OpenAsync(shares, token) is not var (id, share, workspace)) return Gone(http);
        Actor.Enter(workspace);
        // The order of the drafts is the person's: without their mark nobody knows what was chosen.
        if (PersonOf(http) is not { } person) return Page(http, antiforgery, share, NewPerson(http), null, problem: "share.again");
        if (await FormRequest.ReadAsync(http, antiforgery) is not { } form) return await AgainAsync("share.again");
        IReadOnlyList<SharedDraft> drafts = share.For(person);
        string choice = form["choice"].ToString(), why = form["why"].ToString().Trim();
        bool none = choice == "none";
        int index = -1;
        if (!none && !(int.TryParse(choice, NumberStyles.None, CultureInfo.InvariantCulture, out index) && index < drafts.Count))
            return await AgainAsync("share.choose");
        if (why.Length > Shares.MaxReason) return await AgainAsync("share.long");
        if (!await shares.ChooseAsync(id, share, person, none ? null : drafts[index].Generation, why))
            return await AgainAsync("share.full");
        return Results.LocalRedirect($"/{Root}/{token}?thanks");

        async Task<IResult> AgainAsync(string problem) =>
            Page(http, antiforgery, share, person, await shares.ChoiceOfAsync(id, share, person), problem: problem);
    }

    /// <summary>Who has a link need not know where the drafts belong.</summary>
    private static async Task<(Guid Id, ShareBody Body, string Workspace)?> OpenAsync(Shares shares, string token)
    {
        Actor.Enter(null);
        return await shares.OpenAsync(token);
    }

    private static RazorComponentResult<SharePage> Page(HttpContext http, IAntiforgery antiforgery, ShareBody share, string person,
        (Guid? Generation, string Reason)? chosen, bool thanks = false, string? problem = null)
    {
        AntiforgeryTokenSet tokens = antiforgery.GetAndStoreTokens(http);
        return Answer(http, problem is null ? StatusCodes.Status200OK : StatusCodes.Status400BadRequest, new()
        {
            ["Share"] = share, ["Drafts"] = share.For(person), ["Chosen"] = chosen, ["Thanks"] = thanks, ["Problem"] = problem,
            ["TokenField"] = tokens.FormFieldName, ["Token"] = tokens.RequestToken,
        });
    }

    private static RazorComponentResult<SharePage> Gone(HttpContext http) => Answer(http, StatusCodes.Status404NotFound, []);

    private static RazorComponentResult<SharePage> Answer(HttpContext http, int status, Dictionary<string, object?> page)
    {
        http.Response.StatusCode = status;
        http.Response.Headers.CacheControl = "no-store";
        http.Response.Headers["Referrer-Policy"] = "same-origin"; // without any, the form would come from the origin null
        http.Response.Headers.XContentTypeOptions = "nosniff";
        http.Response.Headers.ContentSecurityPolicy =
            "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self'; font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
        page["Words"] = Strings.Of(Visitor.Language(http));
        page["Dark"] = Visitor.PrefersDark(http);
        return new RazorComponentResult<SharePage>(page) { StatusCode = status };
    }

    private static string? PersonOf(HttpContext http) =>
        http.Request.Cookies[GuestCookie] is { Length: 38 } known && known.StartsWith(Prefix, StringComparison.Ordinal)
            && known.AsSpan(Prefix.Length).IndexOfAnyExcept(s_digits) < 0 ? known : null;

    private static string NewPerson(HttpContext http)
    {
        string person = Prefix + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16));
        http.Response.Cookies.Append(GuestCookie, person,
            new CookieOptions { HttpOnly = true, SameSite = SameSiteMode.Lax, Path = $"/{Root}", MaxAge = TimeSpan.FromDays(365),
                IsEssential = true, Secure = http.Request.IsHttps });
        return person;
    }
}
