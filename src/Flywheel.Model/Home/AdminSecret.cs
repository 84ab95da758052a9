using System.Buffers.Text;
using System.Security.Cryptography;

namespace Flywheel.Model;

/// <summary>
/// The secret of a home: who can read it may administer the home's server. The programs of this machine (<c>turn</c>, <c>demo</c>)
/// show it to the server, whatever address they come from; a proxy or another machine cannot know it.
/// </summary>
public static class AdminSecret
{
    private const int NumBytes = 32;

    private const UnixFileMode OnlyOwner = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>Where it lies; readable by the owner of the home alone.</summary>
    public static string FileOf(FlywheelHome home) => Path.Combine(home.Path, "admin.secret");

    /// <summary>The home's secret, as its server has made it.</summary>
    /// <exception cref="FlywheelException">There is none, or this user may not read it.</exception>
    public static string Read(FlywheelHome home)
    {
        string file = FileOf(home);
        try
        {
            string secret = File.ReadAllText(file).Trim();
            return secret.Length > 0
                ? secret : throw new FlywheelException(
                    $"{file} is empty, expected the secret of the server; delete it and start the server again");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new FlywheelException(
                $"cannot read the secret with which to ask the server: {e.Message}; run this as the user that started the server", e);
        }
    }

    /// <summary>The same, made when the home has none.</summary>
    internal static string Ensure(FlywheelHome home)
    {
        string file = FileOf(home);
        if (!File.Exists(file))
            AtomicFile.WriteText(file, Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(NumBytes)) + "\n", OnlyOwner);
        else if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(file, OnlyOwner); // copied from elsewhere, perhaps
        return Read(home);
    }
}
