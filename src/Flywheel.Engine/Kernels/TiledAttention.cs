namespace Flywheel.Engine.Kernels;

/// <summary>C = the sum over tiles of A x B, where A and C are [lines, 32] and B is [32, 32].</summary>
internal unsafe struct TileProduct
{
    /// <summary>Tiles that are read after the last of a product, to be fetched from memory meanwhile.</summary>
    public const int NumAhead = 6;

    /// <summary>[NumTiles + NumAhead] tiles of B.</summary>
    public byte** B;

    /// <summary>Fp32 or, beside integers, int16.</summary>
    public byte* A;

    /// <summary>Bytes from one block of A to the next.</summary>
    public long AStep;

    /// <summary>[NumTiles, lines] of A where A is weights as integers.</summary>
    public float* Scales;

    /// <summary>Bytes from the scales of one block of A to the next.</summary>
    public long ScaleStep;

    public float* C;

    public long NumTiles;

    /// <summary>Shares the lines evenly among calls of at most so many.</summary>
    /// <param name="numLines">Of A and C.</param>
    /// <param name="code">[lines of a call] machine code; what is at 0 is not used.</param>
    public readonly void Run(int numLines, ReadOnlySpan<nint> code)
    {
        int most = code.Length - 1;
        long lineBytes = AStep / numLines;
        TileProduct part = this;
        for (int left = numLines, parts = (numLines + most - 1) / most; parts > 0; parts--)
        {
            int count = (left + parts - 1) / parts;
            ((delegate* unmanaged[SuppressGCTransition]<TileProduct*, void>)code[count])(&part);
            left -= count;
            part.A += count * lineBytes;
            part.Scales += count;
            part.C += count * KvTile.Size;
        }
    }
}

/// <summary>What an instruction set brings to <see cref="TiledAttention{TKernels}"/>.</summary>
internal unsafe interface ITileKernels
{
    static abstract void Multiply(AttentionJob* job, TileProduct* product, bool isKey);

    /// <summary>Turns a line's first <paramref name="count"/> scores of the span into weights, given the tiles of values of its
    /// pages.</summary>
    static abstract void Softmax(AttentionJob* job, int line, int count, byte** values, float* result);
}

/// <summary>One span of attention as products of 32 x 32 tiles: every key and value is read once for all query lines.</summary>
internal static unsafe class TiledAttention<TKernels> where TKernels : ITileKernels
{
    public static void AttendSpan(AttentionJob* job, int span, float* result)
    {
        const int size = KvTile.Size;
        int lines = job->NumLines, start = span * AttentionJob.SpanTokens, blocks = job->NumBlocks;
        int numPages = (Math.Min(AttentionJob.SpanTokens, job->Longest - start) + size - 1) / size;
        long stride = job->BlockFloats;
        byte** tiles = stackalloc byte*[2 * AttentionJob.SpanPages * blocks + TileProduct.NumAhead];
        List(job, span, numPages, tiles);

        bool isFloat = job->Type == KvType.Fp32;
        long step = stride * (isFloat ? sizeof(float) : sizeof(short));
        var scores = new TileProduct { B = tiles, A = job->Queries, AStep = step, C = job->Scores, NumTiles = blocks };
        for (int page = 0; page < numPages; page++, scores.B += blocks, scores.C += stride) TKernels.Multiply(job, &scores, isKey: true);

        byte* weights = isFloat ? (byte*)job->Scores : (byte*)job->Weights;
        for (int line = 0; line < lines; line++)
        {
            int count = Math.Clamp(job->Limits[line] - start, 0, numPages * size);
            if (count % size != 0)
                new Span<float>(job->Scores + count / size * stride + line * size + count % size,
                    size - count % size).Fill(float.NegativeInfinity);
            TKernels.Softmax(job, line, count, scores.B, result);
            for (int page = (count + size - 1) / size; page < numPages; page++) // other lines see further
            {
                new Span<byte>(weights + page * step + line * (step / lines), (int)(step / lines)).Clear();
                job->WeightScales[page * lines + line] = 0;
            }
        }

        var values = new TileProduct { B = scores.B, A = weights, AStep = step, Scales = job->WeightScales,
            ScaleStep = lines * sizeof(float), C = result, NumTiles = numPages };
        for (int block = 0; block < blocks; block++, values.B += numPages, values.C += stride)
            TKernels.Multiply(job, &values, isKey: false);
    }

    /// <summary>Tiles in the order in which they are read: keys page by page, values block by block, and the first of the next
    /// span's.</summary>
    private static void List(AttentionJob* job, int span, int numPages, byte** tiles)
    {
        int blocks = job->NumBlocks, bytes = KvTile.Bytes(job->Type);
        byte** pages = job->Pages + span * AttentionJob.SpanPages;
        for (int page = 0; page < numPages; page++)
            for (int block = 0; block < blocks; block++) *tiles++ = pages[page] + job->KeyOffset + block * bytes;
        for (int block = 0; block < blocks; block++)
            for (int page = 0; page < numPages; page++) *tiles++ = pages[page] + job->ValueOffset + block * bytes;
        int following = (job->Longest + KvTile.Size - 1) / KvTile.Size - (span + 1) * AttentionJob.SpanPages;
        for (int i = 0; i < TileProduct.NumAhead; i++, tiles++)
            *tiles = i / blocks < following
                ? pages[AttentionJob.SpanPages + i / blocks] + job->KeyOffset + i % blocks * bytes : pages[0] + job->KeyOffset;
    }
}
