using System.Globalization;
using Flywheel.Model;
using Flywheel.Studio.Shell;

namespace Flywheel.Studio.Apps.Tasks;

/// <summary>The page's words with numbers as a board shows them.</summary>
internal readonly record struct GameWords(Strings Words)
{
    public string Format(string key, params object[] values) => Words.Format(key, values);

    /// <summary>A move in words: a column of Connect Four, else as players write it.</summary>
    public string Move(GamePosition position, int move) =>
        position.Game is ConnectFourGame ? Format("game.a-column", move + 1) : position.Spell(move);

    public string Percent(double share) => $"{(100 * share).ToString("0", CultureInfo.InvariantCulture)}%";
}
