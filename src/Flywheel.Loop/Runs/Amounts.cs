using System.Globalization;
using Flywheel.Model;

namespace Flywheel.Loop.Runs;

/// <summary>Durations, sizes and sums as people read them.</summary>
public static class Amounts
{
    public static string Duration(double seconds)
    {
        var time = TimeSpan.FromSeconds(Math.Clamp(Math.Round(seconds), 0, 1e11));
        return time.TotalDays >= 2 * 365 ? Text($"{time.TotalDays / 365:N0} years")
            : time.TotalDays >= 3 ? Text($"{time.TotalDays:F1} days")
            : time.TotalHours >= 1 ? $"{(int)time.TotalHours} h {time.Minutes} min"
            : time.TotalMinutes >= 1 ? $"{time.Minutes} min {time.Seconds} s"
            : seconds is > 0 and < 10 ? Text($"{seconds:F1} s") : $"{time.Seconds} s";
    }

    public static string Memory(long? bytes) =>
        bytes switch { null => "-", >= 100_000_000_000 => Text($"{bytes / 1e9:N0} GB"), >= 95_000_000 => Text($"{bytes / 1e9:F2} GB"),
            _ => Text($"{bytes / 1e6:F0} MB") };

    /// <summary>Whole where cents are nothing, and never nothing where there is something.</summary>
    public static string Money(double amount) =>
        amount >= 100 ? Text($"{amount:N0}") : amount >= 0.1 || amount == 0 ? Text($"{amount:N2}") : Text($"{amount:G2}");

    /// <summary>Three digits and a word, or a power of ten.</summary>
    public static string Rounded(double number)
    {
        if (number >= 1e15) return number.ToString("0.00e0", CultureInfo.InvariantCulture);
        (double unit, string name) = number switch { >= 1e12 => (1e12, " trillion"), >= 1e9 => (1e9, " billion"),
            >= 1e6 => (1e6, " million"), _ => (1, "") };
        double value = number / unit;
        return value.ToString(value >= 100 ? "N0" : value >= 10 ? "N1" : "N2", CultureInfo.InvariantCulture) + name;
    }

    /// <summary>Such as 600k, 1.5M or 300: as it is given on the command line.</summary>
    public static string Short(double number) =>
        number >= 1e6 ? Text($"{number / 1e6:0.###}M") : number >= 1e3 ? Text($"{number / 1e3:0.###}k") : Text($"{number:0.###}");

    /// <summary>The number that <see cref="Short"/> writes, or a plain one.</summary>
    /// <exception cref="FlywheelException">It is something else, or not above 0; names the option.</exception>
    public static double ParseShort(string text, string option)
    {
        double unit = text.Length == 0 ? 1 : char.ToLowerInvariant(text[^1]) switch { 'k' => 1e3, 'm' => 1e6, _ => 1 };
        return double.TryParse(unit == 1 ? text : text[..^1], NumberStyles.Float, CultureInfo.InvariantCulture, out double number)
            && number > 0 && double.IsFinite(number * unit)
            ? number * unit : throw new FlywheelException($"{option} is '{text}', expected a number above 0 such as 600k or 1.5M");
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
