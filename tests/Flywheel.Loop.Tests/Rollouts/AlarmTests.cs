using System.Text.Json.Nodes;
using Flywheel.Engine;
using Flywheel.Loop.Rollouts;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Loop.Tests.Rollouts;

/// <summary>Each alarm rings for what it is about, and none for an ordinary week.</summary>
public sealed class AlarmTests : IDisposable
{
    private static readonly DateTimeOffset s_now = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);

    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(null)]
    [InlineData(AlarmKind.Length)]
    [InlineData(AlarmKind.Repetition)]
    [InlineData(AlarmKind.Burst)]
    [InlineData(AlarmKind.OnePerson)]
    public async Task Week_WithOneThingWrong_RaisesThatAlarmAlone(AlarmKind? wrong)
    {
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(_folder["home"]));
        var answers = new List<Generation>();
        var feedback = new List<Feedback>();
        for (int hour = 0; hour < 7 * 24; hour++)
        {
            DateTimeOffset time = s_now.AddHours(-hour).AddMinutes(-30);
            bool today = hour < 24;
            for (int i = 0; i < 3; i++)
            {
                Generation answer = Answer(time, today && wrong == AlarmKind.Length ? 160 : 80 + (hour + i) % 20,
                    today && wrong == AlarmKind.Repetition && i > 0 ? "again" : $"text {hour} {i}");
                answers.Add(answer);
                if (i == 0) feedback.Add(Said(answer, time, wrong == AlarmKind.OnePerson && hour % 3 > 0 ? "ann" : $"user-{hour % 9}"));
            }
            if (hour == 3 && wrong == AlarmKind.Burst)
                for (int i = 0; i < 40; i++) feedback.Add(Said(answers[^1], time, $"user-{i % 9}"));
        }
        await using (FlywheelDb db = store.Tables())
        {
            db.Generations.AddRange(answers);
            db.Feedback.AddRange(feedback);
            await db.SaveChangesAsync(TestContext.Current.CancellationToken);
        }
        IReadOnlyList<Alarm> alarms = await Alarms.ReadAsync(store, s_now, TestContext.Current.CancellationToken);
        Assert.Equal(wrong is { } kind ? [kind] : [], alarms.Select(alarm => alarm.Kind));
    }

    private static Generation Answer(DateTimeOffset time, int tokens, string text)
    {
        var id = Guid.CreateVersion7(time);
        return new()
        {
            Id = id, Group = id, Time = time, User = "ann", App = "api", ModelHash = "m", FinishReason = FinishReason.Stop,
            NumTokens = tokens,
            Payload = new() { GenerationId = id, Text = text, PromptTokens = [tokens, (int)(time - s_now).TotalHours], Tokens = [],
                Logprobs = [], SamplerLogprobs = [], Sampler = new() },
        };
    }

    private static Feedback Said(Generation about, DateTimeOffset time, string user) => new()
    {
        Id = Guid.CreateVersion7(time), Time = time, GenerationId = about.Id, Metric = Metrics.Keep,
        Value = JsonValue.Create(true).ToJsonString(), User = user,
    };
}
