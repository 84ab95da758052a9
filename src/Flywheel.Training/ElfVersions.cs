using System.Buffers.Binary;
using System.Text;

namespace Flywheel.Training;

/// <summary>
/// Reads and mends the symbol versions that an ELF64 library demands of others (section <c>.gnu.version_r</c>, System V
/// ABI and the GNU symbol versioning extension).
/// </summary>
/// <remarks>
/// TorchSharp 0.107's library was built with a newer compiler than Debian 12 and Ubuntu 22.04 have: it demands version
/// GLIBCXX_3.4.32 of libstdc++ for a single symbol, <c>std::ios_base_library_init</c>, which nothing in it calls. A demand
/// that is marked weak does not stop the loader.
/// </remarks>
internal static class ElfVersions
{
    private const int SectionTypeVerneed = 0x6ffffffe, WeakFlag = 2;

    /// <summary>Marks the demand for <paramref name="version"/> as weak, in place. False when there is no such demand.</summary>
    public static bool MakeWeak(Span<byte> file, string version)
    {
        if (file.Length < 64 || !file[..5].SequenceEqual("\u007fELF\u0002"u8)) throw new InvalidDataException("not a 64-bit ELF file");
        int sectionTable = (int)Int64(file, 0x28), sectionSize = Int16(file, 0x3A), numSections = Int16(file, 0x3C);
        int Section(int index, int field) => sectionTable + index * sectionSize + field;
        bool found = false;
        for (int i = 0; i < numSections; i++)
        {
            if (Int32(file, Section(i, 4)) != SectionTypeVerneed) continue;
            int names = (int)Int64(file, Section(Int32(file, Section(i, 40)), 24));
            int need = (int)Int64(file, Section(i, 24));
            for (int numNeeds = Int32(file, Section(i, 44)); numNeeds > 0; numNeeds--)
            {
                int numAux = Int16(file, need + 2), aux = need + Int32(file, need + 8);
                for (; numAux > 0; numAux--)
                {
                    ReadOnlySpan<byte> name = file[(names + Int32(file, aux + 8))..];
                    if (Encoding.ASCII.GetString(name[..name.IndexOf((byte)0)]) == version)
                    {
                        BinaryPrimitives.WriteInt16LittleEndian(file[(aux + 4)..], (short)(Int16(file, aux + 4) | WeakFlag));
                        found = true;
                    }
                    aux += Int32(file, aux + 12);
                }
                need += Int32(file, need + 12);
            }
        }
        return found;
    }

    private static short Int16(ReadOnlySpan<byte> file, int at) => BinaryPrimitives.ReadInt16LittleEndian(file[at..]);

    private static int Int32(ReadOnlySpan<byte> file, int at) => BinaryPrimitives.ReadInt32LittleEndian(file[at..]);

    private static long Int64(ReadOnlySpan<byte> file, int at) => BinaryPrimitives.ReadInt64LittleEndian(file[at..]);
}
