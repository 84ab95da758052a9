using System.Numerics;
using System.Text.Json.Nodes;
using Flywheel.Model;

namespace Flywheel.Engine.Grammars;

/// <summary>Strings and numbers.</summary>
internal sealed partial class JsonSchemaGrammar
{
    private string String(JsonObject schema, string path)
    {
        int least = Count(schema, "minLength", path) ?? 0;
        int? most = Count(schema, "maxLength", path);
        if (most < least) return "nothing";
        if (schema["not"] is JsonObject { } not)
        {
            if (schema.FirstOrDefault(pair => pair.Key is "pattern" or "minLength" or "maxLength").Key is { } other)
                throw new FlywheelException($"{path}: keyword '{other}' is not supported beside texts that are excluded");
            return OtherNames(
                [.. SchemaMerge.Array(not["enum"], path + "/not/enum").Select(value => SchemaMerge.Text(value, path + "/not/enum"))]);
        }
        if (schema["pattern"] is { } pattern)
            return Quoted(JsonPatternGrammar.Convert(SchemaMerge.Text(pattern, path + "/pattern"), least, most, path + "/pattern"));
        string plain = least == 0 && most is null ? "string" : Quoted($"char{{{least},{most}}}");
        // A format is an annotation. One that is known is kept, unless that cannot be said together with lengths.
        if (schema["format"] is not { } format
            || !JsonFormats.Patterns.TryGetValue(SchemaMerge.Text(format, path + "/format"), out string? known)) return plain;
        return JsonPatternGrammar.TryConvert(known, least, most) is { } formatted ? Quoted(formatted) : plain;

        string Quoted(string content) => Rule($"\"\\\"\" {content} \"\\\"\"");
    }

    private string Number(JsonObject schema, string path, string type)
    {
        (ExactNumber? least, bool above) = Bound("minimum", "exclusiveMinimum", above: true);
        (ExactNumber? most, bool below) = Bound("maximum", "exclusiveMaximum", above: false);
        if (schema["multipleOf"] is { } multiple)
        {
            ExactNumber of = SchemaMerge.Exact(multiple, path, "multipleOf");
            if (of.Unscaled.Sign <= 0)
                throw new FlywheelException($"{path}/multipleOf is {multiple.ToJsonString()}, expected a number above 0");
            string[] options =
                [.. new[] { 0, of.Scale }.Distinct().Take(type == "integer" ? 1 : 2).Select(scale => Multiples(of, scale))
                    .OfType<string>()];
            return Choice(options);
        }
        if (least is null && most is null) return type;
        if (type == "number") return JsonNumberGrammar.Decimals(least, above, most, below) is { } decimals ? Rule(decimals) : "nothing";
        return JsonNumberGrammar.Integers(Above(least), Below(most)) is { } integers ? Rule(integers) : "nothing";

        ExactNumber? Above(ExactNumber? bound) => above && bound is { IsInteger: true } number ? number.Unscaled + 1 : bound;

        ExactNumber? Below(ExactNumber? bound) => below && bound is { IsInteger: true } number ? number.Unscaled - 1 : bound;

        // With so many digits after the point, read without it: then all are integers.
        string? Multiples(ExactNumber of, int scale)
        {
            BigInteger step = scale > 0
                ? of.Shift(scale).Unscaled : of.Unscaled / BigInteger.GreatestCommonDivisor(of.Unscaled, BigInteger.Pow(10, of.Scale));
            (BigInteger low, BigInteger high) = JsonNumberGrammar.Range(Above(least?.Shift(scale)), Below(most?.Shift(scale)));
            if (step.IsOne && scale == 0) return JsonNumberGrammar.Integers(low, high) is { } integers ? Rule(integers) : null;
            return new JsonMultipleGrammar(step, scale, Rule, path + "/multipleOf").Between(low, high) is { } digits ? Rule(digits) : null;
        }

        // Draft 4 has exclusiveMinimum as a flag of minimum.
        (ExactNumber? Bound, bool Exclusive) Bound(string inclusive, string exclusive, bool above)
        {
            ExactNumber? bound = Limit(inclusive, above);
            if (schema[exclusive] is JsonValue flag && flag.TryGetValue(out bool on)) return (bound, on && bound is not null);
            return Limit(exclusive, above) is { } strict && (bound is not { } other || (above ? other <= strict : other >= strict))
                ? (strict, true) : (bound, false);
        }

        // Beyond what is written, a bound binds nothing, or everything.
        ExactNumber? Limit(string key, bool above)
        {
            if (schema[key] is not { } node) return null;
            ExactNumber number = SchemaMerge.Exact(node, path, key);
            BigInteger largest = BigInteger.Pow(10, JsonNumberGrammar.MaxDigits);
            if (number < -largest || number > largest)
                return above == number.Unscaled.Sign < 0
                    ? null : throw new FlywheelException(
                        $"{path}/{key} is {node.ToJsonString()}: numbers of more than {JsonNumberGrammar.MaxDigits} digits are not supported");
            return number;
        }
    }
}
