using System.Buffers.Binary;
using System.Text;
using Flywheel.Model;

namespace Flywheel.Voice;

/// <summary>
/// Reads WAV files piece by piece: PCM of 8, 16, 24 or 32 bits and 32-bit float, in RIFF or RF64 form (EBU Tech 3306), whatever lies
/// between their chunks.
/// </summary>
/// <remarks>
/// The length in a header is not trusted beyond the file: programs that write to a pipe leave 0, 0x7FFFF000 or 0xFFFFFFFF there, and
/// files are cut in transfer. What is there is read, and <see cref="IsTruncated"/> tells when it is less than was said.
/// </remarks>
public sealed class WavReader : IDisposable
{
    private const int MaxChannels = 64, MaxRate = 768_000;
    private const ushort PcmTag = 1, FloatTag = 3, ExtensibleTag = 0xFFFE;

    private readonly Stream _stream;
    private readonly string _name;
    private readonly byte[] _bytes = new byte[1 << 16];
    private long _bytesLeft;

    /// <param name="stream">From its start; disposed with the reader.</param>
    /// <param name="name">Of the file, for messages.</param>
    /// <exception cref="FlywheelException">Not a WAV file, or in a form that is not read.</exception>
    public WavReader(Stream stream, string name)
    {
        (_stream, _name) = (stream, name);
        ReadHeader();
    }

    /// <summary>Frames a second.</summary>
    public int Rate { get; private set; }

    public int NumChannels { get; private set; }

    public int BitsPerSample { get; private set; }

    public bool IsFloat { get; private set; }

    /// <summary>Samples of each channel; null when neither header nor stream tells.</summary>
    public long? NumFrames { get; private set; }

    /// <summary>The header promises more than the file holds.</summary>
    public bool IsTruncated { get; private set; }

    private int BytesPerFrame => NumChannels * BitsPerSample / 8;

    /// <exception cref="FlywheelException">There is no such file, or it is no WAV file.</exception>
    public static WavReader Open(string path)
    {
        FileStream stream = OpenFile(path);
        try
        {
            return new WavReader(stream, path);
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }

    /// <summary>Next frames, channels interleaved, each sample from -1 to 1.</summary>
    /// <param name="samples">At least a frame long.</param>
    /// <returns>Samples read, a multiple of the channels; 0 at the end.</returns>
    public int Read(Span<float> samples)
    {
        int width = BitsPerSample / 8;
        int numFrames = (int)Math.Min(Math.Min(samples.Length / NumChannels, _bytes.Length / BytesPerFrame), _bytesLeft / BytesPerFrame);
        if (numFrames == 0) return 0;
        int read = _stream.ReadAtLeast(_bytes.AsSpan(0, numFrames * BytesPerFrame), numFrames * BytesPerFrame, throwOnEndOfStream: false);
        if (read < numFrames * BytesPerFrame) _bytesLeft = read; // a pipe that ends early
        int count = read / BytesPerFrame * NumChannels;
        _bytesLeft -= (long)count * width;
        ReadOnlySpan<byte> bytes = _bytes;
        for (int i = 0; i < count; i++)
        {
            ReadOnlySpan<byte> at = bytes.Slice(i * width, width);
            samples[i] = (width, IsFloat) switch
            {
                (1, _) => (at[0] - 128) / 128f,
                (2, _) => BinaryPrimitives.ReadInt16LittleEndian(at) / 32768f,
                (3, _) => ((at[2] << 24 | at[1] << 16 | at[0] << 8) >> 8) / 8388608f,
                (4, false) => BinaryPrimitives.ReadInt32LittleEndian(at) / 2147483648f,
                _ => Finite(BinaryPrimitives.ReadSingleLittleEndian(at)),
            };
        }
        return count;
    }

    /// <summary>Goes on so many frames later, without reading what lies between; beyond the end there is nothing.</summary>
    public void SkipFrames(long numFrames)
    {
        long bytes = Math.Min(_bytesLeft, numFrames * BytesPerFrame);
        _stream.Seek(bytes, SeekOrigin.Current);
        _bytesLeft -= bytes;
    }

    /// <summary>All of a file as one channel, the mean of its own.</summary>
    /// <param name="path">The file.</param>
    /// <param name="maxFrames">More are refused: this is for lines, not for films.</param>
    /// <exception cref="FlywheelException">No WAV file, or too long.</exception>
    public static Clip ReadMono(string path, int maxFrames = 1 << 28)
    {
        using WavReader reader = Open(path);
        return reader.ReadMono(maxFrames);
    }

    /// <inheritdoc cref="ReadMono(string, int)"/>
    public Clip ReadMono(int maxFrames = 1 << 28)
    {
        var all = new List<float>((int)Math.Min(NumFrames ?? 0, maxFrames));
        float[] piece = new float[4096 * NumChannels];
        for (int read; (read = Read(piece)) > 0;)
        {
            if (all.Count + read / NumChannels > maxFrames)
                throw new FlywheelException($"{_name}: is longer than {maxFrames / Rate} seconds, expected a shorter piece");
            for (int i = 0; i < read; i += NumChannels) all.Add(Mean(piece.AsSpan(i, NumChannels)));
        }
        return new Clip([.. all], Rate);
    }

    public void Dispose() => _stream.Dispose();

    internal static FileStream OpenFile(string path)
    {
        try
        {
            return new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 16);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new FlywheelException($"{path}: there is no such file", e);
        }
        catch (UnauthorizedAccessException e)
        {
            throw new FlywheelException($"{path}: cannot be read: {e.Message}", e);
        }
    }

    private static float Mean(ReadOnlySpan<float> frame)
    {
        float sum = 0;
        foreach (float sample in frame) sum += sample;
        return sum / frame.Length;
    }

