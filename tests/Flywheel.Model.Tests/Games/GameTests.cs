namespace Flywheel.Model.Tests.Games;

/// <summary>What holds of every game, in random games of it.</summary>
public sealed class GameTests
{
    public static TheoryData<string, int> EveryGame => new() { { "connect-four", 60 }, { "othello", 12 }, { "chess", 2 } };

    [Theory, MemberData(nameof(EveryGame))]
    public void Play_RandomGames_KeepWhatEveryGameKeeps(string name, int count)
    {
        Game game = Game.All[name];
        int pieces = ReservedTokens.Groups[game.PositionTokens].Count, over = 0;
        var byKey = new Dictionary<ulong, string>();
        foreach (List<GamePosition> positions in GameRules.Games(game, count, seed: 7))
        {
            foreach (GamePosition position in positions)
            {
                Assert.Equal(position.IsOver, position.Moves.Count == 0);
                Assert.Equal(position.Moves.Distinct(), position.Moves);
                Assert.All(position.Moves, move => Assert.Equal(move, game.FindMove(game.Symbol(move))));
                Assert.All(position.Tokens, token => Assert.InRange(token, 0, pieces - 1));
                Assert.Equal(position.Board.Pieces.Length, position.Board.Width * position.Board.Height);
                // The model's view and the key say the same: equal in one, equal in the other.
                string seen = string.Join(' ', position.Tokens);
                Assert.True(byKey.TryAdd(position.Key, seen) || byKey[position.Key] == seen);
                if (position.IsOver) continue;
                GamePosition read = game.Read($"{position}", "position");
                Assert.Equal(($"{position}", position.Key, position.IsFirstToMove), ($"{read}", read.Key, read.IsFirstToMove));
                Assert.Equal(position.Moves, read.Moves);
                Assert.All(game.OnePly(position), move => Assert.Contains(move, position.Moves));
                for (int symmetry = 0; symmetry < game.NumSymmetries; symmetry++)
                {
                    GamePosition turned = position.Transformed(symmetry);
                    Assert.Equal(position.Moves.Select(move => game.Transform(move, symmetry)).Order(), turned.Moves.Order());
                    Assert.Equal(position.SymmetricKey, turned.SymmetricKey);
                    int move = position.Moves[position.NumPlies % position.Moves.Count];
                    Assert.Equal(position.Play(move).Transformed(symmetry).ToString(),
                        turned.Play(game.Transform(move, symmetry)).ToString());
                }
            }
            if (positions[^1].IsOver) over++;
        }
        Assert.True(over > count / 2, $"{over} of {count} games came to an end");
    }

    /// <summary>A history is the moves of the game as people write them, and the fields of a task say the same by history and by
    /// position.</summary>
    [Theory, MemberData(nameof(EveryGame))]
    public void Read_HistoryAndPosition_AreTheSameFields(string name, int count)
    {
        Game game = Game.All[name];
        foreach (List<GamePosition> positions in GameRules.Games(game, 2, seed: count, longest: 40))
        {
            int plies = positions[^1].IsOver ? positions.Count - 2 : positions.Count - 1;
            var moves = new List<int>();
            var spelled = new List<string>();
            for (int ply = 0; ply < plies; ply++)
            {
                moves.Add(positions[ply].Moves.First(move => positions[ply].Play(move).ToString() == positions[ply + 1].ToString()));
                spelled.Add(positions[ply].Spell(moves[^1]));
            }
            Assert.Equal(moves, game.ReadMoves(string.Join(' ', spelled), "history"));
            Assert.Equal(moves, game.ReadMoves(game.Spell(moves), "history"));
            Dictionary<string, string> byHistory = GameTask.Read(game,
                new Dictionary<string, string> { ["history"] = game.Spell(moves), ["position"] = "", ["to_move"] = "" });
            Assert.Equal(positions[plies].ToString(), byHistory["position"]);
            Dictionary<string, string> byPosition = GameTask.Read(game, GameTask.FieldsOf(positions[plies]));
            Assert.Equal((byHistory["position"], byHistory["to_move"]), (byPosition["position"], byPosition["to_move"]));
            Assert.Equal(positions[plies].Tokens.Count, GameTask.Show(game, byPosition).Symbols.Count());
            string wrong = byHistory["to_move"] == game.Sides.First ? game.Sides.Second : game.Sides.First;
            Assert.StartsWith($"field 'to_move' is '{wrong}', expected '{byHistory["to_move"]}', which is to move",
                Assert.Throws<FlywheelException>(() =>
                    GameTask.Read(game, new Dictionary<string, string>(byPosition) { ["to_move"] = wrong })).Message,
                    StringComparison.Ordinal);
            Assert.StartsWith($"field 'position' is '{game.Start}', expected '",
                Assert.Throws<FlywheelException>(() =>
                    GameTask.Read(game, new Dictionary<string, string>(byHistory) { ["position"] = $"{game.Start}",
                        ["to_move"] = "" })).Message, StringComparison.Ordinal);
        }
    }
}
