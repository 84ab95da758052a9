using System.ComponentModel;
using System.Diagnostics;
using System.Text;
using Flywheel.Model;

namespace Flywheel.Loop.Translation;

/// <summary>
/// Apertium, a translator by rules (GPL), as a process of its own: texts go in on its standard input in its stream format
/// (wiki.apertium.org/wiki/Apertium_stream_format), each ended by a NUL, and come out so. What is no language is a superblank, which it
/// leaves alone.
/// </summary>
public sealed class Apertium(TimeProvider time, string program = "apertium") : IDraftEngine, IDisposable
{
    /// <summary>Pairs that Debian packages as <c>apertium-NAME</c>, for the command that installs one.</summary>
    private static readonly string[] s_packages =
    [
        "eng-spa", "eng-cat", "en-gl", "eo-en", "eu-en", "hbs-eng", "isl-eng", "mkd-eng", "fr-es", "es-pt", "spa-cat", "spa-ita", "es-gl",
        "es-ro", "eu-es", "eo-es", "oc-es",
        "eo-fr", "br-fr", "fra-cat", "oci-fra", "eo-ca", "oc-ca", "por-cat", "cat-ita", "pt-gl", "dan-nor", "swe-dan", "swe-nor", "isl-swe",
        "nno-nob", "bel-rus", "rus-ukr", "hbs-slv", "hbs-mkd", "mk-bg", "ind-zlm", "urd-hin",
    ];

    private static readonly TimeSpan s_lookAgain = TimeSpan.FromSeconds(15), s_base = TimeSpan.FromSeconds(30),
        s_perThousand = TimeSpan.FromSeconds(3);

    private const int MaxCharacters = 20_000;

    private readonly SemaphoreSlim _running = new(2, 2);
    private (long Time, IReadOnlyList<string>? Modes)? _known;

    public string Name => "apertium";

    public async Task<EngineState> StateAsync(string from, string to, CancellationToken cancellation = default)
    {
        IReadOnlyList<string>? modes = await ModesAsync(cancellation);
        string? package = PackageOf(from, to);
        string? remedy = package is null ? null : $"apt-get install apertium apertium-{package}";
        if (modes is null) return package is null ? new(EngineStatus.NoSuchPair) : new(EngineStatus.NotInstalled, remedy);
        if (ModeOf(modes, from, to) is not null) return new(EngineStatus.Ready);
        return package is null ? new(EngineStatus.NoSuchPair) : new(EngineStatus.PairNotInstalled, remedy);
    }

    public async Task<IReadOnlyList<EngineDraft>> DraftAsync(IReadOnlyList<string> texts, string from, string to, DraftCaller caller,
        CancellationToken cancellation = default)
    {
        EngineState state = await StateAsync(from, to, cancellation);
        if (state.Status != EngineStatus.Ready)
            throw new FlywheelException(
                $"field 'engine' is 'apertium', which cannot translate from {from} to {to} here{(state.Remedy is { } remedy ? $"; on Debian: {remedy}" : ", and Debian has no package for it")}");
        string mode = ModeOf((await ModesAsync(cancellation))!, from, to)!;
        List<EngineDraft> drafts = [];
        for (int done = 0; done < texts.Count;)
        {
            int count = 0, length = 0;
            while (done + count < texts.Count && (count == 0 || length + texts[done + count].Length <= MaxCharacters))
                length += texts[done + count++].Length;
            drafts.AddRange(await RunAsync([.. texts.Skip(done).Take(count)], length, mode, cancellation));
            done += count;
        }
        return drafts;
    }

    private async Task<IReadOnlyList<EngineDraft>> RunAsync(IReadOnlyList<string> texts, int length, string mode,
        CancellationToken cancellation)
    {
        string input = string.Concat(texts.Select(text => Encode(text) + "\0"));
        string output = await RunAsync(["-u", "-z", "-f", "none", mode], input, s_base + length / 1000 * s_perThousand, cancellation);
        string[] parts = output.Split('\0');
        if (parts.Length < texts.Count)
            throw new FlywheelException(
                $"apertium answered {parts.Length} of {texts.Count} texts; run it by hand to see why: echo test | apertium {mode}");
        return [.. texts.Select((text, i) => new EngineDraft(Decode(parts[i], text)))];
    }

