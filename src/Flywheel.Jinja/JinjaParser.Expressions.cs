using System.Globalization;

namespace Flywheel.Jinja;

/// <summary>Expressions, from the loosest binding to the tightest, in Jinja's own order.</summary>
internal sealed partial class JinjaParser
{
    /// <summary>The call that the last postfix was, still open for named arguments; null when it was no call.</summary>
    private Func<Scope, List<(string Name, object? Value)>, object?>? _lastCall;

    /// <summary>A value, or several with commas: a list.</summary>
    private Expression TupleOrValue(bool withCondition = true)
    {
        Expression first = withCondition ? Value() : Or();
        if (!Is(",")) return first;
        List<Expression> items = [first];
        while (Skip(","))
        {
            if (Now.Kind is TokenKind.ValueEnd or TokenKind.StatementEnd || Is(")")) break;
            items.Add(withCondition ? Value() : Or());
        }
        return TupleOf(items);
    }

    private static Expression TupleOf(List<Expression> items)
    {
        Expression list = ListOf(items);
        return scope => new JinjaTuple((List<object?>)list(scope)!);
    }

    private static Expression ListOf(List<Expression> items) => scope =>
    {
        JinjaRun.Step(items.Count);
        return new List<object?>(items.Select(item => item(scope)));
    };

    private Expression Value()
    {
        System.Runtime.CompilerServices.RuntimeHelpers.EnsureSufficientExecutionStack();
        Expression value = Or();
        while (SkipName("if"))
        {
            Expression yes = value, test = Or();
            Expression no = SkipName("else") ? Value() : _ => new Undefined("the value without an else");
            value = scope => JinjaValue.IsTrue(test(scope)) ? yes(scope) : no(scope);
        }
        return value;
    }

    private Expression Or()
    {
        Expression left = And();
        while (SkipName("or"))
        {
            Expression first = left, second = And();
            left = scope => first(scope) is var value && JinjaValue.IsTrue(value) ? value : second(scope);
        }
        return left;
    }

    private Expression And()
    {
        Expression left = Not();
        while (SkipName("and"))
        {
            Expression first = left, second = Not();
            left = scope => first(scope) is var value && !JinjaValue.IsTrue(value) ? value : second(scope);
        }
        return left;
    }

    private Expression Not()
    {
        System.Runtime.CompilerServices.RuntimeHelpers.EnsureSufficientExecutionStack();
        if (!SkipName("not")) return Comparison();
        Expression value = Not();
        return scope => !JinjaValue.IsTrue(value(scope));
    }

    /// <summary>a &lt; b &lt;= c holds when each pair does.</summary>
    private Expression Comparison()
    {
        Expression first = Sum();
        var rest = new List<(Func<object?, object?, bool> Holds, Expression Operand)>();
        while (ComparisonOperator() is { } holds) rest.Add((holds, Sum()));
        if (rest.Count == 0) return first;
        return scope =>
        {
            object? left = first(scope);
            foreach (var (holds, operand) in rest)
            {
                object? right = operand(scope);
                if (!holds(left, right)) return false;
                left = right;
            }
            return true;
        };
    }

    private Func<object?, object?, bool>? ComparisonOperator()
    {
        if (Skip("==")) return JinjaValue.Equal;
        if (Skip("!=")) return (a, b) => !JinjaValue.Equal(a, b);
        if (Is("<") || Is("<=") || Is(">") || Is(">="))
        {
            string op = _tokens[_at++].Text;
            return (a, b) => JinjaValue.Holds(op, a, b);
        }
        if (SkipName("in")) return (a, b) => JinjaFunctions.Contains(b, a);
        if (!IsName("not") || Peek(1) is not { Kind: TokenKind.Name, Text: "in" }) return null;
        _at += 2;
        return (a, b) => !JinjaFunctions.Contains(b, a);
    }

    private Expression Sum() => Binary(Joined, "+", "-");

    private Expression Joined()
    {
        Expression first = Product();
        if (!Is("~")) return first;
        List<Expression> parts = [first];
        while (Skip("~")) parts.Add(Product());
        return scope => JinjaRun.Made(string.Concat(parts.Select(part => JinjaValue.Text(part(scope)))));
    }

    private Expression Product() => Binary(Power, "*", "/", "//", "%");

    private Expression Power() => Binary(() => Unary(), "**");

