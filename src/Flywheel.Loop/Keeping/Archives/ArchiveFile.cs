using System.Buffers;
using System.IO.Compression;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.RegularExpressions;
using Flywheel.Model;

namespace Flywheel.Loop.Keeping;

/// <summary>
/// An archive that somebody hands in. Whoever made it may have meant harm: entries are read by their known names alone and never unpacked
/// to
/// a path, what an entry unpacks to is bounded while it is read, and every error names the entry, of lines with their number.
/// </summary>
public sealed partial class ArchiveFile : IDisposable
{
    /// <summary>Of the zip as it is sent.</summary>
    public const long MaxBytes = 4L << 30;

    private const int MaxEntries = 20_000, MaxLine = 64 << 20;

    /// <summary>Of all lines together; and of one recording.</summary>
    private const long MaxLines = 2L << 30, MaxRecording = 4L << 30;

    /// <summary>Of all recordings together: so much, or so many times the whole zip.</summary>
    private const long MaxRecordings = 1L << 30, MaxRecordingsDensity = 8;

    /// <summary>Smaller entries may be as dense as they like; no text or sound of people is denser than that.</summary>
    private const long DenseFrom = 16 << 20, MaxDensity = 400;

    /// <summary>Files of lines that are read, and those that are only for people to look at.</summary>
    private static readonly string[] s_read = ["generations", "feedback", "documents", "document-versions", "chats", "chat-messages",
        "translations", "terms"],
        s_passed = ["stored-answers", "account", "keys", "passkeys", "audit"];

    private readonly ZipArchive _zip;
    private readonly string _name;
    private readonly Dictionary<string, ZipArchiveEntry> _entries = new(StringComparer.Ordinal);

    private ArchiveFile(ZipArchive zip, string name) => (_zip, _name) = (zip, name);

    internal ArchiveManifest Manifest { get; private set; } = null!; // null while it is read itself

    /// <summary>It is everybody's of a workspace, and not one person's.</summary>
    public bool IsOfAWorkspace => Manifest.Scope == ArchiveManifest.Workspace;

    /// <summary>It lists what is in it, with checksums: what is missing or other than it was written is noticed. Whether somebody changed
    /// text and list together is not, nor whether it is true.</summary>
    public bool IsListed => Manifest.Files is not null;

    /// <summary>Whose rows are in it: their users, with the names by which they signed in where it came from.</summary>
    public IReadOnlyList<(string User, string? Name)> People => [.. Manifest.People.Select(one => (one.User, one.Name))];

    /// <summary>Names of recordings, as <c>HASH.take.wav</c> or, of an original, <c>HASH.mp4</c>.</summary>
    public IReadOnlyList<string> Recordings =>
        [.. _entries.Keys.Where(entry => entry.StartsWith(Folder, StringComparison.Ordinal)).Select(entry => entry[Folder.Length..])
            .Order(StringComparer.Ordinal)];

    /// <summary>The folder of recordings.</summary>
    public const string Folder = "recordings/";

