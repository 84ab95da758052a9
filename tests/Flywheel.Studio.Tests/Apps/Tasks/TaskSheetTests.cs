using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Studio.Apps;
using Flywheel.Studio.Apps.Tasks;
using Flywheel.Testing;
using Microsoft.Extensions.Logging.Abstractions;

namespace Flywheel.Studio.Tests.Apps.Tasks;

public sealed class TaskSheetTests
{
    [Fact]
    public async Task Sheet_OfATaskInTwoWorkspaces_IsOneInEach()
    {
        using var folder = new TempFolder();
        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(folder["home"]));
        // nobody is asked
        using var sheets = new TaskSheets(new Documents(store, TimeProvider.System), store, null!, TimeProvider.System,
            NullLogger<TaskSheets>.Instance);
        foreach (string workspace in new[] { WorkspaceRow.Default, "acme", "blue" }) await TypeAsync(workspace, workspace);
        foreach (string workspace in new[] { WorkspaceRow.Default, "acme", "blue" }) Assert.Equal(workspace, await TypedAsync(workspace));

        async Task TypeAsync(string workspace, string text)
        {
            Actor.Enter(workspace);
            Assert.Null(await sheets.SaveFieldAsync("ann", "morse", "text", text, over: ""));
        }

        async Task<string> TypedAsync(string workspace)
        {
            Actor.Enter(workspace);
            return (await sheets.ReadAsync("ann", "morse")).Fields["text"];
        }
    }
}
