using Flywheel.Loop;
using Microsoft.AspNetCore.Http;

namespace Flywheel.Studio;

/// <summary>Files that go out or come in through the API, by way of one on disk that is gone afterwards.</summary>
internal static class WholeFile
{
    /// <summary>What names of temporary files begin with.</summary>
    public const string Prefix = "archive-";

    /// <summary>A file that is gone with the answer, and that nobody else on this machine reads.</summary>
    public static FileStream Temporary(FlywheelStore store)
    {
        Directory.CreateDirectory(store.Home.Cache);
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.ReadWrite,
            Options = FileOptions.DeleteOnClose | FileOptions.Asynchronous, BufferSize = 1 << 16 };
        if (!OperatingSystem.IsWindows()) options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        return new FileStream(Path.Combine(store.Home.Cache, $"{Prefix}{Guid.NewGuid():N}"), options);
    }

    /// <summary>An answer that is whole before its first byte is sent.</summary>
    /// <param name="http">The request.</param>
    /// <param name="store">Whose home has the temporary file.</param>
    /// <param name="type">Its media type.</param>
    /// <param name="name">As what it is saved.</param>
    /// <param name="write">Writes it.</param>
    public static async Task<IResult> AnswerAsync(HttpContext http, FlywheelStore store, string type, string name,
        Func<Stream, Task> write)
    {
        FileStream file = Temporary(store);
        try
        {
            await write(file);
            file.Position = 0;
            http.Response.Headers.XContentTypeOptions = "nosniff";
            return Results.File(file, type, name); // closes it
        }
        catch
        {
            await file.DisposeAsync();
            throw;
        }
    }
}
