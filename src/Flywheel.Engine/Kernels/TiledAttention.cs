namespace Flywheel.Engine.Kernels;

/// <summary>C (+)= the sum over tiles of A x B, where A and C are [lines, 32] and B is [32, 32].</summary>
internal unsafe struct TileProduct
{
    public byte* B;

    /// <summary>Bytes from one tile of B to the next.</summary>
    public long BStep;

    public float* A;

    /// <summary>Bytes from one block of A to the next.</summary>
    public long AStep;

    public float* C;

    public long NumTiles;

    /// <summary>What will be read next, to be fetched from memory meanwhile.</summary>
    public byte* Ahead;

    /// <summary>1 to add to C, 0 to begin it.</summary>
    public long Accumulates;
}

/// <summary>What an instruction set brings to <see cref="TiledAttention{TKernels}"/>.</summary>
internal unsafe interface ITileKernels
{
    static abstract void Multiply(AttentionJob* job, TileProduct* product, bool isKey);

    /// <summary>Turns a line's first <paramref name="count"/> scores of the span into weights; pages are <paramref name="stride"/> floats apart.</summary>
    static abstract void Softmax(float* scores, long stride, int count, float* largest, float* total);
}

/// <summary>One span of attention as products of 32 x 32 tiles: every key and value is read once for all query lines.</summary>
internal static unsafe class TiledAttention<TKernels> where TKernels : ITileKernels
{
    public static void AttendSpan(AttentionJob* job, int span, float* result)
    {
        const int size = KvTile.Size;
        int lines = job->NumLines, start = span * AttentionJob.SpanTokens, bytes = KvTile.Bytes(job->Type);
        int numPages = (Math.Min(AttentionJob.SpanTokens, job->Longest - start) + size - 1) / size;
        long stride = job->BlockFloats;
        byte** pages = job->Pages + span * AttentionJob.SpanPages;
        byte* ahead = job->Longest > start + AttentionJob.SpanTokens ? pages[AttentionJob.SpanPages] + job->KeyOffset : pages[0] + job->KeyOffset;

        var scores = new TileProduct { BStep = bytes, A = job->Queries, AStep = stride * sizeof(float), NumTiles = job->NumBlocks };
        for (int page = 0; page < numPages; page++)
        {
            scores.B = pages[page] + job->KeyOffset;
            scores.C = job->Scores + page * stride;
            scores.Ahead = page + 1 < numPages ? pages[page + 1] + job->KeyOffset : pages[0] + job->ValueOffset;
            TKernels.Multiply(job, &scores, isKey: true);
        }

        for (int line = 0; line < lines; line++)
        {
            int count = Math.Clamp(job->Limits[line] - start, 0, numPages * size);
            float* first = job->Scores + line * size;
            if (count % size != 0) new Span<float>(first + count / size * stride + count % size, size - count % size).Fill(float.NegativeInfinity);
            TKernels.Softmax(first, stride, count, job->Largest(result) + line, job->Total(result) + line);
            for (int page = (count + size - 1) / size; page < numPages; page++) new Span<float>(first + page * stride, size).Clear(); // other lines see further
        }

        var values = new TileProduct { BStep = bytes, NumTiles = 1 };
        for (int page = 0; page < numPages; page++)
        {
            values.A = job->Scores + page * stride;
            values.Accumulates = page > 0 ? 1 : 0;
            byte* next = page + 1 < numPages ? pages[page + 1] + job->ValueOffset : ahead;
            for (int block = 0; block < job->NumBlocks; block++)
            {
                values.B = pages[page] + job->ValueOffset + block * bytes;
                values.C = result + block * stride;
                values.Ahead = next + block * bytes;
                TKernels.Multiply(job, &values, isKey: false);
            }
        }
    }
}
