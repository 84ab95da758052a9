using System.Text;
using Flywheel.Model;

namespace Flywheel.Training;

/// <summary>
/// For ranks that a launcher started by itself, such as <c>mpirun -n 4 flywheel train RECIPE</c>: the first prepares data and
/// job, the others train what it says.
/// </summary>
public static class SharedTraining
{
    /// <summary>Rank 0: trains a job together with the others, which are in <see cref="Follow"/>.</summary>
    public static TrainedModel Lead(ICollectives world, TrainingJob job, Action<TrainingProgress> progress, CancellationToken cancellation)
    {
        SendText(world, TrainingJobFile.Save(job));
        return TrainingRun.Run(job, world, progress, cancellation);
    }

    /// <summary>Rank 0: there are no more jobs.</summary>
    public static void End(ICollectives world) => SendText(world, "");

    /// <summary>Every other rank: trains each job of rank 0 until it ends.</summary>
    public static void Follow(ICollectives world, Action<TrainingProgress> progress, CancellationToken cancellation)
    {
        while (SendText(world, null) is { Length: > 0 } jobFile)
            TrainingRun.Run(TrainingJobFile.Load(jobFile), world, progress, cancellation);
    }

    /// <summary>A text of rank 0 to all.</summary>
    private static string SendText(ICollectives world, string? text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text ?? "");
        Array.Resize(ref bytes, world.FromFirst(bytes.Length));
        int[] counts = new int[world.Size];
        counts[0] = bytes.Length;
        world.AllGather<byte>(bytes, counts, new int[world.Size]);
        return Encoding.UTF8.GetString(bytes);
    }
}
