using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using Flywheel.Model;

namespace Flywheel.Data;

/// <summary>Brings a file of a known hash; a download that broke off goes on where it stopped.</summary>
public static class SourceDownload
{
    /// <param name="address">Where it is.</param>
    /// <param name="sha256">Of the whole file, in small hexadecimal digits.</param>
    /// <param name="path">Where it shall lie; beside it, with <c>.part</c> behind, what has come so far.</param>
    /// <returns><paramref name="path"/>.</returns>
    /// <exception cref="FlywheelException">It cannot be fetched, or is another file.</exception>
    public static string Fetch(Uri address, string sha256, string path)
    {
        if (File.Exists(path)) return path;
        string part = path + ".part";
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        try
        {
            using var http = new HttpClient { Timeout = TimeSpan.FromMinutes(10) };
            long have = File.Exists(part) ? new FileInfo(part).Length : 0;
            using var request = new HttpRequestMessage(HttpMethod.Get, address);
            if (have > 0) request.Headers.Range = new RangeHeaderValue(have, null);
            using HttpResponseMessage answer = http.Send(request, HttpCompletionOption.ResponseHeadersRead);
            if (answer.StatusCode != HttpStatusCode.RequestedRangeNotSatisfiable) // nothing is left to fetch
            {
                answer.EnsureSuccessStatusCode();
                using FileStream file = new(part, answer.StatusCode == HttpStatusCode.PartialContent ? FileMode.Append : FileMode.Create);
                using Stream body = answer.Content.ReadAsStream();
                body.CopyTo(file);
            }
        }
        catch (Exception e) when (e is HttpRequestException or IOException or OperationCanceledException)
        {
            throw new FlywheelException(
                $"{address} could not be fetched: {e.Message}; the file may be put at {path} by hand, or into the folder {Path.GetFileName(Path.GetDirectoryName(path))} of a mirror that FLYWHEEL_MIRROR names", e);
        }
        string found;
        using (FileStream file = File.OpenRead(part)) found = Convert.ToHexStringLower(SHA256.HashData(file));
        if (found != sha256)
        {
            File.Delete(part);
            throw new FlywheelException(
                $"{address} has the SHA-256 {found}, expected {sha256}: the publisher has changed it, or it was damaged on its way");
        }
        File.Move(part, path, overwrite: true);
        return path;
    }
}
