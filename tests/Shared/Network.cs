using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;

namespace Flywheel.Testing;

/// <summary>This machine as others see it.</summary>
internal static class Network
{
    /// <summary>An IPv4 address of this machine that is not loopback; the test is skipped where it has none.</summary>
    public static IPAddress OwnAddress()
    {
        IPAddress? address = NetworkInterface.GetAllNetworkInterfaces().Where(card => card.OperationalStatus == OperationalStatus.Up)
            .SelectMany(card => card.GetIPProperties().UnicastAddresses).Select(unicast => unicast.Address)
            .FirstOrDefault(address => address.AddressFamily == AddressFamily.InterNetwork && !IPAddress.IsLoopback(address));
        if (address is null) Assert.Skip("this machine has no address besides loopback");
        return address;
    }

    /// <summary>A port that nobody listens on at this moment.</summary>
    public static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
