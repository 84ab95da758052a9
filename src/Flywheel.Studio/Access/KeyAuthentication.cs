using System.Net.Http.Headers;
using System.Text.Encodings.Web;
using Microsoft.AspNetCore.Authentication;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Flywheel.Studio.Access;

/// <summary>Reads <c>Authorization: Bearer KEY</c>: a key of the store, or the home's own secret.</summary>
internal sealed class KeyAuthentication(KeyRing keys, IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory logger,
    UrlEncoder encoder)
    : AuthenticationHandler<AuthenticationSchemeOptions>(options, logger, encoder)
{
    public const string Name = "key";

    protected override async Task<AuthenticateResult> HandleAuthenticateAsync()
    {
        if (!AuthenticationHeaderValue.TryParse(Request.Headers.Authorization, out AuthenticationHeaderValue? header)
            || !header.Scheme.Equals("Bearer", StringComparison.OrdinalIgnoreCase) || string.IsNullOrWhiteSpace(header.Parameter))
            return AuthenticateResult.NoResult(); // a proxy with its own sign-in may pass on what it asked for
        KeyVerdict verdict = await keys.JudgeAsync(header.Parameter.Trim(), Name, Context.RequestAborted);
        if (verdict.Caller is { } caller) return AuthenticateResult.Success(new AuthenticationTicket(caller, Name));
        Context.Features.Set(verdict); // for whoever decides then, and says why; a failed result would only be logged, at each request
        return AuthenticateResult.NoResult();
    }
}
