using Flywheel.Engine;

namespace Flywheel.Studio.OpenAI;

/// <summary>A request that is answered with OpenAI's error object: what was wrong, in which field, and what was expected.</summary>
internal sealed class ApiException(int status, string message, string? param = null, string? code = null,
    string type = "invalid_request_error") : Exception(message)
{
    public int Status => status;

    public string Type => type;

    /// <summary>The field of the request, such as <c>temperature</c> or <c>messages[0].role</c>.</summary>
    public string? Param => param;

    /// <summary>What a program can switch on, such as <c>model_not_found</c>.</summary>
    public string? Code => code;

    /// <summary>When to come back.</summary>
    public TimeSpan? RetryAfter { get; init; }

    public static ApiException BadField(string param, string message, string code = "invalid_value") => new(400, message, param, code);

    /// <summary>A field that would change the answer's meaning and is not there yet: refused, not silently ignored.</summary>
    public static ApiException Unsupported(string param, string expected) =>
        new(400, $"field '{param}' is not supported by this server; {expected}", param, "unsupported_parameter");

    public static ApiException ModelNotFound(string model, IEnumerable<string> known) =>
        new(404, $"the model '{model}' does not exist; this server has {(known.Any() ? string.Join(", ", known.Select(name => $"'{name}'")) : "none")}", "model", "model_not_found");

    public static ApiException QueueFull(QueueFullException full) =>
        new(429, full.Message, code: "rate_limit_exceeded", type: "rate_limit_error") { RetryAfter = full.RetryAfter };
}
