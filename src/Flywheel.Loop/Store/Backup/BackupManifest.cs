using System.Text.Json;
using Flywheel.Model;

namespace Flywheel.Loop;

/// <summary>What a backup says about itself, in its entry <c>backup.json</c>.</summary>
/// <param name="Format">1.</param>
/// <param name="Made">When.</param>
/// <param name="Files">Everything else in it.</param>
/// <param name="Missing">What the record names and the home had no longer, such as a model whose folder was removed.</param>
public sealed record BackupManifest(int Format, DateTimeOffset Made, IReadOnlyList<BackedUpFile> Files, IReadOnlyList<string> Missing)
{
    public const string Entry = "backup.json";

    public const int CurrentFormat = 1;

    /// <summary>In all, before compression.</summary>
    public long NumBytes => Files.Sum(file => file.Bytes);

    internal string ToJson() => JsonSerializer.Serialize(this, JsonText.Indented);

    /// <exception cref="FlywheelException">It is not one, or of a newer format.</exception>
    internal static BackupManifest Parse(string json, string source)
    {
        BackupManifest? manifest;
        try
        {
            manifest = JsonSerializer.Deserialize<BackupManifest>(json, JsonText.Compact);
        }
        catch (JsonException e)
        {
            throw new FlywheelException($"{source}: its {Entry} is not readable: {e.Message}", e);
        }
        if (manifest is not { Format: > 0, Files: not null }) throw new FlywheelException($"{source}: its {Entry} lists no files");
        if (manifest.Format > CurrentFormat)
            throw new FlywheelException(
                $"{source} is a backup of format {manifest.Format}, made by a newer Flywheel; this one reads up to {CurrentFormat}");
        foreach (BackedUpFile file in manifest.Files)
        {
            bool inside = file.Path is { Length: > 0 } path && !Path.IsPathRooted(path) && !path.Contains('\\', StringComparison.Ordinal)
                && path.Split('/').All(part => part is not ("" or "." or ".."));
            if (!inside) throw new FlywheelException($"{source}: lists a file '{file.Path}', expected a path inside the home");
        }
        return manifest;
    }
}

/// <param name="Path">In the home, with slashes.</param>
/// <param name="Bytes">Its length.</param>
/// <param name="Sha256">Of its content, in hexadecimal.</param>
public sealed record BackedUpFile(string Path, long Bytes, string Sha256);
