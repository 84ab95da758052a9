using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Flywheel.Engine.Kernels;

/// <summary>General registers, numbered as x86-64 encodes them.</summary>
internal enum Gpr { Rax, Rcx, Rdx, Rbx, Rsp, Rbp, Rsi, Rdi, R8, R9, R10, R11, R12, R13, R14, R15 }

/// <summary>An address: base + index x scale + displacement.</summary>
internal readonly record struct Address(Gpr Base, int Displacement, Gpr? Index = null, int Scale = 1)
{
    public Address Plus(int bytes) => this with { Displacement = Displacement + bytes };
}

/// <summary>
/// Writes x86-64 machine code for the few instructions that kernels need, where .NET has no intrinsic for them (AVX-512 VNNI)
/// or its compiler needs markedly more instructions (attention with AVX2). Encodings after Intel's Software Developer's
/// Manual, volume 2: EVEX prefix for vectors of 64 bytes, VEX prefix for 32; ModRM, SIB.
/// </summary>
/// <param name="vectorBytes">64 or 32.</param>
internal sealed unsafe partial class Assembler(int vectorBytes = 64)
{
    private const int ReadWrite = 3, ReadExecute = 5, PrivateAnonymous = 0x22;

    private readonly List<byte> _code = [];

    // Opcode maps and mandatory prefixes of the EVEX prefix.
    private const int Map0F = 1, Map0F38 = 2, Map0F3A = 3;
    private const int None = 0, P66 = 1, PF3 = 2;

    public int Position => _code.Count;

    /// <summary>What was written so far.</summary>
    public ReadOnlySpan<byte> Code => CollectionsMarshal.AsSpan(_code);

    private bool IsWide => vectorBytes == 64;

    public void LoadInts(int zmm, Address source) => Vector(Map0F, PF3, 0x6F, zmm, 0, source, vectorBytes);

    public void StoreFloats(Address target, int zmm) => Vector(Map0F, None, 0x11, zmm, 0, target, vectorBytes);

    public void BroadcastInt(int zmm, Address source) => Vector(Map0F38, P66, 0x58, zmm, 0, source, 4);

    /// <summary>Fp16 to fp32.</summary>
    public void LoadHalves(int zmm, Address source) => Vector(Map0F38, P66, 0x13, zmm, 0, source, vectorBytes / 2);

    /// <summary>sum += four products of unsigned bytes with the signed bytes of one broadcast int, in each lane.</summary>
    public void DotBytes(int sum, int unsigned, Address signedInt) =>
        Vector(Map0F38, P66, 0x50, sum, unsigned, signedInt, 4, broadcast: true);

    /// <summary>sum += two products of signed words with those of one broadcast int, in each lane.</summary>
    public void DotWords(int sum, int words, Address pair) => Vector(Map0F38, P66, 0x52, sum, words, pair, 4, broadcast: true);

    public void MultiplyByBroadcast(int zmm, int factor, Address single) =>
        Vector(Map0F, None, 0x59, zmm, factor, single, 4, broadcast: true);

    public void Multiply(int zmm, int a, int b) => Vector(Map0F, None, 0x59, zmm, a, b);

    public void AddFloats(int zmm, int term, Address source) => Vector(Map0F, None, 0x58, zmm, term, source, vectorBytes);

    public void ConvertToFloats(int zmm, int ints) => Vector(Map0F, None, 0x5B, zmm, 0, ints);

    /// <summary>sum += a * b, rounded once.</summary>
    public void MultiplyAdd(int sum, int a, int b) => Vector(Map0F38, P66, 0xB8, sum, a, b);

    /// <summary>sum += a * one broadcast float, rounded once.</summary>
    public void MultiplyAddBroadcast(int sum, int a, Address single) => Vector(Map0F38, P66, 0xB8, sum, a, single, 4, broadcast: true);

    /// <summary>zmm = ints - the int at an address.</summary>
    public void SubtractBroadcast(int zmm, int ints, Address term) => Vector(Map0F, P66, 0xFA, zmm, ints, term, 4, broadcast: true);

    /// <summary>The same 32 bits in all lanes of 64 bytes. Uses eax.</summary>
    public void Fill(int zmm, uint value)
    {
        _code.Add(0xB8);
        Int32((int)value);
        Vector(Map0F38, P66, 0x7C, zmm, 0, (int)Gpr.Rax);
    }

    /// <summary>Unsigned or signed bytes to ints.</summary>
    public void LoadBytes(int zmm, Address source, bool signed = true) =>
        Vector(Map0F38, P66, (byte)(signed ? 0x21 : 0x31), zmm, 0, source, vectorBytes / 4);

