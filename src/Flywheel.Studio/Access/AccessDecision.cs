using Flywheel.Loop;
using Flywheel.Studio.OpenAI;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Authorization.Policy;
using Microsoft.AspNetCore.Http;

namespace Flywheel.Studio.Access;

/// <summary>The caller may do what the endpoint asks for (<see cref="NeededScopes"/>). It holds for every endpoint.</summary>
internal sealed class ScopeRequirement : IAuthorizationRequirement;

/// <summary>
/// Decides who passes. OpenAI's clients want some key; where none is asked for, one that is not of our form says nothing, but one
/// that was revoked is refused.
/// </summary>
internal sealed class ScopeHandler(AccessRules rules) : AuthorizationHandler<ScopeRequirement>
{
    protected override Task HandleRequirementAsync(AuthorizationHandlerContext context, ScopeRequirement requirement)
    {
        if (context.Resource is not HttpContext http) return Task.CompletedTask;
        IReadOnlyList<string> needed = NeededScopes.Of(http.GetEndpoint());
        bool passes = needed.Count == 0
            || (Caller.IsKnown(context.User) ? needed.All(scope => Caller.May(context.User, scope))
                || (Caller.May(context.User, Scopes.Read) && NeededScopes.IsReading(http))
                : !needed.Contains(Scopes.Admin) && rules.AllowsAnonymous(http.Request)
                    && http.Features.Get<KeyVerdict>() is not { IsOurs: true });
        if (passes) context.Succeed(requirement);
        return Task.CompletedTask;
    }
}

/// <summary>Tells those who do not pass what is missing: programs by OpenAI's error object, people by the sign-in page.</summary>
internal sealed class RefusedAnswers(AccessRules rules) : IAuthorizationMiddlewareResultHandler
{
    public Task HandleAsync(RequestDelegate next, HttpContext http, AuthorizationPolicy policy, PolicyAuthorizationResult authorizeResult)
    {
        if (authorizeResult.Succeeded) return next(http);
        if (SignIn.IsPageVisit(http.Request)) return SignIn.AskAsync(http, authorizeResult.Forbidden);
        throw authorizeResult.Forbidden ? Forbidden(http) : Unauthorized(http);
    }

    // Both headers as RFC 6750, section 3, has them.
    private ApiException Unauthorized(HttpContext http)
    {
        string? failure = http.Features.Get<KeyVerdict>()?.Problem;
        http.Response.Headers.WWWAuthenticate = failure is null
            ? "Bearer realm=\"flywheel\"" : "Bearer realm=\"flywheel\", error=\"invalid_token\"";
        bool admin = NeededScopes.Of(http.GetEndpoint()).Contains(Scopes.Admin);
        string wanted = admin
            ? $"expected 'Authorization: Bearer ' and the secret in the file admin.secret of the server's home, or a key with the scope '{Scopes.Admin}'"
            : "expected 'Authorization: Bearer KEY'; on the server's machine, ./flywheel keys create makes a key";
        string why = failure ?? (!admin && !rules.NeedsKey && AccessRules.HasPassedProxy(http.Request)
            ? $"{http.Request.Path} was called through a proxy that this server was not started with (--proxy ADDRESS), so a key is needed"
            : $"{http.Request.Path} needs a key and none was sent");
        return new(401, $"{why}; {wanted}", code: "invalid_api_key", type: "authentication_error");
    }

    private static ApiException Forbidden(HttpContext http)
    {
        IReadOnlyList<string> needed = NeededScopes.Of(http.GetEndpoint());
        http.Response.Headers.WWWAuthenticate =
            $"Bearer realm=\"flywheel\", error=\"insufficient_scope\", scope=\"{string.Join(' ', needed)}\"";
        string wanted = $"the scope {string.Join(" and ", needed.Select(scope => $"'{scope}'"))}",
            path = $"{http.Request.Method} {http.Request.Path}";
        return new(403, Caller.RoleOf(http.User) is { } role
            ? $"the role '{role}' of {http.User.Identity?.Name} does not allow {path}, which needs {wanted}; an owner can give another role"
            : $"the key '{http.User.Identity?.Name}' may not call {http.Request.Path}, which needs {wanted}", code: "insufficient_scope",
            type: "permission_error");
    }
}
