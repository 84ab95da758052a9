using System.Globalization;
using Flywheel.Studio.Shell;

namespace Flywheel.Studio.Apps.Tasks;

/// <summary>The page's words with numbers as a board shows them.</summary>
internal readonly record struct GameWords(Strings Words)
{
    public string Format(string key, params object[] values) => Words.Format(key, values);

    public string Percent(double share) => $"{(100 * share).ToString("0", CultureInfo.InvariantCulture)}%";
}
