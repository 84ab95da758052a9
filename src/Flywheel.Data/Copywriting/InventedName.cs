using System.Globalization;

namespace Flywheel.Data;

/// <summary>
/// Names that nothing has: one to three words of many shapes, in capitals, lower or camel case, with digits or signs, and some in
/// Chinese, so that a model learns to copy whatever a person calls a thing.
/// </summary>
internal static class InventedName
{
    private static readonly string[] First = ["al", "ar", "ba", "bel", "bor", "bri", "cal", "ce", "cor", "dar", "de", "del", "dro", "el",
        "fa", "fen", "fol", "gal", "gri", "har", "hol", "ig", "jun", "ka", "kes", "ko", "lin", "lor", "lu", "ma", "mel", "mi", "nor", "nim",
        "or", "pel", "pra", "quil", "ras", "ro", "sel", "sha", "sol", "ste", "tam", "thi", "tor", "ul", "vel", "ver", "wa", "wil", "xan",
        "yor", "za", "zen"];

    private static readonly string[] Middle = ["a", "e", "i", "o", "u", "an", "em", "il", "on", "ar", "iv", "ost", "ber", "la", "mo", "ri",
        "tu", "ven", "qua", "sch"];

    private static readonly string[] Last = ["bit", "by", "deck", "dia", "do", "fly", "gen", "graph", "ka", "la", "line", "ly", "mark",
        "max", "mo", "na", "nest", "nix", "pad", "ra", "ric", "ro", "sen", "ster", "sy", "ta", "tor", "trel", "via", "ware", "wick", "x",
        "zo", "en", "el", "is", "um", "ow"];

    private static readonly string[] Words = ["amber", "anchor", "apple", "arrow", "ash", "barrel", "bay", "bear", "bell", "birch", "blue",
        "boat", "bold", "bramble", "bread", "bridge", "bright", "brook", "button", "candle", "cedar", "chalk", "cherry", "clay", "clear",
        "cloud", "clover", "coal", "cobalt", "comet", "copper", "coral", "corner", "cotton", "crane", "crown", "daisy", "dawn", "deer",
        "dragon", "drum", "dune", "eagle", "ember", "fern", "field", "fig", "finch", "fir", "flint", "flour", "fox", "frost", "garden",
        "gate", "ginger", "glass", "gold", "grain", "green", "grey", "hare", "harvest", "hazel", "heather", "heron", "hidden", "hill",
        "honey", "iron", "island", "ivy", "jade", "juniper", "kettle", "kite", "lake", "lantern", "lark", "leaf", "lemon", "light", "lily",
        "linden", "lion", "little", "lotus", "lucky", "maple", "marble", "meadow", "mellow", "mill", "mint", "mirror", "moon", "moss",
        "mountain", "needle", "nettle", "night", "noble", "north", "nut", "oak", "ocean", "olive", "opal", "orbit", "otter", "owl", "paper",
        "pearl", "pebble", "pepper", "pilot", "pine", "plum", "pocket", "quartz", "quick", "quiet", "rabbit", "rain", "raven", "red",
        "reed", "river", "robin", "rocket", "rose", "round", "sage", "sail", "salt", "sand", "scarlet", "shell", "silver", "sky", "slow",
        "snow", "sparrow", "spring", "spruce", "star", "stone", "storm", "sugar", "summer", "sun", "swift", "table", "tall", "tea",
        "thistle", "thorn", "tide", "tiger", "tin", "trout", "turtle", "velvet", "violet", "wagon", "water", "wave", "whale", "wheel",
        "whistle", "white", "wild", "willow", "wind", "winter", "wolf", "wood", "wool", "yellow", "young", "zebra"];

    private static readonly string[] Before = ["The", "La", "Le", "El", "Casa", "Villa", "Chez", "Studio", "Atelier", "Old", "New",
        "Little", "Big", "Saint", "Port", "Mount", "Café", "Hotel", "Haus"];

    private static readonly string[] Goods = ["One", "Plus", "Pro", "Mini", "Lite", "Go", "2", "3", "X", "Max", "Air", "Works", "Lab",
        "Box", "Kit", "Original"];

