namespace Flywheel.Engine.Kernels;

/// <summary>Attention as plain loops: the definition that the vector kernels are tested against.</summary>
internal static unsafe class ScalarAttention
{
    private const int Size = KvTile.Size, Lanes = 16;

    /// <summary>
    /// One span: a chain of fused multiply-adds over the dimensions for every score, weights against the span's own
    /// largest score, their sum in sixteen lanes, and a chain over the tokens for every sum of values.
    /// </summary>
    public static void AttendSpan(AttentionJob* job, int span, float* result)
    {
        int bytes = KvTile.Bytes(job->Type), start = span * AttentionJob.SpanTokens;
        float* lanes = stackalloc float[Lanes], scores = stackalloc float[AttentionJob.SpanTokens];
        for (int line = 0; line < job->NumLines; line++)
        {
            int count = Math.Clamp(job->Limits[line] - start, 0, AttentionJob.SpanTokens);
            float largest = float.NegativeInfinity;
            for (int j = 0; j < count; j++)
            {
                byte* keys = job->Pages[(start + j) / Size] + job->KeyOffset;
                float dot = 0;
                for (int i = 0; i < job->NumBlocks * Size; i++)
                    dot = MathF.FusedMultiplyAdd(job->Queries[i / Size * job->BlockFloats + line * Size + i % Size], KvTile.Read(job->Type, keys + i / Size * bytes, i % Size, j % Size, isKey: true), dot);
                scores[j] = dot;
                largest = MathF.Max(largest, dot);
            }
            for (int lane = 0; lane < Lanes; lane++) lanes[lane] = 0;
            for (int j = 0; j < count; j++) lanes[j % Lanes] += scores[j] = ScalarKernels.Exp(scores[j] - largest);
            for (int lane = 0; lane < Lanes / 2; lane++) lanes[lane] += lanes[lane + Lanes / 2];
            job->Largest(result)[line] = largest;
            job->Total(result)[line] = ScalarKernels.SumLanes(lanes);
            for (int i = 0; i < job->NumBlocks * Size; i++)
            {
                float sum = 0;
                for (int j = 0; j < count; j++)
                    sum = MathF.FusedMultiplyAdd(scores[j], KvTile.Read(job->Type, job->Pages[(start + j) / Size] + job->ValueOffset + i / Size * bytes, j % Size, i % Size, isKey: false), sum);
                result[i / Size * job->BlockFloats + line * Size + i % Size] = sum;
            }
        }
    }

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
                long at = i / Size * job->BlockFloats + line * Size + i % Size;
                Add(result + at, next[at]);
            }

            void Add(float* sum, float term) => *sum = MathF.FusedMultiplyAdd(term, b, *sum * a);
        }
    }
}
