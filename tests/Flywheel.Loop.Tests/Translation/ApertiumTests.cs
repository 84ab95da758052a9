using Flywheel.Loop.Translation;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Loop.Tests.Translation;

public sealed class ApertiumTests : IDisposable
{
    private static readonly DraftCaller s_ann = new("ann", "", "test");

    private readonly TempFolder _folder = new();
    private readonly Apertium _apertium = new(TimeProvider.System);

    public void Dispose()
    {
        _apertium.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public async Task Draft_EnglishToSpanish_TranslatesAndLeavesMarkupAlone()
    {
        Assert.SkipUnless(Tool.Exists("apertium") && (await _apertium.StateAsync("en", "es")).Status == EngineStatus.Ready,
            "apertium with eng-spa is not installed: apt-get install apertium apertium-eng-spa");

        IReadOnlyList<EngineDraft> drafts = await _apertium.DraftAsync(
            ["The house is blue.", "Hello world", "I see {count} houses: <b>two</b> of them in `my street`.", "[x] ^y$ / \\ @ {z} end",
                "The house is blue."], "en", "es", s_ann);

        Assert.Equal("La casa es azul.", drafts[0].Text);
        Assert.StartsWith("Hola", drafts[1].Text, StringComparison.Ordinal);
        Assert.False(drafts[1].Text.EndsWith('.'));
        foreach (string part in new[] { "{count}", "<b>", "</b>", "`my street`", "casas" })
            Assert.Contains(part, drafts[2].Text, StringComparison.Ordinal);
        foreach (string part in new[] { "^", "$", "/", "\\", "@" }) Assert.Contains(part, drafts[3].Text, StringComparison.Ordinal);
        Assert.Equal(drafts[0].Text, drafts[4].Text);
        Assert.All(drafts, draft => Assert.Null(draft.Generation));
    }

    [Fact]
    public async Task State_WithoutTheProgram_SaysWhatToInstall()
    {
        using var absent = new Apertium(TimeProvider.System, "no-such-program-as-apertium");
        Assert.Equal(new EngineState(EngineStatus.NotInstalled, "apt-get install apertium apertium-eng-spa"),
            await absent.StateAsync("en", "es-MX"));
        Assert.Equal(EngineStatus.NoSuchPair, (await absent.StateAsync("en", "zh")).Status);
        FlywheelException refused = await Assert.ThrowsAsync<FlywheelException>(() => absent.DraftAsync(["x"], "en", "es", s_ann));
        Assert.Contains("apt-get install apertium apertium-eng-spa", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Draft_ProgramThatFailsOrSaysTooLittle_IsAnErrorInWords()
    {
        Assert.SkipUnless(File.Exists("/bin/sh"), "no /bin/sh");
        using var failing = new Apertium(TimeProvider.System,
            Script("if [ \"$1\" = -l ]; then echo '  eng-spa'; else echo 'no data' >&2; exit 3; fi"));
        Assert.Contains("ended with 3: no data",
            (await Assert.ThrowsAsync<FlywheelException>(() => failing.DraftAsync(["x"], "en", "es", s_ann))).Message,
            StringComparison.Ordinal);
        using var silent = new Apertium(TimeProvider.System, Script("if [ \"$1\" = -l ]; then echo '  eng-spa'; fi"));
        Assert.Contains("answered 1 of 2",
            (await Assert.ThrowsAsync<FlywheelException>(() => silent.DraftAsync(["x", "y"], "en", "es", s_ann))).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task Draft_Cancelled_EndsTheProcess()
    {
        Assert.SkipUnless(File.Exists("/bin/sh"), "no /bin/sh");
        string pid = _folder["pid"];
        using var stuck = new Apertium(TimeProvider.System,
            Script($"if [ \"$1\" = -l ]; then echo '  eng-spa'; else echo $$ > '{pid}'; exec sleep 600; fi"));
        using var cancel = new CancellationTokenSource();
        Task drafting = stuck.DraftAsync(["x"], "en", "es", s_ann, cancel.Token);
        while (!File.Exists(pid) || File.ReadAllText(pid).Trim().Length == 0) await Task.Delay(10);
        int id = int.Parse(File.ReadAllText(pid));
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => drafting);
        // The kill is sent before the call returns; the system may take a moment to end it.
        while (Directory.Exists($"/proc/{id}") && !File.ReadAllText($"/proc/{id}/stat").Contains(") Z ", StringComparison.Ordinal))
            await Task.Delay(10);
    }

    private string Script(string body)
    {
        string path = _folder[$"apertium-{Guid.NewGuid():N}"];
        File.WriteAllText(path, "#!/bin/sh\n" + body + "\n");
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserExecute | UnixFileMode.UserWrite);
        return path;
    }
}
