using System.Text.Json;
using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Voice;

namespace Flywheel.Studio.Apps.Dubbing;

/// <summary>
/// Pronunciations that hold for more than one project: the team's, which lie in this server's record, and the system's, a file in the home.
/// A project's own entry counts before the team's, and the team's before the system's. Every change counts from the next line that is
/// planned.
/// </summary>
public sealed class VoiceDictionaries(FlywheelStore store, TimeProvider time)
{
    public const int MaxEntries = 20_000;

    /// <summary>Whose document it is in the record: nobody's own, so that no person's deletion takes the words of all.</summary>
    internal const string Team = "voice team", Kind = "dictionary";

    internal static Guid TeamId => VoiceRecord.IdOf("team dictionary"); // one in each workspace

    private readonly Documents _documents = new(store, time);
    private readonly Lock _lock = new();
    private readonly Dictionary<Guid, (int Version, DateTimeOffset Updated, IReadOnlyList<Pronunciation> Words)> _teams = [];
    private (DateTime Written, long Length, IReadOnlyList<Pronunciation> Words)? _system;

    /// <summary>Somebody changed the team's words here.</summary>
    public event Action? Changed
    {
        add => _changed.Add(value);
        remove => _changed.Remove(value);
    }

    private readonly Bell _changed = new();

    /// <summary>The system's file, CSV as <see cref="DictionaryFile"/> reads it; it need not be there.</summary>
    public string SystemFile => Path.Combine(store.Home.Path, "voice", "dictionary.csv");

    /// <summary>System, then team: as <see cref="Renderer"/> takes them.</summary>
    /// <exception cref="FlywheelException">The system's file is wrong; the message names its line.</exception>
    public async ValueTask<IReadOnlyList<IReadOnlyList<Pronunciation>>> ScopesAsync(CancellationToken cancellation = default) =>
        [ReadSystem(), await ReadTeamAsync(cancellation)];

    public IReadOnlyList<Pronunciation> ReadSystem()
    {
        var file = new FileInfo(SystemFile);
        if (!file.Exists) return [];
        lock (_lock)
            if (_system is { } known && known.Written == file.LastWriteTimeUtc && known.Length == file.Length) return known.Words;
        IReadOnlyList<Pronunciation> words = DictionaryFile.Read(SystemFile);
        lock (_lock) _system = (file.LastWriteTimeUtc, file.Length, words);
        return words;
    }

    /// <summary>As another process may have left it, too.</summary>
    public async Task<IReadOnlyList<Pronunciation>> ReadTeamAsync(CancellationToken cancellation = default)
    {
        if (await _documents.FindAsync(TeamId, Team) is not { } document) return [];
        cancellation.ThrowIfCancellationRequested();
        lock (_lock)
            if (_teams.TryGetValue(document.Id, out var known) && known.Version == document.Version && known.Updated == document.Updated)
                return known.Words;
        // damaged: what is rendered is rendered without the team's words
        IReadOnlyList<Pronunciation> words = Stored.Read(document.Body, Parse) ?? [];
        lock (_lock) _teams[document.Id] = (document.Version, document.Updated, words);
        return words;
    }

    /// <summary>Changes the team's words.</summary>
    /// <returns>Before and after.</returns>
    /// <exception cref="FlywheelException">An entry is wrong, or there are too many.</exception>
    public async Task<(IReadOnlyList<Pronunciation> Before, IReadOnlyList<Pronunciation> After)> ChangeAsync(
        Func<IReadOnlyList<Pronunciation>, IEnumerable<Pronunciation>> change)
    {
        IReadOnlyList<Pronunciation> before = [], after = [];
        Document? known = await _documents.AddAsync(TeamId, Team, VoiceProjects.App, Kind, "", "[]");
        await _documents.ChangeAsync(TeamId, Team, document =>
        {
            before = Stored.Read(document.Body, Parse) ?? [];
            after = [.. change(before).OrderBy(entry => entry.Word, StringComparer.InvariantCultureIgnoreCase)
                .ThenBy(entry => entry.Language, StringComparer.Ordinal).ThenBy(entry => entry.Voice, StringComparer.Ordinal)];
            if (after.Count > MaxEntries)
                throw new FlywheelException($"the team's dictionary would have {after.Count} words, expected at most {MaxEntries}");
            foreach (Pronunciation entry in after) entry.Validate("the team's dictionary");
            document.Body = JsonSerializer.Serialize(after, JsonText.Compact);
            return true;
        }, keepVersion: known is not null && Stored.Read(known.Body, Parse) is null); // a damaged one stays as a version
        _changed.Ring();
        return (before, after);
    }

    /// <summary>Entries with others put in: of one word, language and voice the later counts.</summary>
    public static IReadOnlyList<Pronunciation> With(IEnumerable<Pronunciation> entries, IEnumerable<Pronunciation> added) =>
        [.. entries.Concat(added).GroupBy(KeyOf).Select(same => same.Last())];

    /// <summary>Entries as they would be without one change: what somebody else has changed since then stays.</summary>
    /// <param name="now">Entries.</param>
    /// <param name="before">Before the change.</param>
    /// <param name="after">After the change.</param>
    public static IReadOnlyList<Pronunciation> Without(IReadOnlyList<Pronunciation> now, IReadOnlyList<Pronunciation> before,
        IReadOnlyList<Pronunciation> after)
    {
        Dictionary<(string, string, string), Pronunciation> was = ByKey(before), left = ByKey(after), result = ByKey(now);
        foreach ((string, string, string) key in was.Keys.Union(left.Keys))
        {
            Pronunciation? old = was.GetValueOrDefault(key), mine = left.GetValueOrDefault(key);
            if (old == mine || result.GetValueOrDefault(key) != mine) continue;
            if (old is null) result.Remove(key);
            else result[key] = old;
        }
        return [.. result.Values];

        static Dictionary<(string, string, string), Pronunciation> ByKey(IReadOnlyList<Pronunciation> entries) =>
            With(entries, []).ToDictionary(KeyOf);
    }

    /// <summary>What an entry is for.</summary>
    internal static (string Word, string Language, string Voice) KeyOf(Pronunciation entry) =>
        (entry.Word.Trim().ToLowerInvariant(), entry.Language.ToLowerInvariant(), entry.Voice);

    private static IReadOnlyList<Pronunciation> Parse(string body) =>
        JsonSerializer.Deserialize<Pronunciation[]>(body, JsonText.Compact) ?? [];
}
