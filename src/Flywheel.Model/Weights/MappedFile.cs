using System.Buffers;
using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;

namespace Flywheel.Model;

/// <summary>A file mapped into memory for reading. Reading copies out of the mapping, so no pointer outlives it.</summary>
internal sealed class MappedFile : IDisposable
{
    /// <summary>Numbers converted at a time; a multiple of every block.</summary>
    private const int ChunkSize = 1 << 14;

    private readonly MemoryMappedFile _file;
    private readonly MemoryMappedViewAccessor _view;

    /// <param name="stream">The open file: what was checked is mapped, whatever its path names by now. May be closed afterwards.</param>
    public MappedFile(FileStream stream)
    {
        _file = MemoryMappedFile.CreateFromFile(stream, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: true);
        _view = _file.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
    }

    /// <summary>Copies bytes of a tensor, from <paramref name="start"/> bytes into it.</summary>
    public void Read(TensorInfo tensor, long start, Span<byte> destination)
    {
        if (start < 0 || start > tensor.NumBytes - destination.Length) throw new ArgumentOutOfRangeException(nameof(start));
        _view.SafeMemoryMappedViewHandle.ReadSpan((ulong)(tensor.Offset + start), destination);
    }

    /// <summary>Copies elements of a tensor of real numbers as fp32, from element <paramref name="start"/>.</summary>
    public void ReadFloats(TensorInfo tensor, long start, Span<float> destination)
    {
        if (start < 0 || start > tensor.NumElements - destination.Length) throw new ArgumentOutOfRangeException(nameof(start));
        if (tensor.Type == TensorType.F32)
        {
            Read(tensor, start * sizeof(float), MemoryMarshal.AsBytes(destination));
            return;
        }
        int blockSize = tensor.Type.BlockSize(), blockBytes = tensor.Type.BlockBytes();
        byte[] bytes = ArrayPool<byte>.Shared.Rent(ChunkSize / blockSize * blockBytes);
        Span<float> edge = stackalloc float[blockSize]; // a block of which only a part is asked for
        while (destination.Length > 0)
        {
            int skip = (int)(start % blockSize);
            bool partial = skip > 0 || destination.Length < blockSize;
            int whole = partial ? blockSize : Math.Min(ChunkSize, destination.Length / blockSize * blockSize);
            Span<byte> blocks = bytes.AsSpan(0, whole / blockSize * blockBytes);
            Read(tensor, start / blockSize * blockBytes, blocks);
            int count = Math.Min(whole - skip, destination.Length);
            if (partial)
            {
                Quantization.Dequantize(tensor.Type, blocks, edge);
                edge.Slice(skip, count).CopyTo(destination);
            }
            else Quantization.Dequantize(tensor.Type, blocks, destination[..whole]);
            start += count;
            destination = destination[count..];
        }
        ArrayPool<byte>.Shared.Return(bytes);
    }

    public void Dispose()
    {
        _view.Dispose();
        _file.Dispose();
    }
}
