// The hub protocol (Hugging Face Hub, docs "Hub API endpoints" and huggingface_hub's file_download):
//   GET /api/models/OWNER/NAME/revision/REVISION?blobs=true   the commit, and each file's size and checksum: lfs.sha256 for
//       large files, else blobId, git's SHA-1 of "blob LENGTH\0" and the bytes
//   GET /OWNER/NAME/resolve/COMMIT/FILE                       the bytes, mostly by redirect to another host; ranges are allowed
using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Polly;
using Polly.Retry;

namespace Flywheel.Model;

/// <summary>How far one file is.</summary>
public sealed record HubProgress(string File, long Done, long Total);

/// <summary>
/// Fetches models from a hub into a folder. What was fetched before is gone on with; every file is checked against the hub's
/// checksum before it counts. Failures that may pass (no connection, 429, 5xx, a stall) are tried again.
/// </summary>
public sealed class HubClient : IDisposable
{
    private const int MaxRedirects = 10, MaxAttempts = 6, MaxListBytes = 64 << 20;

    private static readonly string[] Wanted =
        ["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
            "chat_template.jinja", "README.md", "model.safetensors", "model.safetensors.index.json"];

    private readonly HttpClient _http;
    private readonly Uri _endpoint;
    private readonly string? _token;
    private readonly TimeSpan _stall;
    private readonly ResiliencePipeline _retry;

    /// <param name="endpoint">HF_ENDPOINT when null, else https://huggingface.co.</param>
    /// <param name="token">HF_TOKEN when null; sent to the endpoint only, never to where it redirects.</param>
    /// <exception cref="FlywheelException">The endpoint is no http or https address.</exception>
    public HubClient(string? endpoint = null, string? token = null) : this(endpoint, token, TimeSpan.FromSeconds(1),
        TimeSpan.FromSeconds(60)) { }

