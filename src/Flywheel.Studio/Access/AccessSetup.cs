using System.Threading.RateLimiting;
using Flywheel.Loop;
using Flywheel.Studio.Apps.Write.Sharing;
using Flywheel.Studio.OpenAI;
using Flywheel.Studio.Shell;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Components.Server.Circuits;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.RateLimiting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Flywheel.Studio.Access;

/// <summary>Puts the doors into the server: <see cref="UseGate"/> before anything else looks at a request, then <see cref="UseKeys"/>
/// before any endpoint.</summary>
internal static class AccessSetup
{
    /// <summary>Forwards to how the request shows who calls: a key in its header, or the cookie of the sign-in page.</summary>
    private const string AnyScheme = "access";

    /// <summary>Of forms in which passwords, keys and links could be tried out.</summary>
    internal const string Policy = "doors";

    /// <summary>Such forms from one network in a minute. (An account closes by itself after fewer guesses.)</summary>
    internal const int MaxForms = 30;

    public static void AddAccess(this IServiceCollection services, AccessRules rules, ApiKeys keys, string adminSecret)
    {
        services.AddSingleton(rules).AddSingleton(keys).AddSingleton<Accounts>().AddSingleton<Workspaces>().AddSingleton<KeyDesk>();
        services.AddAntiforgery(forms => forms.Cookie.Path = "/"); // of every workspace
        services.AddSingleton(provider => new KeyRing(adminSecret, keys, provider.GetRequiredService<Accounts>(),
            provider.GetRequiredService<Workspaces>(), provider.GetRequiredService<ILogger<KeyRing>>()));
        services.AddAuthentication(AnyScheme)
            .AddPolicyScheme(AnyScheme, null,
                scheme => scheme.ForwardDefaultSelector = http => UsesCookie(http.Request) ? SignIn.Scheme : KeyAuthentication.Name)
            .AddScheme<AuthenticationSchemeOptions, KeyAuthentication>(KeyAuthentication.Name, null)
            .AddCookie(SignIn.Scheme, SignIn.Configure);
        services.AddSingleton<IAuthorizationHandler, ScopeHandler>();
        services.AddSingleton<IAuthorizationMiddlewareResultHandler, RefusedAnswers>();
        services.AddAuthorizationBuilder()
            .SetFallbackPolicy(new AuthorizationPolicyBuilder().AddRequirements(new ScopeRequirement()).Build());
        services.AddCors(cors =>
            cors.AddDefaultPolicy(policy =>
                policy.WithOrigins([.. rules.CorsOrigins]).AllowAnyHeader().AllowAnyMethod().SetPreflightMaxAge(TimeSpan.FromHours(1))));
        services.AddScoped<CircuitHandler, PageKeys>();
        services.Configure<RateLimiterOptions>(limiter =>
            limiter.AddPolicy(Policy,
                http => RateLimitPartition.GetFixedWindowLimiter(GuestPages.NetworkOf(http.Connection.RemoteIpAddress),
            _ => new FixedWindowRateLimiterOptions { PermitLimit = MaxForms, Window = TimeSpan.FromMinutes(1), QueueLimit = 0 })));
    }

    /// <summary>Reads what configured proxies say of the caller; then refuses wrong hosts and origins.</summary>
    public static void UseGate(this WebApplication app, AccessRules rules)
    {
        if (rules.Forwarding is not null) app.UseForwardedHeaders(rules.Forwarding);
        app.Use(next => http =>
        {
            HostAndOrigin.Check(http, rules);
            return next(http);
        });
        if (rules.CorsOrigins.Count > 0)
            app.UseWhen(http => HostAndOrigin.IsForOtherOrigins(http.Request.Path), branch => branch.UseCors());
    }

    /// <summary>Recognises the caller and lets them through to what they may do. After routing.</summary>
    public static void UseKeys(this WebApplication app)
    {
        app.UseAuthentication();
        app.UseWorkspaceDoor();
        app.UseAuthorization();
        var accounts = app.Services.GetRequiredService<Accounts>();
        var rules = app.Services.GetRequiredService<AccessRules>();
        var keys = app.Services.GetRequiredService<ApiKeys>();
        app.Use(next => async http =>
        {
            if (rules.HasAccounts) await Visitor.CheckAsync(http, accounts);
            // Of a person also what their role allows: an address may do more than its method says. Not where anybody may come.
            bool bound = Caller.AccountOf(http.User) is not null && NeededScopes.Of(http.GetEndpoint()).Count > 0;
            Guid? limited = Caller.LimitedKeyOf(http.User);
            Actor.Is(Caller.IsKnown(http.User)
                ? Caller.UserOf(http.User) ?? http.User.Identity!.Name! : Visitor.Identify(http, isNew: false),
                bound ? Caller.ScopesOf(http.User) : null, Caller.WorkspaceOf(http.User), limited);
            if (limited is { } key && !NeededScopes.IsReading(http) && NeededScopes.Of(http.GetEndpoint()).Count > 0)
                await CountAsync(keys, key, http.RequestAborted);
            await next(http);
        });
        app.MapGet(SignIn.Path, SignIn.ShowAsync);
        app.MapPost(SignIn.Path, SignIn.EnterAsync).RequireRateLimiting(Policy);
        Join.Map(app);
        AccountPages.Map(app);
        PasskeyForms.Map(app);
        app.MapPost("/sign-out", SignIn.LeaveAsync);
    }

    /// <exception cref="ApiException">The key has nothing left for today.</exception>
    private static async Task CountAsync(ApiKeys keys, Guid key, CancellationToken cancellation)
    {
        if (await keys.CountCallAsync(key, cancellation) is not { } reached) return;
        throw new ApiException(429, reached.Message, code: "insufficient_quota", type: "insufficient_quota")
        {
            RetryAfter = reached.Until - DateTimeOffset.UtcNow,
        };
    }

    /// <summary>The cookie is for this server's own pages; a page elsewhere that may call the API brings its own key.</summary>
    private static bool UsesCookie(HttpRequest request) => request.Headers.Authorization.Count == 0 && !HostAndOrigin.IsCors(request);
}
