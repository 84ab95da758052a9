using Flywheel.Model;

namespace Flywheel.Voice;

/// <summary>A project's film with the project's speech over its own sound, which gives way. The picture is copied unchanged.</summary>
public static class FilmDub
{
    /// <param name="renderer">Speaks, and knows where the film lies.</param>
    /// <param name="project">Has a film for its original.</param>
    /// <param name="path">Ends as the film does; appears when it is whole.</param>
    /// <param name="loudness">Of the whole, in LUFS; null: as it comes.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="FlywheelException">There is no film, or ffmpeg failed.</exception>
    public static async Task WriteAsync(Renderer renderer, VoiceProject project, string path, double? loudness = null,
        CancellationToken cancellation = default)
    {
        if (project.Original is not { IsFilm: true } original || renderer.Recordings is not { } recordings)
            throw new FlywheelException("the project has no film; upload one first");
        string film = recordings.PathOf(original);
        using var folder = new WorkFolder();
        await renderer.RenderAsync(project, folder["speech.wav"], cancellation: cancellation);
        await Mixer.MixAsync(folder["speech.wav"], folder["mixed.wav"],
            new MixOptions { Bed = original.HasSound ? film : null, IsBedForeign = true, Length = original.Seconds, Loudness = loudness },
            cancellation: cancellation);
        await VideoFile.MuxAsync(film, folder["mixed.wav"], path, project.Language, cancellation);
    }
}
