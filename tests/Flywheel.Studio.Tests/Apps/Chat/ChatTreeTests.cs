using Flywheel.Loop;
using Flywheel.Model;
using Flywheel.Studio.Apps.Chat;

namespace Flywheel.Studio.Tests.Apps.Chat;

/// <summary>A chat lives with a message that is damaged in the record.</summary>
public sealed class ChatTreeTests
{
    [Theory]
    [InlineData("")]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("{\"role\":\"user\"}")]
    [InlineData("{\"role\":7,\"content\":\"Hi\"}")]
    [InlineData("{\"role\":\"user\",\"cont")]
    public void Chat_WithADamagedMessage_ShowsTheOthers(string body)
    {
        Guid[] ids = [.. Enumerable.Range(0, 3).Select(_ => Guid.CreateVersion7())];
        DateTimeOffset now = DateTimeOffset.UtcNow;
        var row = new ConversationRow
        {
            Id = Guid.NewGuid(), Created = now, Updated = now, User = "ann", App = Chats.App, Leaf = ids[2],
            Messages =
            [
                new() { Time = now, Id = ids[0], Body = ChatTree.BodyOf(Role.User, "What is a kiln?") },
                new() { Time = now, Id = ids[1], ParentId = ids[0], GenerationId = Guid.NewGuid(), Body = body },
                new() { Time = now, Id = ids[2], ParentId = ids[1], Body = ChatTree.BodyOf(Role.User, "And a glaze?") },
            ],
        };

        var tree = new ChatTree(row);

        Assert.Equal([false, true, false], tree.Path.Select(ChatTree.IsDamaged));
        Assert.Equal([Role.User, Role.Assistant, Role.User], tree.Path.Select(ChatTree.RoleOf));
        Assert.Equal(["What is a kiln?", "", "And a glaze?"], tree.Path.Select(ChatTree.TextOf));
        Assert.Equal(["What is a kiln?", "And a glaze?"], tree.Upto(ids[2]).Messages.Select(message => message.Text));
        Assert.Single(tree.Siblings(tree.Path[1]));
    }
}
