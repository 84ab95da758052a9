using System.Text.RegularExpressions;

namespace Flywheel.Model;

/// <summary>Somebody else's model behind an OpenAI-compatible API, which answers here under a name of its own.</summary>
public sealed partial record Upstream
{
    /// <summary>Before the name where a model's hash could stand instead.</summary>
    public const string Prefix = "upstream:";

    /// <summary>The name by which requests ask for whatever model answers here.</summary>
    private const string AnyModel = "flywheel";

    /// <summary>What requests give as their <c>model</c>: letters, digits, and . _ - between them.</summary>
    public required string Name { get; init; }

    /// <summary>Such as https://api.example.com/v1; <c>/chat/completions</c> is added.</summary>
    public required string BaseUrl { get; init; }

    /// <summary>What the model is called there.</summary>
    public required string Model { get; init; }

    /// <summary>The environment variable that holds the key; null sends none. The key itself stands nowhere.</summary>
    public string? KeyFrom { get; init; }

    /// <summary>Of a million prompt tokens, and of a million tokens of answers.</summary>
    public double? PriceIn { get; init; }

    public double? PriceOut { get; init; }

    /// <summary>Its licence permits to train a model of one's own on its answers. Unsaid, it is taken not to.</summary>
    public bool MayTrain { get; init; }

    /// <summary>Seconds until the first piece of an answer, and between two.</summary>
    public double TimeoutS { get; init; } = 60;

    /// <summary>As a rollout names it.</summary>
    public string Reference => Prefix + Name;

    /// <summary>The key, from the environment.</summary>
    /// <exception cref="FlywheelException">The variable is not set.</exception>
    public string? Key => KeyFrom is null ? null
        : Environment.GetEnvironmentVariable(KeyFrom) is { Length: > 0 } key ? key.Trim()
        : throw new FlywheelException(
            $"the upstream '{Name}' takes its key from the environment variable {KeyFrom}, which is not set where the server runs");

    /// <summary>What an answer costs; null without prices.</summary>
    public double? CostOf(int promptTokens, int tokens) => PriceIn is null && PriceOut is null ? null
        : ((PriceIn ?? 0) * promptTokens + (PriceOut ?? 0) * tokens) / 1e6;

    internal void Validate(string field, Func<string, string> where)
    {
        if (!NameForm().IsMatch(Name) || Name == AnyModel)
            throw Wrong("name", $"'{Name}'",
                $"1 to 64 letters, digits, '.', '_' or '-', and not '{AnyModel}', which is whatever answers here");
        if (!Uri.TryCreate(BaseUrl, UriKind.Absolute, out Uri? url) || url.Scheme is not ("http" or "https"))
            throw Wrong("base_url", $"'{BaseUrl}'", "an address such as https://api.example.com/v1");
        if (url.UserInfo.Length > 0)
            throw Wrong("base_url", "an address with a password in it", "an address without; name an environment variable in key_from");
        if (Model.Length == 0) throw Wrong("model", "empty", "what the model is called there");
        if (PriceIn is < 0) throw Wrong("price_in", $"{PriceIn}", "0 or more");
        if (PriceOut is < 0) throw Wrong("price_out", $"{PriceOut}", "0 or more");
        if (TimeoutS is not (> 0 and <= 3600)) throw Wrong("timeout_s", $"{TimeoutS}", "seconds, up to 3600");

        FlywheelException Wrong(string name, string value, string expected) =>
            new($"{where($"{field}.{name}")}: field '{field}.{name}' is {value}, expected {expected}");
    }

    [GeneratedRegex("^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    private static partial Regex NameForm();
}

/// <summary>The upstreams of a home: <c>upstreams.yaml</c> in it.</summary>
public sealed record Upstreams
{
    public const string FileName = "upstreams.yaml";

    /// <summary>In the file <c>upstreams</c>.</summary>
    public IReadOnlyList<Upstream> All { get; init; } = [];

    /// <summary>What an hour of this machine costs, to compare with; null: nobody said.</summary>
    public double? MachinePerHour { get; init; }

    public Upstream? Find(string name) => All.FirstOrDefault(upstream => upstream.Name == name || upstream.Reference == name);

    /// <summary>Of a home without the file: none.</summary>
    /// <exception cref="FlywheelException">The file is not valid; the message names line and field.</exception>
    public static Upstreams Read(FlywheelHome home)
    {
        string path = Path.Combine(home.Path, FileName);
        if (!File.Exists(path)) return new();
        UpstreamsFile file = RecipeFile.Parse<UpstreamsFile>(Utf8File.ReadText(path), path, [], (file, where) =>
        {
            foreach ((int index, Upstream upstream) in file.Upstreams.Index()) upstream.Validate($"upstreams[{index}]", where);
            if (file.MachinePerHour is < 0)
                throw new FlywheelException(
                    $"{where("machine_per_hour")}: field 'machine_per_hour' is {file.MachinePerHour}, expected 0 or more");
            if (file.Upstreams.GroupBy(upstream => upstream.Name).FirstOrDefault(group => group.Count() > 1) is { } twice)
                throw new FlywheelException($"{where("upstreams")}: field 'upstreams' has '{twice.Key}' twice, expected a name for each");
        }, "list of upstreams");
        return new() { All = file.Upstreams, MachinePerHour = file.MachinePerHour };
    }

    /// <summary>The file's fields.</summary>
    private sealed record UpstreamsFile
    {
        public IReadOnlyList<Upstream> Upstreams { get; init; } = [];

        public double? MachinePerHour { get; init; }
    }
}
