using CsCheck;
using Flywheel.Loop.Jobs;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop.Tests;

/// <summary>What goes in comes out of either database alike, and queries mean the same in both.</summary>
public sealed class BothDatabasesTests : IAsyncLifetime
{
    private readonly TestRecord _file = new(Provider.Sqlite), _server = new(Provider.Postgres);
    private FlywheelStore[] _stores = [];

    /// <summary>Characters that one database or the other might not take: ends of C strings, quotes, escapes, halves of pairs,
    /// noncharacters.</summary>
    private static Gen<string> AnyText { get; } = Gen.OneOf(
        Gen.String[OneOf('\0', '\u0001', 'a', 'Z', '\'', '"', '\\', '%', '_', '\n', 'é', 'ß', 'İ', '漢', '\ud83d', '\ude00', '\udbff',
            '\udffe', '\uffff', '\ufeff', '0', '1'), 0, 40],
        Gen.String, OneOf("", "\0", "a\0b", "😀", "\u00010", "\0\u0001\u00011", "'; DROP TABLE feedback; --"),
        Gen.Int[50_000, 300_000].Select(length => new string('漢', length)));

    private static Gen<DateTimeOffset> AnyTime { get; } =
        Gen.Select(Gen.Long[-62_135_596_800_000 + 86_400_000, 253_402_300_799_999 - 86_400_000], Gen.Int[-14 * 60, 14 * 60])
        .Select((milliseconds, minutes) =>
            DateTimeOffset.FromUnixTimeMilliseconds(milliseconds).AddTicks(7).ToOffset(TimeSpan.FromMinutes(minutes)));

    public async ValueTask InitializeAsync() => _stores =
        [await FlywheelStore.OpenAsync(await _file.HomeAsync()), await FlywheelStore.OpenAsync(await _server.HomeAsync())];

    public async ValueTask DisposeAsync()
    {
        foreach (FlywheelStore store in _stores) await store.DisposeAsync();
        _file.Dispose();
        _server.Dispose();
    }

    [Fact]
    public void Record_AnyValues_ReadBackAlike() =>
    Gen.Select(AnyText, AnyText, AnyText, AnyTime, Gen.Int,
        Gen.OneOf(Gen.Double[-1e18, 1e18], OneOf(double.MaxValue, double.Epsilon, -0.0, 1e300)))
        .Sample((text, anyUser, model, time, number, ms) =>
        {
            string user = anyUser[..Math.Min(anyUser.Length, 200)]; // as every door bounds it
            Guid id = Guid.CreateVersion7();
            Generation plain = Given.Generation();
            var found = new List<(string, string, string, DateTimeOffset, int, double, string)>();
            foreach (FlywheelStore store in _stores)
            {
                store.RecordAsync(new Generation
                {
                    Id = id, Group = id, Time = time, User = user, ModelHash = "m" + model[..Math.Min(model.Length, 100)],
                    FinishReason = plain.FinishReason, NumTokens = number, LatencyMs = ms,
                    Payload = new()
                    {
                        Conversation = plain.Payload!.Conversation, Text = text, PromptTokens = [1], Tokens = [number], Logprobs = [0],
                        SamplerLogprobs = [0], Sampler = plain.Payload.Sampler, Stop = [text],
                    },
                }).GetAwaiter().GetResult();
                Generation row = store.FindGenerationAsync(id).GetAwaiter().GetResult()!;
                found.Add((row.Payload!.Text, row.User, row.ModelHash, row.Time, row.NumTokens, row.LatencyMs,
                    string.Concat(row.Payload.Stop)));
                using FlywheelDb db = store.Tables();
                Assert.Equal(1, db.Generations.Count(other => other.User == user && other.Id == id)); // also as a parameter of a query
            }
            Assert.Equal(found[0], found[1]);
            Assert.Equal(Whole(text), found[0].Item1);
            Assert.Equal(time.ToUnixTimeMilliseconds(), found[0].Item4.ToUnixTimeMilliseconds());
            Assert.Equal(BitConverter.DoubleToInt64Bits(ms), BitConverter.DoubleToInt64Bits(found[1].Item6));
        }, iter: 60, threads: 1, seed: "0000KeXSOcQ3");

    [Fact]
    public async Task Queries_AnyTexts_SortAndMatchAlike()
    {
        // In a language's order 'a' < 'B' and hyphens do not count; here it is by code point, in both.
        List<string> names = [.. new[] { "a", "B", "-", "a-b", "ab", "Ä", "é", "É", "ı", "I", "İ", "z", "_", "%", "10", "9", "漢", "😀",
            "\uffff", "a\0", "a\u0001", "a\u0002", "\\" }, .. RandomNames()];
        foreach (FlywheelStore store in _stores)
        {
            await using FlywheelDb db = store.Tables();
            foreach ((string name, int i) in names.Select(name => Whole(name)).Distinct().Select((name, i) => (name, i)))
                db.Jobs.Add(new JobRow { Id = new Guid(i + 1, 0, 0, new byte[8]), Kind = "sort", User = name, NotBefore = Given.Monday,
                    Created = Given.Monday, Updated = Given.Monday });
            await db.SaveChangesAsync();
        }
        Assert.Equal(await SortedAsync(_stores[0]), await SortedAsync(_stores[1]));
        foreach (string pattern in new[] { "%A%", "i", "É", "é%", "\\_", "\\%", "%\\\\%", "_", "%" })
            Assert.Equal(await LikeAsync(_stores[0], pattern), await LikeAsync(_stores[1], pattern));
        Assert.Equal(["B", "a"], (await SortedAsync(_stores[1])).Where(name => name is "a" or "B"));
    }

    private static IEnumerable<string> RandomNames()
    {
        var random = new Random(5);
        for (int i = 0; i < 60; i++)
            yield return new string([.. Enumerable.Range(0, random.Next(1, 5)).Select(_ => (char)random.Next(1, 0x300))]);
    }

    private static Gen<T> OneOf<T>(params T[] values) => Gen.Int[0, values.Length - 1].Select(i => values[i]);

    private static async Task<List<string>> SortedAsync(FlywheelStore store)
    {
        await using FlywheelDb db = store.Tables();
        return await db.Jobs.OrderBy(row => row.User).ThenBy(row => row.Id).Select(row => row.User).ToListAsync();
    }

    /// <summary>But for texts with U+0000, where SQLite's LIKE ends, and with U+0001, which is two characters in PostgreSQL.</summary>
    private static async Task<List<string>> LikeAsync(FlywheelStore store, string pattern)
    {
        await using FlywheelDb db = store.Tables();
        List<string> found = await db.Jobs.Where(row => EF.Functions.Like(row.User, pattern, "\\")).OrderBy(row => row.User)
            .Select(row => row.User).ToListAsync();
        return [.. found.Where(name => !name.AsSpan().ContainsAny('\0', '\u0001'))];
    }

    /// <summary>By the encoding that .NET uses for UTF-8: half a pair becomes U+FFFD.</summary>
    private static string Whole(string text) => System.Text.Encoding.UTF8.GetString(System.Text.Encoding.UTF8.GetBytes(text));
}