    /// <summary>Files hold what broken programs wrote: no-number becomes silence.</summary>
    private static float Finite(float sample) => float.IsFinite(sample) ? sample : 0;

    private void ReadHeader()
    {
        Span<byte> riff = stackalloc byte[12];
        int start = _stream.ReadAtLeast(riff, riff.Length, throwOnEndOfStream: false);
        string form = Encoding.ASCII.GetString(riff[..Math.Min(start, 4)]);
        if (start < riff.Length || form is not ("RIFF" or "RF64") || !riff[8..].SequenceEqual("WAVE"u8))
            throw new FlywheelException($"{_name}: is no WAV file (it begins with '{Printable(riff[..start])}'), expected RIFF and WAVE");
        ulong? longSize = null;
        bool hasFormat = false;
        Span<byte> chunk = stackalloc byte[8];
        for (; ; )
        {
            if (_stream.ReadAtLeast(chunk, chunk.Length, throwOnEndOfStream: false) < chunk.Length)
                throw new FlywheelException($"{_name}: ends before its samples begin, expected a chunk 'data'");
            uint size = BinaryPrimitives.ReadUInt32LittleEndian(chunk[4..]);
            ReadOnlySpan<byte> id = chunk[..4];
            if (id.SequenceEqual("ds64"u8)) longSize = BinaryPrimitives.ReadUInt64LittleEndian(ReadChunk("ds64", size, 28).AsSpan(8));
            else if (id.SequenceEqual("fmt "u8))
            {
                ReadFormat(ReadChunk("fmt ", size, 16));
                hasFormat = true;
            }
            else if (id.SequenceEqual("data"u8)) break;
            else Skip(size + (size & 1L));
        }
        if (!hasFormat) throw new FlywheelException($"{_name}: its samples come before their format, expected a chunk 'fmt ' first");
        ulong said = longSize ?? BinaryPrimitives.ReadUInt32LittleEndian(chunk[4..]);
        bool unknown = said is 0 or 0xFFFFFFFF;
        if (!_stream.CanSeek)
        {
            _bytesLeft = unknown || said > long.MaxValue ? long.MaxValue : (long)said;
            NumFrames = unknown || said >= 0x7FFF0000 ? null : (long)said / BytesPerFrame;
            return;
        }
        long there = Math.Max(0, _stream.Length - _stream.Position);
        // A sound of no samples says 0 as well, and then nothing follows or other chunks do; those cannot be told from samples.
        _bytesLeft = unknown || said > (ulong)there ? there : (long)said;
        IsTruncated = !unknown && said > (ulong)there && said < 0x7FFF0000;
        NumFrames = _bytesLeft / BytesPerFrame;
    }

    private void ReadFormat(ReadOnlySpan<byte> format)
    {
        ushort tag = BinaryPrimitives.ReadUInt16LittleEndian(format);
        NumChannels = BinaryPrimitives.ReadUInt16LittleEndian(format[2..]);
        uint rate = BinaryPrimitives.ReadUInt32LittleEndian(format[4..]);
        ushort blockAlign = BinaryPrimitives.ReadUInt16LittleEndian(format[12..]);
        BitsPerSample = BinaryPrimitives.ReadUInt16LittleEndian(format[14..]);
        if (tag == ExtensibleTag && format.Length >= 26) tag = BinaryPrimitives.ReadUInt16LittleEndian(format[24..]);
        if (NumChannels is 0 or > MaxChannels)
            throw new FlywheelException($"{_name}: has {NumChannels} channels, expected 1 to {MaxChannels}");
        if (rate is 0 or > MaxRate) throw new FlywheelException($"{_name}: has {rate} samples a second, expected 1 to {MaxRate}");
        if (tag is not (PcmTag or FloatTag))
            throw new FlywheelException(
                $"{_name}: holds samples of format {tag}, expected PCM (1) or float (3); ffmpeg -i IN -c:a pcm_s16le OUT.wav converts it");
        IsFloat = tag == FloatTag;
        if (IsFloat ? BitsPerSample != 32 : BitsPerSample is not (8 or 16 or 24 or 32))
            throw new FlywheelException(
                $"{_name}: has {(IsFloat ? "float" : "PCM")} samples of {BitsPerSample} bits, expected {(IsFloat ? "32" : "8, 16, 24 or 32")}");
        if (blockAlign != BytesPerFrame)
            throw new FlywheelException(
                $"{_name}: says that {NumChannels} samples of {BitsPerSample} bits take {blockAlign} bytes, expected {BytesPerFrame}");
        Rate = (int)rate;
    }

    /// <summary>A chunk that we read holds a few dozen bytes; one that says more lies.</summary>
    private byte[] ReadChunk(string id, uint size, int least)
    {
        if (size < least || size > 4096)
            throw new FlywheelException($"{_name}: its chunk '{id}' has {size} bytes, expected {least} to 4096");
        byte[] bytes = new byte[size + (size & 1)];
        int read = _stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
        return read >= size ? bytes[..(int)size] : throw new FlywheelException($"{_name}: ends within its chunk '{id}'");
    }

    private void Skip(long count)
    {
        if (_stream.CanSeek)
        {
            _stream.Position = Math.Min(_stream.Length, _stream.Position + count);
            return;
        }
        while (count > 0 && _stream.Read(_bytes, 0, (int)Math.Min(count, _bytes.Length)) is > 0 and int read) count -= read;
    }

    private static string Printable(ReadOnlySpan<byte> bytes) =>
        string.Concat(Encoding.Latin1.GetString(bytes[..Math.Min(4, bytes.Length)])
            .Select(letter => letter is >= ' ' and <= '~' ? letter : '.'));
}