    /// <summary>Signed bytes to words.</summary>
    public void LoadBytesAsWords(int zmm, Address source) => Vector(Map0F38, P66, 0x20, zmm, 0, source, vectorBytes / 2);

    /// <summary>Mask register 1 from 64 bits.</summary>
    public void LoadMask(Address source)
    {
        int index = source.Index is { } i ? (int)i : 0;
        _code.AddRange([0xC4, (byte)(0x80 | (~index >> 3 & 1) << 6 | (~(int)source.Base >> 3 & 1) << 5 | Map0F), 0xF8, 0x90]);
        Operand(1, source, 1);
    }

    /// <summary>Adds bytes where mask register 1 has a bit.</summary>
    public void AddBytesMasked(int zmm, int bytes)
    {
        int prefix = _code.Count;
        Vector(Map0F, P66, 0xFC, zmm, zmm, bytes);
        _code[prefix + 3] |= 1;
    }

    /// <summary>Products of words, neighbours added to ints.</summary>
    public void MultiplyWords(int vector, int a, int b) => Vector(Map0F, P66, 0xF5, vector, a, b);

    public void MultiplyWords(int vector, int a, Address source) => Vector(Map0F, P66, 0xF5, vector, a, source, vectorBytes);

    public void Zero(int zmm) => Vector(Map0F, P66, 0xEF, zmm, zmm, zmm);

    public void And(int zmm, int a, int b) => Vector(Map0F, P66, 0xDB, zmm, a, b);

    public void AddInts(int zmm, int a, int b) => Vector(Map0F, P66, 0xFE, zmm, a, b);

    /// <summary>Takes <paramref name="source"/>'s bits where the mask has ones.</summary>
    public void Blend(int zmm, int source, int mask)
    {
        Vector(Map0F3A, P66, 0x25, zmm, source, mask);
        _code.Add(0xD8);
    }

    /// <summary>Shifts every 16-bit lane right, filling with zeros.</summary>
    public void ShiftWordsRight(int zmm, int source, byte bits) => Immediate(0x71, 2, zmm, source, bits);

    /// <summary>Shifts every int right, keeping its sign.</summary>
    public void ShiftIntsRight(int zmm, int source, byte bits) => Immediate(0x72, 4, zmm, source, bits);

    public void Load(Gpr target, Address source) => Wide(0x8B, (int)target, source);

    public void LoadAddress(Gpr target, Address source) => Wide(0x8D, (int)target, source);

    public void Add(Gpr target, Gpr term) =>
        _code.AddRange([(byte)(0x48 | (int)term >> 3 << 2 | (int)target >> 3), 0x01,
            (byte)(0xC0 | ((int)term & 7) << 3 | (int)target & 7)]);

    public void Add(Gpr target, int value)
    {
        _code.AddRange([(byte)(0x48 | (int)target >> 3), 0x81, (byte)(0xC0 | (int)target & 7)]);
        Int32(value);
    }

    /// <summary>Sets the flags for <see cref="JumpIfNotZero"/>: whether the two differ.</summary>
    public void Compare(Gpr a, Gpr b) =>
        _code.AddRange([(byte)(0x48 | (int)b >> 3 << 2 | (int)a >> 3), 0x39, (byte)(0xC0 | ((int)b & 7) << 3 | (int)a & 7)]);

    /// <summary>Sets the flags for <see cref="JumpIfZero"/> and <see cref="JumpIfNotZero"/>.</summary>
    public void Test(Gpr value) =>
        _code.AddRange([(byte)(0x48 | (int)value >> 3 << 2 | (int)value >> 3), 0x85,
            (byte)(0xC0 | ((int)value & 7) << 3 | (int)value & 7)]);

    /// <param name="address">Any.</param>
    /// <param name="level">Cache that the line comes to: 1, nearest the core, or 2.</param>
    public void Prefetch(Address address, int level = 1)
    {
        Rex(wide: false, 0, address);
        _code.AddRange([0x0F, 0x18]);
        Operand(level, address, 1);
    }

    public void JumpIfNotZero(int target)
    {
        _code.AddRange([0x0F, 0x85]);
        Int32(target - (Position + 4));
    }

    /// <summary>A jump forward; <see cref="Land"/> sets where to.</summary>
    public int JumpIfZero()
    {
        _code.AddRange([0x0F, 0x84]);
        Int32(0);
        return Position;
    }

    public void Land(int jump)
    {
        Span<byte> distance = stackalloc byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(distance, Position - jump);
        for (int i = 0; i < 4; i++) _code[jump - 4 + i] = distance[i];
    }

    public void Push(Gpr register)
    {
        if ((int)register >= 8) _code.Add(0x41);
        _code.Add((byte)(0x50 | (int)register & 7));
    }

