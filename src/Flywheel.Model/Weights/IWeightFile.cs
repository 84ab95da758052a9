namespace Flywheel.Model;

/// <summary>
/// The tensors of a model on disk, by Hugging Face name and shape, whatever container they lie in: safetensors
/// (<see cref="SafetensorsFile"/>) or GGUF (<see cref="GgufFile"/>). Safe for concurrent reading.
/// </summary>
public interface IWeightFile : IDisposable
{
    /// <summary>Names the file in errors.</summary>
    string Path { get; }

    IReadOnlyDictionary<string, TensorInfo> Tensors { get; }

    /// <summary>Copies elements as fp32, from element <paramref name="start"/> in row-major order; blocks are dequantised.</summary>
    /// <exception cref="FlywheelException">The tensor holds no numbers of a weight (an integer type).</exception>
    void ReadFloats(TensorInfo tensor, long start, Span<float> destination);

    /// <summary>Copies the bytes of one row of a matrix as stored: plain numbers or ggml blocks.</summary>
    /// <param name="tensor">A tensor of this file.</param>
    /// <param name="row">Index over all dimensions but the last; a vector is one row.</param>
    /// <param name="destination">Exactly <see cref="TensorInfo.RowBytes"/>.</param>
    void ReadRow(TensorInfo tensor, long row, Span<byte> destination);
}

public static class WeightFiles
{
    /// <exception cref="FlywheelException">The tensor is missing or has another shape than expected.</exception>
    public static TensorInfo Require(this IWeightFile file, string name, params ReadOnlySpan<long> shape)
    {
        if (!file.Tensors.TryGetValue(name, out TensorInfo? tensor))
            throw new FlywheelException($"{file.Path}: tensor '{name}' is missing");
        if (!shape.SequenceEqual(tensor.Shape))
            throw new FlywheelException(
                $"{file.Path}: tensor '{name}' has shape {tensor.ShapeText}, expected [{string.Join(", ", shape.ToArray())}]");
        return tensor;
    }

    public static float[] ReadFloats(this IWeightFile file, TensorInfo tensor)
    {
        float[] values = new float[tensor.NumElements];
        file.ReadFloats(tensor, 0, values);
        return values;
    }
}
