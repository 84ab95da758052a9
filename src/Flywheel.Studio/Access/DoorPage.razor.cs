using Flywheel.Studio.Shell;
using Microsoft.AspNetCore.Antiforgery;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Flywheel.Studio.Access;

public sealed partial class DoorPage : ComponentBase
{
    [Parameter, EditorRequired] public Strings Words { get; set; } = null!;

    [Parameter] public bool? Dark { get; set; }

    [Parameter, EditorRequired] public string Title { get; set; } = "";

    [Parameter] public RenderFragment? ChildContent { get; set; }

    /// <summary>Such a page as an answer: its forms get their token, and nothing of it is kept or framed; nothing runs but our own script,
    /// where it is needed.</summary>
    /// <typeparam name="TPage">A <see cref="DoorForms"/>.</typeparam>
    /// <param name="http">The request.</param>
    /// <param name="antiforgery">Gives the token.</param>
    /// <param name="status">Of the answer.</param>
    /// <param name="page">The page's parameters.</param>
    /// <param name="script">Our own script runs on it, and may ask this server.</param>
    internal static RazorComponentResult<TPage> Answer<TPage>(HttpContext http, IAntiforgery antiforgery, int status,
        Dictionary<string, object?> page, bool script = false) where TPage : DoorForms
    {
        AntiforgeryTokenSet tokens = antiforgery.GetAndStoreTokens(http); // says no-store too
        http.Response.StatusCode = status;
        http.Response.Headers.ContentSecurityPolicy =
            "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self'; font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
            + (script ? "; script-src 'self'; connect-src 'self'" : "");
        // the address of an invitation is a secret; without any, a form would come from the origin null
        http.Response.Headers["Referrer-Policy"] = "same-origin";
        http.Response.Headers.XContentTypeOptions = "nosniff";
        (page["Words"], page["Dark"]) = (Strings.Of(Visitor.Language(http)), Visitor.PrefersDark(http));
        (page["TokenField"], page["Token"]) = (tokens.FormFieldName, tokens.RequestToken);
        return new RazorComponentResult<TPage>(page) { StatusCode = status };
    }
}

/// <summary>What the pages before the pages share: their words, and the token of their forms.</summary>
public abstract class DoorForms : ComponentBase
{
    [Parameter, EditorRequired] public Strings Words { get; set; } = null!;

    [Parameter] public bool? Dark { get; set; }

    [Parameter] public string? Problem { get; set; }

    [Parameter, EditorRequired] public string TokenField { get; set; } = "";

    [Parameter, EditorRequired] public string? Token { get; set; }

    /// <summary>Why something was not done, in the visitor's language.</summary>
    protected string? ProblemText => Problem is null ? null : Words.Knows(Problem) ? Words[Problem] : Words["account.not-done"];
}
