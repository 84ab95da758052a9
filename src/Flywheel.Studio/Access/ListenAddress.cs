using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using Flywheel.Model;

namespace Flywheel.Studio.Access;

/// <summary>Where a server listens: an IP address, or localhost for both families' loopback.</summary>
/// <param name="Host">As a URL writes it: IPv6 in brackets.</param>
/// <param name="Port">0: the system gives a free one.</param>
internal sealed record ListenAddress(string Host, int Port)
{
    /// <summary>Null for localhost.</summary>
    public IPAddress? Ip => IPAddress.TryParse(Host.Trim('[', ']'), out IPAddress? ip) ? ip : null;

    /// <summary>Nobody but this machine reaches it.</summary>
    public bool IsLoopback => Ip is null || IPAddress.IsLoopback(Ip);

    /// <summary>Listens at each address of the machine.</summary>
    public bool IsEvery => IPAddress.Any.Equals(Ip) || IPAddress.IPv6Any.Equals(Ip);

    /// <summary>An address at which this machine itself reaches the server: nobody can call 0.0.0.0.</summary>
    public string LocalUrl => $"http://{(IPAddress.Any.Equals(Ip) ? "127.0.0.1" : IPAddress.IPv6Any.Equals(Ip) ? "[::1]" : Host)}:{Port}";

    /// <summary>Addresses at which other machines may reach the server: its own, or each of this machine's. None on loopback.</summary>
    public IReadOnlyList<string> UrlsForOthers()
    {
        if (IsLoopback) return [];
        if (!IsEvery) return [LocalUrl];
        return [.. NetworkInterface.GetAllNetworkInterfaces().Where(card => card.OperationalStatus == OperationalStatus.Up)
            .SelectMany(card => card.GetIPProperties().UnicastAddresses).Select(unicast => unicast.Address)
            .Where(address => !IPAddress.IsLoopback(address) && !address.IsIPv6LinkLocal
                && (address.AddressFamily == AddressFamily.InterNetwork || IPAddress.IPv6Any.Equals(Ip)))
            .Select(address => address.AddressFamily == AddressFamily.InterNetwork
                ? $"http://{address}:{Port}" : $"http://[{address}]:{Port}")];
    }

    /// <exception cref="FlywheelException">The text is no such address. Kestrel takes a host that it cannot read for "every address";
    /// nobody means that by a slip of the pen.</exception>
    public static ListenAddress Parse(string url)
    {
        bool valid = Uri.TryCreate(url, UriKind.Absolute, out Uri? parsed)
            && parsed is { Scheme: "http", PathAndQuery: "/", UserInfo: "", Fragment: "" }
            && (parsed.Host == "localhost" || IPAddress.TryParse(parsed.Host.Trim('[', ']'), out _));
        if (!valid)
            throw new FlywheelException(
                $"--url is '{url}', expected http://, an IP address or localhost, and a port, such as http://0.0.0.0:5005");
        if (parsed is { Host: "localhost", Port: 0 })
            throw new FlywheelException(
                $"--url is '{url}', but a free port can be found for one address only, and localhost has two; expected http://127.0.0.1:0");
        return new(parsed!.Host, parsed.Port);
    }
}
