using System.Globalization;

namespace Flywheel.Jinja;

internal delegate object? Expression(Scope scope);

internal delegate Flow Statement(Scope scope);

/// <summary>How a statement ends: what follows runs, or a loop is left or goes on.</summary>
internal enum Flow { Next, Break, Continue }

/// <summary>From a template's text to a function that renders it. Statements here, expressions in the other half.</summary>
internal sealed partial class JinjaParser
{
    private readonly List<JinjaToken> _tokens;
    private readonly HashSet<string> _read = new(StringComparer.Ordinal),
        _given = new(StringComparer.Ordinal) { "loop", "caller", "varargs", "kwargs" };
    private int _at, _loops;

    private JinjaParser(List<JinjaToken> tokens) => _tokens = tokens;

    /// <param name="source">The template.</param>
    /// <param name="names">What it reads and does not set.</param>
    /// <exception cref="JinjaException">The template is malformed or uses what is not supported; names the line.</exception>
    public static Action<Scope> Parse(string source, out HashSet<string> names)
    {
        var parser = new JinjaParser(JinjaLexer.Cut(source));
        try
        {
            Statement body = parser.Body();
            if (parser.Now.Kind != TokenKind.End) throw parser.Wrong($"unexpected '{parser.Peek(1).Text}'");
            names = parser._read;
            names.ExceptWith(parser._given);
            names.RemoveWhere(JinjaFunctions.IsGlobal);
            return scope => body(scope);
        }
        catch (InsufficientExecutionStackException e)
        {
            throw new JinjaException(parser.Now.Line, "nested too deep", e);
        }
    }

    private JinjaToken Now => _tokens[_at];

    private JinjaToken Peek(int ahead) => _tokens[Math.Min(_at + ahead, _tokens.Count - 1)];

    private bool Is(string op) => Now.Kind == TokenKind.Operator && Now.Text == op;

    private bool IsName(string name) => Now.Kind == TokenKind.Name && Now.Text == name;

    private bool Skip(string op)
    {
        if (!Is(op)) return false;
        _at++;
        return true;
    }

    private bool SkipName(string name)
    {
        if (!IsName(name)) return false;
        _at++;
        return true;
    }

    private void Expect(string op)
    {
        if (!Skip(op)) throw Wrong($"expected '{op}', found {Describe(Now)}");
    }

    private string Name()
    {
        if (Now.Kind != TokenKind.Name) throw Wrong($"expected a name, found {Describe(Now)}");
        return _tokens[_at++].Text;
    }

    private void EndTag()
    {
        if (Now.Kind != TokenKind.StatementEnd) throw Wrong($"expected the end of the statement, found {Describe(Now)}");
        _at++;
    }

    private static string Describe(JinjaToken token) => token.Kind switch
    {
        TokenKind.End => "the end of the template",
        TokenKind.StatementEnd or TokenKind.ValueEnd => "the end of the tag",
        TokenKind.Quoted => "a text in quotes",
        _ => $"'{token.Text}'",
    };

    private JinjaException Wrong(string what) => new(Now.Line, what);

    /// <summary>Text, values and statements up to the end or a statement that is none itself, such as else.</summary>
    private Statement Body()
    {
        System.Runtime.CompilerServices.RuntimeHelpers.EnsureSufficientExecutionStack();
        var statements = new List<Statement>();
        while (true)
        {
            JinjaToken token = Now;
            switch (token.Kind)
            {
                case TokenKind.Text:
                    _at++;
                    statements.Add(scope =>
                    {
                        scope.Run.Write(token.Text);
                        return Flow.Next;
                    });
                    break;
                case TokenKind.ValueBegin:
                    _at++;
                    Expression value = TupleOrValue();
                    if (Now.Kind != TokenKind.ValueEnd) throw Wrong($"expected '}}}}', found {Describe(Now)}");
                    _at++;
                    statements.Add(AtLine(token.Line, scope =>
                    {
                        scope.Run.Write(JinjaValue.Text(value(scope)));
                        return Flow.Next;
                    }));
                    break;
                case TokenKind.StatementBegin when Peek(1).Kind == TokenKind.Name
                    && TryStatement(Peek(1).Text, token.Line) is { } statement:
                    statements.Add(AtLine(token.Line, statement));
                    break;
                default:
                    return Sequence(statements);
            }
        }
    }

    private static Statement AtLine(int line, Statement statement) => scope =>
    {
        JinjaRun.Step();
        scope.Run.Line = line;
        return statement(scope);
    };

