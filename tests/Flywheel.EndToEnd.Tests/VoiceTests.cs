using System.Diagnostics;
using System.Text.Json.Nodes;
using Flywheel.Testing;

namespace Flywheel.EndToEnd.Tests;

/// <summary>The verb <c>voice</c>, with the real engines.</summary>
public sealed class VoiceTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private Process Start(params string[] arguments) =>
        Process.Start(new ProcessStartInfo("dotnet", [ServerProcess.Program, "voice", .. arguments])
    {
        RedirectStandardOutput = true,
        RedirectStandardError = true,
        Environment = { ["FLYWHEEL_HOME"] = _folder["home"] },
    })!;

    private async Task<(int Code, string Output)> RunAsync(params string[] arguments)
    {
        using Process process = Start(arguments);
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = await process.StandardOutput.ReadToEndAsync() + await errors;
        await process.WaitForExitAsync();
        return (process.ExitCode, output);
    }

    private string[] Sounds() =>
        Directory.Exists(_folder["home/cache/voice"])
            ? Directory.GetFiles(_folder["home/cache/voice"], "*.wav", SearchOption.AllDirectories) : [];

    [Fact]
    public async Task Render_AfterKill9_RendersOnlyWhatWasNotDone()
    {
        if (!Tool.Exists("espeak-ng")) Assert.Skip("espeak-ng is not installed");
        const int numLines = 41;
        File.WriteAllLines(_folder["script.txt"],
            Enumerable.Range(1, numLines - 1).Select(i => $"This is line number {i}, and no other line says it.")
            .Append(string.Concat(Enumerable.Repeat("The last line is so long that nobody finishes it before he is killed. ", 120))));
        string[] render = ["render", _folder["script.txt"], "--voice", "espeak:en-us", "-o", _folder["out.wav"], "--report",
            _folder["report.json"]];
        using (Process process = Start(render))
        {
            while (Sounds().Length < 5 && !process.HasExited) await Task.Delay(10);
            process.Kill(); // SIGKILL
            await process.WaitForExitAsync();
        }
        Assert.False(File.Exists(_folder["out.wav"])); // nothing half-written
        int done = Sounds().Length;
        Assert.InRange(done, 5, numLines - 1);
        (int code, string output) = await RunAsync(render);
        Assert.True(code == 0, output);
        Assert.Equal(numLines - done, JsonNode.Parse(File.ReadAllText(_folder["report.json"]))!["num_engine_calls"]!.GetValue<int>());
        byte[] resumed = File.ReadAllBytes(_folder["out.wav"]);
        Directory.Delete(_folder["home"], recursive: true);
        Assert.Equal(0, (await RunAsync(render)).Code);
        Assert.Equal(File.ReadAllBytes(_folder["out.wav"]), resumed); // as if it had never been killed
    }

    [Fact]
    public async Task Render_OfAFolder_WritesAFileForEachScript()
    {
        if (!Tool.Exists("espeak-ng")) Assert.Skip("espeak-ng is not installed");
        Directory.CreateDirectory(_folder["scripts"]);
        File.WriteAllText(_folder["scripts/a.srt"], "1\n00:00:01,000 --> 00:00:02,000\n[ANN] Hello.\n");
        File.WriteAllText(_folder["scripts/b.txt"], "BOB: Hello\n\nand goodbye.");
        File.WriteAllText(_folder["cast.yaml"], "ANN: espeak:en-gb+f3\n");
        (int code, string output) = await RunAsync("render", _folder["scripts"], "--voice", "espeak:en-us", "--cast", _folder["cast.yaml"],
            "-o", _folder["out"], "--report", _folder["reports"]);
        Assert.True(code == 0, output);
        Assert.Equal(["a.wav", "b.wav"], Directory.GetFiles(_folder["out"]).Select(Path.GetFileName).Order());
        Assert.Equal("espeak:en-gb+f3",
            JsonNode.Parse(File.ReadAllText(_folder["reports/a.json"]))!["lines"]![0]!["voice"]!.GetValue<string>());
        File.WriteAllText(_folder["scripts/c.srt"], "1\n00:00:01,000 -> 00:00:02,000\nHello.\n");
        (code, output) = await RunAsync("render", _folder["scripts"], "-o", _folder["out"]);
        Assert.Equal(2, code);
        Assert.Contains("c.srt: line 2: ", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Render_InAnotherLanguageOverABed_IsDubbedToTheLoudness()
    {
        foreach (string program in new[] { "espeak-ng", "ffmpeg", "apertium" })
            if (!Tool.Exists(program)) Assert.Skip($"{program} is not installed");
        if (!File.Exists("/usr/share/apertium/modes/eng-spa.mode")) Assert.Skip("apertium-eng-spa is not installed");
        File.WriteAllText(_folder["film.srt"],
            "1\n00:00:01,000 --> 00:00:03,000\nThe dog is in the house.\n\n2\n00:00:04,000 --> 00:00:06,000\nGood morning.\n");
        await Tool.RunAsync("ffmpeg", ["-v", "error", "-f", "lavfi", "-i", "sine=f=500:d=3", _folder["bed.mp3"]], _folder.Path);
        (int code, string output) = await RunAsync("render", _folder["film.srt"], "--translate", "en-es", "--voice", "espeak:es", "--bed",
            _folder["bed.mp3"], "--loudness", "-18",
            "--stems", _folder["stems"], "--lines", _folder["lines"], "-o", _folder["film.mp3"], "--report", _folder["report.json"]);
        Assert.True(code == 0, output);
        Assert.Matches(@"Loudness -1[78]\.\d LUFS, .* 0 samples clipped", output);
        Assert.Contains("Of 2 lines with a time", output, StringComparison.Ordinal);
        Assert.Equal([_folder["lines/0001-line.wav"], _folder["lines/0002-line.wav"]], Directory.GetFiles(_folder["lines"]).Order());
        Assert.Equal(["bed.wav", "speech.wav"], Directory.GetFiles(_folder["stems"]).Select(Path.GetFileName).Order());
        // It is Spanish that is spoken: the same lines given in Spanish are the same sounds.
        File.WriteAllText(_folder["spanish.srt"],
            "1\n00:00:01,000 --> 00:00:03,000\nEl perro es en la casa.\n\n2\n00:00:04,000 --> 00:00:06,000\nBuenos días.\n");
        Assert.Equal(0,
            (await RunAsync("render", _folder["spanish.srt"], "--language", "es", "--voice", "espeak:es", "-o", _folder["spanish.wav"],
                "--report", _folder["spanish.json"])).Code);
        string Hash(string report, int line) =>
            JsonNode.Parse(File.ReadAllText(_folder[report]))!["lines"]![line]!["hash"]!.GetValue<string>();
        Assert.Equal((Hash("report.json", 0), Hash("report.json", 1)), (Hash("spanish.json", 0), Hash("spanish.json", 1)));
        Assert.Equal(2, (await RunAsync("render", _folder["film.srt"], "--translate", "en-xx", "-o", _folder["a.wav"])).Code);
    }
}
