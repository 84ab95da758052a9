using System.Text.Json;

namespace Flywheel.Model;

/// <summary>
/// The server that runs on a home. It holds a lock on the home as long as it lives (the operating system drops it even
/// after kill -9) and leaves its address there, so that <c>turn</c> and <c>demo</c> find it.
/// </summary>
/// <param name="Home">The home.</param>
/// <param name="Pid">Its process.</param>
/// <param name="Url">An address at which programs of this machine reach it.</param>
public sealed record RunningServer(FlywheelHome Home, int Pid, string Url)
{
    /// <summary>The server of this home that answers requests now, or null.</summary>
    public static RunningServer? Find(FlywheelHome home)
    {
        string file = AddressFile(home);
        if (!File.Exists(file)) return null;
        using (FileStream? free = TryLock(home, FileAccess.Read, FileShare.Read))
            if (free is not null) return null; // the address is what a killed server left behind
        try
        {
            return JsonSerializer.Deserialize<Address>(File.ReadAllText(file), JsonText.Compact) is { } found
                ? new RunningServer(home, found.Pid, found.Url) : null;
        }
        catch (FileNotFoundException)
        {
            return null; // it ended this moment
        }
    }

    /// <summary>Takes the home for this process until the claim is disposed, and sees to it that it has its
    /// <see cref="AdminSecret"/>.</summary>
    /// <exception cref="FlywheelException">Another server has it.</exception>
    public static Claim ClaimHome(FlywheelHome home)
    {
        try
        {
            Directory.CreateDirectory(home.Path);
            File.WriteAllText(Path.Combine(home.Path, "server.lock"), "");
        }
        catch (IOException e) when (IsHeld(e))
        {
            // Held: who has it is said below.
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new FlywheelException($"cannot write to the home {home.Path}: {e.Message}", e);
        }
        // A `Find` elsewhere holds the lock for microseconds, hence the second and third try.
        for (int attempt = 0; attempt < 3; attempt++)
        {
            if (TryLock(home, FileAccess.ReadWrite, FileShare.None) is { } held) return Take(home, held);
            Thread.Sleep(20);
        }
        string where = Find(home) is { } other ? $" at {other.Url} (process {other.Pid})" : "";
        throw new FlywheelException(
            $"a server already runs on {home.Path}{where}; stop it, or give this one its own home with FLYWHEEL_HOME");
    }

    private static Claim Take(FlywheelHome home, FileStream held)
    {
        try
        {
            return new Claim(home, held, AdminSecret.Ensure(home));
        }
        catch
        {
            held.Dispose();
            throw;
        }
    }

    /// <summary>What the file with the address says.</summary>
    private sealed record Address(int Pid, string Url);

    /// <summary>The right to serve a home.</summary>
    public sealed class Claim : IDisposable
    {
        private readonly FlywheelHome _home;
        private readonly FileStream _held;

        internal Claim(FlywheelHome home, FileStream held, string secret) => (_home, _held, Secret) = (home, held, secret);

        /// <summary>The home's <see cref="AdminSecret"/>.</summary>
        public string Secret { get; }

        /// <summary>Says that requests are answered at this address from now on.</summary>
        /// <param name="url">One that works on this machine.</param>
        public void Publish(string url) =>
            AtomicFile.WriteText(AddressFile(_home),
                JsonSerializer.Serialize(new Address(Environment.ProcessId, url), JsonText.Compact) + "\n");

        public void Dispose()
        {
            File.Delete(AddressFile(_home));
            _held.Dispose();
        }
    }

    private static string AddressFile(FlywheelHome home) => Path.Combine(home.Path, "server.json");

    private static FileStream? TryLock(FlywheelHome home, FileAccess access, FileShare share)
    {
        try
        {
            return new FileStream(Path.Combine(home.Path, "server.lock"), FileMode.OpenOrCreate, access, share);
        }
        catch (IOException e) when (IsHeld(e))
        {
            return null; // held
        }
    }

    /// <summary>Another process has the file, which is something else than a disk that is read-only or full: EWOULDBLOCK,
    /// ERROR_SHARING_VIOLATION.</summary>
    private static bool IsHeld(IOException e) => (e.HResult & 0xFFFF) is 11 or 32;
}
