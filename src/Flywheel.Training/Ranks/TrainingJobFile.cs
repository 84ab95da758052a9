using System.Text.Json;
using Flywheel.Model;

namespace Flywheel.Training;

/// <summary>A training job on disk: what the ranks of a world, which are processes of their own, read to do the same.</summary>
public static class TrainingJobFile
{
    private sealed record Content
    {
        /// <summary>As YAML.</summary>
        public required string Recipe { get; init; }

        public string? Base { get; init; }

        public required string TrainData { get; init; }

        public string? ValidationData { get; init; }

        public required string ModelsFolder { get; init; }

        public required int NumThreads { get; init; }

        public string? Codec { get; init; }

        public IReadOnlyList<string> Tasks { get; init; } = [];

        public IReadOnlyList<string> Words { get; init; } = [];
    }

    /// <summary>Writes job.json into the run folder and, without a base, the shape and tokenizer beside it.</summary>
    /// <returns>The file's path.</returns>
    public static string Save(TrainingJob job)
    {
        string folder = Path.GetFullPath(job.RunFolder), path = Path.Combine(folder, "job.json");
        Directory.CreateDirectory(folder);
        if (job.Base is null)
        {
            job.Config!.Save(Path.Combine(folder, "config.json"));
            job.Tokenizer!.Save(Path.Combine(folder, "tokenizer.json"));
        }
        AtomicFile.WriteText(path, JsonSerializer.Serialize(new Content
        {
            Recipe = RecipeFile.ToYaml(job.Recipe),
            Base = job.Base?.Path,
            TrainData = Path.GetFullPath(job.TrainData),
            ValidationData = job.ValidationData is { } validation ? Path.GetFullPath(validation) : null,
            ModelsFolder = Path.GetFullPath(job.ModelsFolder),
            NumThreads = job.NumThreads,
            Codec = job.Codec is { } codec ? Path.GetFullPath(codec) : null,
            Tasks = job.Tasks,
            Words = job.Words,
        }, JsonText.Indented));
        return path;
    }

    /// <exception cref="FlywheelException">Missing or not what <see cref="Save"/> writes.</exception>
    public static TrainingJob Load(string path)
    {
        if (!File.Exists(path)) throw new FlywheelException($"{path}: no such file; expected a training job, on a disk that all ranks see");
        string folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        Content content;
        try
        {
            content = JsonSerializer.Deserialize<Content>(File.ReadAllText(path), JsonText.Compact)!;
        }
        catch (JsonException e)
        {
            throw new FlywheelException($"{path}: not a training job: {e.Message}", e);
        }
        return new TrainingJob
        {
            Recipe = RecipeFile.Parse(content.Recipe, path),
            RunFolder = folder,
            Base = content.Base is { } parent ? ModelFolder.Open(parent) : null,
            Config = content.Base is null ? ModelConfig.Load(Path.Combine(folder, "config.json")) : null,
            Tokenizer = content.Base is null ? Tokenizer.Load(Path.Combine(folder, "tokenizer.json")) : null,
            TrainData = content.TrainData,
            ValidationData = content.ValidationData,
            ModelsFolder = content.ModelsFolder,
            NumThreads = content.NumThreads,
            Codec = content.Codec,
            Tasks = content.Tasks,
            Words = content.Words,
        };
    }
}