    /// <summary>Looks at what is in it; nothing is unpacked yet.</summary>
    /// <param name="zip">The file, from which one can read anywhere; the caller disposes.</param>
    /// <param name="name">What errors call it.</param>
    /// <param name="cancellation">Stops it.</param>
    /// <exception cref="FlywheelException">It is no archive of ours, is of another version, or holds what such a one does not.</exception>
    public static async Task<ArchiveFile> OpenAsync(Stream zip, string name, CancellationToken cancellation = default)
    {
        ZipArchive opened;
        try
        {
            opened = await ZipArchive.CreateAsync(zip, ZipArchiveMode.Read, leaveOpen: true, entryNameEncoding: null, cancellation);
            _ = opened.Entries.Count; // reads the directory at its end
        }
        // the last of a stream that minds being asked before its beginning
        catch (Exception e) when (e is InvalidDataException or IOException or ArgumentException)
        {
            throw new FlywheelException($"{name}: is no zip file, or only part of one", e);
        }
        var file = new ArchiveFile(opened, name);
        try
        {
            file.Look();
            file.Manifest = await file.ReadManifestAsync(cancellation);
            file.CheckList();
            return file;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    public void Dispose() => _zip.Dispose();

    private void Look()
    {
        if (_zip.Entries.Count > MaxEntries)
            throw new FlywheelException($"{_name}: has {_zip.Entries.Count} entries, expected at most {MaxEntries}");
        long lines = 0, recordings = 0, packed = 0;
        foreach (ZipArchiveEntry entry in _zip.Entries)
        {
            string shown = Short(entry.FullName);
            bool isRecording = Recording().IsMatch(entry.FullName),
                isLines = entry.FullName.EndsWith(".jsonl", StringComparison.Ordinal)
                    && s_read.Concat(s_passed).Contains(entry.FullName[..^6]);
            if (!isRecording && !isLines && entry.FullName != ArchiveManifest.Entry)
                throw new FlywheelException(
                    $"{_name}: holds '{shown}', which is no part of an archive of Flywheel; expected {ArchiveManifest.Entry}, files of lines such as documents.jsonl, and recordings");
            if (!_entries.TryAdd(entry.FullName, entry)) throw new FlywheelException($"{_name}: holds '{shown}' twice, expected it once");
            if (entry.Length > (isRecording ? MaxRecording : MaxLines) || (isLines && (lines += entry.Length) > MaxLines))
                throw TooLarge(shown);
            packed += entry.CompressedLength;
            if (isRecording) recordings += entry.Length;
            if (entry.Length > DenseFrom && entry.Length / Math.Max(1, entry.CompressedLength) > MaxDensity) throw TooLarge(shown);
        }
        if (recordings > Math.Max(MaxRecordings, packed * MaxRecordingsDensity))
            throw new FlywheelException(
                $"{_name}: its recordings unpack to {recordings >> 20} MB together, expected at most {MaxRecordings >> 30} GB or "
                + $"{MaxRecordingsDensity} times the zip");
        if (!_entries.ContainsKey(ArchiveManifest.Entry))
            throw new FlywheelException(
                $"{_name}: holds no {ArchiveManifest.Entry}: it is no archive of Flywheel, or one of before it could be imported; export again with a newer version");
    }

    private FlywheelException TooLarge(string entry) =>
        new($"{_name}: '{entry}' unpacks to more than an archive holds: at most {MaxLines >> 30} GB of lines and {MaxRecording >> 30} GB a recording, and no more than {MaxDensity} times its size in the zip");

    private async Task<ArchiveManifest> ReadManifestAsync(CancellationToken cancellation)
    {
        using var text = new MemoryStream();
        await using (ArchiveEntry stream = Open(ArchiveManifest.Entry)) await CopyAsync(stream, text, 1 << 20, ArchiveManifest.Entry,
            cancellation);
        int version;
        try
        {
            using JsonDocument json = JsonDocument.Parse(text.GetBuffer().AsMemory(0, (int)text.Length));
            version = json.RootElement.TryGetProperty("flywheel_archive", out JsonElement value) && value.TryGetInt32(out int number)
                ? number : 0;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new FlywheelException($"{_name}: {ArchiveManifest.Entry} is no JSON object: {e.Message}", e);
        }
        if (version is < ArchiveManifest.Unlisted or > ArchiveManifest.Version)
            throw new FlywheelException(
                $"{_name}: {ArchiveManifest.Entry}: flywheel_archive is {version}, expected {ArchiveManifest.Unlisted} to {ArchiveManifest.Version}{(version > ArchiveManifest.Version ? "; a newer Flywheel made it" : "")}");
        ArchiveManifest manifest = Read<ArchiveManifest>(text.GetBuffer().AsSpan(0, (int)text.Length), ArchiveManifest.Entry);
        if (manifest.Scope is not (ArchiveManifest.Person or ArchiveManifest.Workspace))
            throw new FlywheelException(
                $"{_name}: {ArchiveManifest.Entry}: scope is '{Short(manifest.Scope)}', expected {ArchiveManifest.Person} or {ArchiveManifest.Workspace}");
        if (manifest.Scope == ArchiveManifest.Person && manifest.People.Count != 1)
            throw new FlywheelException(
                $"{_name}: {ArchiveManifest.Entry}: names {manifest.People.Count} people, expected one in the archive of a person");
        return manifest;
    }

    private void CheckList()
    {
        if (Manifest.Files is not { } listed)
        {
            if (Manifest.FlywheelArchive > ArchiveManifest.Unlisted)
                throw new FlywheelException($"{_name}: {ArchiveManifest.Entry}: has no files, expected each with its SHA-256");
            return;
        }
        if (listed.Keys.FirstOrDefault(file => !_entries.ContainsKey(file)) is { } missing)
            throw new FlywheelException($"{_name}: '{Short(missing)}' is missing, which {ArchiveManifest.Entry} lists");
        if (_entries.Keys.FirstOrDefault(file => file != ArchiveManifest.Entry && !listed.ContainsKey(file)) is { } added)
            throw new FlywheelException($"{_name}: holds '{Short(added)}', which {ArchiveManifest.Entry} does not list");
    }

    /// <summary>The lines of a file with what errors call each; none where the archive has no such file.</summary>
    internal async IAsyncEnumerable<(TLine Line, string Where)> LinesAsync<TLine>(string file,
        [EnumeratorCancellation] CancellationToken cancellation) where TLine : IArchiveLine
    {
        string entry = $"{file}.jsonl";
        if (!_entries.ContainsKey(entry)) yield break;
        HashSet<string> people = [.. Manifest.People.Select(one => one.User)];
        int number = 0;
        await using ArchiveEntry stream = Open(entry);
        await foreach (ReadOnlyMemory<byte> bytes in SplitAsync(stream, entry, cancellation))
        {
            number++;
            if (bytes.Length == 0) continue;
            string where = $"{entry} line {number}";
            TLine line = Read<TLine>(bytes.Span, where);
            where = $"{_name}: {where}";
            if (line.User is not null && !IsOfAWorkspace)
                throw new FlywheelException($"{where}: user is '{Short(line.User)}', expected none: the archive is of one person");
            if (line.User is not null && !people.Contains(line.User))
                throw new FlywheelException(
                    $"{where}: user is '{Short(line.User)}', expected one of the people whom {ArchiveManifest.Entry} names");
            yield return (line, where);
        }
    }

    /// <summary>Copies a recording; more than <paramref name="maxBytes"/> are refused.</summary>
    /// <exception cref="FlywheelException">It is larger, or damaged.</exception>
    public async Task CopyRecordingAsync(string recording, Stream to, long maxBytes, CancellationToken cancellation = default)
    {
        await using ArchiveEntry stream = Open(Folder + recording);
        await CopyAsync(stream, to, maxBytes, Folder + recording, cancellation);
    }

    /// <summary>What an error about a recording begins with.</summary>
    public string Where(string recording) => $"{_name}: {Folder}{recording}";

    internal bool HasLines(string file) => _entries.ContainsKey($"{file}.jsonl");

    private ArchiveEntry Open(string entry)
    {
        try
        {
            return new ArchiveEntry(_entries[entry].Open(), _entries[entry], Manifest?.Files?.GetValueOrDefault(entry));
        }
        catch (Exception e) when (e is InvalidDataException or IOException or NotSupportedException)
        {
            throw Damaged(entry, e);
        }
    }

    private FlywheelException Damaged(string entry, Exception e) => new($"{_name}: '{Short(entry)}' cannot be unpacked: {e.Message}", e);

    private TLine Read<TLine>(ReadOnlySpan<byte> json, string where)
    {
        try
        {
            return JsonSerializer.Deserialize<TLine>(json, ArchiveJson.Options)
                ?? throw new FlywheelException($"{_name}: {where}: is null, expected an object");
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new FlywheelException($"{_name}: {where}: {e.Message}", e);
        }
    }

    private async Task CopyAsync(ArchiveEntry from, Stream to, long maxBytes, string entry, CancellationToken cancellation)
    {
        byte[] piece = ArrayPool<byte>.Shared.Rent(1 << 16);
        try
        {
            long length = 0;
            for (int read; (read = await ReadAsync(from, piece, entry, cancellation)) > 0;)
            {
                if ((length += read) > maxBytes)
                    throw new FlywheelException($"{_name}: '{Short(entry)}' is larger than {maxBytes >> 20} MB");
                await to.WriteAsync(piece.AsMemory(0, read), cancellation);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(piece);
        }
    }

    /// <summary>Lines as bytes, each valid until the next is asked for.</summary>
    private async IAsyncEnumerable<ReadOnlyMemory<byte>> SplitAsync(ArchiveEntry stream, string entry,
        [EnumeratorCancellation] CancellationToken cancellation)
    {
        byte[] piece = new byte[1 << 16];
        var rest = new ArrayBufferWriter<byte>(1 << 16);
        long length = 0;
        for (int read; (read = await ReadAsync(stream, piece, entry, cancellation)) > 0;)
        {
            if ((length += read) > MaxLines) throw TooLarge(entry); // whatever its directory says
            int from = 0;
            for (int end; (end = Array.IndexOf(piece, (byte)'\n', from, read - from)) >= 0; from = end + 1)
            {
                rest.Write(piece.AsSpan(from, end - from));
                yield return rest.WrittenMemory;
                rest.ResetWrittenCount();
            }
            rest.Write(piece.AsSpan(from, read - from));
            if (rest.WrittenCount > MaxLine) throw new FlywheelException($"{_name}: '{entry}' has a line of more than {MaxLine >> 20} MB");
        }
        if (rest.WrittenCount > 0) yield return rest.WrittenMemory;
    }

    private async Task<int> ReadAsync(ArchiveEntry stream, byte[] piece, string entry, CancellationToken cancellation)
    {
        try
        {
            return await stream.ReadAsync(piece, cancellation);
        }
        catch (Exception e) when (e is InvalidDataException or IOException)
        {
            throw Damaged(entry, e);
        }
    }

    internal static string Short(string text) =>
        new([.. (text.Length <= 80 ? text : text[..77] + "...").Select(letter => char.IsControl(letter) ? '?' : letter)]);

    [GeneratedRegex(@"^recordings/[0-9a-f]{64}(\.take\.wav|\.[a-z0-9]{2,5})\z", RegexOptions.CultureInvariant)]
    private static partial Regex Recording();
}
