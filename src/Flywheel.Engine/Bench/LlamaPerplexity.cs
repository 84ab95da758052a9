using System.Globalization;
using System.Text.RegularExpressions;
using Flywheel.Model;

namespace Flywheel.Engine.Bench;

/// <summary>llama.cpp's own measurement of quality: perplexity of the second half of every piece, and divergence from fp32.</summary>
internal sealed partial class LlamaPerplexity : IDisposable
{
    private readonly string _program, _folder, _text;
    private readonly int _length;
    private readonly ModelFolder _model;

    /// <param name="build">Build folder of llama.cpp.</param>
    /// <param name="model">A model that can be exported as GGUF.</param>
    /// <param name="text">The text, of at least two pieces.</param>
    /// <param name="length">Tokens of a piece.</param>
    /// <exception cref="FlywheelException">There is no llama-perplexity.</exception>
    public LlamaPerplexity(string build, ModelFolder model, string text, int length)
    {
        _program = LlamaBench.FindProgram(build, "llama-perplexity");
        (_model, _length) = (model, length);
        _folder = Directory.CreateTempSubdirectory("flywheel-quality-").FullName;
        _text = Path.Combine(_folder, "text.txt");
        File.WriteAllText(_text, text);
    }

    /// <summary>Formats in their order; the first is the one that the others diverge from.</summary>
    /// <exception cref="FlywheelException">llama.cpp fails.</exception>
    public async Task<(double Perplexity, double Divergence)> RunAsync(WeightFormat format)
    {
        string file = Path.Combine(_folder, $"{format}.gguf"), exact = Path.Combine(_folder, "exact.kld");
        ModelExport.ToGguf(_model, file, WeightMixture.ExportTypeOf(format));
        bool isBase = !File.Exists(exact);
        List<string> arguments = ["-m", file, "-f", _text, "-c", _length.ToString(CultureInfo.InvariantCulture), "-b", _length.ToString(CultureInfo.InvariantCulture), "-ctk", "f32", "-ctv", "f32", "--kl-divergence-base", exact];
        if (!isBase) arguments.Add("--kl-divergence");
        (int code, string output, string errors) = await LlamaBench.RunAsync(_program, arguments);
        File.Delete(file);
        if (code != 0) throw new FlywheelException($"{_program} {string.Join(' ', arguments)} failed with exit code {code}: {errors.Trim().Split('\n')[^1]}");
        return isBase ? (Number(LastEstimate(), output + errors), 0) : (Number(QuantisedPerplexity(), output + errors), Number(MeanDivergence(), output + errors));
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private double Number(Regex pattern, string output) => pattern.Match(output) is { Success: true } match
        ? double.Parse(match.Groups[1].ValueSpan, CultureInfo.InvariantCulture)
        : throw new FlywheelException($"{_program} printed no '{pattern}'");

    /// <summary>The running figure after the last piece; the line that sums it up is sometimes lost in its log.</summary>
    [GeneratedRegex(@"\[\d+\]([\d.]+),", RegexOptions.RightToLeft)]
    private static partial Regex LastEstimate();

    [GeneratedRegex(@"Mean PPL\(Q\)\s*:\s*([\d.]+)")]
    private static partial Regex QuantisedPerplexity();

    [GeneratedRegex(@"Mean\s+KLD:\s*([-+\d.e]+)")]
    private static partial Regex MeanDivergence();
}
