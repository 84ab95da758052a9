using System.Linq.Expressions;
using System.Reflection;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;

namespace Flywheel.Loop;

/// <summary>
/// The record's tables as PostgreSQL holds them: the same columns, ids as texts too, so that every query means the same in both and rows
/// can be carried over as they are. Texts compare by code point there as in SQLite.
/// </summary>
public sealed class PostgresDb(DbContextOptions<PostgresDb> options) : FlywheelDb(options)
{
    protected override void ConfigureConventions(ModelConfigurationBuilder configurationBuilder)
    {
        base.ConfigureConventions(configurationBuilder);
        configurationBuilder.Properties<string>().HaveConversion<PostgresText>();
        foreach (Type text in new[] { typeof(string), typeof(Guid), typeof(Enum) }) configurationBuilder.Properties(text).UseCollation("C");
    }

    /// <summary>LIKE passes over the case of A to Z, as it does in SQLite.</summary>
    internal sealed class LikeAsInSqlite : ExpressionVisitor, IQueryExpressionInterceptor
    {
        public static LikeAsInSqlite Instance { get; } = new();

        private static readonly MethodInfo s_like = Named(typeof(DbFunctionsExtensions), nameof(DbFunctionsExtensions.Like)),
            s_ilike = Named(typeof(NpgsqlDbFunctionsExtensions), nameof(NpgsqlDbFunctionsExtensions.ILike));

        public Expression QueryCompilationStarting(Expression queryExpression, QueryExpressionEventData eventData) =>
            Visit(queryExpression);

        protected override Expression VisitMethodCall(MethodCallExpression node) => node.Method == s_like
            ? Expression.Call(s_ilike, Visit(node.Arguments)) : base.VisitMethodCall(node);

        private static MethodInfo Named(Type type, string name) =>
            type.GetMethod(name, [typeof(DbFunctions), typeof(string), typeof(string), typeof(string)])!;
    }
}
