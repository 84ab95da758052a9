using Flywheel.Model;

namespace Flywheel.Loop;

/// <summary>
/// Who speaks in a feedback: a person; the rules of a game or another checker that is never wrong; a program that plays a person.
/// </summary>
public enum FeedbackSource { Person, Referee, Simulated }

/// <summary>
/// How feedback of one source is curated, and what the gate asks of a model that learnt from it. Another source is another entry of
/// <see cref="All"/>.
/// </summary>
public sealed record FeedbackSourceRules
{
    public required FeedbackSource Source { get; init; }

    /// <summary>Whether a request may say that it is of this source; else only this program does.</summary>
    public required bool MayBeStated { get; init; }

    /// <summary>
    /// It is somebody's taste: whole people are held out, one person fills no more than a part of what is learnt and tested, and from
    /// too few people nothing is concluded about others. Else requests are held out, and nothing is capped.
    /// </summary>
    public required bool IsTaste { get; init; }

    /// <summary>Left out of a turn in which people have spoken: they are what it stands in for.</summary>
    public required bool YieldsToPeople { get; init; }

    public static IReadOnlyList<FeedbackSourceRules> All { get; } =
    [
        new() { Source = FeedbackSource.Person, MayBeStated = true, IsTaste = true, YieldsToPeople = false },
        new() { Source = FeedbackSource.Referee, MayBeStated = false, IsTaste = false, YieldsToPeople = false },
        new() { Source = FeedbackSource.Simulated, MayBeStated = true, IsTaste = true, YieldsToPeople = true },
    ];

    public static FeedbackSourceRules Of(FeedbackSource source) => All.Single(rules => rules.Source == source);

    /// <summary>Reads the field <c>source</c> of a request; a person's when it is not given.</summary>
    /// <exception cref="FlywheelException">It is none that a request may state.</exception>
    public static FeedbackSource Stated(string? name) => Named(name) is { MayBeStated: true } rules ? rules.Source : throw Unknown(name!);

    /// <summary>Rules of a source by its name in small letters; a person's when there is none.</summary>
    /// <exception cref="FlywheelException">There is no such source.</exception>
    internal static FeedbackSourceRules Named(string? name) =>
        name is null ? Of(FeedbackSource.Person) : All.FirstOrDefault(rules => rules.Name == name) ?? throw Unknown(name);

    internal string Name => Source.ToString().ToLowerInvariant();

    private static FlywheelException Unknown(string name) =>
        new($"field 'source' is '{name}', expected {NearestName.List([.. All.Where(rules => rules.MayBeStated).Select(rules => rules.Name)])}");
}
