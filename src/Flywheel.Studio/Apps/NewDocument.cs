using Microsoft.JSInterop;

namespace Flywheel.Studio.Apps;

/// <summary>The id of a document that a page begins: the browser's tab keeps it from before the first save, so that after a reload in the
/// middle
/// the page goes on with that one document instead of beginning a second.</summary>
internal static class NewDocument
{
    /// <param name="js">The page's browser.</param>
    /// <param name="app">Which page.</param>
    /// <param name="now">The id begins with the time, as those of all rows do.</param>
    /// <returns>The id from before a reload; otherwise a new one. No document need be there.</returns>
    public static async Task<Guid> IdAsync(IJSRuntime js, string app, DateTimeOffset now)
    {
        var proposed = Guid.CreateVersion7(now);
        return Guid.TryParse(await js.InvokeAsync<string>("flywheel.newId", app, proposed.ToString()), out Guid id) ? id : proposed;
    }
}
