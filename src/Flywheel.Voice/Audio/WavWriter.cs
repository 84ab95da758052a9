using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Flywheel.Model;

namespace Flywheel.Voice;

/// <summary>How a WAV file keeps a sample.</summary>
public enum SampleFormat
{
    /// <summary>8 bits, unsigned.</summary>
    Pcm8,

    Pcm16,

    Pcm24,

    Pcm32,

    /// <summary>32-bit float.</summary>
    Float32,
}

/// <summary>Writes a WAV file piece by piece; its lengths are put into the header at the end.</summary>
public sealed class WavWriter : IDisposable
{
    /// <summary>RIFF keeps lengths in 32 bits.</summary>
    private const long MaxBytes = uint.MaxValue - 64;

    private readonly Stream _stream;
    private readonly SampleFormat _format;
    private readonly int _numChannels;
    private readonly long _start;
    private byte[] _bytes = [];
    private long _numBytes;

    /// <param name="stream">Left open. One that cannot seek gets a header that says "to the end".</param>
    /// <param name="rate">Frames a second.</param>
    /// <param name="numChannels">Interleaved.</param>
    /// <param name="format">Of each sample.</param>
    public WavWriter(Stream stream, int rate, int numChannels = 1, SampleFormat format = SampleFormat.Pcm16)
    {
        (_stream, _format, _numChannels) = (stream, format, numChannels);
        Rate = rate;
        _start = stream.CanSeek ? stream.Position : 0;
        stream.Write(Header(rate, numChannels, format, stream.CanSeek ? 0 : uint.MaxValue));
    }

    public int Rate { get; }

    /// <summary>Frames written.</summary>
    public long NumFrames => _numBytes / (Width * _numChannels);

    private int Width => WidthOf(_format);

    /// <param name="samples">Channels interleaved; what is beyond -1 to 1 is cut, except in float.</param>
    /// <exception cref="FlywheelException">The file would pass 4 GiB.</exception>
    public void Write(ReadOnlySpan<float> samples)
    {
        int numBytes = samples.Length * Width;
        if (_numBytes + numBytes > MaxBytes)
            throw new FlywheelException(
                "a WAV file holds at most 4 GiB; write another format (flac, opus, mp3), fewer channels or a lower rate");
        if (_bytes.Length < numBytes) _bytes = new byte[numBytes];
        Encode(samples, _format, _bytes);
        _stream.Write(_bytes, 0, numBytes);
        _numBytes += numBytes;
    }

    public void WriteSilence(long numFrames)
    {
        float[] zeros = new float[Math.Min(numFrames, 1 << 14) * _numChannels];
        for (; numFrames > 0; numFrames -= zeros.Length / _numChannels)
            Write(zeros.AsSpan(0, (int)Math.Min(zeros.Length, numFrames * _numChannels)));
    }

    /// <summary>A whole file.</summary>
    public static void WriteFile(string path, Clip clip, SampleFormat format = SampleFormat.Pcm16) =>
        AtomicFile.Write(path, stream =>
        {
            using var writer = new WavWriter(stream, clip.Rate, format: format);
            writer.Write(clip.Samples);
        });

    /// <summary>The bytes of a whole file of 16 bits.</summary>
    public static byte[] ToBytes(Clip clip)
    {
        var sound = new MemoryStream();
        using (var writer = new WavWriter(sound, clip.Rate)) writer.Write(clip.Samples);
        return sound.ToArray();
    }

    /// <summary>Samples as a file's bytes, little-endian.</summary>
    public static void Encode(ReadOnlySpan<float> samples, SampleFormat format, Span<byte> bytes)
    {
        if (format == SampleFormat.Float32 && BitConverter.IsLittleEndian)
        {
            MemoryMarshal.AsBytes(samples).CopyTo(bytes);
            return;
        }
        for (int i = 0; i < samples.Length; i++)
        {
            double sample = float.IsNaN(samples[i]) ? 0 : samples[i];
            switch (format)
            {
                case SampleFormat.Pcm8:
                    bytes[i] = (byte)(Quantize(sample, 128) + 128);
                    break;
                case SampleFormat.Pcm16:
                    BinaryPrimitives.WriteInt16LittleEndian(bytes[(2 * i)..], (short)Quantize(sample, 32768));
                    break;
                case SampleFormat.Pcm24:
                    long wide = Quantize(sample, 8388608);
                    (bytes[3 * i], bytes[3 * i + 1], bytes[3 * i + 2]) = ((byte)wide, (byte)(wide >> 8), (byte)(wide >> 16));
                    break;
                case SampleFormat.Pcm32:
                    BinaryPrimitives.WriteInt32LittleEndian(bytes[(4 * i)..], (int)Quantize(sample, 2147483648));
                    break;
                default:
                    BinaryPrimitives.WriteSingleLittleEndian(bytes[(4 * i)..], (float)sample);
                    break;
            }
        }
    }

    public void Dispose()
    {
        if (!_stream.CanSeek) return;
        if ((_numBytes & 1) == 1) _stream.WriteByte(0); // chunks have an even length
        long end = _stream.Position;
        _stream.Position = _start;
        _stream.Write(Header(Rate, _numChannels, _format, (uint)_numBytes));
        _stream.Position = end;
    }

    private static long Quantize(double sample, double scale) => (long)Math.Clamp(Math.Round(sample * scale), -scale, scale - 1);

    /// <summary>Of a sound whose length is not known yet: it goes on to the end of the stream.</summary>
    internal static byte[] EndlessHeader(int rate) => Header(rate, 1, SampleFormat.Pcm16, uint.MaxValue);

    private static int WidthOf(SampleFormat format) =>
        format switch { SampleFormat.Pcm8 => 1, SampleFormat.Pcm16 => 2, SampleFormat.Pcm24 => 3, _ => 4 };

    private static byte[] Header(int rate, int numChannels, SampleFormat format, uint numBytes)
    {
        byte[] header = new byte[44];
        "RIFF"u8.CopyTo(header);
        BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(4), numBytes == uint.MaxValue ? numBytes : numBytes + (numBytes & 1) + 36);
        "WAVEfmt "u8.CopyTo(header.AsSpan(8));
        BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(16), 16);
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(20), (ushort)(format == SampleFormat.Float32 ? 3 : 1));
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(22), (ushort)numChannels);
        BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(24), (uint)rate);
        BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(28), (uint)(rate * numChannels * WidthOf(format)));
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(32), (ushort)(numChannels * WidthOf(format)));
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(34), (ushort)(8 * WidthOf(format)));
        "data"u8.CopyTo(header.AsSpan(36));
        BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(40), numBytes);
        return header;
    }
}
