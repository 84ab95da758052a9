namespace Flywheel.Engine.Kernels;

/// <summary>Attention as plain loops: the definition that the vector kernels are tested against.</summary>
internal static unsafe class ScalarAttention
{
    private const int Size = KvTile.Size, Lanes = 16;

    /// <summary>
    /// One span: scores, weights against the span's own largest score, their sum in sixteen lanes, and sums of values. In fp32 a
    /// score is a chain of fused multiply-adds over the dimensions, a sum one over the tokens. In integers the products of 32
    /// dimensions, or of the 32 tokens of a page, add up exactly, and what is chained are those sums.
    /// </summary>
    public static void AttendSpan(AttentionJob* job, int span, float* result)
    {
        int start = span * AttentionJob.SpanTokens;
        float* lanes = stackalloc float[Lanes], scores = stackalloc float[AttentionJob.SpanTokens];
        for (int line = 0; line < job->NumLines; line++)
        {
            int count = Math.Clamp(job->Limits[line] - start, 0, AttentionJob.SpanTokens);
            float largest = float.NegativeInfinity, factor = job->Factor(line);
            for (int j = 0; j < count; j++) largest = MathF.Max(largest, scores[j] = Score(job, line, start + j));
            largest *= factor;
            for (int lane = 0; lane < Lanes; lane++) lanes[lane] = 0;
            for (int j = 0; j < count; j++) lanes[j % Lanes] += scores[j] = ScalarKernels.Exp(scores[j] * factor - largest);
            for (int lane = 0; lane < Lanes / 2; lane++) lanes[lane] += lanes[lane + Lanes / 2];
            job->Largest(result)[line] = largest;
            job->Total(result)[line] = ScalarKernels.SumLanes(lanes);
            for (int i = 0; i < job->NumBlocks * Size; i++) *Element(job, result, line, i) = 0;
            for (int j = 0; j < count; j += Size) AddPage(job, line, start + j, scores + j, Math.Min(Size, count - j), result);
        }
    }

    private static float Score(AttentionJob* job, int line, int token)
    {
        float score = 0;
        for (int block = 0; block < job->NumBlocks; block++)
        {
            byte* keys = job->Pages[token / Size] + job->KeyOffset + block * KvTile.Bytes(job->Type);
            long query = block * job->BlockFloats + line * Size;
            int sum = 0;
            for (int i = 0; i < Size; i++)
            {
                if (job->Type == KvType.Fp32)
                    score = MathF.FusedMultiplyAdd(((float*)job->Queries)[query + i],
                        KvTile.Read(job->Type, keys, i, token % Size, isKey: true), score);
                else sum += ((short*)job->Queries)[query + i] * KvTile.ReadInt(job->Type, keys, i, token % Size);
            }
            if (job->Type != KvType.Fp32) score = MathF.FusedMultiplyAdd(sum, KvTile.Scales(job->Type, keys)[token % Size], score);
        }
        return score;
    }

    /// <summary>Adds the weighted values of one page's first tokens. As integers, the weights have the values' scales in them and are
    /// relative to the page's largest.</summary>
    private static void AddPage(AttentionJob* job, int line, int token, float* weights, int count, float* result)
    {
        byte* values = job->Pages[token / Size] + job->ValueOffset;
        int* ints = stackalloc int[Size];
        float largest = 0;
        if (job->Type != KvType.Fp32)
        {
            float* scales = KvTile.Scales(job->Type, values);
            for (int j = 0; j < count; j++) largest = MathF.Max(largest, weights[j] * scales[j]);
            for (int j = 0; j < count; j++) ints[j] = (int)MathF.Round(weights[j] * scales[j] * KvTile.Inverse(largest, KvTile.MostInt));
        }
        for (int i = 0; i < job->NumBlocks * Size; i++)
        {
            byte* tile = values + i / Size * KvTile.Bytes(job->Type);
            float* element = Element(job, result, line, i);
            int sum = 0;
            for (int j = 0; j < count; j++)
            {
                if (job->Type == KvType.Fp32)
                    *element = MathF.FusedMultiplyAdd(weights[j], KvTile.Read(job->Type, tile, j, i % Size, isKey: false), *element);
                else sum += ints[j] * KvTile.ReadInt(job->Type, tile, j, i % Size);
            }
            if (job->Type != KvType.Fp32) *element = MathF.FusedMultiplyAdd(sum, KvTile.Scale(largest, KvTile.MostInt), *element);
        }
    }

    private static float* Element(AttentionJob* job, float* result, int line, int i) =>
        result + i / Size * job->BlockFloats + line * Size + i % Size;

    /// <summary>Adds the result of the next span to that of all spans before it.</summary>
    public static void Fold(AttentionJob* job, float* result, float* next)
    {
        for (int line = 0; line < job->NumLines; line++)
        {
            float before = job->Largest(result)[line], after = job->Largest(next)[line], largest = MathF.Max(before, after);
            float a = ScalarKernels.Exp(before - largest), b = ScalarKernels.Exp(after - largest);
            job->Largest(result)[line] = largest;
            Add(job->Total(result) + line, job->Total(next)[line]);
            for (int i = 0; i < job->NumBlocks * Size; i++)
            {
                Add(Element(job, result, line, i), *Element(job, next, line, i));
            }

            void Add(float* sum, float term) => *sum = MathF.FusedMultiplyAdd(term, b, *sum * a);
        }
    }
}
