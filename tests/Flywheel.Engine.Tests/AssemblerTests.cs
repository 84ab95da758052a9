using Flywheel.Engine.Kernels;
using Iced.Intel;
using Assembler = Flywheel.Engine.Kernels.Assembler;

namespace Flywheel.Engine.Tests;

/// <summary>Each instruction that the kernels' assembler writes, with any registers and addresses, as Iced's disassembler reads
/// it.</summary>
public class AssemblerTests
{
    private delegate string Emit(Assembler code, Operands o);

    /// <summary>Instructions of vectors of both lengths, and what they are to be read as.</summary>
    private static readonly Emit[] s_vectors =
    [
        (c, o) => Memory(o, "vmovdqu", o.A, a => c.LoadInts(o.A, a)),
        (c, o) => { c.StoreFloats(o.Memory, o.A); return $"vmovups {o.Text},{o.V(o.A)}"; },
        (c, o) => Memory(o, "vpbroadcastd", o.A, a => c.BroadcastInt(o.A, a)),
        (c, o) => Memory(o, "vcvtph2ps", o.A, a => c.LoadHalves(o.A, a)),
        (c, o) => { c.Multiply(o.A, o.B, o.C); return Three("vmulps", o); },
        (c, o) => { c.AddFloats(o.A, o.B, o.Memory); return $"vaddps {o.V(o.A)},{o.V(o.B)},{o.Text}"; },
        (c, o) => { c.ConvertToFloats(o.A, o.B); return $"vcvtdq2ps {o.V(o.A)},{o.V(o.B)}"; },
        (c, o) => { c.MultiplyAdd(o.A, o.B, o.C); return Three("vfmadd231ps", o); },
        (c, o) => Memory(o, "vpmovsxbd", o.A, a => c.LoadBytes(o.A, a)),
        (c, o) => Memory(o, "vpmovzxbd", o.A, a => c.LoadBytes(o.A, a, signed: false)),
        (c, o) => Memory(o, "vpmovsxbw", o.A, a => c.LoadBytesAsWords(o.A, a)),
        (c, o) => { c.MultiplyWords(o.A, o.B, o.C); return Three("vpmaddwd", o); },
        (c, o) => { c.MultiplyWords(o.A, o.B, o.Memory); return $"vpmaddwd {o.V(o.A)},{o.V(o.B)},{o.Text}"; },
        (c, o) => { c.ShiftWordsRight(o.A, o.B, o.Bits); return $"vpsrlw {o.V(o.A)},{o.V(o.B)},{o.Bits}"; },
        (c, o) => { c.ShiftIntsRight(o.A, o.B, o.Bits); return $"vpsrad {o.V(o.A)},{o.V(o.B)},{o.Bits}"; },
        (c, o) => { c.AddInts(o.A, o.B, o.C); return Three("vpaddd", o); },
        (c, o) => { c.And(o.A, o.B, o.C); return Three("vpand", o); },
        (c, o) => { c.Zero(o.A); return $"vpxor {o.V(o.A)},{o.V(o.A)},{o.V(o.A)}"; },
        (c, o) => { c.Load(o.Target, o.Memory); return $"mov {o.G(o.Target)},{o.Text}"; },
        (c, o) => { c.LoadAddress(o.Target, o.Memory); return $"lea {o.G(o.Target)},{o.Text}"; },
        (c, o) => { c.Add(o.Target, o.Memory.Base); return $"add {o.G(o.Target)},{o.G(o.Memory.Base)}"; },
        (c, o) => { c.Add(o.Target, o.Memory.Displacement); return $"add {o.G(o.Target)},{o.Memory.Displacement}"; },
        (c, o) => { c.Compare(o.Target, o.Memory.Base); return $"cmp {o.G(o.Target)},{o.G(o.Memory.Base)}"; },
        (c, o) => { c.Test(o.Target); return $"test {o.G(o.Target)},{o.G(o.Target)}"; },
        (c, o) => { c.Prefetch(o.Memory); return $"prefetcht0 {o.Text}"; },
        (c, o) => { c.Prefetch(o.Memory, 2); return $"prefetcht1 {o.Text}"; },
        (c, o) => { c.Push(o.Target); return $"push {o.G(o.Target)}"; },
        (c, o) => { c.Pop(o.Target); return $"pop {o.G(o.Target)}"; },
    ];

    /// <summary>Instructions of 64-byte vectors alone: VNNI, operands that are broadcast, masks.</summary>
    private static readonly Emit[] s_wide =
    [
        (c, o) => { c.DotBytes(o.A, o.B, o.Memory); return $"vpdpbusd {o.V(o.A)},{o.V(o.B)},{o.Text}{{bcst}}"; },
        (c, o) => { c.DotWords(o.A, o.B, o.Memory); return $"vpdpwssd {o.V(o.A)},{o.V(o.B)},{o.Text}{{bcst}}"; },
        (c, o) => { c.MultiplyByBroadcast(o.A, o.B, o.Memory); return $"vmulps {o.V(o.A)},{o.V(o.B)},{o.Text}{{bcst}}"; },
        (c, o) => { c.MultiplyAddBroadcast(o.A, o.B, o.Memory); return $"vfmadd231ps {o.V(o.A)},{o.V(o.B)},{o.Text}{{bcst}}"; },
        (c, o) => { c.SubtractBroadcast(o.A, o.B, o.Memory); return $"vpsubd {o.V(o.A)},{o.V(o.B)},{o.Text}{{bcst}}"; },
        (c, o) => { c.Blend(o.A, o.B, o.C); return $"vpternlogd {o.V(o.A)},{o.V(o.B)},{o.V(o.C)},216"; },
        (c, o) => { c.LoadMask(o.Memory); return $"kmovq k1,{o.Text}"; },
        (c, o) => { c.AddBytesMasked(o.A, o.B); return $"vpaddb {o.V(o.A)}{{k1}},{o.V(o.A)},{o.V(o.B)}"; },
    ];

