using Flywheel.Loop.Runs;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Loop.Tests;

public sealed class OptimizerStudyTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(5.0, 10.0)]
    [InlineData(4.5, 15.0)] // half-way between two evaluations
    [InlineData(4.0, 20.0)]
    [InlineData(3.0, null)]
    public void StepsTo_BetweenEvaluations_IsOnTheLine(double loss, double? steps) =>
        Assert.Equal(steps, new OptimizerCurves("adamw", [], [[(10, 5.0), (20, 4.0), (30, 4.2)]]).StepsTo(loss)[0]);

    /// <summary>The grid and the seeds as real runs, a picture, and nothing trained again the second time.</summary>
    [Fact]
    public void Study_OfATinyRecipe_DrawsAndIsKept()
    {
        File.WriteAllText(_folder["tiny.yaml"], """
            name: tiny
            tokenizer: { vocab: 300 }
            model: { hidden: 16, intermediate: 24, layers: 1, heads: 2, kv_heads: 1, head_dim: 8, context: 128 }
            data: [{ source: jsonl, path: chats.jsonl }]
            train: { objective: next-token, steps: 4, batch_tokens: 256, micro_tokens: 128, evaluate_every: 2 }
            """);
        File.WriteAllLines(_folder["chats.jsonl"],
            Enumerable.Range(0, 150)
                .Select(i =>
                    new Conversation([Message.User($"Say number {i}"), Message.Assistant($"It is {i}, as you said.")]).ToString()));
        var trained = new HashSet<string>();
        int steps = 0;
        var runner = new RecipeRunner(new FlywheelHome(_folder["home"])) { NumThreads = 1,
            Progress = (_, progress) => steps += progress.Line?.Loss is null ? 0 : 1 };
        var study = new OptimizerStudy(runner, _folder["tiny.yaml"]) { Said = line => trained.Add(line) };
        OptimizerCurves adam = study.AdamW(2, TestContext.Current.CancellationToken),
            muon = study.Muon(adam, 2, TestContext.Current.CancellationToken);
        Assert.Equal((2, 2), (adam.Curves.Count, muon.Curves.Count));
        Assert.Equal([2, 4], adam.Curves[0].Select(point => point.Step));
        Assert.Equal(4 * (5 + 1 + 3 + 1), steps);
        Assert.Equal(adam.Rates, muon.Rates.Take(1));
        OptimizerStudy.Draw(adam, muon, "tiny", _folder["figure.svg"]);
        Assert.Equal("svg", System.Xml.Linq.XDocument.Load(_folder["figure.svg"]).Root!.Name.LocalName);
        Assert.Equal(adam.Final, study.AdamW(2, TestContext.Current.CancellationToken).Final);
        Assert.Equal(40, steps);
    }
}
