using Flywheel.Loop;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Components.Server.Circuits;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Flywheel.Studio.Access;

/// <summary>Puts the doors into the server: <see cref="UseGate"/> before anything else looks at a request, then <see cref="UseKeys"/> before any endpoint.</summary>
internal static class AccessSetup
{
    /// <summary>Forwards to how the request shows who calls: a key in its header, or the cookie of the sign-in page.</summary>
    private const string AnyScheme = "access";

    public static void AddAccess(this IServiceCollection services, AccessRules rules, ApiKeys keys, string adminSecret)
    {
        services.AddSingleton(rules);
        services.AddSingleton(provider => new KeyRing(adminSecret, keys, provider.GetRequiredService<ILogger<KeyRing>>()));
        services.AddAuthentication(AnyScheme)
            .AddPolicyScheme(AnyScheme, null, scheme => scheme.ForwardDefaultSelector = http => UsesCookie(http.Request) ? SignIn.Scheme : KeyAuthentication.Name)
            .AddScheme<AuthenticationSchemeOptions, KeyAuthentication>(KeyAuthentication.Name, null)
            .AddCookie(SignIn.Scheme, SignIn.Configure);
        services.AddSingleton<IAuthorizationHandler, ScopeHandler>();
        services.AddSingleton<IAuthorizationMiddlewareResultHandler, RefusedAnswers>();
        services.AddAuthorizationBuilder().SetFallbackPolicy(new AuthorizationPolicyBuilder().AddRequirements(new ScopeRequirement()).Build());
        services.AddCors(cors => cors.AddDefaultPolicy(policy => policy.WithOrigins([.. rules.CorsOrigins]).AllowAnyHeader().AllowAnyMethod().SetPreflightMaxAge(TimeSpan.FromHours(1))));
        services.AddScoped<CircuitHandler, PageKeys>();
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
        if (rules.CorsOrigins.Count > 0) app.UseWhen(http => HostAndOrigin.IsForOtherOrigins(http.Request.Path), branch => branch.UseCors());
    }

    /// <summary>Recognises the caller and lets them through to what they may do. After routing.</summary>
    public static void UseKeys(this WebApplication app)
    {
        app.UseAuthentication();
        app.UseAuthorization();
        app.MapGet(SignIn.Path, SignIn.Show);
        app.MapPost(SignIn.Path, SignIn.EnterAsync);
        app.MapPost("/sign-out", SignIn.LeaveAsync);
    }

    /// <summary>The cookie is for this server's own pages; a page elsewhere that may call the API brings its own key.</summary>
    private static bool UsesCookie(HttpRequest request) => request.Headers.Authorization.Count == 0 && !HostAndOrigin.IsCors(request);
}
