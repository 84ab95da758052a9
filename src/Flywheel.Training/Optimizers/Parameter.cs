namespace Flywheel.Training;

/// <summary>A trained tensor in fp32.</summary>
/// <param name="Name">Of its first part on disk.</param>
/// <param name="Tensor">A leaf with a gradient.</param>
internal sealed record Parameter(string Name, Tensor Tensor)
{
    /// <summary>
    /// Rows of each of the matrices that lie one above another in a hidden layer's weight; empty for embeddings, output
    /// matrix, gains, biases and adapters. What these maps have in common is that Muon suits them.
    /// </summary>
    public IReadOnlyList<long> HiddenRows { get; init; } = [];
}