    public void Pop(Gpr register)
    {
        if ((int)register >= 8) _code.Add(0x41);
        _code.Add((byte)(0x58 | (int)register & 7));
    }

    /// <summary>Ends a function; code that uses narrower vectors is slow when the upper halves stay in use.</summary>
    public void Return() => _code.AddRange([0xC5, 0xF8, 0x77, 0xC3]);

    /// <summary>The code in executable memory that is never written again and lives as long as the process; 0 when the system
    /// refuses.</summary>
    public nint Publish()
    {
        nint memory = Map(0, (nuint)_code.Count, ReadWrite, PrivateAnonymous, -1, 0);
        if (memory == -1) return 0;
        CollectionsMarshal.AsSpan(_code).CopyTo(new Span<byte>((void*)memory, _code.Count));
        return Protect(memory, (nuint)_code.Count, ReadExecute) == 0 ? memory : 0;
    }

    /// <summary>An instruction with a memory operand; EVEX counts displacements of one byte in units of <paramref name="unit"/>.</summary>
    private void Vector(int map, int prefix, byte opcode, int register, int source, Address address, int unit, bool broadcast = false)
    {
        int index = address.Index is { } i ? (int)i : 0;
        if (IsWide) EvexPrefix(map, prefix, register, source, index >> 3, (int)address.Base >> 3, broadcast);
        else VexPrefix(map, prefix, register, source, index >> 3, (int)address.Base >> 3);
        _code.Add(opcode);
        Operand(register, address, IsWide ? unit : 1);
    }

    private void Vector(int map, int prefix, byte opcode, int register, int source, int second)
    {
        if (IsWide) EvexPrefix(map, prefix, register, source, second >> 4, second >> 3 & 1, broadcast: false);
        else VexPrefix(map, prefix, register, source, 0, second >> 3);
        _code.Add(opcode);
        _code.Add((byte)(0xC0 | (register & 7) << 3 | second & 7));
    }

    /// <summary>Where the destination is named by the prefix and the opcode goes on in the register field.</summary>
    private void Immediate(byte opcode, int extension, int zmm, int source, byte value)
    {
        Vector(Map0F, P66, opcode, extension, zmm, source);
        _code.Add(value);
    }

    private void EvexPrefix(int map, int prefix, int register, int source, int x, int b, bool broadcast)
    {
        const int length512 = 2 << 5;
        _code.Add(0x62);
        _code.Add((byte)(Not(register >> 3) << 7 | Not(x) << 6 | Not(b) << 5 | Not(register >> 4) << 4 | map));
        _code.Add((byte)((~source & 15) << 3 | 4 | prefix));
        _code.Add((byte)(length512 | (broadcast ? 1 << 4 : 0) | Not(source >> 4) << 3));

        static int Not(int bit) => ~bit & 1;
    }

    /// <summary>The three-byte form, which can say everything.</summary>
    private void VexPrefix(int map, int prefix, int register, int source, int x, int b) => _code.AddRange(
    [
        0xC4,
        (byte)((~register >> 3 & 1) << 7 | (~x & 1) << 6 | (~b & 1) << 5 | map),
        (byte)((~source & 15) << 3 | 4 | prefix),
    ]);

    private void Wide(byte opcode, int register, Address address)
    {
        Rex(wide: true, register, address);
        _code.Add(opcode);
        Operand(register, address, 1);
    }

    private void Rex(bool wide, int register, Address address) =>
        _code.Add(
            (byte)(0x40 | (wide ? 8 : 0) | register >> 3 << 2 | (address.Index is { } index ? (int)index >> 3 << 1 : 0)
                | (int)address.Base >> 3));

    /// <summary>ModRM, SIB and displacement. Always with a SIB byte and a displacement: one form fits every register.</summary>
    private void Operand(int register, Address address, int unit)
    {
        int displacement = address.Displacement;
        bool isShort = displacement % unit == 0 && displacement / unit is >= sbyte.MinValue and <= sbyte.MaxValue;
        const int noIndex = 4;
        _code.Add((byte)((isShort ? 1 : 2) << 6 | (register & 7) << 3 | 4));
        int index = address.Index is { } i ? (int)i & 7 : noIndex;
        _code.Add((byte)(int.Log2(address.Scale) << 6 | index << 3 | (int)address.Base & 7));
        if (isShort) _code.Add((byte)(sbyte)(displacement / unit));
        else Int32(displacement);
    }

    private void Int32(int value)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, value);
        _code.AddRange(bytes);
    }

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial nint Map(nint address, nuint length, int protection, int flags, int file, nint offset);

    [LibraryImport("libc", EntryPoint = "mprotect", SetLastError = true)]
    private static partial int Protect(nint address, nuint length, int protection);
}
