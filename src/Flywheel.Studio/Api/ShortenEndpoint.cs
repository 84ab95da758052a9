using System.Text.Json.Nodes;
using Flywheel.Loop.Translation;
using Flywheel.Model;
using Flywheel.Studio.Access;
using Flywheel.Studio.OpenAI;
using Flywheel.Studio.Serving;
using Microsoft.AspNetCore.Http;

namespace Flywheel.Studio;

/// <summary><c>POST /v1/audio/shorten</c>: shorter texts for a line that takes too long to say.</summary>
internal static class ShortenEndpoint
{
    private const int MaxText = 2000;

    public static async Task HandleAsync(HttpContext http, Shortener shortener, Glossary glossary)
    {
        RequestBody body = await RequestBody.ReadAsync(http);
        GenerationFields.RefuseUnknownBut(body, "text", "language", "max_characters", "source", "source_language", "shorten", "user");
        string text = body.RequiredText("text", MaxText).Trim(), language = body.RequiredText("language", 40).ToLowerInvariant();
        int letters = body.Count("max_characters", 1, MaxText)
            ?? throw ApiException.BadField("max_characters", "field 'max_characters' is missing, expected how long a text may be",
                "missing_required_parameter");
        string source = body.Text("source", MaxText) ?? "", from = body.Text("source_language", 40)?.Split('-')[0].ToLowerInvariant() ?? "";
        IReadOnlyList<string> kept = source.Length == 0 || from.Length == 0 ? []
            : [.. (await glossary.ListAsync(new LanguagePair(Caller.WorkspaceOf(http.User), from, language.Split('-')[0]),
                http.RequestAborted)).Find(source).Select(found => found.Term.Target)];
        try
        {
            var caller = new TranscriptCaller(body.Owner.Length > 0 ? body.Owner : body.Text("user", 200) ?? "", body.Owner,
                Caller.WorkspaceOf(http.User));
            ShorterAnswer answer = await shortener.SuggestAsync(new LongLine(text, language, letters) { Kept = kept },
                await shortener.PeoplesAsync(language, caller, http.RequestAborted),
                body.Text("shorten", 200) ?? Shortener.Model, caller, http.RequestAborted);
            await Answers.Json(http, new()
            {
                ["object"] = "list",
                ["data"] = new JsonArray([.. answer.Suggestions.Select(one => new JsonObject
                {
                    ["generation_id"] = one.Id.ToString(), ["object"] = "audio.suggestion", ["text"] = one.Text,
                    ["characters"] = one.Text.Length, ["origin"] = one.Origin, ["fits"] = one.Fits,
                })]),
                ["note"] = answer.Note,
                ["refused"] = new JsonArray([.. answer.Refused.Select(each => JsonValue.Create(each))]),
            });
        }
        catch (FlywheelException e)
        {
            throw ApiException.BadField("shorten", e.Message);
        }
    }
}
