using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Flywheel.Loop;
using Flywheel.Model;

namespace Flywheel.Studio.Apps.Write.Sharing;

/// <summary>
/// Links by which outsiders choose between the drafts of a brief. A link opens those drafts and nothing else; each choice is feedback of
/// that person, as if they had kept the one and discarded the others.
/// </summary>
internal sealed class Shares(Documents documents, Briefs briefs, FlywheelStore store, TimeProvider time) : IDisposable
{
    public const string Kind = "share";

    public const int MinDays = 1, MaxDays = 90, DefaultDays = 14, MaxReason = 500;

    /// <summary>People who can choose by one link: whoever empties their browser counts again, but not without end.</summary>
    private const int MaxPeople = 1000;

    private const string ShareTag = "share", ChoiceTag = "choice", None = "none";

    private const int SecretBytes = 32;

    private readonly SemaphoreSlim _choosing = new(1, 1);

    /// <summary>Makes a link for a brief's latest drafts, or those of the set.</summary>
    /// <exception cref="FlywheelException">The brief is not this person's, or has not two drafts to choose from.</exception>
    public async Task<(Document Document, ShareBody Body)> CreateAsync(string person, Guid brief, Guid? set, int days)
    {
        if (days is < MinDays or > MaxDays) throw new FlywheelException($"field 'days' is {days}, expected {MinDays} to {MaxDays}");
        if (await briefs.FindAsync(brief, person) is not var (_, body))
            throw new FlywheelException($"field 'brief' is '{brief}', expected the id of a brief of this user");
        DraftSet? asked = set is null ? body.Sets.FirstOrDefault() : body.Sets.FirstOrDefault(one => one.Id == set);
        if (asked is null)
            throw new FlywheelException(set is null
                ? $"field 'brief' is '{brief}', which has no drafts yet" : $"field 'set' is '{set}', expected a set of drafts of the brief");
        List<SharedDraft> drafts =
            [.. asked.Drafts.Where(IsShown).DistinctBy(draft => draft.Text.Trim())
                .Select(draft => new SharedDraft(draft.Generation, draft.Text.Trim()))];
        if (drafts.Count < 2)
            throw new FlywheelException(
                "a link needs two drafts to choose from, expected a set with at least two different texts that nobody edited");
        DateTimeOffset now = time.GetUtcNow();
        var id = Guid.CreateVersion7(now);
        var share = new ShareBody
        {
            Brief = brief, Set = asked.Id, Expires = now.AddDays(days), Drafts = drafts,
            Token = Base64Url.EncodeToString([.. id.ToByteArray(), .. RandomNumberGenerator.GetBytes(SecretBytes)]),
            Name = asked.Fields.Name.Trim(), Kind = asked.Kind, What = asked.Fields.What.Trim(), Audience = asked.Fields.Audience.Trim(),
        };
        return (await documents.PutAsync(id, person, Briefs.App, Kind, share.Name, share.ToJson()), share);
    }

    /// <summary>A text that came to its end, is not empty, and is the model's: what others say of it counts for what the model
    /// wrote.</summary>
    public static bool IsShown(Draft draft) =>
        draft.State is not (DraftState.Writing or DraftState.Lost) && !IsEdited(draft) && draft.Text.Trim().Length > 0;

    /// <summary>The owner's text, which a link leaves out.</summary>
    public static bool IsEdited(Draft draft) =>
        draft.State == DraftState.Edited || (draft.Written.Length > 0 && draft.Text.Trim() != draft.Written.Trim());

    /// <summary>A person's links, the latest first; ended ones too. Those that cannot be read any more open nothing.</summary>
    public async Task<(IReadOnlyList<(Document Document, ShareBody Body)> Whole, IReadOnlyList<Damaged> Damaged)> ListAsync(
        string person) =>
        (await documents.ListAsync(person, Briefs.App, Kind)).OrderByDescending(document => document.Created).Sorted(ShareBody.Parse);

    public async Task<(Document Document, ShareBody Body)?> FindAsync(Guid id, string person) =>
        await documents.FindAsync(id, person) is { App: Briefs.App, Kind: Kind } document ? document.Readable(ShareBody.Parse) : null;

    /// <summary>From now on the link opens nothing.</summary>
    public Task RevokeAsync(Guid id, string person) => documents.ChangeAsync(id, person, document =>
    {
        ShareBody share = ShareBody.Parse(document.Body);
        if (document.Kind != Kind || share.Revoked is not null) return false;
        document.Body = (share with { Revoked = time.GetUtcNow() }).ToJson();
        return true;
    });

