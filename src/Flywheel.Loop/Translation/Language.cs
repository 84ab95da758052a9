namespace Flywheel.Loop.Translation;

/// <summary>A language that texts are translated from or to.</summary>
/// <param name="Tag">BCP 47.</param>
/// <param name="Name">Its own name for itself, which is the same on a page of any language.</param>
/// <param name="English">Its name in orders to a model.</param>
/// <param name="Code">ISO 639-3, as Apertium names it.</param>
public sealed record Language(string Tag, string Name, string English, string Code)
{
    public static IReadOnlyList<Language> All { get; } =
    [
        new("en", "English", "English", "eng"),
        new("es", "Español", "Spanish", "spa"),
        new("zh", "中文", "Chinese", "zho"),
        new("de", "Deutsch", "German", "deu"),
        new("fr", "Français", "French", "fra"),
        new("it", "Italiano", "Italian", "ita"),
        new("pt", "Português", "Portuguese", "por"),
        new("ca", "Català", "Catalan", "cat"),
        new("gl", "Galego", "Galician", "glg"),
        new("eu", "Euskara", "Basque", "eus"),
        new("oc", "Occitan", "Occitan", "oci"),
        new("ro", "Română", "Romanian", "ron"),
        new("nl", "Nederlands", "Dutch", "nld"),
        new("da", "Dansk", "Danish", "dan"),
        new("sv", "Svenska", "Swedish", "swe"),
        new("nb", "Norsk bokmål", "Norwegian", "nob"),
        new("nn", "Norsk nynorsk", "Norwegian Nynorsk", "nno"),
        new("is", "Íslenska", "Icelandic", "isl"),
        new("fi", "Suomi", "Finnish", "fin"),
        new("pl", "Polski", "Polish", "pol"),
        new("cs", "Čeština", "Czech", "ces"),
        new("hu", "Magyar", "Hungarian", "hun"),
        new("ru", "Русский", "Russian", "rus"),
        new("uk", "Українська", "Ukrainian", "ukr"),
        new("be", "Беларуская", "Belarusian", "bel"),
        new("bg", "Български", "Bulgarian", "bul"),
        new("mk", "Македонски", "Macedonian", "mkd"),
        new("sr", "Srpskohrvatski", "Serbo-Croatian", "hbs"),
        new("sl", "Slovenščina", "Slovenian", "slv"),
        new("el", "Ελληνικά", "Greek", "ell"),
        new("tr", "Türkçe", "Turkish", "tur"),
        new("ar", "العربية", "Arabic", "ara"),
        new("he", "עברית", "Hebrew", "heb"),
        new("hi", "हिन्दी", "Hindi", "hin"),
        new("ja", "日本語", "Japanese", "jpn"),
        new("ko", "한국어", "Korean", "kor"),
        new("id", "Bahasa Indonesia", "Indonesian", "ind"),
        new("ms", "Bahasa Melayu", "Malay", "zlm"),
        new("eo", "Esperanto", "Esperanto", "epo"),
        new("cy", "Cymraeg", "Welsh", "cym"),
        new("br", "Brezhoneg", "Breton", "bre"),
    ];

    /// <summary>The language of a tag, whatever its region or script: <c>es-MX</c> is Spanish.</summary>
    public static Language? Find(string tag)
    {
        string first = tag.Split('-', '_')[0];
        return All.FirstOrDefault(one => string.Equals(one.Tag, first, StringComparison.OrdinalIgnoreCase)
            || string.Equals(one.Code, first, StringComparison.OrdinalIgnoreCase));
    }

    /// <summary>Characters of its script stand without blanks between words.</summary>
    public bool IsUnspaced => Tag is "zh" or "ja";

    /// <summary>Written from right to left.</summary>
    public bool IsRightToLeft => Tag is "ar" or "he";
}
