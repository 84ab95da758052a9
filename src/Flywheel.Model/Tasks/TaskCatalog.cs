namespace Flywheel.Model;

/// <summary>
/// The tasks that are there: folders with a <c>task.yaml</c> in the home's <c>tasks/</c> and in the project's, of which the home's wins.
/// They
/// are read anew each time, so that a changed file counts at once.
/// </summary>
public sealed class TaskCatalog(FlywheelHome home)
{
    /// <summary>The folder <c>tasks/</c> of the project that this program was built in; null elsewhere.</summary>
    public static string? Shipped { get; } = FindShipped();

    private IEnumerable<string> Folders =>
        new[] { System.IO.Path.Combine(home.Path, "tasks"), Shipped }.OfType<string>().Where(Directory.Exists)
        .SelectMany(folder => Directory.EnumerateDirectories(folder).Order(StringComparer.Ordinal))
        .Where(folder => File.Exists(System.IO.Path.Combine(folder, TaskFolder.FileName)))
        .DistinctBy(System.IO.Path.GetFileName);

    /// <summary>All of them by name.</summary>
    /// <param name="problem">Told of each file that is not valid; the others are there all the same.</param>
    public IReadOnlyList<TaskFolder> List(Action<string>? problem = null)
    {
        var tasks = new List<TaskFolder>();
        foreach (string folder in Folders)
            try
            {
                tasks.Add(TaskFolder.Open(folder));
            }
            catch (Exception e) when (e is FlywheelException or IOException or UnauthorizedAccessException)
            {
                problem?.Invoke(e.Message);
            }
        return [.. tasks.OrderBy(task => task.Name, StringComparer.Ordinal)];
    }

    /// <summary>The task of a name, or in a folder.</summary>
    /// <exception cref="UnknownTaskException">There is none of that name.</exception>
    /// <exception cref="FlywheelException">Its file is not valid.</exception>
    public TaskFolder Find(string wanted)
    {
        if (Folders.FirstOrDefault(folder => System.IO.Path.GetFileName(folder) == wanted) is { } found) return TaskFolder.Open(found);
        string[] names = [.. Folders.Select(folder => System.IO.Path.GetFileName(folder)!)];
        throw new UnknownTaskException(
            $"the task '{wanted}' does not exist{(names.Length == 0 ? $"; there is none in {System.IO.Path.Combine(home.Path, "tasks")}" : NearestName.Hint(wanted, names))}");
    }

    /// <summary>The tasks in whose folders a recipe's sources lie: what its model is trained for.</summary>
    /// <param name="recipe">The recipe.</param>
    /// <param name="folder">Where its relative paths start.</param>
    public static IReadOnlyList<string> Of(Recipe recipe, string folder) => [.. recipe.Data.Select(source => source.Path).OfType<string>()
        .Select(path => System.IO.Path.TrimEndingDirectorySeparator(System.IO.Path.GetFullPath(System.IO.Path.Combine(folder, path))))
        .Select(path =>
            new[] { path,
                System.IO.Path.GetDirectoryName(path) }.FirstOrDefault(place =>
                    place is not null && File.Exists(System.IO.Path.Combine(place, TaskFolder.FileName))))
        .OfType<string>().Select(place => System.IO.Path.GetFileName(place)!).Distinct().Order(StringComparer.Ordinal)];

    private static string? FindShipped()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            string tasks = System.IO.Path.Combine(folder.FullName, "tasks");
            if (File.Exists(System.IO.Path.Combine(tasks, "copywriting", TaskFolder.FileName))) return tasks;
        }
        return null;
    }
}

/// <summary>There is no task of a name. HTTP answers 404.</summary>
public sealed class UnknownTaskException(string message) : FlywheelException(message);
