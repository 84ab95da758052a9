// C [M, N] = A [M, K] B [K, N].
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Flywheel.Training;

/// <summary>A matrix in memory, transposed or not: element (i, j) lies at i * Row + j * Column, and one of the two steps is 1.</summary>
internal readonly unsafe record struct MatrixView(nint Start, nint Row, nint Column)
{
    public static MatrixView Of(Tensor tensor) => new((nint)Rows.Floats(tensor), (nint)tensor.shape[1], 1);

    public MatrixView Transposed => new(Start, Column, Row);

    public float* At(nint row, nint column) => (float*)Start + row * Row + column * Column;
}

/// <summary>
/// fp32 products for the shapes of training: blocks of B are packed so that the second cache holds them while the rows of A
/// pass by (Goto and van de Geijn 2008, "Anatomy of high-performance matrix multiplication"). A whose k lie together is read
/// where it is. Every element is summed in one order whatever the number of threads.
/// </summary>
internal static unsafe class MatrixProduct
{
    /// <summary>
    /// A block of B is [MaxDepth, MaxColumns], half of a second cache of 1 MB. Where A is packed too, [MaxRows, MaxDepth] at a time, a
    /// block of B is as wide as B in most shapes, so that A is packed once; the second cache then holds A's block and a panel of B's.
    /// </summary>
    private const int MaxDepth = 512, MaxColumns = 256, MaxRows = 192, MaxColumnsOfPacked = 1024;

    /// <summary>Floats between packed tiles of A beside their content, so that they do not fall on the same sets of the first
    /// cache.</summary>
    private const int TileGap = 16;

    private const int BlockFloats = MaxDepth * MaxColumnsOfPacked,
        PackedFloats = BlockFloats + MaxRows * MaxDepth + (MaxRows / MatrixTile.NumRows * TileGap);

    [ThreadStatic]
    private static nint s_buffer;

    /// <param name="tile">The innermost product.</param>
    /// <param name="m">Rows of A and C.</param>
    /// <param name="n">Columns of B and C.</param>
    /// <param name="k">Columns of A, rows of B.</param>
    /// <param name="a">[M, K].</param>
    /// <param name="b">[K, N].</param>
    /// <param name="c">[M, N], rows contiguous.</param>
    /// <param name="start">What the product is added to, [M, N]; may be <paramref name="c"/>.</param>
    public static void Multiply(MatrixTile tile, int m, int n, int k, MatrixView a, MatrixView b, MatrixView c, MatrixView? start = null)
    {
        int width = tile.NumColumns, rowTiles = (m + MatrixTile.NumRows - 1) / MatrixTile.NumRows, columnTiles = (n + width - 1) / width;
        int parts = (int)Math.Clamp((long)m * n * k / MinProducts, 1, Rows.NumThreads);
        (int rowParts, int columnParts) = Split(parts, rowTiles, columnTiles, width, a.Column == 1 ? 0 : PackingCost);
        Rows.Team(rowParts * columnParts, part =>
        {
            (int rowPart, int columnPart) = (part / columnParts, part % columnParts);
            (int firstRow, int endRow) = (rowTiles * rowPart / rowParts * MatrixTile.NumRows,
                Math.Min(m, rowTiles * (rowPart + 1) / rowParts * MatrixTile.NumRows));
            (int firstColumn, int endColumn) = (columnTiles * columnPart / columnParts * width,
                Math.Min(n, columnTiles * (columnPart + 1) / columnParts * width));
            Multiply(tile, firstRow, endRow, firstColumn, endColumn, k, a, b, c, start);
        });
    }

    /// <summary>Products below which another thread is not worth waking.</summary>
    private const long MinProducts = 1 << 19;

    /// <summary>Of an element, in elements of C and k.</summary>
    private const int PackingCost = 16;

    /// <summary>The grid of parts whose largest part has least to multiply and to pack.</summary>
    private static (int Rows, int Columns) Split(int parts, int rowTiles, int columnTiles, int width, int rowCost)
    {
        (int Rows, int Columns) best = (1, 1);
        long least = long.MaxValue;
        for (int rows = 1; rows <= parts; rows++)
        {
            int columns = parts / rows;
            long m = (rowTiles + rows - 1) / rows * MatrixTile.NumRows, n = (columnTiles + columns - 1) / columns * (long)width;
            long cost = m * n + n * PackingCost + m * rowCost;
            if (cost < least) (least, best) = (cost, (Math.Min(rows, rowTiles), Math.Min(columns, columnTiles)));
        }
        return best;
    }

