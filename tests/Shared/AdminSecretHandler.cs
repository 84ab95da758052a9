using System.Net.Http.Headers;
using Flywheel.Model;

namespace Flywheel.Testing;

/// <summary>Shows the home's secret to what is for the administrator, and to nothing else: all other calls go out as anybody's.</summary>
internal sealed class AdminSecretHandler(FlywheelHome home) : DelegatingHandler(new SocketsHttpHandler { UseProxy = false })
{
    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (new[] { "/admin/", "/v1/deletions", "/v1/rollouts",
            "/v1/reviews" }.Any(path => request.RequestUri!.AbsolutePath.StartsWith(path, StringComparison.Ordinal)))
            request.Headers.Authorization ??= new AuthenticationHeaderValue("Bearer", AdminSecret.Read(home));
        return base.SendAsync(request, cancellationToken);
    }
}
