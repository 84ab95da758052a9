// A [rows, K], B [K, 16] packed, C [rows, 16].
namespace Flywheel.Training;

/// <summary>The innermost product without vectors: what the others are tested against, and what runs where there are none.</summary>
internal static unsafe class PlainTile
{
    private const int Width = 16;

    public static MatrixTile Tile { get; } = new(Width, &Multiply);

    private static void Multiply(TileJob* job)
    {
        for (int row = 0; row < job->Rows; row++)
        {
            for (int column = 0; column < Width; column++)
            {
                float sum = 0;
                for (int k = 0; k < job->Depth; k++)
                    sum = MathF.FusedMultiplyAdd(job->A[row * job->ARow + k * job->ADepth], job->B[k * Width + column], sum);
                job->C[row * job->CRow + column] = job->Start is null ? sum : sum + job->Start[row * job->StartRow + column];
            }
        }
    }
}