    private static readonly string[] Software = ["Studio", "Desk", "Pro", "Lab", "Go", "2", "Plus", "One", "Suite", "Works", "Lite", "Box",
        "Hub", "3", "Notes", "Player"];

    private static readonly string[] Houses = ["House", "Garden", "Kitchen", "Room", "Corner", "Yard", "Hall", "Mill", "Cellar", "Point",
        "Park", "Lane", "Nine", "& Sons", "Market", "Square"];

    private static readonly string[] Stays = ["House", "Inn", "Lodge", "Hotel", "Rooms", "Suites", "Court", "Farm", "Cottage", "Hostel",
        "View", "Retreat", "Quarters"];

    private static readonly string[] Firms = ["Works", "Service", "& Co", "Care", "Partners", "Group", "Team", "Express", "Direct",
        "Studio", "School", "Academy", "& Daughters"];

    private static readonly string[] Events = ["Festival", "Days", "Fair", "Nights", "Week", "Fest", "Live", "2027", "Weekend", "Sessions"];

    private static readonly string[] Between = ["of", "in", "at", "on", "by"], Articles = ["the", "a", "my"];

    private const string Chinese =
        "青山绿水明月清风春夏秋冬花鸟鱼竹松梅兰菊云雨雪霜天地星光海河江湖石金银铜木火土玉珠红黄蓝白黑小大老新长高远近古今东西南北中茶酒米面书画琴棋诗歌乐舞灯船车桥门窗亭楼园林家和平安福喜美好快乐心香甜果桃李杏枣荷叶藤草田野牛马羊虎龙凤鹤燕莺蝶";

    /// <summary>A word of two or three syllables that no language has.</summary>
    public static string Coined(Random random) =>
        First[random.Next(First.Length)] + (random.Next(2) == 0 ? Middle[random.Next(Middle.Length)] : "") + Last[random.Next(Last.Length)];

    /// <param name="group">Of the field, which decides what stands behind a name; empty for any.</param>
    /// <param name="random">Decides.</param>
    public static string Draw(Random random, string group = "")
    {
        string One(string[] list) => list[random.Next(list.Length)];
        string Syllables() => Coined(random);
        string Word() => GrammarText.Capital(One(Words));
        string Made() => GrammarText.Capital(Syllables());
        string[] tails = group switch { "software" => Software, "place" or "shop" or "sight" => Houses, "stay" => Stays,
            "service" or "school" => Firms, "event" => Events, "goods" or "food" => Goods,
            _ => random.Next(3) switch { 0 => Goods, 1 => Houses, _ => Firms } };
        string name = random.Next(24) switch
        {
            < 6 => Made(),
            6 => Made() + One(Words),
            7 or 8 => Word() + One(Words),
            9 or 10 => $"{Word()} {Word()}",
            11 => $"{Word()} & {Word()}",
            12 or 13 => $"{One(Before)} {(random.Next(2) == 0 ? Word() : Made())}",
            14 or 15 => $"{(random.Next(2) == 0 ? Word() : Made())} {One(tails)}",
            16 => $"The {Word()} {One(tails)}",
            17 => $"{Word()} {One(["of", "in", "at", "on", "by"])} {One(["the", "a", "my"])} {Word()}",
            18 => Made() + random.Next(2, 100).ToString(CultureInfo.InvariantCulture),
            19 => $"{Made()} {(char)('A' + random.Next(26))}{random.Next(1, 10).ToString(CultureInfo.InvariantCulture)}",
            20 => Made() + GrammarText.Capital(One(Words)),
            21 => $"{Made()} {random.Next(2, 100).ToString(CultureInfo.InvariantCulture)}",
            22 => $"{Made()} {Made()}",
            _ => string.Concat(Enumerable.Range(0, random.Next(2, 5)).Select(_ => Chinese[random.Next(Chinese.Length)])),
        };
        return random.Next(12) switch { 0 => name.ToLowerInvariant(), 1 when name.Length < 9 => name.ToUpperInvariant(), _ => name };
    }
}
