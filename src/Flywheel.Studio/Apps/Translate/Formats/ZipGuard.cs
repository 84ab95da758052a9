using System.IO.Compression;
using Flywheel.Model;

namespace Flywheel.Studio.Apps.Translate.Formats;

/// <summary>Looks into a ZIP file before a library that trusts it does.</summary>
internal static class ZipGuard
{
    private const int MaxEntries = 2000;

    /// <summary>Office files are seldom packed more than 20 times; 200 leaves room, a bomb has 1,000.</summary>
    private const long MaxUnpacked = 64 << 20, MaxRatio = 200, SmallEnough = 1 << 20;

    /// <exception cref="FlywheelException">No ZIP file, or one that unpacks to too much.</exception>
    public static void Check(byte[] file)
    {
        try
        {
            using var zip = new ZipArchive(new MemoryStream(file), ZipArchiveMode.Read);
            if (zip.Entries.Count > MaxEntries) throw Refused($"has {zip.Entries.Count} parts, expected at most {MaxEntries}");
            long all = 0;
            byte[] buffer = new byte[1 << 16];
            foreach (ZipArchiveEntry entry in zip.Entries)
            {
                // What the directory says of the length may be a lie: it is counted.
                using Stream stream = entry.Open();
                long length = 0;
                for (int read; (read = stream.Read(buffer)) > 0;)
                {
                    length += read;
                    all += read;
                    if (all > MaxUnpacked) throw Refused($"unpacks to more than {MaxUnpacked >> 20} MB");
                    if (length > SmallEnough && length > MaxRatio * Math.Max(1, entry.CompressedLength))
                        throw Refused($"has a part that unpacks to more than {MaxRatio} times its size");
                }
            }
        }
        catch (Exception e) when (e is InvalidDataException or EndOfStreamException or NotSupportedException or ArgumentException)
        {
            throw new FlywheelException(
                $"the DOCX file cannot be opened: {e.Message.TrimEnd('.')}; expected an Office Open XML document without a password", e);
        }
    }

    private static FlywheelException Refused(string why) => new($"the DOCX file {why}; it is not opened");
}
