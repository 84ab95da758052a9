using Microsoft.AspNetCore.Antiforgery;
using Microsoft.AspNetCore.Http;

namespace Flywheel.Studio.Access;

/// <summary>A form of one of our pages that are drawn by the server alone.</summary>
internal static class FormRequest
{
    /// <returns>What it says; null when it cannot be read or does not come from the page.</returns>
    public static async Task<IFormCollection?> ReadAsync(HttpContext http, IAntiforgery antiforgery)
    {
        if (!http.Request.HasFormContentType) return null;
        try
        {
            IFormCollection form = await http.Request.ReadFormAsync(http.RequestAborted);
            return await antiforgery.IsRequestValidAsync(http) ? form : null;
        }
        catch (InvalidDataException)
        {
            return null; // bytes that are no text, or too many of them
        }
    }
}
