using Flywheel.Engine;
using Flywheel.Model;

namespace Flywheel.Loop.Games;

/// <summary>What a model thinks of a position, to be shown to a person.</summary>
/// <param name="Shares">Of each legal move: the model's own probabilities, or what a search made of them.</param>
/// <param name="Value">Expected result for the side to move, from -1 to 1.</param>
/// <param name="Best">The move that it would play.</param>
public sealed record GameAdvice(IReadOnlyDictionary<int, double> Shares, double Value, int Best)
{
    /// <summary>Why a model that can be asked for a move cannot say what it expects; null when it can.</summary>
    public static string? Fault(TaskFolder task, ModelFolder model) =>
        ReservedTokens.Ranges(model.Tokenizer).ContainsKey(GameTask.ValueTokens) ? null
        : $"the task '{task.Name}' needs tokens of '{GameTask.ValueTokens}', which this model's vocabulary does not have";

    /// <param name="task">With a game.</param>
    /// <param name="model">Who is asked.</param>
    /// <param name="engine">That has it loaded.</param>
    /// <param name="position">Not over.</param>
    /// <param name="simulations">Of a search; 0 asks the model alone.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="FlywheelException">The model has no tokens for the game.</exception>
    public static async Task<GameAdvice> AskAsync(TaskFolder task, ModelFolder model, InferenceEngine engine, GamePosition position,
        int simulations, CancellationToken cancellation = default)
    {
        await using var asked = new GameModel(task, model, engine);
        if (simulations == 0)
        {
            Evaluation evaluation = (await asked.EvaluateAsync([position], cancellation))[0];
            return new GameAdvice(ByMove(evaluation.Policy.Select(share => (double)share)), evaluation.Value,
                position.Moves[evaluation.Best]);
        }
        GameTree tree =
            (await SearchPlayer.SearchAsync(asked, new SearchSettings(simulations, new SelfPlayRecipe().Exploration), [position],
                cancellation))[0];
        return new GameAdvice(ByMove(tree.Shares()), tree.Value, SearchPlayer.BestOf(tree));

        Dictionary<int, double> ByMove(IEnumerable<double> shares) =>
            position.Moves.Zip(shares).ToDictionary(pair => pair.First, pair => pair.Second);
    }
}
