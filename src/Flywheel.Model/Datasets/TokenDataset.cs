// A tokenised dataset on disk, the seam between data and training. A folder of
//   tokens.bin     all documents' token ids one after another, uint16 or uint32 little-endian
//   targets.bin    one byte a token: 1 where the token is to be learnt (the assistant's), 0 where it is context
//   documents.bin  int64 offsets into tokens, one a document and one past the end
//   labels.bin     float32, one a document: what was thought of it (kto: 1 or -1; policy: its reward); where there are any
//   logprobs.bin   float32, one a token: log-probability when the token was sampled (0 where it was not); where there are any
//   dataset.json   DatasetManifest
// Documents are whole and never padded: the trainer packs them into micro-batches by (seed, step). In a dataset of
// pairs, documents 2i and 2i+1 are the preferred and the rejected answer to the same prompt; with labels, the answer that was
// judged and another prompt's answer to the same prompt, which measures how far the model has moved (KTO).
using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json;

namespace Flywheel.Model;

/// <summary>What a tokenised dataset is and where it came from.</summary>
public sealed record DatasetManifest
{
    /// <summary>Hash of tokens, targets and offsets: the dataset's name.</summary>
    public string Hash { get; init; } = "";

    public required string TokenizerHash { get; init; }

    public required int VocabSize { get; init; }

    public bool Pairs { get; init; }

    /// <summary>Every document has a label.</summary>
    public bool Labels { get; init; }

    /// <summary>Every token has a log-probability.</summary>
    public bool LogProbs { get; init; }

    /// <summary>In words.</summary>
    [System.Text.Json.Serialization.JsonIgnore]
    public string Content => $"holds {(DocumentForm.All.FirstOrDefault(IsOf) ?? DocumentForm.Text).Holds}";

    /// <summary>Whether an objective learns from documents of this form.</summary>
    public bool IsOf(DocumentForm form) => (Pairs, Labels, LogProbs) == (form.InPairs, form.Labels, form.LogProbs);

    public long NumDocuments { get; init; }

    public long NumTokens { get; init; }

    public long NumTargets { get; init; }

    public int BytesPerToken { get; init; }

    /// <summary>Free facts for the reader: sources, counts, reasons for drops.</summary>
    public IReadOnlyDictionary<string, string> Facts { get; init; } = new Dictionary<string, string>();
}

/// <summary>Reads a tokenised dataset through a memory mapping.</summary>
public sealed class TokenDataset : IDisposable
{
    private readonly MemoryMappedFile _tokensFile, _targetsFile;
    private readonly MemoryMappedFile? _logProbsFile;
    private readonly MemoryMappedViewAccessor _tokens, _targets;
    private readonly MemoryMappedViewAccessor? _logProbs;
    private readonly long[] _offsets;
    private readonly float[] _labels = [];

    private TokenDataset(string path, DatasetManifest manifest)
    {
        Path = path;
        Manifest = manifest;
        _offsets = ReadOffsets(System.IO.Path.Combine(path, "documents.bin"), manifest);
        _tokensFile = MemoryMappedFile.CreateFromFile(System.IO.Path.Combine(path, "tokens.bin"), FileMode.Open, null, 0,
            MemoryMappedFileAccess.Read);
        _targetsFile = MemoryMappedFile.CreateFromFile(System.IO.Path.Combine(path, "targets.bin"), FileMode.Open, null, 0,
            MemoryMappedFileAccess.Read);
        _tokens = _tokensFile.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
        _targets = _targetsFile.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
        if (manifest.Labels)
            _labels = MemoryMarshal.Cast<byte, float>(File.ReadAllBytes(System.IO.Path.Combine(path, "labels.bin"))).ToArray();
        if (!manifest.LogProbs) return;
        _logProbsFile = MemoryMappedFile.CreateFromFile(System.IO.Path.Combine(path, "logprobs.bin"), FileMode.Open, null, 0,
            MemoryMappedFileAccess.Read);
        _logProbs = _logProbsFile.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
    }

    public string Path { get; }

    public DatasetManifest Manifest { get; }

    public long NumDocuments => Manifest.NumDocuments;

