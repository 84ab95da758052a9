namespace Flywheel.Engine.Kernels;

/// <summary>
/// Attention of several query lines (heads of one group, at one or more positions of one sequence) over the pages of
/// one key/value head, a span of tokens at a time. Everything is cut into tiles of 32 x 32 (see <see cref="KvTile"/>);
/// D below is the head dim padded to whole tiles.
/// </summary>
internal unsafe struct AttentionJob
{
    /// <summary>Tokens in a page of the cache.</summary>
    public const int PageTokens = KvTile.Size;

    /// <summary>
    /// Tokens of a span. Spans give partial results that are folded in the order of their positions, so that the order of
    /// additions does not depend on how the work was cut.
    /// </summary>
    public const int SpanTokens = 256;

    public const int SpanPages = SpanTokens / PageTokens;

    public KvType Type;

    /// <summary>Start of every page of the sequence.</summary>
    public byte** Pages;

    /// <summary>From a page's start to this head's keys, [D / 32] tiles; bytes.</summary>
    public long KeyOffset;

    /// <summary>From a page's start to this head's values, [D / 32] tiles; bytes.</summary>
    public long ValueOffset;

    /// <summary>D / 32.</summary>
    public int NumBlocks;

    public int NumLines;

    /// <summary>[D / 32, NumLines, 32] in fp32, or in int16 where the cache holds integers.</summary>
    public byte* Queries;

    /// <summary>[NumLines] of int16 queries.</summary>
    public float* QueryScales;

    /// <summary>How many positions each line may see, ascending.</summary>
    public int* Limits;

    /// <summary>Scratch, [SpanPages, NumLines, 32]; in fp32 they become the weights.</summary>
    public float* Scores;

    /// <summary>Scratch for weights as integers, of the same shape.</summary>
    public short* Weights;

    /// <summary>Scratch, [SpanPages, NumLines].</summary>
    public float* WeightScales;

    /// <summary>Scratch, one tile in int16.</summary>
    public short* Wide;

    /// <summary>Floats of a result: sums of weighted values [D / 32, NumLines, 32], largest scores [NumLines], sums of weights
    /// [NumLines].</summary>
    public static long ResultFloats(int numBlocks, int numLines) => (long)numLines * (numBlocks * KvTile.Size + 2);

    /// <summary>What a line's products with keys are multiplied with.</summary>
    public readonly float Factor(int line) => Type == KvType.Fp32 ? 1 : QueryScales[line];

    public readonly int Longest => Limits[NumLines - 1];

    /// <summary>Floats of one block of all lines.</summary>
    public readonly long BlockFloats => (long)NumLines * KvTile.Size;

    public readonly float* Largest(float* result) => result + NumBlocks * BlockFloats;

    public readonly float* Total(float* result) => Largest(result) + NumLines;

    public static int NumSpans(int tokens) => (tokens + SpanTokens - 1) / SpanTokens;

    /// <summary>Sets one line's query, x [d] times <paramref name="factor"/>; what follows to the end of its last tile is 0.</summary>
    public readonly void SetQuery(int line, float* x, int d, float factor)
    {
        float largest = KvTile.Largest(x, d);
        if (Type != KvType.Fp32) QueryScales[line] = KvTile.Scale(largest, KvTile.MostInt) * factor;
        int* ints = stackalloc int[KvTile.Size];
        for (int block = 0; block < NumBlocks; block++)
        {
            long at = block * BlockFloats + line * KvTile.Size;
            int count = Math.Min(KvTile.Size, d - block * KvTile.Size);
            if (Type == KvType.Fp32)
            {
                float* query = (float*)Queries + at;
                for (int i = 0; i < KvTile.Size; i++) query[i] = i < count ? x[i] * factor : 0;
            }
            else
            {
                short* query = (short*)Queries + at;
                KvTile.Round(x, ints, count, KvTile.Inverse(largest, KvTile.MostInt));
                for (int i = 0; i < KvTile.Size; i++) query[i] = (short)(i < count ? ints[i] : 0);
            }
            x += KvTile.Size;
        }
    }
}