    [Theory]
    [InlineData(64)]
    [InlineData(32)]
    public void Instructions_AnyOperands_AreReadAsMeant(int vectorBytes)
    {
        var random = new Random(20261129);
        foreach (Emit emit in vectorBytes == 64 ? [.. s_vectors, .. s_wide] : s_vectors)
            for (int i = 0; i < 200; i++)
            {
                var code = new Assembler(vectorBytes);
                string expected = emit(code, new Operands(random, vectorBytes));
                Assert.Equal([expected], Read(code));
            }
    }

    [Fact]
    public void FillJumpsAndReturn_AreReadAsMeant()
    {
        var code = new Assembler();
        int start = code.Position;
        int jump = code.JumpIfZero();
        code.Fill(9, 0x01020304);
        code.JumpIfNotZero(start);
        code.Land(jump);
        code.Return();
        string[] read = [.. Read(code)];
        int end = code.Position - 4; // vzeroupper, ret
        Assert.Equal([$"je {end}", "mov eax,16909060", "vpbroadcastd zmm9,eax", $"jne {start}", "vzeroupper", "ret"], read);
    }

    private static string Three(string name, Operands o) => $"{name} {o.V(o.A)},{o.V(o.B)},{o.V(o.C)}";

    private static string Memory(Operands o, string name, int target, Action<Address> emit)
    {
        emit(o.Memory);
        return $"{name} {o.V(target)},{o.Text}";
    }

    private static IEnumerable<string> Read(Assembler code)
    {
        byte[] bytes = code.Code.ToArray();
        var decoder = Iced.Intel.Decoder.Create(64, bytes);
        while (decoder.IP < (ulong)bytes.Length)
        {
            Instruction instruction = decoder.Decode();
            Assert.False(instruction.IsInvalid, Convert.ToHexString(bytes));
            yield return Describe(instruction);
        }
    }

    private static string Describe(Instruction instruction)
    {
        // EVEX names some instructions by the size of what a mask would count; without one they are the same.
        string name = instruction.Mnemonic.ToString().ToLowerInvariant() switch
        {
            "vmovdqu32" or "vmovdqu64" or "vmovdqu8" or "vmovdqu16" => "vmovdqu",
            "vpxord" or "vpxorq" => "vpxor",
            "vpandd" or "vpandq" => "vpand",
            var same => same,
        };
        var operands = new List<string>();
        for (int i = 0; i < instruction.OpCount; i++)
            operands.Add(instruction.GetOpKind(i) switch
            {
                OpKind.Register => instruction.GetOpRegister(i).ToString().ToLowerInvariant()
                    + (i == 0 && instruction.HasOpMask ? $"{{{instruction.OpMask.ToString().ToLowerInvariant()}}}" : ""),
                OpKind.Memory => Place(instruction) + (instruction.IsBroadcast ? "{bcst}" : ""),
                OpKind.NearBranch64 => $"{instruction.NearBranchTarget}",
                _ => $"{(long)instruction.GetImmediate(i)}",
            });
        return operands.Count == 0 ? name : $"{name} {string.Join(',', operands)}";
    }

    private static string Place(Instruction instruction) =>
        Place(instruction.MemoryBase.ToString(), instruction.MemoryIndex == Register.None ? null : instruction.MemoryIndex.ToString(),
            instruction.MemoryIndexScale, (int)instruction.MemoryDisplacement64);

    private static string Place(string from, string? index, int scale, int displacement) =>
        $"[{from}{(index is null ? "" : $"+{index}*{scale}")}{displacement:+0;-0;+0}]".ToLowerInvariant();

    /// <summary>Registers and an address at random; no index is the stack pointer, which cannot be one.</summary>
    private sealed class Operands
    {
        private readonly int _vectorBytes;

        public Operands(Random random, int vectorBytes)
        {
            _vectorBytes = vectorBytes;
            int count = vectorBytes == 64 ? 32 : 16;
            (A, B, C, Bits, Target) = (random.Next(count), random.Next(count), random.Next(count), (byte)random.Next(32),
                (Gpr)random.Next(16));
            Gpr? index = random.Next(2) == 0 ? null : (Gpr)random.Next(16);
            if (index == Gpr.Rsp) index = null;
            int[] displacements = [0, 4, 8, 16, 32, 64, -64, 127, 128, -128, 8128, -8192, 8192, random.Next(-100_000, 100_000)];
            Memory = new Address((Gpr)random.Next(16), displacements[random.Next(displacements.Length)], index,
                index is null ? 1 : 1 << random.Next(4));
        }

        public int A { get; }

        public int B { get; }

        public int C { get; }

        public byte Bits { get; }

        public Gpr Target { get; }

        public Address Memory { get; }

        public string Text => Place($"{Memory.Base}", Memory.Index?.ToString(), Memory.Scale, Memory.Displacement);

        public string V(int register) => $"{(_vectorBytes == 64 ? "z" : "y")}mm{register}";

        public string G(Gpr register) => register.ToString().ToLowerInvariant();
    }
}