    private Expression Binary(Func<Expression> operand, params ReadOnlySpan<string> operators)
    {
        Expression left = operand();
        while (Now.Kind == TokenKind.Operator && operators.Contains(Now.Text))
        {
            string op = _tokens[_at++].Text;
            Expression first = left, second = operand();
            left = scope => JinjaArithmetic.Apply(op, first(scope), second(scope));
        }
        return left;
    }

    private Expression Unary(bool withFilters = true)
    {
        System.Runtime.CompilerServices.RuntimeHelpers.EnsureSufficientExecutionStack();
        Expression value;
        if (Is("-") || Is("+"))
        {
            string op = _tokens[_at++].Text;
            Expression operand = Unary(withFilters: false);
            value = scope => op == "-" ? JinjaArithmetic.Negative(operand(scope)) : JinjaArithmetic.Positive(operand(scope));
        }
        else value = Primary();
        value = Postfix(value);
        return withFilters ? FiltersAndTests(value) : value;
    }

    private Expression Primary()
    {
        JinjaToken token = Now;
        _at++;
        switch (token.Kind)
        {
            case TokenKind.Name:
                object? constant = token.Text switch { "true" or "True" => true, "false" or "False" => false, _ => null };
                if (constant is not null || token.Text is "none" or "None") return _ => constant;
                _read.Add(token.Text);
                return scope => scope.Get(token.Text);
            case TokenKind.Quoted:
                string text = token.Text;
                while (Now.Kind == TokenKind.Quoted) text += _tokens[_at++].Text;
                return _ => text;
            case TokenKind.Integer:
                object? integer = null;
                try
                {
                    integer = PythonNumber.Parse(token.Text, 0);
                }
                catch (TemplateError)
                {
                    // as many digits as Python does not read either
                }
                if (integer is null) throw Wrong($"{token.Text} is no whole number that can be read");
                return _ => integer;
            case TokenKind.Float:
                double number = double.Parse(token.Text, CultureInfo.InvariantCulture);
                return _ => number;
            case TokenKind.Operator when token.Text == "(":
                if (Skip(")")) return TupleOf([]);
                Expression inner = TupleOrValue();
                Expect(")");
                return inner;
            case TokenKind.Operator when token.Text == "[":
                var items = new List<Expression>();
                while (!Skip("]"))
                {
                    if (items.Count > 0) Expect(",");
                    if (Skip("]")) break;
                    items.Add(Value());
                }
                return ListOf(items);
            case TokenKind.Operator when token.Text == "{":
                return Dictionary();
            default:
                _at--;
                throw Wrong($"expected a value, found {Describe(token)}");
        }
    }

    private Expression Dictionary()
    {
        var entries = new List<(Expression Key, Expression Value)>();
        while (!Skip("}"))
        {
            if (entries.Count > 0) Expect(",");
            if (Skip("}")) break;
            Expression key = Value();
            Expect(":");
            entries.Add((key, Value()));
        }
        return scope =>
        {
            JinjaRun.Step(entries.Count);
            var dictionary = new JinjaDict();
            foreach (var (key, value) in entries)
                dictionary[JinjaDict.Key(key(scope))] = value(scope);
            return dictionary;
        };
    }

    private Expression Postfix(Expression value)
    {
        _lastCall = null;
        while (true)
        {
            Expression of = value;
            if (Skip("."))
            {
                if (Now.Kind == TokenKind.Integer)
                {
                    object? index = PythonNumber.Parse(_tokens[_at++].Text);
                    value = scope => JinjaFunctions.Item(of(scope), index);
                }
                else
                {
                    string name = Name();
                    value = scope => JinjaFunctions.Attribute(of(scope), name);
                }
                _lastCall = null;
            }
            else if (Skip("["))
            {
                value = Subscript(of);
                _lastCall = null;
            }
            else if (Is("("))
            {
                Func<Scope, List<(string, object?)>, Arguments> arguments = CallArguments("the function");
                Func<Scope, List<(string, object?)>, object?> call = (scope, more) => of(scope) switch
                {
                    Callable callable => callable.Call(arguments(scope, more)),
                    Undefined undefined => throw new TemplateError($"'{undefined.Name}' is undefined"),
                    var other => throw new TemplateError($"{JinjaValue.KindOf(other)} is called, expected a function"),
                };
                value = scope => call(scope, []);
                _lastCall = call;
            }
            else return value;
        }
    }