    /// <summary>What an outsider's link opens; null for one that is wrong, has ended or was revoked, which nobody can tell apart.</summary>
    public async Task<(Guid Id, ShareBody Body, string Workspace)?> OpenAsync(string token)
    {
        byte[] bytes = new byte[16 + SecretBytes];
        if (token.Length != Base64Url.GetEncodedLength(bytes.Length) || !Base64Url.TryDecodeFromChars(token, bytes, out int count)
            || count != bytes.Length) return null;
        var id = new Guid(bytes.AsSpan(0, 16));
        if (await documents.FindOfAnyoneAsync(id, Briefs.App, Kind) is not { Deleted: null } found
            || found.Readable(ShareBody.Parse) is not var (document, share)) return null;
        bool same = CryptographicOperations.FixedTimeEquals(Encoding.ASCII.GetBytes(share.Token), Encoding.ASCII.GetBytes(token));
        return same && share.IsOpen(time.GetUtcNow()) ? (id, share, document.Workspace) : null;
    }

    /// <summary>Records a person's choice, whole or not at all; of several, also of two at once, the last one counts.</summary>
    /// <param name="id">The share.</param>
    /// <param name="share">What it says.</param>
    /// <param name="person">Who chose.</param>
    /// <param name="generation">The draft; null: none of them.</param>
    /// <param name="reason">Why; may be empty.</param>
    /// <returns>False when so many have chosen that no more are heard.</returns>
    public async Task<bool> ChooseAsync(Guid id, ShareBody share, string person, Guid? generation, string reason)
    {
        await _choosing.WaitAsync();
        try
        {
            IReadOnlyDictionary<string, Choice> choices = await ChoicesAsync(id, share);
            if (!choices.ContainsKey(person) && choices.Count >= MaxPeople) return false;
            if (choices.GetValueOrDefault(person) is { } before && before.Generation == generation && before.Reason == reason) return true;
            var tags = new JsonObject { ["application"] = "share", [ShareTag] = id.ToString(),
                [ChoiceTag] = generation?.ToString() ?? None };
            List<FeedbackInput> said =
                [.. share.Drafts.Select(draft => new FeedbackInput(draft.Generation,
                    draft.Generation == generation ? Metrics.Keep : Metrics.Discard, true, person, tags))];
            if (reason.Length > 0)
                said.Add(new FeedbackInput(generation ?? share.Drafts[0].Generation, Metrics.Comment, reason, person, tags));
            // One after another and all of them: of two choices at once, on this server or on two, none is half of each.
            await store.AddAllFeedbackAsync(said);
            return true;
        }
        finally
        {
            _choosing.Release();
        }
    }

    /// <summary>What a person chose before: the place in the share's drafts, -1 for none of them; null when nothing yet.</summary>
    public async Task<(Guid? Generation, string Reason)?> ChoiceOfAsync(Guid id, ShareBody share, string person) =>
        (await ChoicesAsync(id, share)).GetValueOrDefault(person) is { } choice ? (choice.Generation, choice.Reason) : null;

    public async Task<ShareTally> TallyAsync(Guid id, ShareBody share)
    {
        Choice[] choices = [.. (await ChoicesAsync(id, share)).Values.OrderByDescending(choice => choice.Sequence)];
        return new(choices.Length, [.. share.Drafts.Select(draft => choices.Count(choice => choice.Generation == draft.Generation))],
            choices.Count(choice => choice.Generation is null),
            [.. choices.Where(choice => choice.Reason.Length > 0)
                .Select(choice => (share.Drafts.FindIndex(draft => draft.Generation == choice.Generation) + 1, choice.Reason))]);
    }

    /// <summary>Each person's last choice. Who was forgotten is not among them: it is read from the record.</summary>
    private async Task<IReadOnlyDictionary<string, Choice>> ChoicesAsync(Guid id, ShareBody share)
    {
        List<Feedback> rows = [];
        foreach (SharedDraft draft in share.Drafts) rows.AddRange(await store.FeedbackAsync(draft.Generation));
        Dictionary<string, Choice> choices = [];
        foreach (Feedback row in rows.OrderBy(row => row.Sequence))
        {
            JsonObject tags = JsonNode.Parse(row.Tags)!.AsObject();
            if ((string?)tags[ShareTag] != id.ToString() || (string?)tags[ChoiceTag] is not { } chosen) continue;
            Guid? generation = Guid.TryParse(chosen, out Guid one) ? one : null;
            if (row.Metric != Metrics.Comment) choices[row.User] = new(generation, "", row.Sequence);
            else if (choices.TryGetValue(row.User, out Choice? made)) choices[row.User] = made with { Reason = row.Text };
        }
        return choices;
    }

    public void Dispose() => _choosing.Dispose();

    private sealed record Choice(Guid? Generation, string Reason, long Sequence);
}
