using System.Text;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Loop.Tests;

public sealed class SqliteApiKeysTests() : ApiKeysTests(Provider.Sqlite);

public sealed class PostgresApiKeysTests() : ApiKeysTests(Provider.Postgres);

/// <summary>Keys in the store: what is kept of them, when they open nothing any more.</summary>
public abstract class ApiKeysTests(Provider provider) : IAsyncLifetime
{
    private readonly TestRecord _record = new(provider);
    private FlywheelStore _store = null!;

    public async ValueTask InitializeAsync() => _store = await FlywheelStore.OpenAsync(await _record.HomeAsync());

    public async ValueTask DisposeAsync()
    {
        if (_store is not null) await _store.DisposeAsync();
        _record.Dispose();
    }

    [Fact]
    public async Task Create_Key_IsKeptAsItsHashAlone()
    {
        var keys = new ApiKeys(_store, TimeProvider.System);
        (KeyRow row, string key) = await keys.CreateAsync("laptop", [Scopes.Feedback, Scopes.Inference], "ann");

        Assert.Matches("^fw_[A-Za-z0-9_-]{43}$", key); // 256 bits
        Assert.Equal(("inference feedback", "ann", WorkspaceRow.Default), (row.Scopes, row.User, row.Workspace));
        Assert.Equal(row.Id, (await keys.FindAsync(key))!.Id);
        Assert.Null(keys.WhyDead(row));
        if (Tool.Exists("sha256sum"))
        {
            await File.WriteAllTextAsync(_record.Folder["key"], key);
            Assert.StartsWith(row.Hash, (await Tool.RunAsync("sha256sum", [_record.Folder["key"]], ".")).Output, StringComparison.Ordinal);
        }
        await _store.DisposeAsync();
        foreach (string file in Directory.EnumerateFiles(_record.Folder["home"], "flywheel.db*"))
            Assert.DoesNotContain(key, Encoding.Latin1.GetString(await ReadSharedAsync(file)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Create_Keys_AreAllDifferent()
    {
        var keys = new ApiKeys(_store, TimeProvider.System);
        HashSet<string> made = [];
        for (int i = 0; i < 20; i++) Assert.True(made.Add((await keys.CreateAsync($"key {i}", [Scopes.Inference])).Key));
        Assert.Equal(20, (await keys.ListAsync()).Count);
    }

    /// <summary>Of ten calls at once a limit of four lets four through; the day after it goes on.</summary>
    [Fact]
    public async Task CountCall_AtOnceAndOverMidnight_LetsThroughWhatTheLimitSays()
    {
        var clock = new Clock { Now = new(2026, 11, 30, 23, 59, 0, TimeSpan.Zero) };
        var keys = new ApiKeys(_store, clock);
        (KeyRow row, _) = await keys.CreateAsync(new NewKey("shop", [Scopes.Inference]) { MaxRequests = 4, MaxTokens = 100 });
        KeyLimitReached?[] calls = await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => Task.Run(() => keys.CountCallAsync(row.Id))));
        Assert.Equal(4, calls.Count(refused => refused is null));
        Assert.All(calls.OfType<KeyLimitReached>(),
            refused => Assert.Equal(new("shop", "calls", 4, new(2026, 12, 1, 0, 0, 0, TimeSpan.Zero)), refused));

        await keys.CountTokensAsync(row.Id, 5);
        Assert.Equal((4, 5), ((await keys.UsesAsync())[row.Id].Requests, (await keys.UsesAsync())[row.Id].Tokens));
        clock.Now = clock.Now.AddMinutes(2);
        Assert.Empty(await keys.UsesAsync());
        // of what began before midnight
        await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => Task.Run(() => keys.CountTokensAsync(row.Id, 20))));
        Assert.Equal("tokens", (await keys.CountCallAsync(row.Id))?.What);
        await using FlywheelDb db = _store.Tables();
        Assert.Equal((0, 100), (db.KeyUses.Single(use => use.Day == "2026-12-01").Requests,
            db.KeyUses.Single(use => use.Day == "2026-12-01").Tokens));
    }

    private sealed class Clock : TimeProvider
    {
        public DateTimeOffset Now { get; set; }

        public override DateTimeOffset GetUtcNow() => Now;
    }

    [Fact]
    public async Task Find_WhatIsNoKey_FindsNothing()
    {
        var keys = new ApiKeys(_store, TimeProvider.System);
        (KeyRow row, string key) = await keys.CreateAsync("laptop", [Scopes.Inference]);
        string[] wrong = ["", "fw_", key[..^1], key + "A", key.ToUpperInvariant(), key[3..], row.Hash, "fw_" + row.Hash, $" {key}",
            $"{key}\0", $"{row.Id}"];
        foreach (string text in wrong) Assert.Null(await keys.FindAsync(text));
    }

    [Fact]
    public async Task Key_RevokedOrExpired_OpensNothingAndTheNameIsFreeAgain()
    {
        var clock = new Given.Clock(Given.Monday);
        var keys = new ApiKeys(_store, clock);
        (KeyRow first, string key) = await keys.CreateAsync("laptop", [Scopes.Inference], expires: Given.Monday.AddDays(1));
        Assert.Contains("already",
            (await Assert.ThrowsAsync<FlywheelException>(() => keys.CreateAsync("laptop", [Scopes.Inference]))).Message,
            StringComparison.Ordinal);
        Assert.Null(keys.WhyDead(first));
        Assert.Contains("expired", new ApiKeys(_store, new Given.Clock(Given.Monday.AddDays(1))).WhyDead(first)!, StringComparison.Ordinal);

        await keys.RevokeAsync("laptop");
        Assert.Contains("revoked", keys.WhyDead((await keys.FindAsync(key))!)!, StringComparison.Ordinal);
        Assert.Contains("'laptop'", (await Assert.ThrowsAsync<FlywheelException>(() => keys.RevokeAsync("laptop"))).Message,
            StringComparison.Ordinal);
        (KeyRow second, _) = await keys.CreateAsync("laptop", [Scopes.Inference]);
        await keys.RevokeAsync($"{second.Id}");
        Assert.All(await keys.ListAsync(), row => Assert.NotNull(row.Revoked));
    }

    [Theory]
    [InlineData("", "inference", "", "name")]
    [InlineData(" laptop", "inference", "", "name")]
    [InlineData("lap\ntop", "inference", "", "name")]
    [InlineData("laptop", "", "", "scopes")]
    [InlineData("laptop", "inference everything", "", "scopes")]
    [InlineData("laptop", "Inference", "", "scopes")]
    [InlineData("laptop", "inference", "a\u0000b", "user")]
    public async Task Create_WrongField_IsNamed(string name, string scopes, string user, string says)
    {
        var keys = new ApiKeys(_store, TimeProvider.System);
        var wrong =
            await Assert.ThrowsAsync<FlywheelException>(() =>
                keys.CreateAsync(name, scopes.Split(' ', StringSplitOptions.RemoveEmptyEntries), user));
        Assert.Contains(says, wrong.Message, StringComparison.Ordinal);
        Assert.Empty(await keys.ListAsync());
    }

    [Fact]
    public async Task Create_ExpiryThatIsOver_IsRefused() =>
        await Assert.ThrowsAsync<FlywheelException>(() =>
            new ApiKeys(_store, TimeProvider.System).CreateAsync("old", [Scopes.Inference], expires: DateTimeOffset.UtcNow.AddSeconds(-1)));

    [Fact]
    public async Task NoteUse_OfAKey_IsKeptToTheMinute()
    {
        var clock = new Given.Clock(Given.Monday);
        (KeyRow row, _) = await new ApiKeys(_store, clock).CreateAsync("laptop", [Scopes.Inference]);
        foreach ((double seconds, double noted) in new[] { (5.0, 5.0), (40, 5), (64, 5), (66, 66) })
        {
            var later = new ApiKeys(_store, new Given.Clock(Given.Monday.AddSeconds(seconds)));
            await later.NoteUseAsync((await later.FindAsync(row.Id))!);
            Assert.Equal(Given.Monday.AddSeconds(noted), (await later.FindAsync(row.Id))!.LastUsed);
        }
    }

    private static async Task<byte[]> ReadSharedAsync(string file)
    {
        await using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        using var bytes = new MemoryStream();
        await stream.CopyToAsync(bytes);
        return bytes.ToArray();
    }
}
