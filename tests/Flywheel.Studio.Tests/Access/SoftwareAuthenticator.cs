using System.Buffers.Binary;
using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace Flywheel.Studio.Tests.Access;

/// <summary>What a person's device and browser do for a passkey (W3C Web Authentication, Level 3, sections 5 to 7), with one ES256
/// key.</summary>
internal sealed class SoftwareAuthenticator
{
    private const byte Present = 0x01, Verified = 0x04, WithKey = 0x40;

    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    public byte[] Id { get; } = RandomNumberGenerator.GetBytes(32);

    /// <summary>The account's handle, as it was given when the key was made.</summary>
    public string UserHandle { get; private set; } = "";

    /// <summary>Of signatures; a copy of the device goes on from an older one.</summary>
    public uint Count { get; set; }

    /// <summary>Whether it asks who holds it.</summary>
    public bool Verifies { get; set; } = true;

    /// <summary>Answers <c>navigator.credentials.create</c>.</summary>
    public string Make(JsonNode options, string origin)
    {
        UserHandle = (string)options["user"]!["id"]!;
        ECParameters key = _key.ExportParameters(false);
        // RFC 9053, 7.1
        byte[] cose = [0xA5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20, .. key.Q.X!, 0x22, 0x58, 0x20, .. key.Q.Y!];
        byte[] data = [.. Data((string)options["rp"]!["id"]!, WithKey), .. new byte[16], 0, 32, .. Id, .. cose];
        byte[] attestation = [0xA3, 0x63, .. "fmt"u8, 0x64, .. "none"u8, 0x67, .. "attStmt"u8, 0xA0, 0x68, .. "authData"u8, 0x58,
            (byte)data.Length, .. data];
        return Credential(new()
        {
            ["clientDataJSON"] = Text(ClientData("webauthn.create", options, origin)), ["attestationObject"] = Text(attestation),
            ["transports"] = new JsonArray("internal"),
        });
    }

    /// <summary>Answers <c>navigator.credentials.get</c>.</summary>
    public string Show(JsonNode options, string origin)
    {
        Count++;
        byte[] data = Data((string)options["rpId"]!, 0), client = ClientData("webauthn.get", options, origin);
        byte[] signature = _key.SignData([.. data, .. SHA256.HashData(client)], HashAlgorithmName.SHA256,
            DSASignatureFormat.Rfc3279DerSequence);
        return Credential(new() { ["clientDataJSON"] = Text(client), ["authenticatorData"] = Text(data), ["signature"] = Text(signature),
            ["userHandle"] = UserHandle });
    }

    private byte[] Data(string site, byte flags)
    {
        byte[] count = new byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(count, Count);
        return [.. SHA256.HashData(Encoding.UTF8.GetBytes(site)), (byte)(Present | (Verifies ? Verified : 0) | flags), .. count];
    }

    private static byte[] ClientData(string type, JsonNode options, string origin) => Encoding.UTF8.GetBytes(new JsonObject
    {
        ["type"] = type, ["challenge"] = (string)options["challenge"]!, ["origin"] = origin, ["crossOrigin"] = false,
    }.ToJsonString());

    private string Credential(JsonObject response) => new JsonObject
    {
        ["id"] = Text(Id), ["rawId"] = Text(Id), ["type"] = "public-key", ["response"] = response,
        ["clientExtensionResults"] = new JsonObject(),
    }.ToJsonString();

    private static string Text(byte[] bytes) => Base64Url.EncodeToString(bytes);
}
