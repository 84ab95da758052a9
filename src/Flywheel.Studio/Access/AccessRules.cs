using System.Net;
using System.Net.Sockets;
using Flywheel.Model;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.HttpOverrides;

namespace Flywheel.Studio.Access;

/// <summary>
/// Who may call the server: by which names, from which pages, through which proxies, and whether a key is asked for. Read from
/// <see cref="StudioOptions"/> and checked there, before anything listens.
/// </summary>
internal sealed class AccessRules
{
    /// <summary>Marks of a proxy in a request. A proxy that adds none cannot be told from a person at the machine.</summary>
    private static readonly string[] MarksOfProxy = ["X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Forwarded",
        "Via"];

    private readonly ListenAddress _listen;
    private readonly HashSet<string> _hosts;
    private readonly HashSet<IPAddress> _addresses;
    private readonly HashSet<string> _origins;
    private readonly bool _noAuth;

    /// <exception cref="FlywheelException">A setting cannot be read.</exception>
    public AccessRules(StudioOptions options)
    {
        _listen = ListenAddress.Parse(options.Url);
        _noAuth = options.NoAuth;
        string[] names = [.. options.Hosts.Select(ReadHost)];
        _hosts = new(names, StringComparer.OrdinalIgnoreCase) { "localhost" };
        _addresses = [.. names.Select(AddressOf).OfType<IPAddress>()];
        if (_listen.Ip is { } ip) _addresses.Add(Plain(ip));
        _origins = [.. options.CorsOrigins.Select(ReadOrigin)];
        Forwarding = ReadProxies(options.Proxies);
        IsForThisMachine = _listen.IsLoopback && options.Hosts.Count == 0 && options.Proxies.Count == 0;
    }

    /// <summary>Nothing at the start says that others than the person at this machine come in.</summary>
    public bool IsForThisMachine { get; }

    /// <summary>Somebody has an account. From then on nobody is let in who is not known, not at this machine either.</summary>
    public bool HasAccounts { get; set; }

    /// <summary>Everyone must show a key or sign in: others can come in, or there are people to tell apart.</summary>
    public bool NeedsKey => !_noAuth && (!IsForThisMachine || HasAccounts);

    /// <summary>How headers of the configured proxies are read; null without any, and then nobody's are.</summary>
    public ForwardedHeadersOptions? Forwarding { get; }

    /// <summary>Origins, as browsers send them, whose pages may call the API.</summary>
    public IReadOnlyCollection<string> CorsOrigins => _origins;

    /// <summary>
    /// The request needs no key (for administration it always does): no others can come in, and no proxy passed it on that this
    /// server was not told of, before which anybody may stand.
    /// </summary>
    public bool AllowsAnonymous(HttpRequest request) => _noAuth || (!NeedsKey && !HasPassedProxy(request));

    /// <summary>It bears the marks of a proxy.</summary>
    public static bool HasPassedProxy(HttpRequest request) => MarksOfProxy.Any(request.Headers.ContainsKey);

    /// <summary>
    /// The name that the caller used for this server is one of its own. A page elsewhere can let its own name point at this
    /// machine (DNS rebinding) and would be of the same origin then; but it cannot change the name.
    /// </summary>
    /// <param name="host">The request's Host.</param>
    /// <param name="local">The address at which the connection arrived.</param>
    public bool IsOurName(HostString host, IPAddress? local)
    {
        if (!host.HasValue) return false;
        string name = host.Host;
        if (_hosts.Contains(name)) return true;
        if (AddressOf(name) is not { } ip) return false;
        return IPAddress.IsLoopback(ip) || _addresses.Contains(ip) || (_listen.IsEvery && local is not null && ip.Equals(Plain(local)));
    }

    /// <summary>A page of this origin may call the API from elsewhere.</summary>
    public bool IsCorsOrigin(string origin) => _origins.Contains(origin);

    /// <summary>The origin is the one that the request itself goes to.</summary>
    public static bool IsSameOrigin(string origin, HttpRequest request) =>
        Uri.TryCreate(origin, UriKind.Absolute, out Uri? from) && from is { PathAndQuery: "/", UserInfo: "", Fragment: "" }
        && Uri.TryCreate($"{request.Scheme}://{request.Host.Value}", UriKind.Absolute, out Uri? to)
        && Uri.Compare(from, to, UriComponents.SchemeAndServer, UriFormat.Unescaped, StringComparison.OrdinalIgnoreCase) == 0;

    private static string ReadHost(string host)
    {
        string name = host.Trim('[', ']');
        return Uri.CheckHostName(name) is UriHostNameType.Dns or UriHostNameType.IPv4 or UriHostNameType.IPv6 ? name
            : throw new FlywheelException(
                $"--host is '{host}', expected a name or an IP address without scheme and port, such as studio.example.com");
    }

    private static string ReadOrigin(string origin) =>
        Uri.TryCreate(origin, UriKind.Absolute, out Uri? uri)
            && uri is { Scheme: "http" or "https", PathAndQuery: "/", UserInfo: "", Fragment: "" } && !origin.EndsWith('#')
            && !origin.EndsWith('?')
            ? uri.GetLeftPart(UriPartial.Authority)
            : throw new FlywheelException(
                $"--cors is '{origin}', expected the origin of a page: scheme, host and port, such as https://app.example.com");

    private static ForwardedHeadersOptions? ReadProxies(IReadOnlyList<string> proxies)
    {
        if (proxies.Count == 0) return null;
        var forwarding = new ForwardedHeadersOptions
        {
            ForwardedHeaders = ForwardedHeaders.XForwardedFor | ForwardedHeaders.XForwardedProto | ForwardedHeaders.XForwardedHost,
            ForwardLimit = null, // as far back as the addresses are known
        };
        forwarding.KnownProxies.Clear(); // loopback among them: a program of this machine is not a proxy by that alone
        forwarding.KnownIPNetworks.Clear();
        foreach (string proxy in proxies)
        {
            if (IPAddress.TryParse(proxy, out IPAddress? address)) forwarding.KnownProxies.Add(address);
            else if (System.Net.IPNetwork.TryParse(proxy, out System.Net.IPNetwork network)) forwarding.KnownIPNetworks.Add(network);
            else throw new FlywheelException(
                $"--proxy is '{proxy}', expected the IP address of a reverse proxy or a network of them, such as 127.0.0.1 or 10.0.0.0/8");
        }
        return forwarding;
    }

    private static IPAddress? AddressOf(string host) => IPAddress.TryParse(host.Trim('[', ']'), out IPAddress? ip) ? Plain(ip) : null;

    /// <summary>An IPv4 address that came through a socket of both families is the IPv4 address.</summary>
    private static IPAddress Plain(IPAddress ip) =>
        ip is { AddressFamily: AddressFamily.InterNetworkV6, IsIPv4MappedToIPv6: true } ? ip.MapToIPv4() : ip;
}
