using System.Security.Cryptography;
using System.Text;

namespace Flywheel.Loop;

/// <summary>Ids that follow from what they are of, so that the same thing has the same id whenever it is asked for.</summary>
public static class HashedId
{
    /// <summary>A UUID of version 8 (RFC 9562: made by the application's own rule): the first 16 bytes of the text's SHA-256.</summary>
    /// <param name="text">Whatever tells one thing from all others.</param>
    public static Guid Of(string text)
    {
        byte[] hash = SHA256.HashData(Encoding.UTF8.GetBytes(text));
        (hash[6], hash[8]) = ((byte)(hash[6] & 0x0F | 0x80), (byte)(hash[8] & 0x3F | 0x80));
        return new Guid(hash.AsSpan(0, 16), bigEndian: true);
    }
}