    /// <summary>Names of installed pairs such as <c>eng-spa</c>; null where the program is not there.</summary>
    private async Task<IReadOnlyList<string>?> ModesAsync(CancellationToken cancellation)
    {
        if (_known is { } known && time.GetElapsedTime(known.Time) < s_lookAgain) return known.Modes;
        IReadOnlyList<string>? modes = null;
        try
        {
            modes = [.. (await RunAsync(["-l"], "", s_base, cancellation)).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)];
        }
        catch (Win32Exception)
        {
            // There is no such program.
        }
        _known = (time.GetTimestamp(), modes);
        return modes;
    }

    private static string? ModeOf(IReadOnlyList<string> modes, string from, string to)
    {
        string? region = to.Contains('-', StringComparison.Ordinal) ? to[(to.IndexOf('-', StringComparison.Ordinal) + 1)..] : null;
        return modes.Where(mode => Names(mode, from, to))
            .OrderByDescending(mode => region is not null && mode.EndsWith($"_{region}", StringComparison.OrdinalIgnoreCase))
            .ThenBy(mode => mode.Length).FirstOrDefault();
    }

    private static string? PackageOf(string from, string to) =>
        s_packages.FirstOrDefault(package => Names(package, from, to) || Names(package, to, from));

    private static bool Names(string pair, string from, string to) =>
        pair.Split('-') is [var a, var b] && Same(a, from) && Same(b, to);

    // Two- or three-letter codes, perhaps with a region; nor is either Norwegian.
    private static bool Same(string code, string tag) =>
        Language.Find(tag) is { } wanted
            && (code.Split('_')[0] == "nor" ? wanted.Tag is "nb" or "nn" : Language.Find(code.Split('_')[0]) == wanted);

    /// <summary>Escapes what has a meaning in the stream, and sets what is no language apart.</summary>
    private static string Encode(string text)
    {
        var stream = new StringBuilder();
        int at = 0;
        foreach ((int start, int length) in ProtectedParts.Find(text))
        {
            Escape(stream, text.AsSpan(at, start - at));
            Escape(stream.Append('['), text.AsSpan(start, length));
            stream.Append(']');
            at = start + length;
        }
        Escape(stream, text.AsSpan(at));
        // The rules want to see where a sentence ends; a full stop that was not there is told by the empty blank after it.
        return stream.Append(EndsSentence(text) ? "[]" : ".[]").ToString();

        static void Escape(StringBuilder stream, ReadOnlySpan<char> plain)
        {
            foreach (char c in plain)
            {
                if (c == '\0') continue;
                if (@"[]{}^$/\@<>".Contains(c, StringComparison.Ordinal)) stream.Append('\\');
                stream.Append(c is '\n' or '\r' ? ' ' : c);
            }
        }
    }

    private static bool EndsSentence(string text) =>
        text.TrimEnd() is { Length: > 0 } trimmed && trimmed[^1] is '.' or '!' or '?' or '…' or ':' or ';';

    private static string Decode(string stream, string source)
    {
        string end = EndsSentence(source) ? "[]" : ".[]";
        stream = stream.Trim();
        if (stream.EndsWith(end, StringComparison.Ordinal)) stream = stream[..^end.Length];
        var text = new StringBuilder();
        for (int i = 0; i < stream.Length; i++)
        {
            if (stream[i] is '[' or ']') continue;
            if (stream[i] == '\\' && i + 1 < stream.Length) i++;
            // Rules that find nothing leave the blanks on both sides.
            if (stream[i] != ' ' || text.Length == 0 || text[^1] != ' ' || source.Contains("  ", StringComparison.Ordinal))
                text.Append(stream[i]);
        }
        return text.ToString().Trim();
    }

    private async Task<string> RunAsync(string[] arguments, string input, TimeSpan limit, CancellationToken cancellation)
    {
        await _running.WaitAsync(cancellation);
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        deadline.CancelAfter(limit);
        try
        {
            var utf8 = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false);
            using Process process = Process.Start(new ProcessStartInfo(program, arguments)
            {
                RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
                StandardInputEncoding = utf8, StandardOutputEncoding = utf8, StandardErrorEncoding = utf8,
                Environment = { ["LC_ALL"] = "C.UTF-8" },
            })!;
            try
            {
                Task<string> output = process.StandardOutput.ReadToEndAsync(deadline.Token),
                    errors = process.StandardError.ReadToEndAsync(deadline.Token);
                await FeedAsync(process, input, deadline.Token);
                string text = await output;
                await process.WaitForExitAsync(deadline.Token);
                if (process.ExitCode != 0)
                    throw new FlywheelException($"apertium ended with {process.ExitCode}: {(await errors).Trim().Split('\n')[0]}");
                return text;
            }
            catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
            {
                throw new FlywheelException($"apertium did not answer within {limit.TotalSeconds:0} seconds");
            }
            finally
            {
                if (!process.HasExited) process.Kill(entireProcessTree: true);
            }
        }
        finally
        {
            _running.Release();
        }
    }

    private static async Task FeedAsync(Process process, string input, CancellationToken cancellation)
    {
        try
        {
            await process.StandardInput.WriteAsync(input.AsMemory(), cancellation);
            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // It ended without reading all; its exit code and errors say why.
        }
    }

    public void Dispose() => _running.Dispose();
}
