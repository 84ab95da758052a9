using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using V = System.Runtime.Intrinsics.Vector256<float>;

namespace Flywheel.Engine.Kernels;

/// <summary>
/// Attention over pages with a running maximum (Milakov and Gimelshein 2018, arXiv 1805.02867): each key and value is
/// read once for all query lines of a group.
/// </summary>
internal static unsafe class VectorAttention
{
    private const int Page = AttentionJob.PageTokens, Span = AttentionJob.SpanTokens;

    [MethodImpl(VectorKernels.Hot)]
    public static void Attend(AttentionJob* job)
    {
        int lines = job->NumLines, d = job->HeadDim, longest = 0;
        float* largest = stackalloc float[lines], total = stackalloc float[lines];
        for (int line = 0; line < lines; line++)
        {
            longest = Math.Max(longest, job->Limits[line]);
            largest[line] = float.NegativeInfinity;
            total[line] = 0;
            for (int i = 0; i < d; i += 8) V.Zero.Store(job->Outputs[line] + i);
        }
        for (int start = 0; start < longest; start += Span)
        {
            int first = 0;
            while (job->Limits[first] <= start) first++; // limits ascend: earlier lines may have ended
            int count = Math.Min(Span, longest - start);
            int line = first;
            for (; line + 2 <= lines; line += 2) Scores2(job, line, start, count);
            if (line < lines) Scores1(job, line, start, count);
            for (line = first; line < lines; line++) Softmax(job, line, start, Math.Min(Span, job->Limits[line] - start), count, largest + line, total + line);
            for (line = first; line + 2 <= lines; line += 2) Values2(job, line, start, count);
            if (line < lines) Values1(job, line, start, count);
        }
        for (int line = 0; line < lines; line++)
        {
            V inverse = Vector256.Create(1 / total[line]);
            float* output = job->Outputs[line];
            for (int i = 0; i < d; i += 8) (Vector256.Load(output + i) * inverse).Store(output + i);
        }
    }

    private static void Scores1(AttentionJob* job, int line, int start, int count)
    {
        int d = job->HeadDim;
        float* query = job->Queries[line], scores = job->Scores + (long)line * Span;
        V scale = Vector256.Create(job->Scale);
        for (int j = 0; j < count; j += Page)
        {
            float* keys = job->Pages[(start + j) / Page] + job->KeyOffset;
            V a0 = V.Zero, a1 = a0, a2 = a0, a3 = a0;
            for (int i = 0; i < d; i++, keys += Page)
            {
                V q = Vector256.Create(query[i]);
                a0 = VectorKernels.Add(q, Vector256.Load(keys), a0);
                a1 = VectorKernels.Add(q, Vector256.Load(keys + 8), a1);
                a2 = VectorKernels.Add(q, Vector256.Load(keys + 16), a2);
                a3 = VectorKernels.Add(q, Vector256.Load(keys + 24), a3);
            }
            (a0 * scale).Store(scores + j);
            (a1 * scale).Store(scores + j + 8);
            (a2 * scale).Store(scores + j + 16);
            (a3 * scale).Store(scores + j + 24);
        }
    }

    private static void Scores2(AttentionJob* job, int line, int start, int count)
    {
        int d = job->HeadDim;
        float* query0 = job->Queries[line], query1 = job->Queries[line + 1];
        float* scores = job->Scores + (long)line * Span;
        V scale = Vector256.Create(job->Scale);
        for (int j = 0; j < count; j += Page)
        {
            float* keys = job->Pages[(start + j) / Page] + job->KeyOffset;
            V a0 = V.Zero, a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0;
            for (int i = 0; i < d; i++, keys += Page)
            {
                V q = Vector256.Create(query0[i]), r = Vector256.Create(query1[i]);
                V k = Vector256.Load(keys);
                a0 = VectorKernels.Add(q, k, a0);
                b0 = VectorKernels.Add(r, k, b0);
                k = Vector256.Load(keys + 8);
                a1 = VectorKernels.Add(q, k, a1);
                b1 = VectorKernels.Add(r, k, b1);
                k = Vector256.Load(keys + 16);
                a2 = VectorKernels.Add(q, k, a2);
                b2 = VectorKernels.Add(r, k, b2);
                k = Vector256.Load(keys + 24);
                a3 = VectorKernels.Add(q, k, a3);
                b3 = VectorKernels.Add(r, k, b3);
            }
            (a0 * scale).Store(scores + j);
            (a1 * scale).Store(scores + j + 8);
            (a2 * scale).Store(scores + j + 16);
            (a3 * scale).Store(scores + j + 24);
            (b0 * scale).Store(scores + Span + j);
            (b1 * scale).Store(scores + Span + j + 8);
            (b2 * scale).Store(scores + Span + j + 16);
            (b3 * scale).Store(scores + Span + j + 24);
        }
    }