    /// <exception cref="FlywheelException">A part is missing or its size does not fit the manifest.</exception>
    public static TokenDataset Open(string path)
    {
        string manifestPath = System.IO.Path.Combine(path, "dataset.json");
        if (!File.Exists(manifestPath)) throw new FlywheelException($"{path}: no dataset.json; expected a tokenised dataset");
        DatasetManifest manifest;
        try
        {
            manifest = JsonSerializer.Deserialize<DatasetManifest>(File.ReadAllText(manifestPath), JsonText.Compact)
                ?? throw new FlywheelException($"{manifestPath}: is null, expected a dataset manifest");
        }
        catch (JsonException e)
        {
            throw new FlywheelException($"{manifestPath}: {e.Message}", e);
        }
        if (manifest.NumDocuments == 0) throw new FlywheelException($"{path}: the dataset is empty");
        if (manifest.NumDocuments < 0 || manifest.NumTokens < 2 * (Int128)manifest.NumDocuments)
            throw new FlywheelException(
                $"{manifestPath}: {manifest.NumTokens} tokens in {manifest.NumDocuments} documents, expected at least 2 in each");
        if (manifest.BytesPerToken is not (2 or 4))
            throw new FlywheelException($"{manifestPath}: field 'bytes_per_token' is {manifest.BytesPerToken}, expected 2 or 4");
        if (manifest.Pairs && manifest.NumDocuments % 2 != 0)
            throw new FlywheelException(
                $"{manifestPath}: {manifest.NumDocuments} documents, expected an even number in a dataset of pairs");
        List<(string, Int128)> files = [("tokens.bin", (Int128)manifest.NumTokens * manifest.BytesPerToken),
            ("targets.bin", manifest.NumTokens), ("documents.bin", ((Int128)manifest.NumDocuments + 1) * 8)];
        if (manifest.Labels) files.Add(("labels.bin", (Int128)manifest.NumDocuments * 4));
        if (manifest.LogProbs) files.Add(("logprobs.bin", (Int128)manifest.NumTokens * 4));
        foreach ((string name, Int128 expected) in files)
        {
            var file = new FileInfo(System.IO.Path.Combine(path, name));
            if (!file.Exists || file.Length != expected)
                throw new FlywheelException(
                    $"{file.FullName}: {(file.Exists ? $"has {file.Length} bytes" : "is missing")}, expected {expected} bytes");
        }
        return new TokenDataset(path, manifest);
    }

    private static long[] ReadOffsets(string path, DatasetManifest manifest)
    {
        long[] offsets = new long[manifest.NumDocuments + 1];
        using (FileStream stream = File.OpenRead(path)) stream.ReadExactly(MemoryMarshal.AsBytes(offsets.AsSpan()));
        if (offsets[0] != 0 || offsets[^1] != manifest.NumTokens)
            throw new FlywheelException(
                $"{path}: runs from {offsets[0]} to {offsets[^1]}, expected 0 to {manifest.NumTokens}; the file is damaged");
        for (int i = 1; i < offsets.Length; i++)
            if (offsets[i] < 0 || offsets[i] - offsets[i - 1] is < 2 or > int.MaxValue)
                throw new FlywheelException(
                    $"{path}: document {i - 1} runs from {offsets[i - 1]} to {offsets[i]}, expected at least 2 tokens; the file is damaged");
        return offsets;
    }

    /// <summary>Number of tokens of a document.</summary>
    public int Length(long document) => (int)(_offsets[document + 1] - _offsets[document]);

    /// <summary>Copies token ids of a document from position <paramref name="start"/>.</summary>
    /// <exception cref="FlywheelException">A token is not in the vocabulary: the file is damaged.</exception>
    public void ReadTokens(long document, int start, Span<long> destination)
    {
        long first = Position(document, start, destination.Length);
        if (Manifest.BytesPerToken == 2)
        {
            ushort[] narrow = new ushort[destination.Length];
            _tokens.SafeMemoryMappedViewHandle.ReadSpan((ulong)first * 2, narrow.AsSpan());
            for (int i = 0; i < narrow.Length; i++) destination[i] = narrow[i];
        }
        else
        {
            uint[] wide = new uint[destination.Length];
            _tokens.SafeMemoryMappedViewHandle.ReadSpan((ulong)first * 4, wide.AsSpan());
            for (int i = 0; i < wide.Length; i++) destination[i] = wide[i];
        }
        int outside = destination.IndexOfAnyExceptInRange(0, Manifest.VocabSize - 1);
        if (outside >= 0)
            throw new FlywheelException(
                $"{System.IO.Path.Combine(Path, "tokens.bin")}: token {first + outside} is {destination[outside]}, expected an id below {Manifest.VocabSize}; the file is damaged");
    }

