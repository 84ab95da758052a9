using System.Diagnostics;
using System.IO.Compression;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.RegularExpressions;
using Flywheel.Model;

namespace Flywheel.Data;

/// <summary>What was fetched: written beside the files and repeated in every report.</summary>
public sealed record AptStamp(string Codename, string Version, string Date, IReadOnlyDictionary<string, string> Sha256);

/// <summary>
/// The indexes of a Debian release: packages, their English descriptions and AppStream metadata. They are fetched
/// with apt from the mirror that the machine is configured for, in a private state that leaves the system alone, and
/// then reused.
/// </summary>
public sealed partial class AptIndex
{
    /// <summary>Index target of apt and where a release keeps it.</summary>
    private static readonly (string Target, string MetaKey)[] Indexes =
    [
        ("Packages", "$(COMPONENT)/binary-$(ARCHITECTURE)/Packages"),
        ("Translations", "$(COMPONENT)/i18n/Translation-$(LANGUAGE)"),
        ("DEP-11", "$(COMPONENT)/dep11/Components-$(NATIVE_ARCHITECTURE).yml"),
    ];

    private readonly string _folder;

    private AptIndex(string folder, AptStamp stamp)
    {
        _folder = folder;
        Stamp = stamp;
    }

    public AptStamp Stamp { get; }

    public StreamReader Packages() => Read("Packages");

    public StreamReader Translations() => Read("Translations");

    /// <exception cref="FlywheelException">The release has no AppStream metadata.</exception>
    public StreamReader Components() => Read("DEP-11");

    /// <summary>The indexes under <paramref name="home"/>'s sources, fetched first when they are not there.</summary>
    /// <param name="home">Where they are kept.</param>
    /// <param name="refresh">Fetch again what is there.</param>
    /// <param name="progress">Told what is being done.</param>
    /// <param name="language">Of the descriptions.</param>
    /// <exception cref="FlywheelException">apt-get is missing, no mirror is configured, or the fetch failed.</exception>
    public static AptIndex Open(FlywheelHome home, bool refresh = false, Action<string>? progress = null, string language = "en")
    {
        string folder = Path.Combine(home.Sources, language == "en" ? "debian" : $"debian-{language}");
        string stampPath = Path.Combine(folder, "stamp.json");
        if (refresh || !File.Exists(stampPath))
        {
            progress?.Invoke("fetching package and AppStream indexes with apt-get");
            Fetch(folder, language);
        }
        AptStamp stamp = JsonSerializer.Deserialize<AptStamp>(File.ReadAllText(stampPath), JsonText.Compact)
            ?? throw new FlywheelException($"{stampPath}: is null, expected what was fetched; delete the folder to fetch again");
        return new AptIndex(folder, stamp);
    }

    private StreamReader Read(string target)
    {
        string path = Path.Combine(_folder, target + ".gz");
        if (!File.Exists(path))
            throw new FlywheelException($"{path}: is missing; the archive of '{Stamp.Codename}' does not offer the index {target}");
        return new StreamReader(new GZipStream(File.OpenRead(path), CompressionMode.Decompress));
    }

