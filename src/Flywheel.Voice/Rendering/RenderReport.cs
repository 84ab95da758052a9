using System.Text.Json;
using Flywheel.Model;

namespace Flywheel.Voice;

/// <summary>What became of a rendering.</summary>
/// <param name="Seconds">Of sound.</param>
/// <param name="NumLines">Lines that were spoken.</param>
/// <param name="NumEngineCalls">What was not in the cache.</param>
/// <param name="Lines">Each.</param>
public sealed record RenderReport(double Seconds, int NumLines, long NumEngineCalls, IReadOnlyList<LineReport> Lines)
{
    public string ToJson() => JsonSerializer.Serialize(this, JsonText.Indented);

    internal static RenderReport Create(VoiceProject project, IReadOnlyList<LinePlan> plans, IReadOnlyList<long> starts, IReadOnlyList<long> lengths, long numCalls)
    {
        double Seconds(long samples) => Math.Round((double)samples / project.SampleRate, 6);
        return new RenderReport(plans.Count == 0 ? 0 : Seconds(starts[^1] + lengths[^1]), plans.Count, numCalls,
            [.. plans.Select((plan, i) => new LineReport(plan.LineId, project.Lines[i].Role, plan.Voice.Id, Seconds(starts[i]), Seconds(starts[i] + lengths[i]), plan.Hash))]);
    }
}

/// <param name="Id">Of the line.</param>
/// <param name="Role">Who speaks.</param>
/// <param name="Voice">With whose voice.</param>
/// <param name="Start">In seconds.</param>
/// <param name="End">In seconds.</param>
/// <param name="Hash">Of the sound.</param>
public sealed record LineReport(string Id, string? Role, string Voice, double Start, double End, string Hash);
