using System.Collections.Concurrent;
using Flywheel.Engine.Kernels;
using Flywheel.Model;

namespace Flywheel.Engine.Weights;

/// <summary>Rows of a band: how many there are, and which tensor's row each is; row -1 is zeros.</summary>
internal readonly record struct BandSource(TensorType Type, int NumRows, Func<int, (string Name, long Row)> Row);

/// <summary>Packs a file's rows into panels, or finds them already packed. Blocks of the file are taken bit for bit.</summary>
internal sealed unsafe class MatrixLoader(PanelMemory memory, KernelTable kernels, ModelConfig config, IWeightFile file,
    WeightFormat format)
{
    /// <summary>Bytes that a model's matrices take, about.</summary>
    public static long NumBytes(ModelConfig config, IWeightFile file, WeightFormat format) => config.Tensors().Sum(tensor =>
    {
        TensorType type = file.Tensors.TryGetValue(tensor.Name, out TensorInfo? info)
            ? TypeOf(config, file, format, info, spreads: false) : TensorType.F32;
        long blocks = (tensor.Shape[^1] + KernelTable.Block - 1) / KernelTable.Block;
        return tensor.Shape[..^1].Aggregate(1L, (product, size) => product * size)
            * (PanelLayout.BlockBytes(type) * blocks + PanelLayout.ScaleBytes(type, blocks));
    });

    /// <summary>The type that a tensor's rows get.</summary>
    /// <param name="name">A matrix.</param>
    /// <param name="spreads">Its columns are moved apart, so its blocks cannot stay.</param>
    public TensorType TypeOf(string name, bool spreads = false) => TypeOf(config, file, format, file.Tensors[name], spreads);

    /// <summary>Files of blocks are taken as they are. Whatever has no panels, or cannot keep its blocks, becomes fp32, which is
    /// exact.</summary>
    private static TensorType TypeOf(ModelConfig config, IWeightFile file, WeightFormat format, TensorInfo tensor, bool spreads)
    {
        if (!file.Tensors.Values.Any(any => any.Type.IsQuantized())) return WeightMixture.TypeOf(format, config, tensor.Name, tensor.Shape);
        return spreads || tensor.Type == TensorType.Q5_1 ? TensorType.F32 : tensor.Type;
    }

    /// <param name="columns">Inputs, before padding.</param>
    /// <param name="sources">Bands in order; each is padded to whole panels.</param>
    /// <param name="spread">Moves the columns of a tensor's row to where the matrix has them.</param>
    public Matrix Load(int columns, ReadOnlySpan<BandSource> sources, Func<float[], float[]>? spread = null)
    {
        int padded = Matrix.Pad(columns, KernelTable.Block);
        var bands = new Band[sources.Length];
        for (int i = 0, first = 0; i < bands.Length; first = bands[i++].EndRow)
        {
            BandSource source = sources[i];
            int rows = Matrix.Pad(source.NumRows, Matrix.RowUnit);
            long blocks = padded / KernelTable.Block;
            bands[i] = new Band(source.Type, first, rows, memory.Take(rows * PanelLayout.BlockBytes(source.Type) * blocks),
                memory.Take(rows * PanelLayout.ScaleBytes(source.Type, blocks)));
            if (!memory.IsFilled) Fill(bands[i], source, padded, spread);
        }
        return new Matrix(kernels, padded, bands);
    }

    private void Fill(Band band, BandSource source, int columns, Func<float[], float[]>? spread)
    {
        Parallel.ForEach(Partitioner.Create(0, band.NumRows / Matrix.RowUnit,
            Math.Max(1, band.NumRows / Matrix.RowUnit / (4 * Environment.ProcessorCount))), range =>
        {
            byte[] row = new byte[band.Type.NumBytes(columns)];
            for (int r = range.Item1 * Matrix.RowUnit; r < Math.Min(source.NumRows, range.Item2 * Matrix.RowUnit); r++)
            {
                (string name, long index) = source.Row(r);
                if (index < 0) continue;
                ReadRow(file.Tensors[name], index, band.Type, row, columns, spread);
                Matrix.Pack(kernels, band, columns / KernelTable.Block, r, row);
            }
        });
    }

    private void ReadRow(TensorInfo tensor, long row, TensorType type, byte[] destination, int columns, Func<float[], float[]>? spread)
    {
        if (tensor.Type == type && tensor.NumColumns == columns && spread is null)
        {
            file.ReadRow(tensor, row, destination);
            return;
        }
        float[] values = new float[tensor.NumColumns];
        file.ReadFloats(tensor, row * tensor.NumColumns, values);
        if (spread is not null) values = spread(values);
        Array.Resize(ref values, columns);
        Quantization.Quantize(type, values, destination);
    }
}
