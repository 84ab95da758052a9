using Flywheel.Studio.Access;
using Microsoft.AspNetCore.Http;

namespace Flywheel.Studio.Pages;

/// <summary>What a browser tells about who sits before it: an anonymous name that only groups their own choices, and light or dark.</summary>
internal static class Visitor
{
    private const string PersonCookie = "flywheel_person", DarkCookie = "flywheel_dark";

    /// <summary>Such names are random; what a browser claims to be called otherwise could be another's name.</summary>
    private const string Anonymous = "person-";

    /// <summary>The user whose key was used to sign in; else the name that this browser was given; a new browser is given one.</summary>
    public static string Identify(HttpContext http)
    {
        if (Caller.UserOf(http.User) is { } user) return user;
        if (http.Request.Cookies[PersonCookie] is { Length: > 0 and <= 64 } known && known.StartsWith(Anonymous, StringComparison.Ordinal) && known.All(c => char.IsAsciiLetterOrDigit(c) || c == '-')) return known;
        string person = $"{Anonymous}{Guid.NewGuid():N}"[..19];
        http.Response.Cookies.Append(PersonCookie, person, new CookieOptions { HttpOnly = true, SameSite = SameSiteMode.Lax, MaxAge = TimeSpan.FromDays(365), IsEssential = true });
        return person;
    }

    /// <summary>Null: not chosen, so the system decides.</summary>
    public static bool? PrefersDark(HttpContext http) => http.Request.Cookies[DarkCookie] switch { "true" => true, "false" => false, _ => null };
}
