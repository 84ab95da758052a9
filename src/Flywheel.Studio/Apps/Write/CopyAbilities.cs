using Flywheel.Model;
using Flywheel.Studio.Serving;

namespace Flywheel.Studio.Apps.Write;

/// <summary>
/// What a model can be asked for. The page shows nothing else: a button that gives nonsense costs more trust than one that is missing.
/// Models from elsewhere follow orders in general; ours can what they were trained for, which those whose vocabulary has the reserved
/// ranges were in all kinds of text, tones, lengths and rewrites, and the ones before them only in the first three kinds.
/// </summary>
internal static class CopyAbilities
{
    private static readonly string[] FirstKinds = [Brief.Tagline, Brief.Description, Brief.Features];

    /// <summary>Kinds of text.</summary>
    public static IReadOnlyList<string> Kinds(ServedModel model) => IsAble(model) ? Brief.Kinds : FirstKinds;

    /// <summary>Tone and length mean something to it.</summary>
    public static bool HasTones(ServedModel model) => IsAble(model);

    /// <summary>Ways of asking for another text; more like this needs nothing but an example.</summary>
    public static IReadOnlyList<CopyWay> Ways(ServedModel model) => IsAble(model) ? CopyWay.Orders : [CopyWay.MoreLikeThis];

    /// <summary>It does what any order says; one of ours does what it was trained for.</summary>
    public static bool FollowsOrders(ServedModel model) => model.Folder.Manifest.Run is null;

    /// <summary>Its drafts are sampled in numbers and ranked by what they copied; those of a model from elsewhere stream in as they
    /// come.</summary>
    public static bool IsRanked(ServedModel model) => model.Folder.Manifest.Run is not null && IsAble(model);

    private static bool IsAble(ServedModel model) =>
        model.Folder.Manifest.Run is null || ReservedTokens.Ranges(model.Folder.Tokenizer).ContainsKey("task");
}
