using System.IO.Compression;
using Flywheel.Model;

namespace Flywheel.Voice;

/// <summary>A project with its sounds in one zip file, which another machine opens: project, report, subtitles, each line, each role's
/// track.</summary>
public static class ProjectArchive
{
    private const string ProjectFile = "project.json";

    private const string TakesFolder = "takes";

    /// <summary>Of the project within an archive: texts alone.</summary>
    private const long MaxProjectBytes = 256 << 20;

    /// <summary>Of all recorded takes within an archive.</summary>
    private const long MaxTakesBytes = 2L << 30;

    /// <param name="renderer">Makes what is not made yet.</param>
    /// <param name="project">What is written.</param>
    /// <param name="path">Appears when it is whole.</param>
    /// <param name="cancellation">Stops.</param>
    /// <exception cref="FlywheelException">A line cannot be spoken; the message names it.</exception>
    public static async Task<RenderReport> WriteAsync(Renderer renderer, VoiceProject project, string path,
        CancellationToken cancellation = default)
    {
        using var folder = new WorkFolder();
        RenderReport report = await renderer.RenderAsync(project, folder["speech.wav"], cancellation: cancellation);
        File.WriteAllText(folder[ProjectFile], project.ToJson());
        File.WriteAllText(folder["report.json"], report.ToJson());
        SubtitleFile.Write(folder["speech.srt"], report.Cues(project));
        await renderer.WriteLinesAsync(project, folder["lines"], cancellation);
        await renderer.WriteStemsAsync(project, folder["stems"], cancellation);
        // What was recorded cannot be made again on the other machine.
        foreach (string take in RecordedTakes(project).Where(take => renderer.Recordings?.Contains(take) == true))
        {
            Directory.CreateDirectory(folder[TakesFolder]);
            File.Copy(renderer.Recordings!.PathOf(take), Path.Combine(folder[TakesFolder], $"{take}.wav"));
        }
        string temporary = $"{Path.GetFullPath(path)}.{Guid.NewGuid():N}.tmp";
        try
        {
            await ZipFile.CreateFromDirectoryAsync(folder.Path, temporary, CompressionLevel.Fastest, includeBaseDirectory: false,
                cancellation);
            File.Move(temporary, path, overwrite: true);
        }
        finally
        {
            File.Delete(temporary); // nothing when it has been renamed
        }
        return report;
    }

    /// <summary>The project of an archive. What was rendered can be made again; recorded takes are taken over, and those that the archive
    /// lacks are left out.</summary>
    /// <param name="archive">A zip file.</param>
    /// <param name="name">Of the file, for messages.</param>
    /// <param name="recordings">Gets the recorded takes; null: they are not looked at.</param>
    /// <param name="user">Whose they are here.</param>
    /// <exception cref="FlywheelException">It is no such archive.</exception>
    public static VoiceProject Read(Stream archive, string name, Recordings? recordings = null, string user = "")
    {
        try
        {
            using var zip = new ZipArchive(archive, ZipArchiveMode.Read, leaveOpen: true);
            ZipArchiveEntry entry = zip.GetEntry(ProjectFile)
                ?? throw new FlywheelException($"{name}: holds no {ProjectFile}, expected the archive of a voice project");
            using MemoryStream text = Unpack(entry, MaxProjectBytes, name);
            VoiceProject project = VoiceProject.Parse(Utf8File.Decode(text.ToArray(), name), name);
            return recordings is null ? project : TakeOver(project, zip, recordings, user, name);
        }
        catch (InvalidDataException e)
        {
            throw new FlywheelException($"{name}: is no zip archive: {e.Message}", e);
        }
    }

    private static IEnumerable<string> RecordedTakes(VoiceProject project) =>
        project.Lines.SelectMany(line => line.Takes).Where(take => take.IsRecorded).Select(take => take.Hash).Distinct();

    /// <summary>An entry in memory, from its start.</summary>
    private static MemoryStream Unpack(ZipArchiveEntry entry, long maxBytes, string name)
    {
        if (entry.Length > maxBytes)
            throw new FlywheelException($"{name}: its {entry.FullName} has {entry.Length >> 20} MiB, expected at most {maxBytes >> 20}");
        long stated = entry.Length;
        var bytes = new MemoryStream();
        using Stream content = entry.Open();
        byte[] piece = new byte[1 << 16];
        for (int read; (read = content.Read(piece)) > 0;)
        {
            bytes.Write(piece, 0, read);
            // a stated length may lie
            if (bytes.Length > stated)
                throw new FlywheelException($"{name}: its {entry.FullName} has more than the {stated} bytes that it states");
        }
        bytes.Position = 0;
        return bytes;
    }

    private static VoiceProject TakeOver(VoiceProject project, ZipArchive zip, Recordings recordings, string user, string name)
    {
        var taken = new Dictionary<string, string>(StringComparer.Ordinal);
        (string Hash, ZipArchiveEntry Entry)[] takes =
            [.. RecordedTakes(project).Select(hash => (hash, zip.GetEntry($"{TakesFolder}/{hash}.wav")))
                .Where(take => take.Item2 is not null)!];
        long bytes = takes.Sum(take => take.Entry.Length);
        if (bytes > MaxTakesBytes)
            throw new FlywheelException($"{name}: its recorded takes have {bytes >> 20} MiB, expected at most {MaxTakesBytes >> 20}");
        foreach ((string hash, ZipArchiveEntry entry) in takes)
        {
            using var reader = new WavReader(Unpack(entry, Recordings.MaxTakeBytes, name), $"{name}: {entry.FullName}");
            taken[hash] = recordings.AddTake(reader.ReadMono((int)(Recordings.MaxTake.TotalSeconds * reader.Rate)), user);
        }
        return project with { Lines = [.. project.Lines.Select(Own)] };

        VoiceLine Own(VoiceLine line)
        {
            foreach (VoiceTake take in line.Takes.Where(take => take.IsRecorded))
            {
                if (!taken.TryGetValue(take.Hash, out string? here)) line = line.Without(take.Hash);
                else if (here != take.Hash)
                    line = line with
                    {
                        Take = line.Take == take.Hash ? here : line.Take,
                        RenderedHash = line.RenderedHash == take.Hash ? here : line.RenderedHash,
                        Takes = [.. line.Takes.Select(one => one == take ? take with { Hash = here, Pieces = [here] } : one)],
                    };
            }
            return line;
        }
    }
}