    private static void Fetch(string folder, string language)
    {
        string state = Directory.CreateTempSubdirectory("flywheel-apt-").FullName;
        try
        {
            string codename = Codename("/etc/os-release");
            File.WriteAllText(Path.Combine(state, "sources.list"), AptMirror.Find("/etc/apt", codename).ToSourceLine());
            Directory.CreateDirectory(Path.Combine(state, "state", "lists", "partial"));
            Directory.CreateDirectory(Path.Combine(state, "cache", "archives", "partial"));
            File.WriteAllText(Path.Combine(state, "state", "status"), "");
            string config = Path.Combine(state, "apt.conf");
            File.WriteAllText(config, Configuration(state, language));
            Apt(config, "update", "-q", "--error-on=any");
            string listing = Apt(config, "indextargets", "--format", "$(CREATED_BY)\t$(FILENAME)\t$(VERSION)");
            string[][] targets = [.. listing.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split('\t'))];
            string incoming = Path.Combine(state, "out");
            Directory.CreateDirectory(incoming);
            var sha256 = new SortedDictionary<string, string>(StringComparer.Ordinal);
            foreach (string[] target in targets.Where(target => File.Exists(target[1])))
            {
                using FileStream index = File.OpenRead(target[1]);
                sha256[target[0]] = Convert.ToHexStringLower(SHA256.HashData(index));
                index.Position = 0;
                using var zipped = new GZipStream(File.Create(Path.Combine(incoming, target[0] + ".gz")), CompressionLevel.Fastest);
                index.CopyTo(zipped);
            }
            if (!sha256.ContainsKey("Packages"))
                throw new FlywheelException(
                    $"apt-get update brought no package index for '{codename}'; expected one from the mirror in /etc/apt");
            string release = Directory.EnumerateFiles(Path.Combine(state, "state", "lists"), "*Release").First();
            string date = ReleaseDate().Match(File.ReadAllText(release)).Groups[1].Value;
            var stamp = new AptStamp(codename, targets[0][2], date, sha256);
            File.WriteAllText(Path.Combine(incoming, "stamp.json"), JsonSerializer.Serialize(stamp, JsonText.Indented));
            if (Directory.Exists(folder)) Directory.Delete(folder, recursive: true);
            AtomicFile.WriteFolder(folder, into =>
            {
                foreach (string file in Directory.EnumerateFiles(incoming)) File.Copy(file, Path.Combine(into, Path.GetFileName(file)));
            });
        }
        finally
        {
            Directory.Delete(state, recursive: true);
        }
    }

    private static string Configuration(string state, string language) =>
        $$"""
        #clear Acquire::Languages;
        Acquire::Languages { "{{language}}"; };
        #clear Acquire::IndexTargets;
        #clear APT::Update::Pre-Invoke;
        #clear APT::Update::Post-Invoke;
        #clear APT::Update::Post-Invoke-Success;
        Acquire::GzipIndexes "false";
        Acquire::Retries "2";
        Acquire::http::Timeout "20";
        Acquire::https::Timeout "20";
        Dir::State "{{state}}/state";
        Dir::State::Lists "{{state}}/state/lists";
        Dir::State::status "{{state}}/state/status";
        Dir::Cache "{{state}}/cache";
        Dir::Etc::SourceList "{{state}}/sources.list";
        Dir::Etc::SourceParts "-";

        """ + string.Concat(
            Indexes.Select(index =>
                $$"""Acquire::IndexTargets::deb::{{index.Target}} { MetaKey "{{index.MetaKey}}"; Description "{{index.Target}}"; };"""
                    + "\n"));

    private static string Apt(string config, params string[] arguments)
    {
        var start = new ProcessStartInfo("apt-get", ["-c", config, .. arguments]) { RedirectStandardOutput = true,
            RedirectStandardError = true };
        start.Environment["LC_ALL"] = "C";
        try
        {
            using Process process = Process.Start(start)!;
            Task<string> errors = process.StandardError.ReadToEndAsync();
            string output = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            if (process.ExitCode != 0)
                throw new FlywheelException(
                    $"apt-get {arguments[0]} ended with {process.ExitCode}: {errors.Result.Trim()}\nThe sources 'appstream' and 'packages' need a reachable Debian mirror; check /etc/apt and the network, or use a recipe with jsonl or text sources.");
            return output;
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            throw new FlywheelException(
                "apt-get is not on this machine; the sources 'appstream' and 'packages' come from a Debian archive. Run on Debian (or in a Debian container), or use a recipe with jsonl or text sources.", e);
        }
    }

    private static string Codename(string osRelease)
    {
        Match name = File.Exists(osRelease) ? VersionCodename().Match(File.ReadAllText(osRelease)) : Match.Empty;
        return name.Success
            ? name.Groups[1].Value : throw new FlywheelException(
                $"{osRelease}: no VERSION_CODENAME; the sources 'appstream' and 'packages' need a Debian release");
    }

    [GeneratedRegex(@"^VERSION_CODENAME=""?([\w-]+)", RegexOptions.Multiline)]
    private static partial Regex VersionCodename();

    [GeneratedRegex(@"^Date: (.*)$", RegexOptions.Multiline)]
    private static partial Regex ReleaseDate();
}
