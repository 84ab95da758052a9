using Flywheel.Model;

namespace Flywheel.Voice;

/// <summary>The engines of this machine and their voices.</summary>
public sealed class SpeechEngines(IReadOnlyList<ISpeechEngine> engines)
{
    /// <summary>All that there are; those that are not installed have no voices.</summary>
    public static SpeechEngines Default { get; } = new([new FliteEngine(), new EspeakEngine(), new FestivalEngine()]);

    /// <summary>Those, and the voices that people have put into a home.</summary>
    public static SpeechEngines In(FlywheelHome home) => new([.. Default.All, new PiperEngine(PiperEngine.FolderIn(home))]);

    public IReadOnlyList<ISpeechEngine> All => engines;

    public ISpeechEngine this[Voice voice] => engines.First(engine => engine.Name == voice.Engine);

    /// <summary>Voices of all engines that are installed, in the engines' order.</summary>
    public async Task<IReadOnlyList<Voice>> VoicesAsync(CancellationToken cancellation = default)
    {
        var voices = new List<Voice>();
        foreach (ISpeechEngine engine in engines)
            if (engine.Program.IsInstalled) voices.AddRange(await engine.VoicesAsync(cancellation));
        return voices;
    }

    /// <summary>A voice by its id, or by its name alone when only one engine has it.</summary>
    /// <exception cref="FlywheelException">There is none, or the engine is not installed.</exception>
    public async Task<Voice> FindAsync(string id, CancellationToken cancellation = default)
    {
        string[] parts = id.Split(':', 2);
        if (parts.Length == 2)
        {
            ISpeechEngine engine = engines.FirstOrDefault(engine => engine.Name == parts[0])
                ?? throw new FlywheelException(
                    $"voice '{id}': there is no engine '{parts[0]}'{NearestName.Hint(parts[0], [.. engines.Select(engine => engine.Name)])}");
            if (!engine.Program.IsInstalled) throw engine.Program.Missing;
            return await engine.FindAsync(parts[1], cancellation) ?? throw await UnknownAsync(id, cancellation);
        }
        var found = new List<Voice>();
        foreach (ISpeechEngine engine in engines)
            if (engine.Program.IsInstalled && await engine.FindAsync(id, cancellation) is { } voice) found.Add(voice);
        return found.Count switch
        {
            1 => found[0],
            0 => throw await UnknownAsync(id, cancellation),
            _ => throw new FlywheelException(
                $"voice '{id}' is one of several engines, expected {NearestName.List([.. found.Select(voice => voice.Id)])}"),
        };
    }

    /// <summary>A voice that speaks the language, for who chose none: that of the first engine, the most exact match first.</summary>
    /// <exception cref="FlywheelException">No installed voice does.</exception>
    public async Task<Voice> ForLanguageAsync(string language, CancellationToken cancellation = default)
    {
        string wanted = language.ToLowerInvariant(), general = wanted.Split('-')[0];
        IReadOnlyList<Voice> voices = await VoicesAsync(cancellation);
        return voices.FirstOrDefault(voice => voice.Language == wanted && !voice.Name.StartsWith("kal", StringComparison.Ordinal))
            ?? voices.FirstOrDefault(voice => voice.Language.Split('-')[0] == general
                && !voice.Name.StartsWith("kal", StringComparison.Ordinal))
            ?? throw new FlywheelException(voices.Count == 0
                ? $"no speech engine is installed; apt-get install {string.Join(" or ", engines.Select(engine => engine.Program.Package))}"
                : $"no installed voice speaks '{language}'; ./flywheel voice voices lists those that are");
    }

    private async Task<FlywheelException> UnknownAsync(string id, CancellationToken cancellation)
    {
        IReadOnlyList<Voice> voices = await VoicesAsync(cancellation);
        if (voices.Count == 0)
            return new(
                $"voice '{id}': no speech engine is installed; apt-get install {string.Join(" or ", engines.Select(engine => engine.Program.Package))}");
        string hint = voices.Select(voice => id.Contains(':', StringComparison.Ordinal) ? voice.Id : voice.Name).ToArray() is var names
            && NearestName.Hint(id, names) is var said
            && said.Length < 80 ? said : "";
        return new($"there is no voice '{id}'{hint}; ./flywheel voice voices lists those that are installed");
    }
}
