using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Data.Tests;

public class AptTests
{
    [Fact]
    public void Mirror_OneLineFormat_IsFound()
    {
        using var folder = new TempFolder();
        File.WriteAllText(folder["sources.list"],
            "# deb http://no.example/debian bookworm main\ndeb-src http://no.example/debian bookworm main\ndeb http://no.example/debian bookworm-updates main\ndeb [arch=amd64 signed-by=/k.gpg] http://yes.example/debian bookworm main contrib\n");
        Assert.Equal("deb [arch=amd64 signed-by=/k.gpg] http://yes.example/debian bookworm main\n",
            AptMirror.Find(folder.Path, "bookworm").ToSourceLine());
    }

    [Fact]
    public void Mirror_StanzaFormat_IsFound()
    {
        using var folder = new TempFolder();
        Directory.CreateDirectory(folder["sources.list.d"]);
        File.WriteAllText(folder["sources.list.d/a.sources"],
            "Enabled: no\nTypes: deb\nURIs: http://no.example\nSuites: bookworm\nComponents: main\n\nTypes: deb\n# a comment\nURIs: http://yes.example/debian\nSuites: bookworm bookworm-updates\nComponents: main\nSigned-By: /k.gpg\n");
        Assert.Equal("deb [signed-by=/k.gpg] http://yes.example/debian bookworm main\n",
            AptMirror.Find(folder.Path, "bookworm").ToSourceLine());
    }

    [Fact]
    public void Mirror_None_SaysWhatIsMissing()
    {
        using var folder = new TempFolder();
        Assert.Contains("no entry for 'bookworm'", Assert.Throws<FlywheelException>(() => AptMirror.Find(folder.Path, "bookworm")).Message,
            StringComparison.Ordinal);
    }

    /// <summary>The real catalogues of this machine's release; skipped where there is no mirror.</summary>
    [Fact(Timeout = 180_000)]
    public async Task Collect_RealArchive_GivesCleanCopy()
    {
        if (!File.Exists("/usr/bin/apt-get")) Assert.Skip("apt-get is not on this machine");
        using var folder = new TempFolder();
        var home = new FlywheelHome(folder.Path);
        try
        {
            await Task.Run(() => AptIndex.Open(home), TestContext.Current.CancellationToken);
        }
        catch (FlywheelException e)
        {
            Assert.Skip(e.Message);
        }
        Recipe recipe = new() { Name = "real", Base = "base",
            Data = [new() { Source = "appstream", As = "copy" }, new() { Source = "packages", Tag = "role::program", As = "copy" }],
            Train = new() { Objective = "supervised", Epochs = 1 } };
        DataCollection collection = DataCollection.Collect(recipe, folder.Path, home);
        Assert.All(collection.Report.Sources,
            source =>
                Assert.Equal(source.Read,
                    source.Kept + source.Drops.Where(drop => drop.Key.StartsWith("item: ", StringComparison.Ordinal))
                        .Sum(drop => drop.Value.Count)));
        SourceItem[] train = [.. collection.Items(Split.Train)], held = [.. collection.Items(Split.Validation)];
        Assert.True(train.Length > 5_000, $"{train.Length} items");
        Assert.InRange(held.Length / (double)train.Length, 0.01, 0.04);
        Assert.Empty(train.Select(item => item.Group).Intersect(held.Select(item => item.Group)));
        foreach (Conversation conversation in train.SelectMany(item => item.Examples).Cast<ConversationExample>()
            .Select(example => example.Conversation))
        {
            string answer = conversation.Messages[1].Text;
            Assert.InRange(answer.Length, 10, 900);
            Assert.DoesNotMatch("(?i)https?://", answer);
            Assert.DoesNotMatch("</?[a-z]+>", answer);
        }
    }
}
