using System.IO.Compression;
using System.Text;
using System.Text.Json;
using Flywheel.Loop;
using Flywheel.Loop.Keeping;
using Flywheel.Loop.Translation;
using Flywheel.Model;
using Flywheel.Studio.Apps.Chat.Arena;
using Flywheel.Studio.Apps.Dubbing;
using Flywheel.Studio.Apps.Learn;
using Flywheel.Studio.Apps.Tasks;
using Flywheel.Studio.Apps.Translate;
using Flywheel.Studio.Apps.Write;
using Flywheel.Voice;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Studio.Apps;

/// <summary>
/// Archives of a person or a workspace, out and in: the record's (<see cref="ArchiveExport"/>, <see cref="ArchiveImport"/>), with what
/// people recorded and
/// uploaded for their voice projects, and with the pages' knowledge of what a document may be.
/// </summary>
public sealed class Archives(FlywheelStore store, TimeProvider time, TranslationMemory? memory = null, Glossary? glossary = null)
{
    /// <summary>A take in the archive; an original keeps its own ending.</summary>
    private const string TakeEnding = ".take.wav";

    private readonly Recordings _recordings = Recordings.In(store.Home);

    /// <summary>Everything of one person.</summary>
    public Task ExportAsync(string person, Stream zip, CancellationToken cancellation = default) =>
        ArchiveExport.WriteAsync(store, person, zip, archive => AddRecordingsAsync(archive, person, null, cancellation), cancellation);

    /// <summary>What one person has in one workspace.</summary>
    public Task ExportAsync(string person, string workspace, Stream zip, CancellationToken cancellation = default) =>
        ArchiveExport.WriteInWorkspaceAsync(store, person, workspace, zip,
            archive => AddRecordingsAsync(archive, person, workspace, cancellation), cancellation);

    /// <summary>Everything of everybody in one workspace.</summary>
    public Task ExportWorkspaceAsync(string workspace, Stream zip, CancellationToken cancellation = default) =>
        ArchiveExport.WriteWorkspaceAsync(store, workspace, zip, archive => AddRecordingsAsync(archive, null, workspace, cancellation),
            cancellation);

    /// <summary>Puts an archive into the record, all of it or nothing.</summary>
    /// <param name="zip">From which one can read anywhere.</param>
    /// <param name="name">What errors call it.</param>
    /// <param name="target">Whose it becomes.</param>
    /// <param name="cancellation">Stops it; nothing is left then.</param>
    /// <exception cref="FlywheelException">It is no archive, or something in it is wrong; the message names the entry.</exception>
    public async Task<IReadOnlyList<ArchiveCount>> ImportAsync(Stream zip, string name, ArchiveTarget target,
        CancellationToken cancellation = default)
    {
        Actor.Enter(target.Workspace); // ids that follow from the workspace are those of this one
        using ArchiveFile file = await ArchiveFile.OpenAsync(zip, name, cancellation);
        var made = new HashSet<string>(StringComparer.Ordinal);
        IReadOnlySet<string> before = _recordings.Names();
        try
        {
            Dictionary<string, Dictionary<string, string>> hashes = new(StringComparer.Ordinal);
            var count = new ArchiveCount("recordings");
            HashSet<(string Hash, string Owner)> named = await RecordedAsync(file, target, cancellation);
            ILookup<string, string> owners = named.ToLookup(one => one.Hash, one => one.Owner, StringComparer.Ordinal);
            foreach (string recording in file.Recordings)
            {
                string old = recording[..64];
                if (!owners.Contains(old)) count.LeftOut++;
                foreach (string owner in owners[old])
                {
                    string here = await AddRecordingAsync(file, recording, owner, cancellation);
                    if (before.Contains(here)) count.Known++;
                    else if (made.Add(here)) count.Imported++;
                    if (old == here) continue;
                    if (!hashes.TryGetValue(owner, out Dictionary<string, string>? theirs)) hashes[owner] = theirs = [];
                    theirs[old] = here;
                }
            }
            IReadOnlyList<ArchiveCount> counts = await new ArchiveImport(store, time).RunAsync(file, target,
                (app, kind, body, person) => Stored.Read(body, text => RuleOf(app, kind, text, person, file.IsOfAWorkspace)), hashes,
                cancellation);
            memory?.Reload();
            glossary?.Reload();
            return count.Imported + count.Known + count.LeftOut > 0 ? [.. counts, count] : counts;
        }
        catch
        {
            foreach (string hash in made) _recordings.Delete(hash);
            throw;
        }
    }

    /// <summary>What people recorded and uploaded for their projects, with whose each becomes. A hash that stands in a text is no
    /// recording of its writer.</summary>
    private static async Task<HashSet<(string Hash, string Owner)>> RecordedAsync(ArchiveFile file, ArchiveTarget target,
        CancellationToken cancellation)
    {
        HashSet<(string, string)> recorded = [];
        if (file.Recordings.Count == 0) return recorded;
        await foreach ((string person, string body) in ArchiveImport.BodiesAsync(file, target, VoiceProjects.App, VoiceProjects.Kind,
            cancellation))
            if (Stored.Read(body, text => VoiceProject.Parse(text, "the project")) is { } project)
            {
                if (project.Original is { } original) recorded.Add((original.Hash, person));
                foreach (VoiceTake take in project.Lines.SelectMany(line => line.Takes).Where(take => take.IsRecorded))
                    recorded.Add((take.Hash, person));
            }
        return recorded;
    }

