using Flywheel.Loop;
using Flywheel.Loop.Translation;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.EndToEnd.Tests;

/// <summary><c>flywheel translate</c> as people call it.</summary>
public sealed class TranslateCommandTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Translate_MarkdownWithTheMemoryOfTheHome_IsWrittenInItsForm()
    {
        await using (FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(_folder["home"])))
        {
            using var memory = new TranslationMemory(store, TimeProvider.System);
            await memory.AddAsync(new(WorkspaceRow.Default, "en", "es"), "ann", "Open the box.", "Abra la caja.");
        }
        string file = _folder["guide.md"];
        await File.WriteAllTextAsync(file, "# Open the box.\n\nSomething new entirely.\n");

        (int code, string output) = await ServerProcess.RunAsync(_folder["home"], "translate", file, "--from", "en", "--to", "es",
            "--engine", "none");

        Assert.True(code == 0, output);
        Assert.Contains("2 segments, 1 from the memory", output, StringComparison.Ordinal);
        Assert.Equal("# Abra la caja.\n\nSomething new entirely.\n", await File.ReadAllTextAsync(_folder["guide.es.md"]));
    }

    [Fact]
    public async Task Translate_SubtitlesByApertium_KeepTheirTimes()
    {
        Assert.SkipUnless(Tool.Exists("apertium") && File.Exists("/usr/share/apertium/modes/eng-spa.mode"),
            "apertium with eng-spa is not installed: apt-get install apertium apertium-eng-spa");
        string file = _folder["film.srt"], output = _folder["out.srt"];
        await File.WriteAllTextAsync(file, "1\n00:00:01,000 --> 00:00:03,500\n<i>The house is blue.</i>\n");
        (int code, string said) = await ServerProcess.RunAsync(_folder["home"], "translate", file, "--from", "en", "--to", "es", "-o",
            output);
        Assert.True(code == 0, said);
        Assert.Equal("1\n00:00:01,000 --> 00:00:03,500\n<i>La casa es azul.</i>\n", await File.ReadAllTextAsync(output));
    }

    [Theory]
    [InlineData("guide.pdf", "es", "apertium", "ends with '.pdf'")]
    [InlineData("absent.txt", "es", "none", "cannot be read")]
    [InlineData("absent.txt", "xx", "none", "--to is 'xx'")]
    [InlineData("absent.txt", "en", "none", "the language of the file")]
    [InlineData("absent.txt", "es", "model", "POST /v1/translate")]
    public async Task Translate_WrongArgument_IsSaidInWords(string name, string to, string engine, string words)
    {
        (int code, string output) = await ServerProcess.RunAsync(_folder["home"], "translate", _folder[name], "--from", "en", "--to", to,
            "--engine", engine);
        Assert.NotEqual(0, code);
        Assert.Contains(words, output.ReplaceLineEndings(" "), StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", output, StringComparison.Ordinal);
    }
}
