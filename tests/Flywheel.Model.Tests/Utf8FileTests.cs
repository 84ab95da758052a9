using System.Text;
using CsCheck;
using Flywheel.Testing;

namespace Flywheel.Model.Tests;

public sealed class Utf8FileTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private string Written(byte[] bytes)
    {
        File.WriteAllBytes(_folder["people.txt"], bytes);
        return _folder["people.txt"];
    }

    private static byte[] Bytes(string text, string encoding, bool mark = false) =>
        [.. mark ? Encoding.GetEncoding(encoding).Preamble : [], .. Encoding.GetEncoding(encoding).GetBytes(text)];

    [Theory]
    [InlineData("iso-8859-1", false,
        ":2: is not UTF-8 at byte 0xE9 after 'caf'; if it is Latin-1, convert it: iconv -f ISO-8859-1 -t UTF-8")]
    [InlineData("utf-16", true, ": begins with the byte order mark of UTF-16, expected UTF-8; convert it: iconv -f UTF-16 -t UTF-8")]
    [InlineData("utf-16BE", true, ": begins with the byte order mark of UTF-16, expected UTF-8")]
    [InlineData("utf-32", true, ": begins with the byte order mark of UTF-32, expected UTF-8; convert it: iconv -f UTF-32 -t UTF-8")]
    [InlineData("utf-32BE", true, ": begins with the byte order mark of UTF-32, expected UTF-8")]
    public void Read_OtherEncoding_NamesItAndTheLine(string encoding, bool mark, string expected)
    {
        string path = Written(Bytes("one\ncafé\n", encoding, mark));
        foreach (Func<object> read in new Func<object>[] { () => Utf8File.ReadText(path), () => Utf8File.ReadLines(path).ToList() })
            Assert.StartsWith(path + expected, Assert.Throws<FlywheelException>(read).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("utf-16LE")]
    [InlineData("utf-16BE")]
    public void Read_Utf16WithoutItsMark_IsNoText(string encoding)
    {
        string path = Written(Bytes("one\ntwo\n", encoding));
        Assert.StartsWith($"{path}:1: holds a NUL byte", Assert.Throws<FlywheelException>(() => Utf8File.ReadText(path)).Message,
            StringComparison.Ordinal);
        Assert.StartsWith($"{path}:1: holds a NUL byte", Assert.Throws<FlywheelException>(() => Utf8File.ReadLines(path).ToList()).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Read_Utf8WithItsMark_LeavesTheMarkOut()
    {
        string path = Written(Bytes("naïve\r\n日本\n", "utf-8", mark: true));
        Assert.Equal("naïve\r\n日本\n", Utf8File.ReadText(path));
        Assert.Equal(["naïve", "日本"], Utf8File.ReadLines(path));
    }

    [Fact]
    public void Read_CutInsideACharacter_NamesTheLastLine() =>
        Assert.Contains("people.txt:3: is not UTF-8 at byte 0xE6 after 'ab'", Assert.Throws<FlywheelException>(() =>
            Utf8File.ReadLines(Written([.. "x\r\ny\r\nab"u8, 0xE6, 0x97])).ToList()).Message, StringComparison.Ordinal);

    private static readonly byte[][] Bad = [[], [0xE9], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF5], [0xE6, 0x97]];

    /// <summary>The oracle decodes the whole and counts lines by itself; sizes go beyond every buffer.</summary>
    [Fact]
    public void Read_AnyBytes_IsTheTextOrItsFirstBadLine() => Gen.Select(
        Gen.Int[0, 40_000].Select(Gen.OneOf("é\n", "a\r\n", "日", "\r", "😀b\n", "c"),
            (count, unit) => string.Concat(Enumerable.Repeat(unit, count))),
        Gen.Int[0, Bad.Length - 1].Select(i => Bad[i]),
        Gen.OneOf("", "\n", "end\n")).Sample((text, bad, end) =>
    {
        string path = Written([.. Encoding.UTF8.GetBytes(text), .. bad, .. Encoding.UTF8.GetBytes(end)]);
        if (bad.Length == 0)
        {
            Assert.Equal(text + end, Utf8File.ReadText(path));
            Assert.Equal(File.ReadLines(path), Utf8File.ReadLines(path));
            return;
        }
        int line = 1 + text.Replace("\r\n", "\n", StringComparison.Ordinal).Count(c => c is '\n' or '\r');
        string expected = $"{path}:{line}: is not UTF-8 at byte 0x{bad[0]:X2}";
        Assert.StartsWith(expected, Assert.Throws<FlywheelException>(() => Utf8File.ReadText(path)).Message, StringComparison.Ordinal);
        Assert.StartsWith(expected, Assert.Throws<FlywheelException>(() => Utf8File.ReadLines(path).ToList()).Message,
            StringComparison.Ordinal);
    }, iter: 200, threads: 1);
}
