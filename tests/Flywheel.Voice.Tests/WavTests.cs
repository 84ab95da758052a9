using System.Buffers.Binary;
using CsCheck;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Voice.Tests;

public sealed class WavTests
{
    private static readonly SampleFormat[] Formats = Enum.GetValues<SampleFormat>();

    private static byte[] Write(ReadOnlySpan<float> samples, int rate = 8000, int numChannels = 1, SampleFormat format = SampleFormat.Pcm16)
    {
        var stream = new MemoryStream();
        using (var writer = new WavWriter(stream, rate, numChannels, format)) writer.Write(samples);
        return stream.ToArray();
    }

    private static float[] ReadAll(WavReader reader)
    {
        var all = new List<float>();
        float[] piece = new float[reader.NumChannels * 7];
        for (int read; (read = reader.Read(piece)) > 0;) all.AddRange(piece[..read]);
        return [.. all];
    }

    [Fact]
    public void Write_AnySamplesInAnyFormat_ReadBackWithinHalfAStep() =>
        Gen.Select(Gen.Float[-1, .999f].Array[0, 60], Gen.Int[1, 3], Gen.Int[0, Formats.Length - 1], Gen.Int[1, 192_000])
            .Sample((samples, numChannels, which, rate) =>
        {
            SampleFormat format = Formats[which];
            float[] whole = samples[..(samples.Length / numChannels * numChannels)];
            using var reader = new WavReader(new MemoryStream(Write(whole, rate, numChannels, format)), "test");
            Assert.Equal((rate, numChannels, false, (long)whole.Length / numChannels),
                (reader.Rate, reader.NumChannels, reader.IsTruncated, reader.NumFrames));
            double step = format switch { SampleFormat.Pcm8 => 1.0 / 128, SampleFormat.Pcm16 => 1.0 / 32768,
                SampleFormat.Pcm24 => 1.0 / (1 << 23), SampleFormat.Pcm32 => 1.0 / (1 << 24), _ => 0 };
            float[] read = ReadAll(reader);
            Assert.Equal(whole.Length, read.Length);
            for (int i = 0; i < whole.Length; i++)
                Assert.True(Math.Abs(whole[i] - read[i]) <= step, $"{format}: {whole[i]} became {read[i]}");
        }, iter: 200);

    [Theory]
    [InlineData("pcm_u8", "u8")]
    [InlineData("pcm_s16le", "s16le")]
    [InlineData("pcm_s24le", "s32le")]
    [InlineData("pcm_s32le", "s32le")]
    [InlineData("pcm_f32le", "f32le")]
    public async Task Read_WhatFfmpegWrote_IsWhatFfmpegReads(string codec, string raw)
    {
        Sounds.Need("ffmpeg");
        using var folder = new TempFolder();
        // Seven channels make ffmpeg write the extensible form.
        (int code, string said) = await Tool.RunAsync("ffmpeg",
            ["-v", "error", "-f", "lavfi", "-i", "sine=f=300:d=0.1:r=11025", "-ac", raw == "u8" ? "1" : "7", "-c:a", codec,
                folder["a.wav"]], folder.Path);
        Assert.True(code == 0, said);
        await Tool.RunAsync("ffmpeg", ["-v", "error", "-i", folder["a.wav"], "-f", "f32le", folder["a.raw"]], folder.Path);
        byte[] expected = File.ReadAllBytes(folder["a.raw"]);
        using WavReader reader = WavReader.Open(folder["a.wav"]);
        float[] read = ReadAll(reader);
        Assert.Equal(expected.Length / 4, read.Length);
        for (int i = 0; i < read.Length; i++) Assert.Equal(BinaryPrimitives.ReadSingleLittleEndian(expected.AsSpan(4 * i)), read[i], 1e-6);
    }

