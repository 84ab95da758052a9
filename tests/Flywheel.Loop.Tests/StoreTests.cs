using System.Text.Json.Nodes;
using CsCheck;
using Flywheel.Model;
using Flywheel.Testing;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Loop.Tests;

public sealed class SqliteStoreTests() : StoreTests(Provider.Sqlite);

public sealed class PostgresStoreTests() : StoreTests(Provider.Postgres);

/// <summary>The record keeps what it is given and refuses what it must, on either database.</summary>
public abstract class StoreTests(Provider provider) : IAsyncLifetime
{
    private readonly TestRecord record = new(provider);
    private FlywheelStore store = null!;

    private FlywheelHome Home => store.Home;

    public async ValueTask InitializeAsync() =>
        store = await FlywheelStore.OpenAsync(await record.HomeAsync(), new Given.Clock(Given.Monday));

    public async ValueTask DisposeAsync()
    {
        if (store is not null) await store.DisposeAsync();
        record.Dispose();
    }

    [Fact]
    public async Task Record_ReadBack_IsEqualToTheBit()
    {
        Generation given = Given.Generation(seed: 42);
        await store.RecordAsync(given);

        Generation found = (await store.FindGenerationAsync(given.Id))!;

        Assert.Equivalent(given, found, strict: true);
        Assert.Equal(given.Payload!.Logprobs, found.Payload!.Logprobs);
        Assert.Equal(given.Payload.Conversation, found.Payload.Conversation);
    }

    [Fact]
    public async Task Record_SameIdTwice_FailsAloneAndItsNeighboursAreStored()
    {
        Generation first = Given.Generation();
        await store.RecordAsync(first);
        Generation[] others = [.. Enumerable.Range(0, 50).Select(i => Given.Generation(seed: i))];

        Task[] writes = [.. others.Take(25).Select(row => store.RecordAsync(row)), store.RecordAsync(Given.Generation(id: first.Id)),
            .. others.Skip(25).Select(row => store.RecordAsync(row))];
        await Assert.ThrowsAnyAsync<DbUpdateException>(() => writes[25]);
        await Task.WhenAll(writes.Where((_, i) => i != 25));

        Assert.Equal(51, (await store.CountAsync()).Generations);
    }

    [Fact]
    public async Task AddFeedback_SameKeyManyTimesAtOnce_IsOneFeedback()
    {
        var input = new FeedbackInput(Guid.CreateVersion7(), Metrics.Keep, true, idempotencyKey: "click-1");

        FeedbackReceipt[] receipts = await Task.WhenAll(Enumerable.Range(0, 40).Select(_ => store.AddFeedbackAsync(input)));
        FeedbackReceipt later = await store.AddFeedbackAsync(input);

        Assert.Single(receipts.Append(later).Select(receipt => receipt.Id).Distinct());
        Assert.Equal(1, (await store.CountAsync()).Feedback);
    }

    /// <summary>A key belongs to its user, and to one content: nobody's feedback is lost behind another's id.</summary>
    [Fact]
    public async Task AddFeedback_KeyUsedBefore_IsRepeatedOrRefusedButNeverSwallowed()
    {
        Guid one = Guid.CreateVersion7(), other = Guid.CreateVersion7();
        FeedbackInput Of(Guid generation, string metric, JsonNode value, string user = "ann") =>
            new(generation, metric, value, user, null, "click-1");
        FeedbackReceipt first = await store.AddFeedbackAsync(Of(one, Metrics.Keep, true));

        Assert.Equal(first, await store.AddFeedbackAsync(Of(one, Metrics.Keep, true)));
        FeedbackReceipt bea = await store.AddFeedbackAsync(Of(other, Metrics.Discard, true, "bea"));
        FeedbackReceipt keyed = await store.AddFeedbackAsync(Of(one, Metrics.Keep, true) with { Owner = "carl" });
        FeedbackReceipt elsewhere = await store.AddFeedbackAsync(Of(one, Metrics.Keep, true) with { Workspace = "second" });

        Assert.Equal(4, new[] { first, bea, keyed, elsewhere }.Select(receipt => receipt.Id).Distinct().Count());
        foreach ((FeedbackInput input, string field) in new[]
        {
            (Of(other, Metrics.Keep, true), "inference_id"), (Of(one, Metrics.Discard, true), "metric_name"),
            (new(one, Metrics.Keep, true, "ann", new JsonObject { ["a"] = "b" }, "click-1"), "tags"),
            (Of(one, Metrics.Keep, true) with { Source = FeedbackSource.Simulated }, "source"),
        })
            Assert.Contains($"had with another {field}",
                (await Assert.ThrowsAsync<IdempotencyConflictException>(() => store.AddFeedbackAsync(input))).Message);
        await store.AddFeedbackAsync(new(one, Metrics.Comment, "a", "ann", null, "click-2"));
        Assert.Contains("another value",
            (await Assert.ThrowsAsync<IdempotencyConflictException>(() =>
                store.AddFeedbackAsync(new(one, Metrics.Comment, "b", "ann", null, "click-2")))).Message);
        Assert.Equal(5, (await store.CountAsync()).Feedback);
    }

