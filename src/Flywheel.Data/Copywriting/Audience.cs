namespace Flywheel.Data;

/// <summary>For whom programs of a category are, as a brief would say it.</summary>
internal static class Audience
{
    private static readonly (string Category, string[] People)[] Table =
    [
        ("Photography", ["photographers"]),
        ("Music", ["musicians"]),
        ("Audio Video Editing", ["film makers", "video creators"]),
        ("Kids Game", ["children", "families"]),
        ("Strategy Game", ["strategy players", "players"]),
        ("Logic Game", ["puzzle lovers", "players"]),
        ("Text Editor", ["writers", "programmers"]),
        ("Astronomy", ["stargazers", "astronomers"]),
        ("Finance", ["households", "small businesses"]),
        ("Security", ["security teams", "administrators"]),
        ("Amateur Radio", ["radio amateurs"]),
        ("Electronics", ["engineers", "makers"]),
        ("Engineering", ["engineers"]),
        ("Game", ["players", "gamers", "casual players"]),
        ("Education", ["students and teachers", "students", "learners"]),
        ("Science", ["researchers", "scientists"]),
        ("Graphics", ["designers", "artists"]),
        ("Audio", ["musicians", "music lovers"]),
        ("Video", ["film makers", "video creators"]),
        ("Audio and Video", ["musicians and film makers", "music lovers"]),
        ("Development", ["developers", "programmers"]),
        ("Office", ["office teams", "small businesses"]),
        ("Email", ["office teams", "everyone"]),
        ("Network", ["internet users", "administrators"]),
        ("System", ["administrators", "system administrators"]),
        ("Utility", ["everyone", "everyday users"]),
    ];

    /// <summary>Empty when no category names one.</summary>
    public static string Of(IReadOnlyList<string> categories, Random random)
    {
        foreach ((string category, string[] people) in Table)
            if (categories.Contains(category)) return people[random.Next(people.Length)];
        return "";
    }
}