    private static Statement Sequence(List<Statement> statements)
    {
        Statement[] all = [.. statements];
        return scope =>
        {
            foreach (Statement statement in all)
                if (statement(scope) is not Flow.Next and var flow) return flow;
            return Flow.Next;
        };
    }

    /// <summary>Null when the word ends or divides the statement around it; then nothing is taken.</summary>
    private Statement? TryStatement(string word, int line)
    {
        if (word.StartsWith("end", StringComparison.Ordinal) || word is "else" or "elif") return null;
        _at += 2;
        switch (word)
        {
            case "if":
                return If();
            case "for":
                return For();
            case "set":
                return Set();
            case "macro":
                return Macro();
            case "call":
                return CallBlock();
            case "filter":
                return FilterBlock();
            case "with":
                return With();
            case "generation":
                EndTag();
                return Until("endgeneration");
            case "break" or "continue":
                if (_loops == 0) throw Wrong($"'{word}' outside of a loop");
                EndTag();
                Flow flow = word == "break" ? Flow.Break : Flow.Continue;
                return _ => flow;
            default:
                _at--;
                throw new JinjaException(line,
                    $"the statement '{word}' is not supported; expected if, for, set, macro, call, filter, with, generation, break, continue or raw");
        }
    }

    private Statement Until(string end)
    {
        Statement body = Body();
        End(end);
        return body;
    }

    private void End(string word)
    {
        if (Now.Kind != TokenKind.StatementBegin || Peek(1) is not { Kind: TokenKind.Name } name || name.Text != word)
            throw Wrong($"expected '{word}', found {Describe(Now.Kind == TokenKind.StatementBegin ? Peek(1) : Now)}");
        _at += 2;
        EndTag();
    }

    private bool Divides(string word)
    {
        if (Now.Kind != TokenKind.StatementBegin || Peek(1) is not { Kind: TokenKind.Name } name || name.Text != word) return false;
        _at += 2;
        return true;
    }

    private Statement If()
    {
        var branches = new List<(Expression Test, Statement Body)>();
        Statement? otherwise = null;
        do
        {
            Expression test = TupleOrValue();
            EndTag();
            branches.Add((test, Body()));
        }
        while (Divides("elif"));
        if (Divides("else"))
        {
            EndTag();
            otherwise = Body();
        }
        End("endif");
        return scope =>
        {
            foreach ((Expression test, Statement body) in branches)
                if (JinjaValue.IsTrue(test(scope))) return body(scope);
            return otherwise?.Invoke(scope) ?? Flow.Next;
        };
    }

    private Statement For()
    {
        Action<Scope, object?> target = Target(withFields: false);
        if (!SkipName("in")) throw Wrong($"expected 'in', found {Describe(Now)}");
        Expression items = TupleOrValue(withCondition: false);
        Expression? filter = SkipName("if") ? Value() : null;
        if (IsName("recursive")) throw Wrong("recursive loops are not supported");
        EndTag();
        int depth = ++_loops;
        Statement body = Body();
        _loops--;
        Statement? otherwise = null;
        if (Divides("else"))
        {
            EndTag();
            otherwise = Body();
        }
        End("endfor");
        return scope =>
        {
            List<object?> all = JinjaFunctions.Items(items(scope));
            if (filter is not null)
                all = all.FindAll(item =>
                {
                    Scope inner = scope.Inner();
                    target(inner, item);
                    return JinjaValue.IsTrue(filter(inner));
                });
            if (all.Count == 0) return otherwise?.Invoke(scope) ?? Flow.Next;
            var loop = new LoopState(all, depth);
            for (int i = 0; i < all.Count; i++)
            {
                JinjaRun.Step();
                loop.Index = i;
                Scope inner = scope.Inner();
                inner.Set("loop", loop);
                target(inner, all[i]);
                if (body(inner) == Flow.Break) break;
            }
            return Flow.Next;
        };
    }

    /// <summary>What is assigned to: a name, several that a list is shared out to, or a field of a namespace.</summary>
    private Action<Scope, object?> Target(bool withFields)
    {
        var targets = new List<Action<Scope, object?>>();
        bool several = false, inBrackets = Skip("(");
        do
        {
            if (targets.Count > 0 && (IsName("in") || Is("=") || Is(")"))) break;
            string name = Name();
            if (withFields && Skip("."))
            {
                string field = Name();
                targets.Add((scope, value) =>
                {
                    if (scope.Get(name) is not JinjaNamespace names)
                        throw new TemplateError($"'{name}' is no namespace: only a namespace's fields can be set");
                    names.Fields[field] = value;
                });
            }
            else
            {
                _given.Add(name);
                targets.Add((scope, value) => scope.Set(name, value));
            }
        }
        while (Skip(",") && (several = true));
        if (inBrackets) Expect(")");
        if (!several) return targets[0];
        return (scope, value) =>
        {
            List<object?> parts = JinjaFunctions.Items(value);
            if (parts.Count != targets.Count) throw new TemplateError($"{parts.Count} values for {targets.Count} names");
            for (int i = 0; i < parts.Count; i++) targets[i](scope, parts[i]);
        };
    }

