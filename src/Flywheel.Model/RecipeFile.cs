namespace Flywheel.Model;

/// <summary>Reads recipes; an unknown field is refused with its line and the nearest valid name.</summary>
public static class RecipeFile
{
    public static Recipe Load(string path) => throw new NotImplementedException();

    public static Recipe Parse(string yaml, string source) => throw new NotImplementedException();

    /// <summary>YAML that parses to an equal recipe.</summary>
    public static string ToYaml(Recipe recipe) => throw new NotImplementedException();
}
