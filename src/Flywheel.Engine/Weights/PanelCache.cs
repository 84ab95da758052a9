using System.Numerics;
using System.Text;
using Flywheel.Model;

namespace Flywheel.Engine.Weights;

/// <summary>
/// Packed weights on disk, so that a model is packed once and read afterwards: a head of 4 KiB that says what follows,
/// with its checksum, then the panels in the order in which they are taken. A file that does not match is made again. It is read and
/// not mapped, because huge pages are for memory without a file only, and decoding with small ones is slower.
/// </summary>
internal sealed unsafe class PanelCache(string folder, long minBytes = 64L << 20, long maxBytes = 16L << 30)
{
    /// <summary>Changes with <see cref="Kernels.PanelLayout"/> and with what <see cref="DecoderWeights"/> packs.</summary>
    private const int Version = 2;

    private const int HeadBytes = 4096;
    private const int ChunkBytes = 4 << 20;
    private const string Extension = ".panels";

    /// <summary>The panels of a model, or null when they are not there or damaged.</summary>
    /// <param name="arena">Lives as long as the panels are read.</param>
    /// <param name="key">What was packed and how; part of a file name.</param>
    public PanelMemory? TryOpen(NativeArena arena, string key)
    {
        string path = PathOf(key);
        var memory = new NativeArena();
        bool isGood = false;
        try
        {
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, 1);
            long numBytes = stream.Length - HeadBytes;
            if (numBytes <= 0 || numBytes % sizeof(ulong) != 0) return null;
            byte[] head = new byte[HeadBytes];
            stream.ReadExactly(head);
            byte* panels = memory.Allocate<byte>(numBytes);
            uint sum = 0;
            for (long at = 0; at < numBytes; at += ChunkBytes)
            {
                int bytes = (int)Math.Min(ChunkBytes, numBytes - at);
                stream.ReadExactly(new Span<byte>(panels + at, bytes));
                sum = Checksum(sum, panels + at, bytes);
            }
            if (!head.AsSpan().SequenceEqual(Head(key, numBytes, sum))) return null;
            isGood = true;
            arena.Keep(memory);
            File.SetLastWriteTimeUtc(path, DateTime.UtcNow); // the least used go first
            return PanelMemory.Filled(panels, numBytes);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null; // packing again is always possible
        }
        finally
        {
            if (!isGood) memory.Dispose();
        }
    }

    /// <summary>Keeps what was packed, unless it is small or there is no room for it.</summary>
    public void Save(string key, PanelMemory memory)
    {
        if (memory.NumBytes < minBytes || memory.NumBytes > maxBytes) return;
        try
        {
            if (new DriveInfo(Directory.CreateDirectory(folder).FullName).AvailableFreeSpace < 2 * memory.NumBytes) return;
            AtomicFile.Write(PathOf(key), stream =>
            {
                stream.Write(
                    Head(key, memory.NumBytes,
                        memory.Taken.Aggregate(0u, (sum, piece) => Checksum(sum, (byte*)piece.Start, piece.NumBytes))));
                foreach ((nint start, long bytes) in memory.Taken)
                    for (long at = 0; at < bytes; at += ChunkBytes)
                        stream.Write(new ReadOnlySpan<byte>((byte*)start + at, (int)Math.Min(ChunkBytes, bytes - at)));
            });
            DropLeastUsed();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or FlywheelException)
        {
            // A cache that cannot be written costs time at the next start and nothing else.
        }
    }

    private string PathOf(string key) => Path.Combine(folder, key + Extension);

    private void DropLeastUsed()
    {
        long kept = 0;
        foreach (FileInfo file in new DirectoryInfo(folder).GetFiles("*" + Extension).OrderByDescending(file => file.LastWriteTimeUtc))
            if ((kept += file.Length) > maxBytes + HeadBytes) file.Delete();
    }

    private static byte[] Head(string key, long numBytes, uint checksum)
    {
        byte[] head = new byte[HeadBytes];
        Encoding.UTF8.GetBytes($"flywheel panels {Version}\n{key}\n{numBytes} bytes\n{checksum:x8}\n", head);
        return head;
    }

    /// <summary>CRC-32C so far, and of what follows: an instruction for 8 bytes, so a second for several gigabytes.</summary>
    private static uint Checksum(uint sum, byte* bytes, long count)
    {
        for (long at = 0; at < count; at += sizeof(ulong)) sum = BitOperations.Crc32C(sum, *(ulong*)(bytes + at));
        return sum;
    }
}