    /// <summary>In one transaction with others, a refused one takes no neighbour with it.</summary>
    [Fact]
    public async Task AddFeedback_ManyAtOnceWithTheSameKeys_EachIsStoredOrRepeatedOrRefused()
    {
        var random = new Random(3);
        Guid[] generations = [.. Enumerable.Range(0, 4).Select(_ => Guid.CreateVersion7())];
        FeedbackInput[] inputs = [.. Enumerable.Range(0, 200).Select(_ => new FeedbackInput(
            generations[random.Next(4)], random.Next(2) == 0 ? Metrics.Keep : Metrics.Discard, true, $"user {random.Next(3)}", null,
            $"key {random.Next(8)}"))];

        (FeedbackInput Input, Guid? Id)[] outcomes = await Task.WhenAll(inputs.Select(async input =>
        {
            try
            {
                return (input, (Guid?)(await store.AddFeedbackAsync(input)).Id);
            }
            catch (IdempotencyConflictException)
            {
                return (input, null);
            }
        }));

        await using FlywheelDb db = store.Tables();
        Dictionary<Guid, Feedback> rows = await db.Feedback.ToDictionaryAsync(row => row.Id);
        Assert.All(outcomes, outcome =>
        {
            Feedback stored = outcome.Id is { } id
                ? rows[id] : rows.Values.Single(row =>
                    (row.User, row.IdempotencyKey) == (outcome.Input.User, outcome.Input.IdempotencyKey));
            bool same = (stored.GenerationId, stored.Metric) == (outcome.Input.GenerationId, outcome.Input.Metric);
            Assert.Equal(outcome.Id is not null, same);
        });
        Assert.Equal(rows.Count, rows.Values.Select(row => (row.User, row.IdempotencyKey)).Distinct().Count());
    }

    [Theory]
    [InlineData("\"referee\"", "expected person or simulated")]
    [InlineData("\"robot\"", "field 'source' is 'robot'")]
    [InlineData("1", "field 'source' is 1")]
    public void FeedbackInput_SourceThatNobodyMayState_IsRefused(string source, string said) =>
    Assert.Contains(said, Assert.Throws<FlywheelException>(() => FeedbackInput.FromJson(
        (JsonObject)JsonNode.Parse(
            $$"""{"inference_id": "{{Guid.CreateVersion7()}}", "metric_name": "keep", "value": true, "source": {{source}} }""")!)).Message);

    [Fact]
    public async Task AddFeedback_BeforeItsGeneration_IsKeptAndJoined()
    {
        Generation generation = Given.Generation();

        FeedbackReceipt early = await store.AddFeedbackAsync(new(generation.Id, Metrics.Demonstration, "Draw."));
        await store.RecordAsync(generation);
        FeedbackReceipt late = await store.AddFeedbackAsync(new(generation.Id, Metrics.Rating, 0.5));

        Assert.True(early.Orphan);
        Assert.False(late.Orphan);
        Assert.Equal([early.Id, late.Id], (await store.FeedbackAsync(generation.Id)).Select(row => row.Id));
    }

