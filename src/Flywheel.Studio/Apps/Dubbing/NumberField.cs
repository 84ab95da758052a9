using System.Globalization;

namespace Flywheel.Studio.Apps.Dubbing;

/// <summary>A number in a field of the browser, which may be empty.</summary>
internal static class NumberField
{
    public static string Say(double? value) => value?.ToString(CultureInfo.InvariantCulture) ?? "";

    /// <summary>Null of what is empty or no number.</summary>
    public static double? Read(object? value) =>
        double.TryParse($"{value}", NumberStyles.Float, CultureInfo.InvariantCulture, out double number) ? number : null;
}
