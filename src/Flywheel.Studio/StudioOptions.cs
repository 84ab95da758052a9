using Flywheel.Engine;
using Flywheel.Model;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Flywheel.Studio;

/// <summary>Where and what a server serves.</summary>
public sealed record StudioOptions
{
    public required FlywheelHome Home { get; init; }

    /// <summary>Loopback by default. Elsewhere everyone needs a key, unless <see cref="NoAuth"/> is said.</summary>
    public string Url { get; init; } = "http://127.0.0.1:5005";

    /// <summary>Names that the server goes by besides loopback's and its address, such as studio.example.com. With any, everyone needs a
    /// key.</summary>
    public IReadOnlyList<string> Hosts { get; init; } = [];

    /// <summary>IP addresses or networks of reverse proxies, whose X-Forwarded headers are believed. With any, everyone needs a
    /// key.</summary>
    public IReadOnlyList<string> Proxies { get; init; } = [];

    /// <summary>Origins whose pages may call the API from a browser, such as https://app.example.com.</summary>
    public IReadOnlyList<string> CorsOrigins { get; init; } = [];

    /// <summary>Nobody needs a key, except for administration: a proxy with its own sign-in stands before the server.</summary>
    public bool NoAuth { get; init; }

    /// <summary>A model to release and serve, as <see cref="ModelCatalog"/> names it; null: the home's champion, else
    /// <see cref="StarterModel"/>.</summary>
    public string? Model { get; init; }

    /// <summary>Adapters of that model to load, as <see cref="ModelCatalog"/> names them.</summary>
    public IReadOnlyList<string> Adapters { get; init; } = [];

    /// <summary>Folder of the model that a new home starts with.</summary>
    public string? StarterModel { get; init; }

    /// <summary>Recipe of the turns that the page Loop runs; null: it runs none.</summary>
    public string? TurnRecipe { get; init; }

    public EngineOptions Engine { get; init; } = new();

    /// <summary>The program that translates by rules; tests put another in its place.</summary>
    internal string Apertium { get; init; } = "apertium";

    /// <summary>Running answers have so long to end after a stop; then they are cut, told so, and recorded as cancelled.</summary>
    internal TimeSpan DrainTime { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>
    /// Who takes less of what is ready for them is taken for gone: their generation ends. The connection's buffers fill first, and
    /// what they took counts as taken: a megabyte in the kernel's gives four minutes at this pace.
    /// </summary>
    internal MinDataRate SlowestReader { get; init; } = new(bytesPerSecond: 4096, gracePeriod: TimeSpan.FromSeconds(5));
}