    private async Task AddRecordingsAsync(ArchiveWriter archive, string? person, string? workspace, CancellationToken cancellation)
    {
        await using FlywheelDb db = store.AllTables();
        var added = new HashSet<string>(StringComparer.Ordinal);
        IQueryable<DocumentRow> documents =
            db.Documents.Where(row => row.App == VoiceProjects.App && (workspace == null || row.Workspace == workspace)
                && (person == null || row.User == person));
        await foreach (var said in db.DocumentVersions.AsNoTracking()
            .Join(documents, version => version.DocumentId, document => document.Id,
                (version, document) => new { version.Body, document.User })
            .AsAsyncEnumerable().WithCancellation(cancellation))
            foreach (string hash in VoiceProjects.HashesIn(said.Body))
                if (_recordings.IsOf(hash, said.User) && added.Add(hash) && FileOf(hash) is var (path, ending))
                {
                    // Sound of a film or an MP3 file is packed already.
                    await archive.AddAsync($"{ArchiveFile.Folder}{hash}{ending}",
                        ending is TakeEnding or ".wav" ? CompressionLevel.Optimal : CompressionLevel.NoCompression, async to =>
                        {
                            await using FileStream from = File.OpenRead(path);
                            await from.CopyToAsync(to, cancellation);
                        }, cancellation);
                }
    }

    /// <summary>The file by which a recording is made again: of an original as it was uploaded.</summary>
    private (string Path, string Ending)? FileOf(string hash)
    {
        string folder = Path.GetDirectoryName(_recordings.PathOf(hash))!;
        if (Directory.EnumerateFiles(folder, "original.*").FirstOrDefault() is { } original) return (original, Path.GetExtension(original));
        return _recordings.Contains(hash) ? (_recordings.PathOf(hash), TakeEnding) : null;
    }

    /// <summary>Through the same door as what is recorded and uploaded here, which looks at it.</summary>
    private async Task<string> AddRecordingAsync(ArchiveFile file, string recording, string owner, CancellationToken cancellation)
    {
        string old = recording[..64];
        if (_recordings.IsOf(old, owner)) return old;
        string where = file.Where(recording);
        try
        {
            if (recording.EndsWith(TakeEnding, StringComparison.Ordinal))
            {
                using var wav = new MemoryStream();
                await file.CopyRecordingAsync(recording, wav, Recordings.MaxTakeBytes, cancellation);
                wav.Position = 0;
                Clip clip;
                using (var reader = new WavReader(wav, "the take"))
                {
                    if (reader.NumFrames is not { } frames || frames > Recordings.MaxTake.TotalSeconds * reader.Rate)
                        throw new FlywheelException($"the take is longer than {Recordings.MaxTake.TotalSeconds:0} seconds");
                    clip = reader.ReadMono((int)frames);
                }
                return _recordings.AddTake(clip, owner);
            }
            return (await _recordings.AddOriginalAsync($"recording{recording[64..]}",
                to => file.CopyRecordingAsync(recording, to, Recordings.MaxOriginalBytes, cancellation), owner, cancellation)).Hash;
        }
        catch (FlywheelException e) when (!e.Message.StartsWith(where, StringComparison.Ordinal))
        {
            throw new FlywheelException($"{where}: {e.Message}", e);
        }
    }

    /// <summary>What a page would make of a document; it throws where that page would.</summary>
    private static DocumentRule RuleOf(string app, string kind, string body, string person, bool isOfAWorkspace)
    {
        switch (app, kind)
        {
            case (Briefs.App, Briefs.BriefKind):
                return Taken(BriefBody.Parse(body));
            case (Briefs.App, Briefs.TextKind):
                return Taken(KeptText.Parse(body));
            case (Briefs.App, Briefs.VoiceKind):
                return Taken(BrandVoice.Parse(body), isOnlyOne: true);
            case (Briefs.App, Briefs.FormsKind):
                return Taken(KeptForms.Parse(body), isOnlyOne: true);
            case (Translations.App, Translations.DocumentKind):
                return Taken(TranslationBody.Parse(body));
            case (Translations.App, Translations.FileKind):
                return Taken(Convert.FromBase64String(body));
            case (Translations.App, Translations.StartKind):
                return Taken(StartBody.Parse(body), isOnlyOne: true);
            case (VoiceProjects.App, VoiceProjects.Kind):
                return Taken(VoiceProject.Parse(body, "the project"));
            case (VoiceProjects.App, VoiceProjects.ScriptKind):
                return Taken(body, isOnlyOne: true);
            case (VoiceProjects.App, VoiceDictionaries.Kind) when isOfAWorkspace:
                Pronunciation?[] words = JsonSerializer.Deserialize<Pronunciation?[]>(body, JsonText.Compact)
                    ?? throw new FlywheelException("is null");
                if (words.Length > VoiceDictionaries.MaxEntries)
                    throw new FlywheelException($"has {words.Length} words, expected at most {VoiceDictionaries.MaxEntries}");
                foreach (Pronunciation? word in words) (word ?? throw new FlywheelException("a word is null")).Validate("a word");
                return new DocumentRule(IsTaken: true, IsOnlyOne: true, VoiceDictionaries.TeamId, VoiceDictionaries.Team);
            case (Arenas.App, Arenas.RoundKind):
                return Taken(ArenaRound.Parse(body));
            case (TaskSheets.App, _):
                return TaskSheet.Parse(body) is not null
                    ? new DocumentRule(IsTaken: true, IsOnlyOne: true,
                        TaskSheets.IdOf(person, kind)) : throw new FlywheelException("is null");
            default:
                // Links open the other server; tables, and what is learnt from files, hang on jobs of it. What this version does not know
                // it would not show.
                return new DocumentRule(IsTaken: false);
        }

        static DocumentRule Taken(object? read, bool isOnlyOne = false) =>
            new(read is not null ? true : throw new FlywheelException("is null, expected an object"), isOnlyOne);
    }
}