    /// <summary>Turns scores into weights, 0 beyond the line's own limit, and rescales what was summed before.</summary>
    private static void Softmax(AttentionJob* job, int line, int start, int own, int count, float* largest, float* total)
    {
        float* scores = job->Scores + (long)line * Span;
        int padded = (own + 7) & ~7;
        for (int j = own; j < padded; j++) scores[j] = float.NegativeInfinity;
        V most = Vector256.Create(*largest);
        for (int j = 0; j < padded; j += 8) most = Vector256.Max(most, Vector256.Load(scores + j));
        float best = VectorKernels.Largest(most);
        float correction = ScalarKernels.Exp(*largest - best);
        most = Vector256.Create(best);
        V sum = V.Zero;
        for (int j = 0; j < padded; j += 8)
        {
            V weight = VectorKernels.Exp(Vector256.Load(scores + j) - most);
            weight.Store(scores + j);
            sum += weight;
        }
        for (int j = padded; j < count; j++) scores[j] = 0;
        *total = MathF.FusedMultiplyAdd(*total, correction, VectorKernels.Sum(sum));
        *largest = best;
        V times = Vector256.Create(correction);
        float* output = job->Outputs[line];
        for (int i = 0; i < job->HeadDim; i += 8) (Vector256.Load(output + i) * times).Store(output + i);
    }

    private static void Values1(AttentionJob* job, int line, int start, int count)
    {
        int d = job->HeadDim;
        float* output = job->Outputs[line], scores = job->Scores + (long)line * Span;
        int i = 0;
        for (; i + 32 <= d; i += 32)
        {
            float* o = output + i;
            V a0 = Vector256.Load(o), a1 = Vector256.Load(o + 8), a2 = Vector256.Load(o + 16), a3 = Vector256.Load(o + 24);
            for (int j = 0; j < count; j += Page)
            {
                float* values = job->Pages[(start + j) / Page] + job->ValueOffset + i;
                int end = Math.Min(Page, count - j);
                for (int t = 0; t < end; t++, values += d)
                {
                    V p = Vector256.Create(scores[j + t]);
                    a0 = VectorKernels.Add(p, Vector256.Load(values), a0);
                    a1 = VectorKernels.Add(p, Vector256.Load(values + 8), a1);
                    a2 = VectorKernels.Add(p, Vector256.Load(values + 16), a2);
                    a3 = VectorKernels.Add(p, Vector256.Load(values + 24), a3);
                }
            }
            a0.Store(o);
            a1.Store(o + 8);
            a2.Store(o + 16);
            a3.Store(o + 24);
        }
        Rest(job, line, start, count, i);
    }

    private static void Values2(AttentionJob* job, int line, int start, int count)
    {
        int d = job->HeadDim;
        float* scores = job->Scores + (long)line * Span;
        int i = 0;
        for (; i + 32 <= d; i += 32)
        {
            float* o = job->Outputs[line] + i, u = job->Outputs[line + 1] + i;
            V a0 = Vector256.Load(o), a1 = Vector256.Load(o + 8), a2 = Vector256.Load(o + 16), a3 = Vector256.Load(o + 24);
            V b0 = Vector256.Load(u), b1 = Vector256.Load(u + 8), b2 = Vector256.Load(u + 16), b3 = Vector256.Load(u + 24);
            for (int j = 0; j < count; j += Page)
            {
                float* values = job->Pages[(start + j) / Page] + job->ValueOffset + i;
                int end = Math.Min(Page, count - j);
                for (int t = 0; t < end; t++, values += d)
                {
                    V p = Vector256.Create(scores[j + t]), r = Vector256.Create(scores[Span + j + t]);
                    V v = Vector256.Load(values);
                    a0 = VectorKernels.Add(p, v, a0);
                    b0 = VectorKernels.Add(r, v, b0);
                    v = Vector256.Load(values + 8);
                    a1 = VectorKernels.Add(p, v, a1);
                    b1 = VectorKernels.Add(r, v, b1);
                    v = Vector256.Load(values + 16);
                    a2 = VectorKernels.Add(p, v, a2);
                    b2 = VectorKernels.Add(r, v, b2);
                    v = Vector256.Load(values + 24);
                    a3 = VectorKernels.Add(p, v, a3);
                    b3 = VectorKernels.Add(r, v, b3);
                }
            }
            a0.Store(o);
            a1.Store(o + 8);
            a2.Store(o + 16);
            a3.Store(o + 24);
            b0.Store(u);
            b1.Store(u + 8);
            b2.Store(u + 16);
            b3.Store(u + 24);
        }
        Rest(job, line, start, count, i);
        Rest(job, line + 1, start, count, i);
    }

    /// <summary>The head's columns from <paramref name="i"/> on, when D is no multiple of 32.</summary>
    private static void Rest(AttentionJob* job, int line, int start, int count, int i)
    {
        int d = job->HeadDim;
        float* output = job->Outputs[line], scores = job->Scores + (long)line * Span;
        for (; i < d; i += 8)
        {
            V sum = Vector256.Load(output + i);
            for (int j = 0; j < count; j++)
                sum = VectorKernels.Add(Vector256.Create(scores[j]), Vector256.Load(job->Pages[(start + j) / Page] + job->ValueOffset + j % Page * d + i), sum);
            sum.Store(output + i);
        }
    }
}