    private static void Multiply(MatrixTile tile, int firstRow, int endRow, int firstColumn, int endColumn, int k, MatrixView a,
        MatrixView b, MatrixView c, MatrixView? start)
    {
        if (s_buffer == 0) s_buffer = (nint)Arena.Allocate(PackedFloats); // as long as its thread, which is as long as the process
        float* packedB = (float*)s_buffer, packedA = packedB + BlockFloats;
        int maxColumns = a.Column == 1 ? MaxColumns : MaxColumnsOfPacked;
        for (int column = firstColumn; column < endColumn; column += maxColumns)
        {
            int columns = Math.Min(maxColumns, endColumn - column);
            for (int first = 0; first < k; first += MaxDepth)
            {
                int depth = Math.Min(MaxDepth, k - first);
                PackColumns(b.At(first, column), b.Row, b.Column, depth, columns, tile.NumColumns, packedB);
                MatrixView? from = first > 0 ? c : start;
                if (a.Column == 1) Block(tile, firstRow, endRow, column, columns, depth, a.At(0, first), a.Row, packedB, c, from);
                else
                {
                    for (int row = firstRow; row < endRow; row += MaxRows)
                    {
                        int end = Math.Min(row + MaxRows, endRow);
                        PackRows(a.At(row, first), a.Column, end - row, depth, packedA);
                        PackedBlock(tile, row, end, column, columns, depth, packedA, packedB, c, from);
                    }
                }
            }
        }
    }

    private static void Block(MatrixTile tile, int firstRow, int endRow, int column, int columns, int depth, float* a, nint aRow,
        float* packedB, MatrixView c, MatrixView? start)
    {
        for (int row = firstRow; row < endRow; row += MatrixTile.NumRows)
            RowOfTiles(tile, new TileJob { A = a + row * aRow, ARow = aRow, ADepth = 1, Depth = depth, Rows = endRow - row }, packedB,
                columns, c.At(row, column), c.Row, start is { } view ? view.At(row, column) : null, start?.Row ?? 0);
    }

    private static void PackedBlock(MatrixTile tile, int firstRow, int endRow, int column, int columns, int depth, float* packedA,
        float* packedB, MatrixView c, MatrixView? start)
    {
        int width = tile.NumColumns;
        for (int panel = 0; panel < columns; panel += width, packedB += (nint)width * depth)
        {
            float* a = packedA;
            for (int row = firstRow; row < endRow; row += MatrixTile.NumRows, a += depth * MatrixTile.NumRows + TileGap)
            {
                var job = new TileJob { A = a, ARow = 1, ADepth = MatrixTile.NumRows, Depth = depth, Rows = endRow - row };
                RowOfTiles(tile, job, packedB, Math.Min(width, columns - panel), c.At(row, column + panel), c.Row,
                    start is { } view ? view.At(row, column + panel) : null, start?.Row ?? 0);
            }
        }
    }

    /// <summary>Up to six rows of C over <paramref name="columns"/> columns.</summary>
    /// <param name="tile">The innermost product.</param>
    /// <param name="job">A and the depth.</param>
    /// <param name="packed">B in panels (<see cref="PackColumns"/>).</param>
    /// <param name="columns">Of C.</param>
    /// <param name="c">Its first element.</param>
    /// <param name="cRow">Floats from one of its rows to the next.</param>
    /// <param name="start">What is added, or null.</param>
    /// <param name="startRow">Floats from one of its rows to the next.</param>
    /// <param name="panel">Floats from one panel to the next, where a panel is deeper than the job.</param>
    [SkipLocalsInit]
    public static void RowOfTiles(MatrixTile tile, TileJob job, float* packed, int columns, float* c, nint cRow, float* start,
        nint startRow, nint panel = 0)
    {
        int width = tile.NumColumns, j = 0;
        if (panel == 0) panel = (nint)width * job.Depth;
        job.Rows = Math.Min(job.Rows, MatrixTile.NumRows);
        (job.CRow, job.StartRow) = (cRow, startRow);
        for (; j <= columns - width; j += width, packed += panel)
        {
            job.B = packed;
            job.C = c + j;
            job.Start = start is null ? null : start + j;
            tile.Multiply(ref job);
        }
        if (j == columns) return;
        float* edge = stackalloc float[MatrixTile.NumRows * MatrixTile.MaxColumns];
        job.B = packed;
        job.C = edge;
        job.CRow = width;
        job.Start = null;
        tile.Multiply(ref job);
        for (int r = 0; r < job.Rows; r++)
            for (int i = 0; i < columns - j; i++)
                c[r * cRow + j + i] = edge[r * width + i] + (start is null ? 0 : start[r * startRow + j + i]);
    }

