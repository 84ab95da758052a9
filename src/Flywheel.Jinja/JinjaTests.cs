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
        ["integer"] = (value, _) => PythonNumber.IsInteger(value),
        ["float"] = (value, _) => value is double,
        ["number"] = (value, _) => PythonNumber.IsNumber(value),
        ["string"] = (value, _) => value is string,
        ["mapping"] = (value, _) => value is JinjaDict,
        ["iterable"] = (value, _) => value is string or List<object?> or JinjaDict or Undefined or JinjaGenerator,
        ["sequence"] = (value, _) => value is string or List<object?> and not JinjaView { IsRange: false } or JinjaDict or Undefined,
        ["callable"] = (value, _) => value is Callable,
        ["sameas"] = (value, arguments) => arguments.Require(0, "other") is var other
            && (value is bool or null or string || PythonNumber.IsInteger(value)
                ? value?.GetType() == other?.GetType() && JinjaValue.Equal(value, other) : ReferenceEquals(value, other)),
        ["eq"] = Equal,
        ["equalto"] = Equal,
        ["=="] = Equal,
        ["ne"] = (value, arguments) => !Equal(value, arguments),
        ["!="] = (value, arguments) => !Equal(value, arguments),
        ["lt"] = Holds("<"),
        ["lessthan"] = Holds("<"),
        ["<"] = Holds("<"),
        ["le"] = Holds("<="),
        ["<="] = Holds("<="),
        ["gt"] = Holds(">"),
        ["greaterthan"] = Holds(">"),
        [">"] = Holds(">"),
        ["ge"] = Holds(">="),
        [">="] = Holds(">="),
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

    private static Func<object?, Arguments, bool> Holds(string op) =>
        (value, arguments) => JinjaValue.Holds(op, value, arguments.Require(0, "other"));
}