    /// <summary>How often each id occurs.</summary>
    public long[] CountTokens()
    {
        long[] counts = new long[Manifest.VocabSize], tokens = [];
        for (long document = 0; document < NumDocuments; document++)
        {
            if (tokens.Length < Length(document)) tokens = new long[2 * Length(document)];
            Span<long> own = tokens.AsSpan(0, Length(document));
            ReadTokens(document, 0, own);
            foreach (long token in own) counts[token]++;
        }
        return counts;
    }

    /// <summary>Copies the target marks (1: learn this token) of a document from position <paramref name="start"/>.</summary>
    public void ReadTargets(long document, int start, Span<byte> destination) =>
        _targets.SafeMemoryMappedViewHandle.ReadSpan((ulong)Position(document, start, destination.Length), destination);

    /// <summary>A document's label; only in a dataset that has them.</summary>
    /// <exception cref="FlywheelException">It is not finite: the file is damaged.</exception>
    public float Label(long document) => float.IsFinite(_labels[document])
        ? _labels[document]
        : throw new FlywheelException(
            $"{System.IO.Path.Combine(Path, "labels.bin")}: document {document} has {_labels[document]}, expected a number; the file is damaged");

    /// <summary>Copies the log-probabilities that tokens had when they were sampled; only in a dataset that has them.</summary>
    public void ReadLogProbs(long document, int start, Span<float> destination)
    {
        _logProbs!.SafeMemoryMappedViewHandle.ReadSpan((ulong)Position(document, start, destination.Length) * 4, destination);
        int outside = destination.IndexOfAnyExceptInRange(float.MinValue, 0);
        if (outside >= 0)
            throw new FlywheelException(
                $"{System.IO.Path.Combine(Path, "logprobs.bin")}: token {start + outside} of document {document} has {destination[outside]}, expected a log-probability; the file is damaged");
    }

    /// <summary>Place of a stretch of a document among all tokens.</summary>
    private long Position(long document, int start, int length)
    {
        if (start < 0 || start > Length(document) - length)
            throw new ArgumentOutOfRangeException(nameof(start), $"{length} tokens from {start} of a document of {Length(document)}");
        return _offsets[document] + start;
    }

    public void Dispose()
    {
        _tokens.Dispose();
        _targets.Dispose();
        _logProbs?.Dispose();
        _tokensFile.Dispose();
        _targetsFile.Dispose();
        _logProbsFile?.Dispose();
    }
}

/// <summary>Writes a tokenised dataset; <see cref="Complete"/> names the folder by its content.</summary>
public sealed class TokenDatasetWriter : IDisposable
{
    private readonly string _parent;
    private readonly TemporaryFolder _temporary;
    private readonly DatasetManifest _template;
    private readonly int _bytesPerToken;
    private readonly FileStream _tokens, _targets;
    private readonly FileStream? _logProbs;
    private readonly List<long> _offsets = [0];
    private readonly List<float> _labels = [];
    private long _numTargets;

    /// <param name="parent">Folder of datasets; the new one appears in it under its hash.</param>
    /// <param name="template">Tokenizer, vocabulary size, kind and facts; counts and hash are filled in.</param>
    public TokenDatasetWriter(string parent, DatasetManifest template)
    {
        _parent = parent;
        _template = template;
        _bytesPerToken = template.VocabSize <= 1 << 16 ? 2 : 4;
        _temporary = new TemporaryFolder(parent);
        _tokens = new FileStream(System.IO.Path.Combine(_temporary.Path, "tokens.bin"), FileMode.CreateNew, FileAccess.Write,
            FileShare.None, 1 << 20);
        _targets = new FileStream(System.IO.Path.Combine(_temporary.Path, "targets.bin"), FileMode.CreateNew, FileAccess.Write,
            FileShare.None, 1 << 20);
        if (template.LogProbs)
            _logProbs = new FileStream(System.IO.Path.Combine(_temporary.Path, "logprobs.bin"), FileMode.CreateNew, FileAccess.Write,
                FileShare.None, 1 << 20);
    }