    private Statement Set()
    {
        Action<Scope, object?> target = Target(withFields: true);
        if (Skip("="))
        {
            Expression value = TupleOrValue();
            EndTag();
            return scope =>
            {
                target(scope, value(scope));
                return Flow.Next;
            };
        }
        Func<Scope, object?, object?> filters = Is("|") ? Filters() : (_, value) => value;
        EndTag();
        Statement body = Until("endset");
        return scope =>
        {
            Scope inner = scope.Inner();
            target(scope, filters(scope, scope.Run.Capture(() => body(inner))));
            return Flow.Next;
        };
    }

    private Statement With()
    {
        var values = new List<(Action<Scope, object?> Target, Expression Value)>();
        while (Now.Kind != TokenKind.StatementEnd)
        {
            if (values.Count > 0) Expect(",");
            Action<Scope, object?> target = Target(withFields: false);
            Expect("=");
            values.Add((target, Value()));
        }
        EndTag();
        Statement body = Until("endwith");
        return scope =>
        {
            Scope inner = scope.Inner();
            foreach (var (target, value) in values) target(inner, value(scope));
            return body(inner);
        };
    }

    private Statement FilterBlock()
    {
        Func<Scope, object?, object?> filters = Filters(first: true);
        EndTag();
        Statement body = Until("endfilter");
        return scope =>
        {
            Scope inner = scope.Inner();
            scope.Run.Write(JinjaValue.Text(filters(scope, scope.Run.Capture(() => body(inner)))));
            return Flow.Next;
        };
    }

    private Statement Macro()
    {
        string name = Name();
        _given.Add(name);
        Func<Scope, Callable> macro = MacroBody(name, "endmacro");
        return scope =>
        {
            scope.Set(name, macro(scope));
            return Flow.Next;
        };
    }

    private Statement CallBlock()
    {
        List<(string, Expression?)> parameters = Is("(") ? Parameters() : []; // caller()'s
        Postfix(Primary());
        Func<Scope, List<(string, object?)>, object?> call = _lastCall ?? throw Wrong("expected a call after 'call'");
        EndTag();
        Func<Scope, Callable> caller = MacroBody("caller", "endcall", parameters);
        return scope =>
        {
            scope.Run.Write(JinjaValue.Text(call(scope, [("caller", caller(scope))])));
            return Flow.Next;
        };
    }

    private List<(string Name, Expression? Default)> Parameters()
    {
        var parameters = new List<(string, Expression?)>();
        Expect("(");
        while (!Skip(")"))
        {
            if (parameters.Count > 0) Expect(",");
            string name = Name();
            _given.Add(name);
            parameters.Add((name, Skip("=") ? Value() : null));
        }
        return parameters;
    }

    private Func<Scope, Callable> MacroBody(string name, string end, List<(string Name, Expression? Default)>? parameters = null)
    {
        if (parameters is null)
        {
            parameters = Parameters();
            EndTag();
        }
        int loops = _loops;
        _loops = 0;
        Statement body = Until(end);
        _loops = loops;
        string[] names = [.. parameters.Select(parameter => parameter.Name)];
        return defined => new Callable(name, arguments => defined.Run.Call(() =>
        {
            JinjaRun.Step();
            Scope inner = defined.Inner();
            List<(string Name, object? Value)> named = arguments.Named;
            if (named.FindIndex(argument => argument.Name == "caller") is var at and >= 0)
            {
                inner.Set("caller", named[at].Value);
                named = [.. named.Where(argument => argument.Name != "caller")];
            }
            var own = new Arguments(name, defined.Run, arguments.Positional, named).Check(names);
            for (int i = 0; i < names.Length; i++)
                inner.Set(names[i], own.Has(i, names[i]) ? own.Get(i, names[i]) : parameters[i].Default is { } absent
                    ? absent(inner) : new Undefined(names[i]));
            int line = defined.Run.Line;
            string text = defined.Run.Capture(() => body(inner));
            defined.Run.Line = line;
            return text;
        }));
    }
}
