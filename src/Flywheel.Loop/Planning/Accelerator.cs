namespace Flywheel.Loop.Planning;

/// <summary>A processor for training, as its maker states it.</summary>
/// <param name="Name">How it is asked for.</param>
/// <param name="PeakFlops">Dense bf16 matrix products with fp32 sums, operations a second.</param>
/// <param name="MemoryBytes">Its memory.</param>
public sealed record Accelerator(string Name, double PeakFlops, long MemoryBytes)
{
    private const long Gigabyte = 1_000_000_000;

    /// <summary>Data sheets of NVIDIA and AMD, figures without sparsity.</summary>
    public static IReadOnlyList<Accelerator> Known { get; } =
    [
        new("l4", 121e12, 24 * Gigabyte),
        new("a10", 125e12, 24 * Gigabyte),
        new("rtx3090", 71e12, 24 * Gigabyte),
        new("rtx4090", 165e12, 24 * Gigabyte),
        new("rtx5090", 209e12, 32 * Gigabyte),
        new("l40s", 362e12, 48 * Gigabyte),
        new("a100-40", 312e12, 40 * Gigabyte),
        new("a100", 312e12, 80 * Gigabyte),
        new("h100", 989e12, 80 * Gigabyte),
        new("h200", 989e12, 141 * Gigabyte),
        new("b200", 2250e12, 180 * Gigabyte),
        new("mi300x", 1307e12, 192 * Gigabyte),
    ];
}