    /// <param name="endpoint">As above.</param>
    /// <param name="token">As above.</param>
    /// <param name="delay">Before the second attempt; doubles with each.</param>
    /// <param name="stall">How long nothing may come.</param>
    internal HubClient(string? endpoint, string? token, TimeSpan delay, TimeSpan stall)
    {
        endpoint ??= Environment.GetEnvironmentVariable("HF_ENDPOINT") is { Length: > 0 } given ? given : "https://huggingface.co";
        if (!Uri.TryCreate(endpoint.TrimEnd('/') + "/", UriKind.Absolute, out Uri? uri)
            || (uri.Scheme != Uri.UriSchemeHttp && uri.Scheme != Uri.UriSchemeHttps))
            throw new FlywheelException($"HF_ENDPOINT is '{endpoint}', expected an address such as https://huggingface.co");
        (_endpoint, _stall) = (uri, stall);
        _token = (token ?? Environment.GetEnvironmentVariable("HF_TOKEN")) is { Length: > 0 } secret ? secret : null;
        _http = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false, ConnectTimeout = stall })
            { Timeout = Timeout.InfiniteTimeSpan };
        _http.DefaultRequestHeaders.UserAgent.ParseAdd("flywheel/0.1");
        _retry = new ResiliencePipelineBuilder().AddRetry(new RetryStrategyOptions
        {
            ShouldHandle = new PredicateBuilder().Handle<PassingException>().Handle<HttpRequestException>().Handle<HttpIOException>(),
            MaxRetryAttempts = MaxAttempts - 1,
            BackoffType = DelayBackoffType.Exponential,
            UseJitter = true,
            Delay = delay,
            MaxDelay = TimeSpan.FromSeconds(60),
            DelayGenerator = failed => ValueTask.FromResult((failed.Outcome.Exception as PassingException)?.RetryAfter),
        }).Build();
    }

    public void Dispose() => _http.Dispose();

    /// <summary>Fetches what an import needs.</summary>
    /// <param name="reference">The model.</param>
    /// <param name="cache">A folder for what is under way.</param>
    /// <param name="progress">Called often.</param>
    /// <param name="cancellation">Stops; what was fetched is kept and gone on with next time.</param>
    /// <returns>What to import, and the source with its commit, for the manifest.</returns>
    /// <exception cref="FlywheelException">There is no such model, it may not be read, a checksum is wrong, the disk is full, or the hub
    /// cannot be reached.</exception>
    public async Task<(string Path, string Source)> FetchAsync(HubReference reference, string cache,
        IProgress<HubProgress>? progress = null, CancellationToken cancellation = default)
    {
        (string commit, List<RemoteFile> all) = await ListAsync(reference, cancellation);
        List<RemoteFile> files = Choose(reference, all);
        string folder = Path.Combine(cache, $"{reference.Owner}--{commit[..Math.Min(12, commit.Length)]}", reference.Name);
        Directory.CreateDirectory(folder);
        foreach (RemoteFile file in files) await FetchAsync(reference, commit, file, folder, progress, cancellation);
        string source = $"{HubReference.Scheme}{reference.Id}@{commit}{(reference.File is null ? "" : ":" + reference.File)}";
        return (files[0].Name.EndsWith(".gguf", StringComparison.Ordinal) ? Path.Combine(folder, files[0].Name) : folder, source);
    }

    /// <summary>Everything that makes a Hugging Face folder; in a repository without safetensors, one GGUF file.</summary>
    private static List<RemoteFile> Choose(HubReference reference, List<RemoteFile> all)
    {
        if (reference.File is null && all.Any(file => file.Name == "config.json")
            && all.Any(file => file.Name.EndsWith(".safetensors", StringComparison.Ordinal)))
        {
            bool sharded = all.Any(file => file.Name == "model.safetensors.index.json");
            return [.. all.Where(file => Wanted.Contains(file.Name) || LicenceFile.IsOne(file.Name)
                || (sharded && file.Name.StartsWith("model-", StringComparison.Ordinal)
                    && file.Name.EndsWith(".safetensors", StringComparison.Ordinal)))];
        }
        // A model may be a set of files; any of them names it.
        IGrouping<string, RemoteFile>[] gguf =
            [.. all.Where(file => file.Name.EndsWith(".gguf", StringComparison.Ordinal)).GroupBy(file => GgufSet.NameOf(file.Name))
            .Where(set => reference.File is null || set.Any(file => file.Name == reference.File))];
        return gguf switch
        {
            [var one] => [.. one, .. all.Where(file => LicenceFile.IsOne(file.Name))],
            [] => throw new FlywheelException(
                $"hf:{reference.Id}: has {(reference.File is null ? "neither config.json with safetensors nor a GGUF file" : $"no file '{reference.File}'")}; it holds {NearestName.List([.. all.Select(file => file.Name).Take(20)])}"),
            _ => throw new FlywheelException(
                $"hf:{reference.Id}: has {gguf.Length} GGUF files; name one, such as hf:{reference.Id}:{gguf[0].First().Name}. They are {NearestName.List([.. gguf.Select(set => set.First().Name)])}"),
        };
    }

    private async Task<(string Commit, List<RemoteFile> Files)> ListAsync(HubReference reference, CancellationToken cancellation)
    {
        var uri = new Uri(_endpoint, $"api/models/{reference.Id}/revision/{Uri.EscapeDataString(reference.Revision)}?blobs=true");
        byte[] json = await RetryingAsync(reference, uri, async token =>
        {
            using HttpResponseMessage response = await SendAsync(reference, uri, 0, token);
            using var buffer = new MemoryStream();
            await CopyAsync(response, buffer, null, MaxListBytes, token);
            return buffer.ToArray();
        }, cancellation);
        try
        {
            using JsonDocument document = JsonDocument.Parse(json);
            string commit = document.RootElement.GetProperty("sha").GetString() ?? "";
            if (commit.Length < 7 || !commit.All(char.IsAsciiHexDigit))
                throw new FlywheelException($"{uri}: 'sha' is '{commit}', expected a commit");
            List<RemoteFile> files = [];
            foreach (JsonElement entry in document.RootElement.GetProperty("siblings").EnumerateArray())
            {
                string name = entry.GetProperty("rfilename").GetString() ?? "";
                // files in sub-folders are other things
                if (name.Length == 0 || name != Path.GetFileName(name) || name.Contains('\\')) continue;
                JsonElement? lfs = entry.TryGetProperty("lfs", out JsonElement large) && large.ValueKind == JsonValueKind.Object
                    ? large : null;
                string? sha256 = lfs is { } l ? Text(l, "sha256") ?? Text(l, "oid") : null;
                files.Add(new RemoteFile(name, entry.TryGetProperty("size", out JsonElement size) ? size.GetInt64() : -1, sha256,
                    Text(entry, "blobId")));
            }
            return (commit.ToLowerInvariant(), files);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            throw new FlywheelException($"{uri}: the list of files is malformed: {e.Message}", e);
        }

        static string? Text(JsonElement parent, string field) =>
            parent.TryGetProperty(field, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
    }

    private async Task FetchAsync(HubReference reference, string commit, RemoteFile file, string folder, IProgress<HubProgress>? progress,
        CancellationToken cancellation)
    {
        string path = Path.Combine(folder, file.Name), part = path + ".part";
        if (File.Exists(path))
        {
            progress?.Report(new(file.Name, file.Size, file.Size));
            return; // it was checked before it got this name
        }
        var uri = new Uri(_endpoint, $"{reference.Id}/resolve/{commit}/{Uri.EscapeDataString(file.Name)}");
        for (bool again = false; ; again = true)
        {
            bool spliced = false; // put together from more than one answer
            await RetryingAsync(reference, uri, async token =>
            {
                long have = File.Exists(part) ? new FileInfo(part).Length : 0;
                if (file.Size >= 0 && have > file.Size)
                {
                    File.Delete(part);
                    have = 0;
                }
                spliced |= have > 0;
                if (have == file.Size && have > 0) return have;
                using HttpResponseMessage response = await SendAsync(reference, uri, have, token);
                bool goesOn = response.StatusCode == HttpStatusCode.PartialContent && response.Content.Headers.ContentRange?.From == have;
                if (response.StatusCode == HttpStatusCode.PartialContent && !goesOn)
                    throw new FlywheelException(
                        $"{uri}: was asked from byte {have} on and answered {response.Content.Headers.ContentRange}");
                using var stream = new FileStream(part, goesOn ? FileMode.Append : FileMode.Create, FileAccess.Write, FileShare.None,
                    1 << 16);
                long start = stream.Position;
                await CopyAsync(response, stream, done => progress?.Report(new(file.Name, start + done, file.Size)),
                    file.Size < 0 ? long.MaxValue : file.Size - start, token);
                if (file.Size >= 0 && stream.Position < file.Size)
                    throw new PassingException($"{uri}: ended after {stream.Position} of {file.Size} bytes", null);
                return stream.Position;
            }, cancellation);

            (string expected, string actual) = await ChecksumAsync(file, part, cancellation);
            if (expected.Equals(actual, StringComparison.OrdinalIgnoreCase)) break;
            File.Delete(part);
            // What was there from before may be to blame: once more from the begin.
            if (again || !spliced)
                throw new FlywheelException($"{uri}: the content has checksum {actual}, the hub says {expected}; nothing of it was kept");
        }
        File.Move(part, path, overwrite: true);
    }

    private async Task<T> RetryingAsync<T>(HubReference reference, Uri uri, Func<CancellationToken, ValueTask<T>> attempt,
        CancellationToken cancellation)
    {
        try
        {
            return await _retry.ExecuteAsync(attempt, cancellation);
        }
        catch (Exception e) when (e is PassingException or HttpRequestException or HttpIOException)
        {
            throw new FlywheelException(
                $"hf:{reference.Id}: {(e is PassingException ? e.Message : $"{uri}: {e.Message}")}; given up after {MaxAttempts} attempts. Run the same command again: what was fetched is kept", e);
        }
    }

    /// <summary>What the hub says and what there is; equal texts where the hub says nothing.</summary>
    private static async Task<(string Expected, string Actual)> ChecksumAsync(RemoteFile file, string path, CancellationToken cancellation)
    {
        using FileStream stream = new(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 16, FileOptions.SequentialScan);
        if (file.Sha256 is { } sha256) return (sha256, Convert.ToHexStringLower(await SHA256.HashDataAsync(stream, cancellation)));
        if (file.BlobId is not { } blob) return ("", "");
#pragma warning disable CA5350 // git's name of a file, not a secret
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA1);
#pragma warning restore CA5350
        hash.AppendData(Encoding.ASCII.GetBytes($"blob {stream.Length}\0"));
        byte[] buffer = new byte[1 << 16];
        for (int read; (read = await stream.ReadAsync(buffer, cancellation)) > 0;) hash.AppendData(buffer.AsSpan(0, read));
        return (blob, Convert.ToHexStringLower(hash.GetHashAndReset()));
    }

    /// <summary>Follows redirects by hand, so that the token goes to the hub alone, and a secure address never leads to an open
    /// one.</summary>
    private async Task<HttpResponseMessage> SendAsync(HubReference reference, Uri uri, long from, CancellationToken cancellation)
    {
        Uri at = uri;
        for (int hop = 0; ; hop++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, at);
            if (from > 0) request.Headers.Range = new RangeHeaderValue(from, null);
            if (_token is not null && at.GetLeftPart(UriPartial.Authority) == _endpoint.GetLeftPart(UriPartial.Authority))
                request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", _token);
            using CancellationTokenSource patience = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            patience.CancelAfter(_stall);
            HttpResponseMessage response;
            try
            {
                response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, patience.Token);
            }
            catch (OperationCanceledException e) when (!cancellation.IsCancellationRequested)
            {
                throw new PassingException($"{at}: no answer within {_stall.TotalSeconds:0} seconds", null, e);
            }
            if (response.StatusCode is HttpStatusCode.OK or HttpStatusCode.PartialContent) return response;
            using (response)
            {
                int code = (int)response.StatusCode;
                if (code is 301 or 302 or 303 or 307 or 308 && response.Headers.Location is { } location)
                {
                    var next = new Uri(at, location);
                    if (hop == MaxRedirects) throw new FlywheelException($"{uri}: redirects more than {MaxRedirects} times");
                    if (next.Scheme != Uri.UriSchemeHttps && next.Scheme != _endpoint.Scheme)
                        throw new FlywheelException($"{uri}: redirects to {next.Scheme}://{next.Authority}, expected https");
                    at = next;
                    continue;
                }
                throw Failure(reference, at, response);
            }
        }
    }

    private Exception Failure(HubReference reference, Uri uri, HttpResponseMessage response)
    {
        string page = new Uri(_endpoint, reference.Id).ToString();
        switch (response.StatusCode)
        {
            case HttpStatusCode.Unauthorized:
                return new FlywheelException(
                    $"hf:{reference.Id}: the hub answers 401: {(_token is null ? "there is no such model, or it is not public; set HF_TOKEN to a token that may read it" : "it does not accept the token in HF_TOKEN")} ({page})");
            case HttpStatusCode.Forbidden:
                return new FlywheelException(
                    $"hf:{reference.Id}: the hub answers 403: the model's conditions have not been accepted{(_token is null ? ", or HF_TOKEN is not set" : " by the owner of HF_TOKEN")}; see {page}");
            case HttpStatusCode.NotFound:
                return new FlywheelException(
                    $"hf:{reference.Id}: the hub answers 404: no such model, or no revision '{reference.Revision}' ({uri})");
            case HttpStatusCode.TooManyRequests or HttpStatusCode.RequestTimeout or >= HttpStatusCode.InternalServerError:
                TimeSpan? after = response.Headers.RetryAfter?.Delta;
                return new PassingException($"{uri}: the server answers {(int)response.StatusCode}", after);
            default:
                return new FlywheelException($"{uri}: the server answers {(int)response.StatusCode} {response.ReasonPhrase}");
        }
    }

    /// <summary>Copies a body, noticing when it stalls.</summary>
    private async Task CopyAsync(HttpResponseMessage response, Stream target, Action<long>? report, long limit,
        CancellationToken cancellation)
    {
        using Stream body = await response.Content.ReadAsStreamAsync(cancellation);
        byte[] buffer = new byte[1 << 17];
        long done = 0;
        while (true)
        {
            using CancellationTokenSource patience = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            patience.CancelAfter(_stall);
            int read;
            try
            {
                read = await body.ReadAsync(buffer, patience.Token);
            }
            catch (OperationCanceledException e) when (!cancellation.IsCancellationRequested)
            {
                throw new PassingException($"{response.RequestMessage?.RequestUri}: nothing came for {_stall.TotalSeconds:0} seconds", null,
                    e);
            }
            catch (IOException e) when (e is not HttpIOException)
            {
                throw new PassingException($"{response.RequestMessage?.RequestUri}: the connection broke: {e.Message}", null, e);
            }
            if (read == 0) return;
            if ((done += read) > limit)
                throw new FlywheelException($"{response.RequestMessage?.RequestUri}: sends more than the {limit} bytes that were expected");
            AtomicFile.NameFullDisk((target as FileStream)?.Name ?? "", () => target.Write(buffer, 0, read));
            report?.Invoke(done);
        }
    }

    private sealed record RemoteFile(string Name, long Size, string? Sha256, string? BlobId);

    /// <summary>Trying again may help.</summary>
    private sealed class PassingException(string message, TimeSpan? retryAfter, Exception? inner = null) : Exception(message, inner)
    {
        /// <summary>A server that asks for hours is not waited for that long.</summary>
        public TimeSpan? RetryAfter { get; } = retryAfter is { } given && given > TimeSpan.FromSeconds(60)
            ? TimeSpan.FromSeconds(60) : retryAfter;
    }

}
