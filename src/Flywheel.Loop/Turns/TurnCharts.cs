using System.Text;

namespace Flywheel.Loop;

/// <summary>
/// The report's pictures as inline SVG. Colours are the page's CSS variables, so that they follow light and dark.
/// </summary>
internal static class TurnCharts
{
    /// <summary>An interval on a line with zero and the threshold marked.</summary>
    /// <param name="rule">Has an interval.</param>
    public static string Interval(RuleResult rule)
    {
        const double Width = 260, Height = 34, Pad = 10, Middle = 17;
        Interval gain = rule.Improvement;
        double low = Math.Min(Math.Min(gain.Low, rule.Threshold), 0), high = Math.Max(Math.Max(gain.High, rule.Threshold), 0);
        double span = high - low > 0 ? high - low : 1;
        (low, high) = (low - 0.08 * span, high + 0.08 * span);
        double X(double value) => Pad + (Width - 2 * Pad) * (value - low) / (high - low);
        string kind = rule.Passed switch { true => "good", false => "bad", null => "told" };
        var svg =
            new StringBuilder(
                $"<svg class=\"interval {kind}\" viewBox=\"0 0 {Width} {Height}\" role=\"img\" aria-label=\"improvement {gain.Estimate:0.000}, interval {gain.Low:0.000} to {gain.High:0.000}\">");
        svg.Append($"<line class=\"axis\" x1=\"{Pad}\" x2=\"{Width - Pad}\" y1=\"{Middle}\" y2=\"{Middle}\"/>");
        if (rule.Passed is null || rule.Threshold != 0)
            svg.Append($"<line class=\"zero\" x1=\"{X(0):0.0}\" x2=\"{X(0):0.0}\" y1=\"4\" y2=\"30\"/>");
        if (rule.Passed is not null)
            svg.Append($"<line class=\"threshold\" x1=\"{X(rule.Threshold):0.0}\" x2=\"{X(rule.Threshold):0.0}\" y1=\"4\" y2=\"30\"/>");
        svg.Append($"<line class=\"range\" x1=\"{X(gain.Low):0.0}\" x2=\"{X(gain.High):0.0}\" y1=\"{Middle}\" y2=\"{Middle}\"/>");
        svg.Append($"<circle class=\"point\" cx=\"{X(gain.Estimate):0.0}\" cy=\"{Middle}\" r=\"4.5\"/></svg>");
        return svg.ToString();
    }

    /// <summary>Loss over optimiser steps: each step faintly, a running mean over it.</summary>
    public static string Curve(ReportedRun run)
    {
        const double Width = 420, Height = 190, Left = 44, Right = 12, Top = 12, Bottom = 30;
        double[] losses = [.. run.Losses];
        if (losses.Length == 0) return "";
        double[] smooth = RunningMean(losses, Math.Max(1, losses.Length / 20));
        double low = losses.Min(), high = losses.Max(), span = high - low > 0 ? high - low : 1;
        (low, high) = (low - 0.05 * span, high + 0.05 * span);
        double X(int i) => Left + (Width - Left - Right) * (losses.Length == 1 ? 0.5 : i / (losses.Length - 1.0));
        double Y(double loss) => Top + (Height - Top - Bottom) * (high - loss) / (high - low);
        string Points(double[] values) => string.Join(' ', values.Select((value, i) => $"{X(i):0.0},{Y(value):0.0}"));

        var svg =
            new StringBuilder(
                $"<svg class=\"curve\" viewBox=\"0 0 {Width} {Height}\" role=\"img\" aria-label=\"loss over {losses.Length} steps, from {losses[0]:0.000} to {losses[^1]:0.000}\">");
        foreach (double share in new[] { 0.0, 0.5, 1.0 })
        {
            double loss = low + share * (high - low), y = Y(loss);
            svg.Append(
                $"<line class=\"grid\" x1=\"{Left}\" x2=\"{Width - Right}\" y1=\"{y:0.0}\" y2=\"{y:0.0}\"/><text class=\"tick\" x=\"{Left - 6}\" y=\"{y + 4:0.0}\" text-anchor=\"end\">{loss:0.00}</text>");
        }
        svg.Append(
            $"<text class=\"tick\" x=\"{Left}\" y=\"{Height - 10}\">1</text><text class=\"tick\" x=\"{Width - Right}\" y=\"{Height - 10}\" text-anchor=\"end\">{losses.Length} steps</text>");
        svg.Append($"<polyline class=\"raw\" points=\"{Points(losses)}\"/><polyline class=\"mean\" points=\"{Points(smooth)}\"/></svg>");
        return svg.ToString();
    }

    private static double[] RunningMean(double[] values, int reach) =>
        [.. values.Select((_, i) => values[Math.Max(0, i - reach)..Math.Min(values.Length, i + reach + 1)].Average())];
}
