using System.Text.RegularExpressions;
using Flywheel.Model;
using Flywheel.Studio.Apps.Tasks;

namespace Flywheel.Studio.Tests.Apps.Tasks;

/// <summary>A page of a task that the served model cannot do: no dead end, and nothing that could only fail.</summary>
public sealed partial class TaskWaysTests
{
    [Theory]
    [InlineData("connect-four", "./flywheel play --task connect-four --turns 3")]
    [InlineData("othello", "./flywheel play --task othello --turns 3")]
    [InlineData("pronunciation", "./flywheel train recipes/pronunciation.yaml")]
    [InlineData("picture-class", "./flywheel train recipes/picture-class.yaml")]
    public async Task Page_OfATaskThatTheModelCannotDo_ShowsTheCommandThatMakesOneAndNoForm(string task, string command)
    {
        await using TestServer server = await TestServer.StartAsync();
        string page = System.Net.WebUtility.HtmlDecode(await server.Http.GetStringAsync($"/tasks/{task}"));
        Assert.Contains("cannot do this", page);
        Assert.Contains(command, page);
        Assert.DoesNotContain("tasks eval", page);
        Assert.DoesNotContain("with keys 1 to 7", page);
        Assert.DoesNotContain("class=\"go\"", page);
        Assert.DoesNotContain("class=\"field\"", page);
    }

    [Fact]
    public async Task Page_OfATaskThatTheModelCanBeAsked_KeepsItsFormAndTheMeasure()
    {
        await using TestServer server = await TestServer.StartAsync();
        string page = System.Net.WebUtility.HtmlDecode(await server.Http.GetStringAsync("/tasks/arithmetic"));
        Assert.Contains("was not trained for this task", page);
        Assert.Contains("tasks eval arithmetic", page);
        Assert.Contains("class=\"go\"", page);
    }

    [Fact]
    public void Commands_OfEveryShippedTask_NameARecipeThatIsThereAndIsTheTasks()
    {
        using var folder = new Flywheel.Testing.TempFolder();
        string root = Path.GetDirectoryName(TaskCatalog.Shipped)!;
        foreach (TaskFolder task in new TaskCatalog(new FlywheelHome(folder["home"])).List())
            foreach (string command in TaskDesk.CommandsFor(task))
                if (RecipeIn().Match(command) is { Success: true } found)
                    Assert.Contains(task.Name,
                        TaskCatalog.Of(RecipeFile.Load(Path.Combine(root, found.Value)), Path.Combine(root, "recipes")));
                else if (command.Contains(" play ", StringComparison.Ordinal))
                    Assert.Equal(task.Name, PlayRecipe.Load(Path.Combine(root, "recipes", $"{task.Name}.yaml")).Task);
                else Assert.True(command is "./flywheel up --port 5006" || command == $"export FLYWHEEL_HOME=~/flywheel-{task.Name}",
                    command);
    }

    [GeneratedRegex(@"recipes/\S+")]
    private static partial Regex RecipeIn();
}