    private Expression Subscript(Expression of)
    {
        Expression? start = null, stop = null, step = null;
        if (!Is(":"))
        {
            Expression index = TupleOrValue();
            if (Skip("]")) return scope => JinjaFunctions.Item(of(scope), index(scope));
            start = index;
        }
        Expect(":");
        if (!Is("]") && !Is(":")) stop = Value();
        if (Skip(":") && !Is("]")) step = Value();
        Expect("]");
        return scope => JinjaFunctions.Slice(of(scope), start?.Invoke(scope), stop?.Invoke(scope), step?.Invoke(scope));
    }

    /// <summary>The arguments in brackets that begin here.</summary>
    private Func<Scope, List<(string Name, object? Value)>, Arguments> CallArguments(string callee)
    {
        Expect("(");
        var positional = new List<Expression>();
        var named = new List<(string Name, Expression Value)>();
        var spread = new List<(string Stars, Expression Value)>();
        while (!Skip(")"))
        {
            if (positional.Count + named.Count + spread.Count > 0) Expect(",");
            if (Skip(")")) break;
            if (Is("*") || Is("**"))
            {
                string stars = _tokens[_at++].Text;
                spread.Add((stars, Value()));
                continue;
            }
            if (Now.Kind == TokenKind.Name && Peek(1) is { Kind: TokenKind.Operator, Text: "=" })
            {
                string name = Name();
                _at++;
                named.Add((name, Value()));
            }
            else if (named.Count + spread.Count > 0) throw Wrong("an argument without a name after one with a name");
            else positional.Add(Value());
        }
        return (scope, more) =>
        {
            List<object?> values = [.. positional.Select(value => value(scope))];
            List<(string, object?)> byName = [.. named.Select(argument => (argument.Name, argument.Value(scope))), .. more];
            foreach ((string stars, Expression value) in spread)
                if (stars == "*") values.AddRange(JinjaFunctions.Items(value(scope)));
                else
                    foreach ((object name, object? held) in value(scope) as JinjaDict
                        ?? throw new TemplateError("'**' before what is no mapping"))
                        byName.Add((name as string ?? throw new TemplateError("a name of an argument is no text"), held));
            return new Arguments(callee, scope.Run, values, byName);
        };
    }

    private Expression FiltersAndTests(Expression value)
    {
        while (true)
        {
            Expression of = value;
            if (Is("|"))
            {
                Func<Scope, object?, object?> filters = Filters();
                value = scope => filters(scope, of(scope));
            }
            else if (SkipName("is")) value = Test(of);
            else if (Is("(")) value = Postfix(value);
            else return value;
        }
    }

    /// <summary>One or more filters, each after a bar; the first without one in a filter block.</summary>
    private Func<Scope, object?, object?> Filters(bool first = false)
    {
        var filters = new List<(Func<object?, Arguments, object?> Apply, Func<Scope, List<(string, object?)>, Arguments> Arguments)>();
        while (first || Skip("|"))
        {
            first = false;
            string name = Name();
            // As in Jinja, what is never reached may be unknown.
            Func<object?, Arguments, object?> filter =
                JinjaFilters.All.GetValueOrDefault(name) ?? ((_, _) => throw new TemplateError($"the filter '{name}' is not supported"));
            filters.Add((filter, Is("(") ? CallArguments(name) : (scope, _) => new Arguments(name, scope.Run, [], [])));
        }
        return (scope, value) =>
        {
            foreach (var (apply, arguments) in filters)
            {
                JinjaRun.Step();
                value = apply(value, arguments(scope, []));
            }
            return value;
        };
    }

    private Expression Test(Expression of)
    {
        bool negated = SkipName("not");
        string name = Name();
        Func<object?, Arguments, bool> test = JinjaTests.All.GetValueOrDefault(name)
            ?? ((_, _) => throw new TemplateError($"the test '{name}' is not supported"));
        Func<Scope, List<(string, object?)>, Arguments> arguments;
        if (Is("(")) arguments = CallArguments(name);
        else if (Now.Kind is TokenKind.Quoted or TokenKind.Integer or TokenKind.Float || Is("[") || Is("{")
            || (Now.Kind == TokenKind.Name && Now.Text is not ("else" or "or" or "and")))
        {
            if (IsName("is")) throw Wrong("a test of a test");
            Expression argument = Postfix(Primary());
            arguments = (scope, _) => new Arguments(name, scope.Run, [argument(scope)], []);
        }
        else arguments = (scope, _) => new Arguments(name, scope.Run, [], []);
        return scope =>
        {
            JinjaRun.Step();
            return test(of(scope), arguments(scope, [])) != negated;
        };
    }
}
