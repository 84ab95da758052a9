using System.Numerics;

namespace Flywheel.Jinja;

/// <summary>Python's operators on numbers, texts and lists.</summary>
internal static class JinjaArithmetic
{
    public static object? Apply(string op, object? a, object? b)
    {
        if (op == "%" && a is string text) return PythonFormat.Percent(text, b);
        foreach (object? operand in new[] { a, b })
            if (operand is Undefined undefined) throw new TemplateError($"'{undefined.Name}' is undefined");
        switch (op, a, b)
        {
            case ("+", string x, string y):
                JinjaRun.Make(x.Length + (long)y.Length);
                return x + y;
            case ("+", List<object?> x, List<object?> y) when x is JinjaTuple == y is JinjaTuple && x is not JinjaView
                && y is not JinjaView:
                JinjaRun.Step(x.Count + y.Count);
                return JinjaValue.Like(x, [.. x, .. y]);
            case ("*", string repeated, long or bool or BigInteger):
                return Repeat(repeated, Count(b));
            case ("*", long or bool or BigInteger, string repeated):
                return Repeat(repeated, Count(a));
            case ("*", List<object?> list and not JinjaView, long or bool or BigInteger):
                return JinjaValue.Like(list, Repeat(list, Count(b)));
            case ("*", long or bool or BigInteger, List<object?> list and not JinjaView):
                return JinjaValue.Like(list, Repeat(list, Count(a)));
            case (_, long or bool or BigInteger, long or bool or BigInteger):
                return Integers(op, PythonNumber.Big(a), PythonNumber.Big(b));
            default:
                if (PythonNumber.IsNumber(a) && PythonNumber.IsNumber(b)) return Floats(op, PythonNumber.Real(a), PythonNumber.Real(b));
                throw new TemplateError($"'{op}' between {JinjaValue.KindOf(a)} and {JinjaValue.KindOf(b)}");
        }
    }

    public static object Negative(object? value) => value switch
    {
        double number => -number,
        long or bool or BigInteger => PythonNumber.Integer(-PythonNumber.Big(value)),
        Undefined undefined => throw new TemplateError($"'{undefined.Name}' is undefined"),
        _ => throw new TemplateError($"'-' before {JinjaValue.KindOf(value)}"),
    };

    public static object Positive(object? value) =>
        value is double ? value : PythonNumber.IsNumber(value) ? PythonNumber.Integer(PythonNumber.Big(value)) : Negative(value);

    /// <summary>So many times; what is more than memory holds is refused when it is made.</summary>
    private static long Count(object? value) => (long)BigInteger.Clamp(PythonNumber.Big(value), -1, int.MaxValue);

    private static object Integers(string op, BigInteger a, BigInteger b)
    {
        if (b.IsZero && op is "/" or "//" or "%" && b.IsZero) throw new TemplateError("division by zero");
        JinjaRun.Step((int)((a.GetBitLength() + b.GetBitLength()) / 64));
        return op switch
        {
            "+" => PythonNumber.Integer(a + b),
            "-" => PythonNumber.Integer(a - b),
            "*" => PythonNumber.Integer(a * b),
            "/" => Quotient(a, b),
            "//" => PythonNumber.Integer(Floored(a, b).Quotient),
            "%" => PythonNumber.Integer(Floored(a, b).Modulo),
            _ => b.Sign < 0
                ? Floats(op, PythonNumber.Real(PythonNumber.Integer(a)), PythonNumber.Real(PythonNumber.Integer(b))) : Power(a, b),
        };
    }

    /// <summary>The quotient is rounded down, so that the rest has the sign of the divisor.</summary>
    private static (BigInteger Quotient, BigInteger Modulo) Floored(BigInteger a, BigInteger b)
    {
        BigInteger quotient = BigInteger.DivRem(a, b, out BigInteger rest);
        return rest.IsZero || rest.Sign == b.Sign ? (quotient, rest) : (quotient - 1, rest + b);
    }

    /// <summary>The float nearest to the true quotient, also where the two are too large for a float.</summary>
    private static object Quotient(BigInteger a, BigInteger b)
    {
        const long Exact = 1L << 53;
        if (BigInteger.Abs(a) <= Exact && BigInteger.Abs(b) <= Exact) return (double)(long)a / (long)b;
        int shift = (int)Math.Clamp(b.GetBitLength() - a.GetBitLength() + 66, -(1 << 18), 1 << 18);
        BigInteger quotient = BigInteger.DivRem(shift > 0 ? BigInteger.Abs(a) << shift : BigInteger.Abs(a),
            shift < 0 ? BigInteger.Abs(b) << -shift : BigInteger.Abs(b), out BigInteger rest);
        if (!rest.IsZero) quotient |= 1; // so that a half that is more than one rounds up
        double result = Math.ScaleB(PythonNumber.Real(PythonNumber.Integer(quotient)), -shift);
        if (!double.IsFinite(result)) throw new TemplateError("the quotient is too large for a float");
        return a.IsZero || a.Sign == b.Sign ? result : -result;
    }

    private static object Power(BigInteger a, BigInteger exponent)
    {
        if (BigInteger.Abs(a) <= 1) return PythonNumber.Integer(exponent.IsZero ? 1 : exponent.IsEven ? a * a : a);
        if (exponent > 1 << 17) throw new TemplateError($"{a} ** {exponent} is too large");
        PythonNumber.Integer(BigInteger.One << (int)Math.Min(1 << 30, (a.GetBitLength() - 1) * (long)exponent)); // at least as large
        return PythonNumber.Integer(BigInteger.Pow(a, (int)exponent));
    }

    private static object Floats(string op, double a, double b)
    {
        if (b == 0 && op is "/" or "//" or "%" && b == 0) throw new TemplateError("division by zero");
        switch (op)
        {
            case "+":
                return a + b;
            case "-":
                return a - b;
            case "*":
                return a * b;
            case "/":
                return a / b;
            case "**":
                if (a == 0 && b < 0) throw new TemplateError("zero to a negative power");
                double power = Math.Pow(a, b);
                if (double.IsInfinity(power) && double.IsFinite(a) && double.IsFinite(b))
                    throw new TemplateError($"{PythonText.Float(a)} ** {PythonText.Float(b)} is too large");
                if (double.IsNaN(power) && !double.IsNaN(a) && !double.IsNaN(b))
                    throw new TemplateError($"{PythonText.Float(a)} ** {PythonText.Float(b)} is no real number");
                return power;
            default:
                double rest = a % b; // exact; what is left then divides evenly
                double quotient = (a - rest) / b;
                if (rest != 0 && (rest < 0) != (b < 0)) (rest, quotient) = (rest + b, quotient - 1);
                if (op == "%") return rest == 0 ? Math.CopySign(0, b) : rest;
                double floor = Math.Floor(quotient);
                return quotient == 0 ? Math.CopySign(0, a / b) : quotient - floor > 0.5 ? floor + 1 : floor;
        }
    }

    private static string Repeat(string text, long count)
    {
        if (count <= 0 || text.Length == 0) return "";
        JinjaRun.Make(count * text.Length);
        return string.Concat(Enumerable.Repeat(text, (int)count));
    }

    private static List<object?> Repeat(List<object?> list, long count)
    {
        if (count <= 0 || list.Count == 0) return [];
        JinjaRun.Step((int)Math.Min(int.MaxValue / 2, count * list.Count));
        return [.. Enumerable.Repeat(list, (int)count).SelectMany(items => items)];
    }
}
