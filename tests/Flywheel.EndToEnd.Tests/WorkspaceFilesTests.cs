using Flywheel.Cli;
using Flywheel.Engine;
using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Testing;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.EndToEnd.Tests;

/// <summary>A workspace from one home to another by the command line.</summary>
public sealed class WorkspaceFilesTests
{
    [Fact]
    public async Task WorkspacesImport_WithPeople_GivesEachTheirOwnAndRefusesWhoIsNotInIt()
    {
        using var folder = new TempFolder();
        await using (FlywheelStore from = await FlywheelStore.OpenAsync(new FlywheelHome(folder["from"], "")))
            foreach (string user in (string[])["ann", "ben", "ann"]) await from.RecordAsync(Answer(user));
        string zip = folder["team.zip"];
        await RunAsync("from", 0, "workspaces", "export", WorkspaceRow.Default, zip);
        await RunAsync("to", 0, "workspaces", "create", "Acme", "--id", "acme");
        string[] import = ["workspaces", "import", zip, "--to", "acme", "--user", "carol"];

        string refused = await RunAsync("to", ExitCodes.UserError, [.. import, "--person", "ben"]);
        Assert.Contains("--person is 'ben', expected THERE=HERE", refused);
        refused = await RunAsync("to", ExitCodes.UserError, [.. import, "--person", "eve=dan"]);
        Assert.Contains("--person names 'eve', expected one of those in team.zip: ann or ben", refused);
        string said = await RunAsync("to", 0, [.. import, "--person", "ben=dan"]);
        Assert.Contains("generations   3 imported", said);
        Assert.Contains("whole and undamaged. Who wrote it", said);
        Assert.Contains("generations   3 here already", await RunAsync("to", 0, [.. import, "--person", "ben=dan"]));

        await using FlywheelStore to = await FlywheelStore.OpenAsync(new FlywheelHome(folder["to"], ""));
        await using FlywheelDb db = to.AllTables();
        Assert.Equal(["carol acme", "carol acme", "dan acme"],
            (await db.Generations.Select(row => row.User + " " + row.Workspace).ToListAsync()).Order(StringComparer.Ordinal));

        async Task<string> RunAsync(string home, int expected, params string[] arguments)
        {
            (int code, string output) = await ServerProcess.RunAsync(folder[home], arguments);
            Assert.True(code == expected, $"{string.Join(' ', arguments)}: {code} {output}");
            return output.ReplaceLineEndings(" ");
        }
    }

    private static Generation Answer(string user)
    {
        Guid id = Guid.CreateVersion7();
        return new Generation
        {
            Id = id, Group = id, Time = DateTimeOffset.UtcNow, App = "write", User = user, ModelHash = new string('a', 64),
            FinishReason = FinishReason.Stop, NumPromptTokens = 1, NumTokens = 1,
            Payload = new GenerationPayload { GenerationId = id, Text = "x", PromptTokens = [1], Tokens = [2], Logprobs = [-1],
                SamplerLogprobs = [-1], Sampler = new SamplerOptions() },
        };
    }
}
