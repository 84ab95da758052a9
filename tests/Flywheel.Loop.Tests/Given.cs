using Flywheel.Engine;
using Flywheel.Loop;
using Flywheel.Model;

namespace Flywheel.Loop.Tests;

/// <summary>Records as tests need them: everything that a test does not speak about has a plain value.</summary>
internal static class Given
{
    public static readonly DateTimeOffset Monday = new(2026, 3, 2, 9, 0, 0, TimeSpan.Zero);

    public static readonly string Champion = new('a', 64);

    /// <summary>A salt that everybody knows, so that two homes are split alike.</summary>
    public static readonly byte[] Salt = [.. Enumerable.Range(0, 32).Select(i => (byte)i)];

    /// <summary>Rules of a first turn.</summary>
    public static SplitRules Split(
        IReadOnlyDictionary<string, Split>? people = null, double share = 0.25, IReadOnlySet<string>? used = null, byte[]? salt = null,
        IReadOnlyDictionary<string, Split>? prompts = null) =>
        new(new CurateRecipe { HeldOutShare = share }, salt ?? Salt, people ?? new Dictionary<string, Split>(),
            prompts ?? new Dictionary<string, Split>(), used ?? new HashSet<string>());

    /// <summary>A clock that stands still.</summary>
    public sealed class Clock(DateTimeOffset now) : TimeProvider
    {
        public DateTimeOffset Now { get; set; } = now;

        public override DateTimeOffset GetUtcNow() => Now;
    }

    public static Generation Generation(Guid? id = null, Guid? group = null, string user = "ann", string text = "Draw anything, fast.",
        string prompt = "Write a tagline.\nName: Quill", int choice = 0, int seed = 1, string? model = null, string? upstream = null)
    {
        var random = new Random(seed);
        int[] tokens = [.. Enumerable.Range(0, random.Next(1, 60)).Select(_ => random.Next(0, 70_000))];
        return new()
        {
            Id = id ?? Guid.CreateVersion7(Monday),
            Group = group ?? Guid.CreateVersion7(Monday),
            Choice = choice,
            Time = Monday,
            App = "test",
            User = user,
            ModelHash = upstream is not null ? "" : model ?? Champion,
            Upstream = upstream,
            FinishReason = FinishReason.Stop,
            NumPromptTokens = 3,
            NumTokens = tokens.Length,
            FirstTokenMs = 12.5,
            LatencyMs = 480.25,
            Payload = new()
            {
                Conversation = new([Message.User(prompt)]),
                Text = text,
                PromptTokens = [1, 400, 65_000],
                Tokens = tokens,
                Logprobs = [.. tokens.Select(_ => -10 * random.NextSingle())],
                SamplerLogprobs = [.. tokens.Select(_ => -10 * random.NextSingle())],
                Sampler = new SamplerOptions { Temperature = 0.8f, TopP = 0.95f, Seed = (ulong)seed,
                    LogitBias = new Dictionary<int, float> { [7] = -1.5f } },
                MaxTokens = 200,
                Stop = ["\n\n"],
            },
        };
    }
}
