namespace Flywheel.Jinja;

/// <summary>Python's operators on numbers, texts and lists.</summary>
internal static class JinjaArithmetic
{
    public static object? Apply(string op, object? a, object? b)
    {
        foreach (object? operand in new[] { a, b })
            if (operand is Undefined undefined) throw new TemplateError($"'{undefined.Name}' is undefined");
        switch (op, a, b)
        {
            case ("+", string x, string y):
                JinjaRun.Make(x.Length + (long)y.Length);
                return x + y;
            case ("+", List<object?> x, List<object?> y):
                JinjaRun.Step(x.Count + y.Count);
                return new List<object?>([.. x, .. y]);
            case ("*", string text, long or bool):
                return Repeat(text, Whole(b));
            case ("*", long or bool, string text):
                return Repeat(text, Whole(a));
            case ("*", List<object?> list, long or bool):
                return Repeat(list, Whole(b));
            case ("*", long or bool, List<object?> list):
                return Repeat(list, Whole(a));
            case ("%", string format, _):
                return PythonFormat.Percent(format, b is JinjaTuple many ? many : [b]);
            case (_, long or bool, long or bool):
                return Integers(op, Whole(a), Whole(b));
            case (_, long or bool or double, long or bool or double):
                return Floats(op, Real(a), Real(b));
            default:
                throw new TemplateError($"'{op}' between {JinjaValue.KindOf(a)} and {JinjaValue.KindOf(b)}");
        }
    }

    private static long Whole(object? value) => value is bool flag ? (flag ? 1 : 0) : (long)value!;

    private static double Real(object? value) => value is double number ? number : Whole(value);

    private static object Integers(string op, long a, long b)
    {
        if (b == 0 && op is "/" or "//" or "%" && b == 0) throw new TemplateError("division by zero");
        try
        {
            return op switch
            {
                "+" => (object)checked(a + b),
                "-" => checked(a - b),
                "*" => checked(a * b),
                "/" => (double)a / b,
                "//" => checked(a / b) - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0),
                "%" => b == -1 ? 0L : a % b is var rest && rest != 0 && (rest < 0) != (b < 0) ? rest + b : a % b,
                _ => b < 0 ? Math.Pow(a, b) : Power(a, b),
            };
        }
        catch (OverflowException)
        {
            throw new TemplateError($"{a} {op} {b} is too large");
        }
    }

    private static object Power(long a, long exponent)
    {
        long result = 1;
        for (; exponent > 0 && result != 0 && !(result == 1 && a == 1); exponent--)
        {
            JinjaRun.Step();
            result = checked(result * a);
        }
        return result;
    }

    private static object Floats(string op, double a, double b)
    {
        if (b == 0 && op is "/" or "//" or "%" && b == 0) throw new TemplateError("division by zero");
        return op switch
        {
            "+" => a + b,
            "-" => a - b,
            "*" => a * b,
            "/" => a / b,
            "//" => Math.Floor(a / b),
            "%" => a - b * Math.Floor(a / b),
            _ => Math.Pow(a, b),
        };
    }

    private static string Repeat(string text, long count)
    {
        if (count <= 0 || text.Length == 0) return "";
        JinjaRun.Make(Math.Min(count, int.MaxValue) * text.Length);
        return string.Concat(Enumerable.Repeat(text, (int)count));
    }

    private static List<object?> Repeat(List<object?> list, long count)
    {
        if (count <= 0 || list.Count == 0) return [];
        JinjaRun.Step((int)Math.Min(int.MaxValue / 2, Math.Min(count, int.MaxValue) * list.Count));
        return [.. Enumerable.Repeat(list, (int)count).SelectMany(items => items)];
    }
}