    /// <param name="tokens">At least two ids: the first token is never predicted.</param>
    /// <param name="targets">1 where the token is to be learnt, else 0; the same length.</param>
    /// <param name="label">Where the dataset has labels.</param>
    /// <param name="logProbs">One for each token, where the dataset has them.</param>
    /// <exception cref="FlywheelException">The disk is full.</exception>
    public void Add(ReadOnlySpan<int> tokens, ReadOnlySpan<byte> targets, float? label = null, ReadOnlySpan<float> logProbs = default)
    {
        if (tokens.Length < 2 || tokens.Length != targets.Length)
            throw new ArgumentException($"{tokens.Length} tokens with {targets.Length} targets");
        if (label.HasValue != _template.Labels || !float.IsFinite(label ?? 0)) throw new ArgumentException($"label {label}", nameof(label));
        if (logProbs.Length != (_template.LogProbs ? tokens.Length : 0) || logProbs.ContainsAnyExceptInRange(float.MinValue, 0))
            throw new ArgumentException($"{tokens.Length} tokens with {logProbs.Length} log-probabilities", nameof(logProbs));
        int outside = tokens.IndexOfAnyExceptInRange(0, _template.VocabSize - 1);
        if (outside >= 0) throw new ArgumentException($"token {tokens[outside]} is outside the vocabulary of {_template.VocabSize}");
        byte[] bytes = new byte[tokens.Length * _bytesPerToken];
        for (int i = 0; i < tokens.Length; i++)
        {
            if (_bytesPerToken == 2) BitConverter.TryWriteBytes(bytes.AsSpan(i * 2), (ushort)tokens[i]);
            else BitConverter.TryWriteBytes(bytes.AsSpan(i * 4), tokens[i]);
        }
        byte[] marks = targets.ToArray(), sampled = MemoryMarshal.AsBytes(logProbs).ToArray();
        AtomicFile.NameFullDisk(_parent, () =>
        {
            _tokens.Write(bytes);
            _targets.Write(marks);
            _logProbs?.Write(sampled);
        });
        if (label is { } given) _labels.Add(given);
        _numTargets += targets.Count((byte)1);
        _offsets.Add(_offsets[^1] + tokens.Length);
    }

    /// <summary>Closes the files, writes the manifest and gives the folder its name.</summary>
    /// <returns>The dataset's folder.</returns>
    /// <exception cref="FlywheelException">No document was added, or the disk is full.</exception>
    public string Complete()
    {
        if (_offsets.Count == 1) throw new FlywheelException("the dataset is empty: no document was kept");
        if (_template.Pairs && _offsets.Count % 2 == 0) throw new InvalidOperationException($"{_offsets.Count - 1} documents are no pairs");
        string path = "";
        AtomicFile.NameFullDisk(_parent, () => path = Publish());
        return path;
    }

    private string Publish()
    {
        _tokens.Dispose();
        _targets.Dispose();
        _logProbs?.Dispose();
        if (_template.Labels)
            File.WriteAllBytes(System.IO.Path.Combine(_temporary.Path, "labels.bin"),
                MemoryMarshal.AsBytes(CollectionsMarshal.AsSpan(_labels)).ToArray());
        File.WriteAllBytes(System.IO.Path.Combine(_temporary.Path, "documents.bin"),
            MemoryMarshal.AsBytes(CollectionsMarshal.AsSpan(_offsets)).ToArray());
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(System.Text.Encoding.UTF8.GetBytes($"{_template.TokenizerHash} {_template.Pairs} {_bytesPerToken}\n"));
        string[] files = ["documents.bin", "targets.bin", "tokens.bin"];
        if (_template.Labels) files = [.. files, "labels.bin"];
        if (_template.LogProbs) files = [.. files, "logprobs.bin"];
        foreach (string name in files)
        {
            using FileStream stream = File.OpenRead(System.IO.Path.Combine(_temporary.Path, name));
            hash.AppendData(SHA256.HashData(stream));
        }
        DatasetManifest manifest = _template with
        {
            Hash = Convert.ToHexStringLower(hash.GetHashAndReset()),
            NumDocuments = _offsets.Count - 1,
            NumTokens = _offsets[^1],
            NumTargets = _numTargets,
            BytesPerToken = _bytesPerToken,
        };
        AtomicFile.WriteText(System.IO.Path.Combine(_temporary.Path, "dataset.json"),
            JsonSerializer.Serialize(manifest, JsonText.Indented));
        string path = System.IO.Path.Combine(_parent, manifest.Hash[..16]);
        AtomicFile.Publish(_temporary.Path, path);
        return path;
    }

    /// <summary>Drops what was not completed.</summary>
    public void Dispose()
    {
        foreach (FileStream? stream in new[] { _tokens, _targets, _logProbs })
        {
            try
            {
                stream?.Dispose();
            }
            catch (IOException)
            {
                // A full disk refuses the last buffer too; the folder goes anyway.
            }
        }
        _temporary.Dispose();
    }
}
