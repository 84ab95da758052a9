using System.IO.Compression;
using System.Text;
using Flywheel.Model;
using Flywheel.Voice;

namespace Flywheel.Cli.Bench;

/// <summary>
/// The prompts of Asterisk (Debian's asterisk-core-sounds-*, CC-BY-SA): the same ids in five languages, each said by one voice in a studio,
/// 8 kHz, with
/// what is said. The packages are unpacked into a folder.
/// </summary>
/// <param name="folder">Below it lies <c>usr</c>.</param>
internal sealed class Prompts(string folder)
{
    public static IReadOnlyList<string> Languages { get; } = ["en", "fr", "es", "it", "ru"];

    /// <summary>Texts by id; sounds without words are left out.</summary>
    /// <exception cref="FlywheelException">The package is not there.</exception>
    public IReadOnlyDictionary<string, string> Texts(string language)
    {
        string path = Path.Combine(folder, "usr/share/doc", $"asterisk-core-sounds-{language}", $"core-sounds-{language}.txt.gz");
        if (!File.Exists(path))
            throw new FlywheelException(
                $"{path}: there is no such file; apt-get download asterisk-core-sounds-{language} and -{language}-wav, and dpkg-deb -x each into {folder}");
        using var reader = new StreamReader(new GZipStream(File.OpenRead(path), CompressionMode.Decompress), Encoding.UTF8);
        var texts = new Dictionary<string, string>(StringComparer.Ordinal);
        while (reader.ReadLine() is { } line)
        {
            int colon = line.IndexOf(": ", StringComparison.Ordinal);
            if (line.StartsWith(';') || colon <= 0) continue;
            string text = line[(colon + 2)..].Trim();
            if (text.Any(char.IsLetter) && !text.StartsWith('[') && !text.StartsWith('(')) texts[line[..colon]] = text;
        }
        return texts;
    }

    /// <summary>A recording; null where there is none.</summary>
    public Clip? Sound(string language, string id)
    {
        string sounds = Path.Combine(folder, "usr/share/asterisk/sounds");
        string? path = !Directory.Exists(sounds)
            ? null : Directory.EnumerateDirectories(sounds, $"{language}_*").Select(each => Path.Combine(each, id + ".wav"))
                .FirstOrDefault(File.Exists);
        return path is null ? null : WavReader.ReadMono(path);
    }
}