    [Theory]
    [InlineData(0u, 50, false)]
    [InlineData(uint.MaxValue, 50, false)]
    [InlineData(0x7FFFF000u, 50, false)]
    [InlineData(1000u, 50, true)]
    [InlineData(99u, 49, false)]
    public void Read_ALengthThatLies_GivesWhatIsThere(uint said, int expected, bool isTruncated)
    {
        byte[] bytes = Write(new float[50]);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(40), said);
        using var reader = new WavReader(new MemoryStream(bytes), "test");
        Assert.Equal((expected, (long)expected, isTruncated), (ReadAll(reader).Length, reader.NumFrames!.Value, reader.IsTruncated));
    }

    [Fact]
    public void Read_AFileThatIsCutAnywhere_IsRefusedOrGivesItsBeginning()
    {
        float[] samples = [.. Enumerable.Range(0, 20).Select(i => i / 20f)];
        byte[] bytes = Write(samples, numChannels: 2);
        for (int length = 0; length <= bytes.Length; length++)
        {
            var stream = new MemoryStream(bytes[..length]);
            if (length < 44)
            {
                Assert.Throws<FlywheelException>(() => new WavReader(stream, "test"));
                continue;
            }
            using var reader = new WavReader(stream, "test");
            Assert.Equal(length < bytes.Length, reader.IsTruncated);
            Assert.Equal((length - 44) / 4 * 2, ReadAll(reader).Length);
        }
    }

    [Fact]
    public void Read_BytesOfAHeaderThatAreChanged_NeverFailsOtherwiseThanByName() =>
        Gen.Select(Gen.Int[0, 43], Gen.Byte).Array[1, 4].Sample(changes =>
        {
            byte[] bytes = Write(new float[64]);
            foreach ((int at, byte value) in changes) bytes[at] = value;
            try
            {
                using var reader = new WavReader(new MemoryStream(bytes), "test.wav");
                ReadAll(reader);
            }
            catch (FlywheelException e)
            {
                Assert.StartsWith("test.wav: ", e.Message, StringComparison.Ordinal);
            }
        }, iter: Fuzz.Iterations(3000));

    [Fact]
    public void Read_TenHours_TakesNoMemory()
    {
        const int rate = 8000;
        const long numFrames = 10L * 3600 * rate;
        byte[] header = Write([], rate, 1, SampleFormat.Pcm8)[..44];
        BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(40), (uint)numFrames);
        long before = GC.GetAllocatedBytesForCurrentThread();
        using var reader = new WavReader(new EndlessStream(header, numFrames), "test");
        float[] piece = new float[1 << 15];
        long read = 0;
        for (int count; (count = reader.Read(piece)) > 0;) read += count;
        Assert.Equal(numFrames, read);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
    }

    [Fact]
    public void Write_MoreThanAWavFileHolds_IsRefused()
    {
        using var writer = new WavWriter(Stream.Null, 8000, format: SampleFormat.Float32);
        float[] piece = new float[1 << 24];
        var fault = Assert.Throws<FlywheelException>(() => { for (int i = 0; i < 300; i++) writer.Write(piece); });
        Assert.Contains("4 GiB", fault.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("ID3\u0004 this is no sound at all", "begins with 'ID3.'")]
    [InlineData("", "is no WAV file")]
    public void Open_SomethingElse_IsNamed(string content, string expected)
    {
        using var folder = new TempFolder();
        File.WriteAllText(folder["a.wav"], content);
        var fault = Assert.Throws<FlywheelException>(() => WavReader.Open(folder["a.wav"]));
        Assert.Contains(expected, fault.Message, StringComparison.Ordinal);
        Assert.Contains("there is no such file", Assert.Throws<FlywheelException>(() => WavReader.Open(folder["b.wav"])).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Peaks_OfAFile_AreTheExtremesOfEachColumn() =>
        Gen.Select(Gen.Float[-1, .99f].Array[1, 200], Gen.Int[1, 50]).Sample((samples, numColumns) =>
        {
            using var folder = new TempFolder();
            using (FileStream stream = File.Create(folder["a.wav"]))
            using (var writer = new WavWriter(stream, 8000, format: SampleFormat.Float32))
                writer.Write(samples);
            Peaks peaks = Peaks.OfFile(folder["a.wav"], numColumns);
            Assert.Equal(Peaks.Of(new Clip(samples, 8000), numColumns).Max, peaks.Max);
            for (int column = 0; column < numColumns; column++)
            {
                float[] inside = [.. samples.Where((_, i) => (long)i * numColumns / samples.Length == column)];
                Assert.Equal((inside.DefaultIfEmpty(0).Min(), inside.DefaultIfEmpty(0).Max()), (peaks.Min[column], peaks.Max[column]));
            }
        }, iter: 50);

    /// <summary>A header, then zeros.</summary>
    private sealed class EndlessStream(byte[] header, long numZeros) : Stream
    {
        public override bool CanRead => true;

        public override bool CanSeek => true;

        public override bool CanWrite => false;

        public override long Length => header.Length + numZeros;

        public override long Position { get; set; }

        public override int Read(byte[] buffer, int offset, int count)
        {
            count = (int)Math.Min(count, Length - Position);
            Array.Clear(buffer, offset, count);
            for (int i = 0; i < count && Position + i < header.Length; i++) buffer[offset + i] = header[Position + i];
            Position += count;
            return count;
        }

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
