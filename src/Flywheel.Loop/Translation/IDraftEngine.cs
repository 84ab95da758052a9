namespace Flywheel.Loop.Translation;

/// <summary>Translates texts into drafts that a person mends: a program of rules, or the served model.</summary>
public interface IDraftEngine
{
    /// <summary>As a request names it, and as the record says who drafted.</summary>
    string Name { get; }

    /// <summary>Whether it can translate between these languages now, and if not, why.</summary>
    Task<EngineState> StateAsync(string from, string to, CancellationToken cancellation = default);

    /// <summary>Drafts of texts, in their order.</summary>
    /// <param name="texts">A sentence or so each.</param>
    /// <param name="from">BCP 47 tag.</param>
    /// <param name="to">BCP 47 tag.</param>
    /// <param name="caller">Whose they are.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="Model.FlywheelException">It cannot, or it failed.</exception>
    Task<IReadOnlyList<EngineDraft>> DraftAsync(IReadOnlyList<string> texts, string from, string to, DraftCaller caller,
        CancellationToken cancellation = default);
}

/// <summary>A draft.</summary>
/// <param name="Text">Empty where the engine had nothing to say.</param>
/// <param name="Generation">In the record; null of an engine that is no model.</param>
public sealed record EngineDraft(string Text, Guid? Generation = null);

/// <summary>Who asks an engine.</summary>
/// <param name="User">As the record names them.</param>
/// <param name="Owner">The user to whom the request's key belongs; empty without one.</param>
/// <param name="App">The application: <c>translate</c> or <c>api</c>.</param>
public sealed record DraftCaller(string User, string Owner, string App);

public enum EngineStatus
{
    Ready,

    /// <summary>It can be asked, but was not made for this; nobody is offered it who does not ask for it.</summary>
    Untrained,

    /// <summary>The program is not on this machine.</summary>
    NotInstalled,

    /// <summary>The program is there, the pair of languages is not.</summary>
    PairNotInstalled,

    /// <summary>There is no such pair.</summary>
    NoSuchPair,
}

/// <summary>What an engine can do now.</summary>
/// <param name="Remedy">A command that would make it ready; null where there is none.</param>
public sealed record EngineState(EngineStatus Status, string? Remedy = null)
{
    public bool CanDraft => Status is EngineStatus.Ready or EngineStatus.Untrained;
}