    /// <summary>Columns [depth, columns] as panels [depth, width], the last one filled up with zeros.</summary>
    public static void PackColumns(float* b, nint row, nint column, int depth, int columns, int width, float* to)
    {
        for (int first = 0; first < columns; first += width, to += (nint)width * depth)
        {
            int count = Math.Min(width, columns - first);
            float* from = b + first * column;
            if (column == 1)
            {
                for (int k = 0; k < depth; k++)
                {
                    float* source = from + k * row, panelRow = to + (nint)k * width;
                    int i = 0;
                    for (; i <= count - 16; i += 16)
                    {
                        Vector256.Load(source + i).Store(panelRow + i);
                        Vector256.Load(source + i + 8).Store(panelRow + i + 8);
                    }
                    for (; i < width; i++) panelRow[i] = i < count ? source[i] : 0;
                }
                continue;
            }
            int n = 0;
            for (int step = 16; step >= 8; step -= 8) // whole cache lines of the panel as far as it goes
            {
                for (; Avx.IsSupported && n <= count - step; n += step)
                {
                    int k = 0;
                    for (; k <= depth - 8; k += 8)
                        for (int i = n; i < n + step; i += 8) Transpose8(from + i * column + k, column, to + (nint)k * width + i, width);
                    for (; k < depth; k++)
                        for (int i = n; i < n + step; i++) to[(nint)k * width + i] = from[i * column + k];
                }
            }
            for (; n < width; n++)
                for (int k = 0; k < depth; k++) to[(nint)k * width + n] = n < count ? from[n * column + k] : 0;
        }
    }

    private const int PackAhead = 8;

    /// <summary>Rows that lie apart in k, [rows, depth], as tiles [depth, 6].</summary>
    private static void PackRows(float* a, nint column, int rows, int depth, float* to)
    {
        nint tile = (nint)depth * MatrixTile.NumRows + TileGap;
        int whole = rows / MatrixTile.NumRows * MatrixTile.NumRows;
        for (int k = 0; k < depth; k++, a += column, to += MatrixTile.NumRows)
        {
            float* at = to;
            int i = 0;
            // short stretches far apart: the processor does not foresee them
            for (; i < rows; i += 16) Sse.Prefetch0(a + PackAhead * column + i);
            for (i = 0; i < whole; i += MatrixTile.NumRows, at += tile)
            {
                Vector128.Load(a + i).Store(at);
                Vector64.Load(a + i + 4).Store(at + 4);
            }
            for (int r = 0; i + r < rows; r++) at[r] = a[i + r];
        }
    }

    /// <summary>to[k, i] = from[i, k] for 8 by 8.</summary>
    private static void Transpose8(float* from, nint fromRow, float* to, nint toRow)
    {
        Vector256<float> r0 = Vector256.Load(from), r1 = Vector256.Load(from + fromRow), r2 = Vector256.Load(from + 2 * fromRow),
            r3 = Vector256.Load(from + 3 * fromRow);
        Vector256<float> r4 = Vector256.Load(from + 4 * fromRow), r5 = Vector256.Load(from + 5 * fromRow),
            r6 = Vector256.Load(from + 6 * fromRow), r7 = Vector256.Load(from + 7 * fromRow);
        (r0, r1, r2, r3, r4, r5, r6, r7) = (Avx.UnpackLow(r0, r1), Avx.UnpackHigh(r0, r1), Avx.UnpackLow(r2, r3), Avx.UnpackHigh(r2, r3),
            Avx.UnpackLow(r4, r5), Avx.UnpackHigh(r4, r5), Avx.UnpackLow(r6, r7), Avx.UnpackHigh(r6, r7));
        (r0, r1, r2, r3, r4, r5, r6, r7) = (Avx.Shuffle(r0, r2, 0x44), Avx.Shuffle(r0, r2, 0xEE), Avx.Shuffle(r1, r3, 0x44),
            Avx.Shuffle(r1, r3, 0xEE),
            Avx.Shuffle(r4, r6, 0x44), Avx.Shuffle(r4, r6, 0xEE), Avx.Shuffle(r5, r7, 0x44), Avx.Shuffle(r5, r7, 0xEE));
        Avx.Permute2x128(r0, r4, 0x20).Store(to);
        Avx.Permute2x128(r1, r5, 0x20).Store(to + toRow);
        Avx.Permute2x128(r2, r6, 0x20).Store(to + 2 * toRow);
        Avx.Permute2x128(r3, r7, 0x20).Store(to + 3 * toRow);
        Avx.Permute2x128(r0, r4, 0x31).Store(to + 4 * toRow);
        Avx.Permute2x128(r1, r5, 0x31).Store(to + 5 * toRow);
        Avx.Permute2x128(r2, r6, 0x31).Store(to + 6 * toRow);
        Avx.Permute2x128(r3, r7, 0x31).Store(to + 7 * toRow);
    }
}
