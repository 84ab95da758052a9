namespace Flywheel.Data;

/// <summary>Names that no program has, made from syllables.</summary>
internal static class InventedName
{
    private static readonly string[] First =
        ["Al", "Ar", "Bel", "Bor", "Cal", "Cor", "Dar", "Del", "El", "Fen", "Fol", "Gal", "Har", "Ig", "Jun", "Kal", "Kes", "Lor", "Lu", "Mar", "Mel", "Nor", "Nim", "Or", "Pel", "Quil", "Ras", "Sel", "Sol", "Tam", "Tor", "Ul", "Vel", "Ver", "Wil", "Xan", "Yor", "Zen"];

    private static readonly string[] Middle = ["a", "e", "i", "o", "u", "an", "em", "il", "on", "ar", "iv", "ost"];

    private static readonly string[] Last =
        ["bit", "deck", "dia", "do", "fly", "gen", "graph", "la", "line", "ly", "mark", "max", "mo", "na", "nest", "nix", "pad", "ra", "ric", "ro", "sy", "ta", "tor", "trel", "via", "ware", "x", "zo"];

    private static readonly string[] Second = ["Studio", "Desk", "Pro", "Lab", "Go", "2", "Plus", "One", "Suite", "Works", "Lite", "Box", "Hub", "3"];

    public static string Draw(Random random)
    {
        string name = First[random.Next(First.Length)] + (random.Next(2) == 0 ? Middle[random.Next(Middle.Length)] : "") + Last[random.Next(Last.Length)];
        return random.Next(10) switch
        {
            0 => name.ToLowerInvariant(),
            1 or 2 => $"{name} {Second[random.Next(Second.Length)]}",
            _ => name,
        };
    }
}
