using System.IO.MemoryMappedFiles;
using System.Numerics;
using System.Text;
using Flywheel.Model;

namespace Flywheel.Engine.Weights;

/// <summary>
/// Packed weights on disk, so that a model is packed once and mapped afterwards: a head of 4 KiB that says what follows,
/// with its checksum, then the panels in the order in which they are taken. A file that does not match is made again.
/// </summary>
internal sealed unsafe class PanelCache(string folder, long minBytes = 64L << 20, long maxBytes = 16L << 30)
{
    /// <summary>Changes with <see cref="Kernels.PanelLayout"/> and with what <see cref="DecoderWeights"/> packs.</summary>
    private const int Version = 1;

    private const int HeadBytes = 4096;
    private const int ChunkBytes = 4 << 20;
    private const string Extension = ".panels";

    /// <summary>The panels of a model, mapped, or null when they are not there or damaged.</summary>
    /// <param name="arena">Lives as long as the panels are read.</param>
    /// <param name="key">What was packed and how; part of a file name.</param>
    public PanelMemory? TryOpen(NativeArena arena, string key)
    {
        string path = PathOf(key);
        try
        {
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, 1);
            long numBytes = stream.Length - HeadBytes;
            if (numBytes <= 0 || numBytes % sizeof(ulong) != 0) return null;
            byte[] head = new byte[HeadBytes];
            stream.ReadExactly(head);
            var file = new Mapping(stream);
            if (!head.AsSpan().SequenceEqual(Head(key, numBytes, Checksum([((nint)(file.Start + HeadBytes), numBytes)]))))
            {
                file.Dispose();
                return null;
            }
            arena.Keep(file);
            File.SetLastWriteTimeUtc(path, DateTime.UtcNow); // the least used go first
            return PanelMemory.Mapped(file.Start + HeadBytes, numBytes);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null; // packing again is always possible
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
                stream.Write(Head(key, memory.NumBytes, Checksum(memory.Taken)));
                foreach ((nint start, long bytes) in memory.Taken)
                    for (long at = 0; at < bytes; at += ChunkBytes) stream.Write(new ReadOnlySpan<byte>((byte*)start + at, (int)Math.Min(ChunkBytes, bytes - at)));
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
            if ((kept += file.Length) > maxBytes + HeadBytes) file.Delete(); // a process that has mapped it keeps it
    }

    private static byte[] Head(string key, long numBytes, uint checksum)
    {
        byte[] head = new byte[HeadBytes];
        Encoding.UTF8.GetBytes($"flywheel panels {Version}\n{key}\n{numBytes} bytes\n{checksum:x8}\n", head);
        return head;
    }

    /// <summary>CRC-32C of all pieces, one after the other: an instruction for 8 bytes, so a second for several gigabytes.</summary>
    private static uint Checksum(IReadOnlyList<(nint Start, long NumBytes)> pieces)
    {
        uint sum = 0;
        foreach ((nint start, long bytes) in pieces)
            for (long at = 0; at < bytes; at += sizeof(ulong)) sum = BitOperations.Crc32C(sum, *(ulong*)(start + (nint)at));
        return sum;
    }

    private sealed class Mapping : IDisposable
    {
        private readonly MemoryMappedFile _file;
        private readonly MemoryMappedViewAccessor _view;

        public Mapping(FileStream stream)
        {
            _file = MemoryMappedFile.CreateFromFile(stream, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: true);
            _view = _file.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
            byte* start = null;
            _view.SafeMemoryMappedViewHandle.AcquirePointer(ref start);
            Start = start;
        }

        public byte* Start { get; }

        public void Dispose()
        {
            _view.SafeMemoryMappedViewHandle.ReleasePointer();
            _view.Dispose();
            _file.Dispose();
        }
    }
}