    [Theory]
    [InlineData("""{"metric_name": "keep", "value": true}""", "inference_id")]
    [InlineData("""{"inference_id": "17", "metric_name": "keep", "value": true}""", "'17'")]
    [InlineData("""{"inference_id": 17, "metric_name": "keep", "value": true}""", "inference_id")]
    [InlineData("""{"inference_id": "$", "metric_name": "kept", "value": true}""", "expected one of keep, discard")]
    [InlineData("""{"inference_id": "$", "value": true}""", "metric_name")]
    [InlineData("""{"inference_id": "$", "metric_name": "keep"}""", "value")]
    [InlineData("""{"inference_id": "$", "metric_name": "keep", "value": false}""", "expected true")]
    [InlineData("""{"inference_id": "$", "metric_name": "keep", "value": {"a": 1}}""", "expected true")]
    [InlineData("""{"inference_id": "$", "metric_name": "demonstration", "value": " "}""", "not empty")]
    [InlineData("""{"inference_id": "$", "metric_name": "demonstration", "value": 7}""", "not empty")]
    [InlineData("""{"inference_id": "$", "metric_name": "rating", "value": 1.5}""", "0 to 1")]
    [InlineData("""{"inference_id": "$", "metric_name": "rating", "value": "good"}""", "0 to 1")]
    [InlineData("""{"inference_id": "$", "metric_name": "retract", "value": "good"}""", "feedback_id")]
    [InlineData("""{"inference_id": "$", "metric_name": "keep", "value": true, "tags": {"a": 1}}""", "tags.a")]
    [InlineData("""{"inference_id": "$", "metric_name": "keep", "value": true, "tags": "a"}""", "tags")]
    [InlineData("""{"inference_id": "$", "metric_name": "keep", "value": true, "usr": "ann"}""", "'usr' is unknown")]
    [InlineData("""{"inference_id": "00000000-0000-0000-0000-000000000000", "metric_name": "keep", "value": true}""", "empty")]
    public void FeedbackInput_Bad_NamesTheFieldAndWhatWasExpected(string json, string said)
    {
        var body = (JsonObject)JsonNode.Parse(json.Replace("$", Guid.CreateVersion7().ToString()))!;

        Assert.Contains(said, Assert.Throws<FlywheelException>(() => FeedbackInput.FromJson(body)).Message);
    }

    [Theory]
    [InlineData("rating", "true", "1")]
    [InlineData("rating", "0.25", "0.25")]
    [InlineData("rating", "1", "1")]
    [InlineData("keep", "true", "true")]
    [InlineData("comment", "\"a \\u00e9 <b>\"", "\"a é <b>\"")]
    public void FeedbackInput_Good_IsNormalised(string metric, string value, string stored) =>
        Assert.Equal(stored,
            FeedbackInput.FromJson(
                (JsonObject)JsonNode.Parse(
                    $$"""{"inference_id": "{{Guid.CreateVersion7()}}", "metric_name": "{{metric}}", "value": {{value}} }""")!).Value);

    [Fact]
    public void TokenBlob_AnyValues_RoundTrip()
    {
        Gen.Int.Array.Sample(ids => Assert.Equal(ids, TokenBlob.DecodeIds(TokenBlob.EncodeIds(ids))), seed: "0000KeXSOcQ3");
        Gen.Float.Array.Sample(values =>
            Assert.Equal(values.Select(BitConverter.SingleToInt32Bits),
                TokenBlob.DecodeFloats(TokenBlob.EncodeFloats(values)).Select(BitConverter.SingleToInt32Bits)), seed: "0000KeXSOcQ3");
    }

    [Fact]
    public void TokenBlob_AnyBytes_DecodeOrSayWhyNot() => Gen.Byte.Array.Sample(bytes =>
    {
        try
        {
            Assert.True(TokenBlob.DecodeIds(bytes).Length <= bytes.Length);
        }
        catch (InvalidDataException)
        {
        }
    }, seed: "0000KeXSOcQ3");

    [Fact]
    public async Task Open_Again_FindsEverything()
    {
        Generation generation = Given.Generation();
        await store.RecordAsync(generation);
        await store.DisposeAsync();

        await using FlywheelStore again = await FlywheelStore.OpenAsync(Home);

        Assert.NotNull(await again.FindGenerationAsync(generation.Id));
    }

    [Fact]
    public async Task Open_ByNewerFlywheel_IsRefused()
    {
        await using (FlywheelDb db = store.Tables())
            await db.Database.ExecuteSqlRawAsync("""INSERT INTO "__EFMigrationsHistory" VALUES ('29990101000000_Later', '99.0')""");

        var refused = await Assert.ThrowsAsync<FlywheelException>(() => FlywheelStore.OpenAsync(Home));

        Assert.Contains("newer Flywheel", refused.Message);
        Assert.Contains("29990101000000_Later", refused.Message);
    }

    [Fact]
    public async Task Open_ManyAtOnceOnANewHome_AllSucceed()
    {
        FlywheelHome home = await record.HomeAsync("crowd", empty: true);

        FlywheelStore[] stores = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() => FlywheelStore.OpenAsync(home))));
        await Task.WhenAll(stores.Select(each => each.RecordAsync(Given.Generation())));

        Assert.Equal(8, (await stores[0].CountAsync()).Generations);
        foreach (FlywheelStore each in stores) await each.DisposeAsync();
    }

    [Fact]
    public async Task Open_Migrations_MatchTheModel()
    {
        await using FlywheelDb db = store.Tables();
        Assert.False(db.Database.HasPendingModelChanges());
    }
}
