using Flywheel.Loop;
using Flywheel.Studio.Access;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Flywheel.Studio.Shell;

/// <summary>What a browser tells about who sits before it: an anonymous name that only groups their own choices, colours and
/// language.</summary>
internal static class Visitor
{
    private const string PersonCookie = "flywheel_person", DarkCookie = "flywheel_dark", SystemDarkCookie = "flywheel_system_dark",
        LanguageCookie = "flywheel_language", ZoneCookie = "flywheel_zone";

    /// <summary>Such names are random; what a browser claims to be called otherwise could be another's name.</summary>
    private const string Anonymous = "person-";

    /// <summary>Set of a visit whose browser bears the name of somebody's account.</summary>
    private static readonly object s_isAnAccounts = new();

    /// <summary>
    /// Call it before a visitor is identified. Who got an account goes on under the name of their browser, so that name is worth nothing
    /// any
    /// more without their password.
    /// </summary>
    public static async Task CheckAsync(HttpContext http, Accounts accounts)
    {
        if (Caller.UserOf(http.User) is null && CookieOf(http) is { } known
            && await accounts.FindByUserAsync(known, http.RequestAborted) is not null)
            http.Items[s_isAnAccounts] = true;
    }

    /// <summary>The browser's name has become an account's: who comes after is somebody else.</summary>
    public static void Forget(HttpContext http) => http.Response.Cookies.Delete(PersonCookie);

    /// <summary>The user whose key was used to sign in; else the name that this browser was given; a new browser is given one.</summary>
    /// <param name="http">The visit.</param>
    /// <param name="isNew">A new browser is given one; else it is nobody.</param>
    public static string Identify(HttpContext http, bool isNew = true)
    {
        if (Caller.UserOf(http.User) is { } user) return user;
        if (CookieOf(http) is { } known && !http.Items.ContainsKey(s_isAnAccounts)) return known;
        if (!isNew) return Actor.Visitor;
        string person = $"{Anonymous}{Guid.NewGuid():N}"[..19];
        http.Response.Cookies.Append(PersonCookie, person,
            new CookieOptions { HttpOnly = true, SameSite = SameSiteMode.Lax, MaxAge = TimeSpan.FromDays(365), IsEssential = true });
        return person;
    }

    private static string? CookieOf(HttpContext http) => http.Request.Cookies[PersonCookie] is { Length: > 0 and <= 64 } known
        && known.StartsWith(Anonymous, StringComparison.Ordinal) && known.All(c => char.IsAsciiLetterOrDigit(c) || c == '-') ? known : null;

    /// <summary>May change which model serves: the person alone at the machine, and whoever signed in as an owner or with a key for
    /// administration.</summary>
    public static bool MayAdminister(HttpContext http) => Caller.IsKnown(http.User) ? Caller.May(http.User, Scopes.Admin)
        : http.RequestServices.GetRequiredService<AccessRules>() is { IsForThisMachine: true, HasAccounts: false };

    /// <summary>May write and run tasks. Where nobody need be known, whoever comes does.</summary>
    public static bool MayWrite(HttpContext http) => !Caller.IsKnown(http.User) || Caller.May(http.User, Scopes.Inference);

    /// <summary>May begin a turn: whoever may change the model, and editors of the home's own workspace, whose turns the gate
    /// judges.</summary>
    public static bool MayTeach(HttpContext http) =>
        MayAdminister(http)
            || (Caller.AccountOf(http.User) is not null && MayWrite(http) && Caller.WorkspaceOf(http.User) == WorkspaceRow.Default);

    /// <summary>May say what is learnt of what others did: whoever administers, and an account whose role gives feedback.</summary>
    public static bool MayReview(HttpContext http) => MayAdminister(http) || MayReview(Caller.RoleOf(http.User));

    /// <inheritdoc cref="MayReview(HttpContext)"/>
    /// <param name="role">Of the person's account; null without one.</param>
    public static bool MayReview(string? role) => role is not null && Roles.ScopesOf(Roles.Parse(role)).Contains(Scopes.Feedback);

    /// <summary>Chosen by the person, else the system's as the browser last told it; null at the very first visit.</summary>
    public static bool? PrefersDark(HttpContext http) => Read(http, DarkCookie) ?? Read(http, SystemDarkCookie);

    private static bool? Read(HttpContext http, string cookie) =>
        http.Request.Cookies[cookie] switch { "true" => true, "false" => false, _ => null };

    public static string Language(HttpContext http) =>
        Strings.Choose(http.Request.Cookies[LanguageCookie], http.Request.Headers.AcceptLanguage).Language;

    /// <summary>Minutes east of Greenwich, as the browser last told them.</summary>
    public static int Zone(HttpContext http) =>
        int.TryParse(http.Request.Cookies[ZoneCookie], out int minutes) ? Math.Clamp(minutes, -14 * 60, 14 * 60) : 0;
}
