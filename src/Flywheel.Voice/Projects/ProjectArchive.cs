using System.IO.Compression;
using Flywheel.Model;

namespace Flywheel.Voice;

/// <summary>A project with its sounds in one zip file, which another machine opens: project, report, subtitles, each line, each role's track.</summary>
public static class ProjectArchive
{
    private const string ProjectFile = "project.json";

    /// <summary>Of the project within an archive: texts alone.</summary>
    private const long MaxProjectBytes = 256 << 20;

    /// <param name="renderer">Makes what is not made yet.</param>
    /// <param name="project">What is written.</param>
    /// <param name="path">Appears when it is whole.</param>
    /// <param name="cancellation">Stops.</param>
    /// <exception cref="FlywheelException">A line cannot be spoken; the message names it.</exception>
    public static async Task<RenderReport> WriteAsync(Renderer renderer, VoiceProject project, string path, CancellationToken cancellation = default)
    {
        using var folder = new WorkFolder();
        RenderReport report = await renderer.RenderAsync(project, folder["speech.wav"], cancellation: cancellation);
        File.WriteAllText(folder[ProjectFile], project.ToJson());
        File.WriteAllText(folder["report.json"], report.ToJson());
        SubtitleFile.Write(folder["speech.srt"], report.Cues(project));
        await renderer.WriteLinesAsync(project, folder["lines"], cancellation);
        await renderer.WriteStemsAsync(project, folder["stems"], cancellation);
        string temporary = $"{Path.GetFullPath(path)}.{Guid.NewGuid():N}.tmp";
        try
        {
            await ZipFile.CreateFromDirectoryAsync(folder.Path, temporary, CompressionLevel.Fastest, includeBaseDirectory: false, cancellation);
            File.Move(temporary, path, overwrite: true);
        }
        finally
        {
            File.Delete(temporary); // nothing when it has been renamed
        }
        return report;
    }

    /// <summary>The project of an archive; its sounds can be made again.</summary>
    /// <exception cref="FlywheelException">It is no such archive.</exception>
    public static VoiceProject Read(Stream archive, string name)
    {
        try
        {
            using var zip = new ZipArchive(archive, ZipArchiveMode.Read, leaveOpen: true);
            ZipArchiveEntry entry = zip.GetEntry(ProjectFile) ?? throw new FlywheelException($"{name}: holds no {ProjectFile}, expected the archive of a voice project");
            if (entry.Length > MaxProjectBytes) throw new FlywheelException($"{name}: its {ProjectFile} has {entry.Length >> 20} MiB, expected at most {MaxProjectBytes >> 20}");
            using var text = new MemoryStream();
            using Stream content = entry.Open();
            // The stated length may lie.
            byte[] piece = new byte[1 << 16];
            for (int read; (read = content.Read(piece)) > 0;)
            {
                text.Write(piece, 0, read);
                if (text.Length > MaxProjectBytes) throw new FlywheelException($"{name}: its {ProjectFile} has more than {MaxProjectBytes >> 20} MiB");
            }
            return VoiceProject.Parse(Utf8File.Decode(text.ToArray(), name), name);
        }
        catch (InvalidDataException e)
        {
            throw new FlywheelException($"{name}: is no zip archive: {e.Message}", e);
        }
    }
}
