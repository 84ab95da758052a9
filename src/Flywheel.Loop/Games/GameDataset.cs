using Flywheel.Model;

namespace Flywheel.Loop.Games;

/// <summary>
/// What a turn learns: of each searched position two moves, drawn by the search's targets so that each comes as often as its share says
/// (systematic sampling: on average over positions and turns the targets are the shares); a document each, or one that counts twice where
/// both are the same. In it the move, and then the value token of what was found of it. Each position is turned and mirrored by chance.
/// Positions that are held out to measure on are left out.
/// </summary>
internal static class GameDataset
{
    /// <summary>More say little more and cost as much again.</summary>
    private const int MovesPerPosition = 2;

    /// <param name="games">In their order, which decides the dataset's.</param>
    /// <param name="lessons">A teacher's games, which are not in the record.</param>
    /// <param name="model">Whose tokens and prompts they become.</param>
    /// <param name="turn">Number of the turn that learns: each draws anew.</param>
    /// <param name="recipe">How much of a value is the game's result.</param>
    /// <param name="heldOut">Keys of positions to leave out.</param>
    /// <param name="parent">Folder of datasets.</param>
    /// <returns>The dataset's folder, and which moves are in it.</returns>
    public static (string Path, IReadOnlyList<(RecordedGame Game, RecordedMove Move)> Learnt) Write(IReadOnlyList<RecordedGame> games,
        IReadOnlyList<PlayedGame> lessons, GameModel model, int turn, PlayRecipe recipe, IReadOnlySet<ulong> heldOut, string parent)
    {
        Tokenizer tokenizer = model.Folder.Tokenizer;
        using var writer = new TokenDatasetWriter(parent, new DatasetManifest
        {
            TokenizerHash = tokenizer.Hash, VocabSize = tokenizer.VocabSize, Labels = true, LogProbs = true,
            Facts = new Dictionary<string, string> {
                ["source"] = $"{games.Count} games of self-play and {lessons.Count} of a teacher at {recipe.Task}" },
        });
        var learnt = new List<(RecordedGame, RecordedMove)>();
        foreach (RecordedGame game in games)
            foreach (RecordedMove recorded in game.Moves)
                if (AddUnlessHeldOut(game.Game, recorded.Move)) learnt.Add((game, recorded));
        foreach (PlayedGame game in lessons)
            foreach (SearchedMove move in game.Moves) AddUnlessHeldOut(game, move);
        return (writer.Complete(), learnt);

        bool AddUnlessHeldOut(PlayedGame game, SearchedMove move)
        {
            if (heldOut.Contains(move.Position.SymmetricKey)) return false;
            Add(writer, model, move, game.ResultFor(move), recipe.Play.OutcomeShare,
                new Random(SelfPlay.SeedOf(recipe.Seed, 4, turn, game.Turn * 1_000_000 + game.Index * 64 + move.History.Count)));
            return true;
        }
    }

    private static void Add(TokenDatasetWriter writer, GameModel model, SearchedMove move, int result, double outcomeShare, Random random)
    {
        int symmetry = random.Next(model.Game.NumSymmetries);
        int[] prompt = model.Prompt(move.Position.Transformed(symmetry)), counts = Draw(move.Targets, random.NextDouble());
        for (int place = 0; place < counts.Length; place++)
        {
            if (counts[place] == 0) continue;
            double value = move.Moves[place] == move.Move
                ? outcomeShare * result + (1 - outcomeShare) * move.Values[place] : move.Values[place];
            int[] tokens = [.. prompt, model.MoveToken(model.Game.Transform(move.Moves[place], symmetry)), model.ValueToken(value),
                model.End];
            byte[] targets = new byte[tokens.Length];
            float[] logProbs = new float[tokens.Length];
            for (int i = prompt.Length; i < tokens.Length; i++)
                (targets[i], logProbs[i]) = (1, MathF.Log(counts[place] / (float)MovesPerPosition));
            writer.Add(tokens, targets, 1, logProbs);
        }
    }

    /// <summary>How often each move comes where places a whole apart are laid over the shares, scaled to the number of moves.</summary>
    /// <param name="shares">Add up to 1.</param>
    /// <param name="offset">Of the first place, from 0 to 1.</param>
    internal static int[] Draw(double[] shares, double offset)
    {
        int[] counts = new int[shares.Length];
        double sum = shares.Sum();
        for (int place = 0; place < MovesPerPosition; place++)
        {
            double left = (place + offset) / MovesPerPosition * sum;
            int move = 0;
            while (move < shares.Length - 1 && left >= shares[move]) left -= shares[move++];
            while (shares[move] == 0) move--; // rounding went beyond the last share
            counts[move]++;
        }
        return counts;
    }
}
