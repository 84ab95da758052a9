namespace Flywheel.Jinja;

/// <summary>What may stand after <c>is</c>.</summary>
internal static class JinjaTests
{
    public static Dictionary<string, Func<object?, Arguments, bool>> All { get; } = new(StringComparer.Ordinal)
    {
        ["defined"] = (value, _) => value is not Undefined,
        ["undefined"] = (value, _) => value is Undefined,
        ["none"] = (value, _) => value is null,
        ["boolean"] = (value, _) => value is bool,
        ["true"] = (value, _) => value is true,
        ["false"] = (value, _) => value is false,
        ["integer"] = (value, _) => value is long,
        ["float"] = (value, _) => value is double,
        ["number"] = (value, _) => value is long or double or bool,
        ["string"] = (value, _) => value is string,
        ["mapping"] = (value, _) => value is JinjaDict,
        ["iterable"] = (value, _) => value is string or List<object?> or JinjaDict or Undefined,
        ["sequence"] = (value, _) => value is string or List<object?> or JinjaDict or Undefined,
        ["callable"] = (value, _) => value is Callable,
        ["sameas"] = (value, arguments) => arguments.Require(0, "other") is var other && (value is bool or null or long or string ? value?.GetType() == other?.GetType() && JinjaValue.Equal(value, other) : ReferenceEquals(value, other)),
        ["eq"] = Equal,
        ["equalto"] = Equal,
        ["=="] = Equal,
        ["ne"] = (value, arguments) => !Equal(value, arguments),
        ["lt"] = (value, arguments) => Compare(value, arguments) < 0,
        ["lessthan"] = (value, arguments) => Compare(value, arguments) < 0,
        ["le"] = (value, arguments) => Compare(value, arguments) <= 0,
        ["gt"] = (value, arguments) => Compare(value, arguments) > 0,
        ["greaterthan"] = (value, arguments) => Compare(value, arguments) > 0,
        ["ge"] = (value, arguments) => Compare(value, arguments) >= 0,
        ["in"] = (value, arguments) => JinjaFunctions.Contains(arguments.Require(0, "seq"), value),
        ["even"] = (value, _) => JinjaValue.Equal(JinjaArithmetic.Apply("%", value, 2L), 0L),
        ["odd"] = (value, _) => JinjaValue.Equal(JinjaArithmetic.Apply("%", value, 2L), 1L),
        ["divisibleby"] = (value, arguments) => JinjaValue.Equal(JinjaArithmetic.Apply("%", value, arguments.Require(0, "num")), 0L),
        ["lower"] = (value, _) => JinjaFunctions.IsCased(JinjaValue.Text(value), upper: false),
        ["upper"] = (value, _) => JinjaFunctions.IsCased(JinjaValue.Text(value), upper: true),
        ["filter"] = (value, _) => value is string name && JinjaFilters.All.ContainsKey(name),
        ["test"] = (value, _) => value is string name && All!.ContainsKey(name),
    };

    private static bool Equal(object? value, Arguments arguments) => JinjaValue.Equal(value, arguments.Require(0, "other"));

    private static int Compare(object? value, Arguments arguments) => JinjaValue.Compare(value, arguments.Require(0, "other"));
}
