namespace Flywheel.Studio.Access;

/// <summary>What people with accounts are called; the record names them by their user.</summary>
/// <param name="names">By user.</param>
public sealed class NameBook(IReadOnlyDictionary<string, string> names)
{
    public static NameBook Empty { get; } = new(new Dictionary<string, string>());

    /// <summary>By user and name, for choices.</summary>
    public IEnumerable<KeyValuePair<string, string>> All => names;

    public bool Knows(string user) => names.ContainsKey(user);

    /// <summary>Of who has no account, as requests name them.</summary>
    public string Of(string user) => names.GetValueOrDefault(user, user);

    /// <summary>A text that says who did something, such as the reason of a release.</summary>
    public string In(string? text) =>
        names.Aggregate(text ?? "", (said, person) => said.Replace(person.Key, person.Value, StringComparison.Ordinal));
}
