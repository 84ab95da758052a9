using Flywheel.Model;

namespace Flywheel.Loop.Games;

/// <summary>The game of a task.</summary>
internal static class GameTasks
{
    /// <exception cref="FlywheelException">The task has none.</exception>
    public static Game GameOf(TaskFolder task) =>
        task.Game
            ?? throw new FlywheelException(
                $"the task '{task.Name}' has no field 'game', expected a task of a game: {NearestName.List([.. Game.All.Keys])}");
}
