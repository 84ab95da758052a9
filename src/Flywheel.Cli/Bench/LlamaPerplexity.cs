using System.Globalization;
using System.Text.RegularExpressions;
using Flywheel.Engine;
using Flywheel.Model;

namespace Flywheel.Cli.Bench;

/// <summary>llama.cpp's own measurement of quality: perplexity of the second half of every piece, and divergence from fp32.</summary>
internal sealed partial class LlamaPerplexity
{
    /// <summary>Its log is written by a thread that its exit cuts short, about one time in four, so what is missing is asked for
    /// again.</summary>
    private const int MaxAttempts = 20;

    private readonly string _program, _text, _exact;
    private readonly int _length, _numPieces;

    /// <param name="build">Build folder of llama.cpp.</param>
    /// <param name="folder">For its files.</param>
    /// <param name="text">The text, of at least two pieces.</param>
    /// <param name="length">Tokens of a piece.</param>
    /// <param name="numPieces">Pieces that the text has.</param>
    /// <exception cref="FlywheelException">There is no llama-perplexity.</exception>
    public LlamaPerplexity(string build, string folder, string text, int length, int numPieces)
    {
        _program = LlamaBench.FindProgram(build, "llama-perplexity");
        (_length, _numPieces) = (length, numPieces);
        _exact = Path.Combine(folder, "exact.kld");
        _text = Path.Combine(folder, "text.txt");
        File.WriteAllText(_text, text);
    }

    /// <summary>The first file is the one that the others diverge from. Null for a cache that llama.cpp cannot have.</summary>
    /// <exception cref="FlywheelException">llama.cpp fails, or cuts the text into other pieces.</exception>
    public async Task<Quality?> RunAsync(string file, KvType kv, int headDim)
    {
        if (kv == KvType.Int8 && headDim % 32 != 0) return null; // its blocks
        string cache = kv switch { KvType.Fp32 => "f32", KvType.Int16 => "f16", _ => "q8_0" },
            length = _length.ToString(CultureInfo.InvariantCulture);
        List<string> arguments = ["-m", file, "-f", _text, "-c", length, "-b", length, "-ctk", cache, "-ctv", cache, "-fa",
            kv == KvType.Fp32 ? "off" : "on", "--kl-divergence-base", _exact];
        if (File.Exists(_exact)) arguments.Add("--kl-divergence");
        for (int attempt = 0; attempt < MaxAttempts; attempt++)
        {
            (int code, string output, string errors) = await LlamaBench.RunAsync(_program, arguments);
            if (code != 0)
                throw new FlywheelException(
                    $"{_program} {string.Join(' ', arguments)} failed with exit code {code}: {errors.Trim().Split('\n')[^1]}");
            if (arguments[^1] != "--kl-divergence")
            {
                if (LastEstimate().Match(output) is { Success: true } last && last.Groups[1].Value == $"{_numPieces}")
                    return new Quality(Number(last.Groups[2]), 0, 1);
            }
            else if (Summary().Match(output) is { Success: true } summary)
                return new Quality(Number(summary.Groups[1]), Number(summary.Groups[2]), Number(summary.Groups[3]) / 100);
        }
        throw new FlywheelException(
            $"{_program} {string.Join(' ', arguments)} never printed its figures of {_numPieces} pieces in {MaxAttempts} runs");
    }

    private static double Number(Group group) => double.Parse(group.ValueSpan, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"\[(\d+)\]([\d.]+),", RegexOptions.RightToLeft)]
    private static partial Regex LastEstimate();

    [GeneratedRegex(@"Mean PPL\(Q\)\s*:\s*([\d.]+).*Mean\s+KLD:\s*([-+\d.e]+).*Same top p:\s*([\d.]+)", RegexOptions.Singleline)]
    private static partial Regex Summary();
}
