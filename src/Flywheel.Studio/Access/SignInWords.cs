using System.Text.Json;

namespace Flywheel.Studio.Access;

/// <summary>The words of the sign-in page in one language, from the file beside it.</summary>
public sealed class SignInWords
{
    private static readonly SignInWords s_english = new("en"), s_chinese = new("zh-CN");

    private readonly Dictionary<string, string> _texts;

    private SignInWords(string language)
    {
        Language = language;
        using Stream file = typeof(SignInWords).Assembly.GetManifestResourceStream($"signin.{language}.json")!;
        _texts = JsonSerializer.Deserialize<Dictionary<string, string>>(file)!;
    }

    public string Language { get; }

    public string this[string key] => _texts[key];

    /// <summary>In the first language that the browser asks for, where it is one of ours.</summary>
    public static SignInWords For(string? acceptLanguage) => (acceptLanguage ?? "").StartsWith("zh", StringComparison.OrdinalIgnoreCase) ? s_chinese : s_english;
}
