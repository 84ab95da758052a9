using Flywheel.Model;

namespace Flywheel.Data.Tests;

public class CopyRendererTests
{
    private static readonly Product Brushwood =
        AppStreamCatalog.Read(new StringReader(Fixtures.Components), "components", package => package).First();

    private static Conversation[] Render(int variants, int seed = 1) =>
        [.. CopyRenderer.Render(Brushwood, variants, seed).Cast<ConversationExample>().Select(example => example.Conversation)];

    [Fact]
    public void Render_Product_AsksForEveryKind()
    {
        Conversation[] conversations = Render(1);
        Assert.Equal(["Write a tagline.", "Write a description.", "Write a feature list."],
            conversations.Select(conversation => conversation.Messages[0].Text.Split('\n')[0]));
        Assert.Equal("- Wet brushes that mix\n- Layers with masks\n- Pictures of any size", conversations[2].Messages[1].Text);
    }

    [Fact]
    public void Render_SameSeed_IsEqual()
    {
        Assert.Equal(Render(20), Render(20));
        Assert.NotEqual(Render(20), Render(20, seed: 2));
    }

    [Fact]
    public void Render_Variants_DifferAndInventNames()
    {
        Conversation[] conversations = Render(40);
        Assert.Equal(conversations.Length, conversations.Distinct().Count());
        string[] names = [.. conversations.Select(Name).Distinct()];
        Assert.Contains("Brushwood", names);
        Assert.True(names.Length > 10, $"names: {string.Join(", ", names)}");
        foreach (Conversation description in conversations.Where(conversation =>
            conversation.Messages[0].Text.StartsWith("Write a description", StringComparison.Ordinal)))
            // the answer follows the brief's name
            Assert.StartsWith(Name(description), description.Messages[1].Text, StringComparison.Ordinal);
    }

    [Fact]
    public void Render_Facts_ArePhrasesOfTheAnswer()
    {
        foreach (Conversation conversation in Render(60))
        {
            string answer = TextCleaner.Normalise(conversation.Messages[1].Text), prompt = conversation.Messages[0].Text;
            string facts = prompt[(prompt.IndexOf("Facts:", StringComparison.Ordinal) + 6)..];
            foreach (string fact in facts.Split('\n', ';').Where(line => !line.Contains(':', StringComparison.Ordinal))
                .Select(TextCleaner.Normalise).Where(fact => fact.Length > 0))
                Assert.True(answer.Contains(fact, StringComparison.Ordinal), $"'{fact}' is not in '{answer}'");
        }
    }

    [Theory]
    [InlineData("Brushwood is a painting program that mixes colours.", "painting program that mixes colours")]
    [InlineData("You can stack as many layers as you like, which keeps every stroke apart.", "stack as many layers as you like")]
    [InlineData("It supports PNG (and JPEG) files.", "supports PNG files")]
    [InlineData("Twigs grow.", null)]
    public void Facts_Sentence_LosesItsSubjectAndTail(string sentence, string? expected) =>
    Assert.Equal(expected, Facts.FromSentence(sentence, "Brushwood"));

    private static string Name(Conversation conversation) =>
        conversation.Messages[0].Text.Split('\n').First(line => line.StartsWith("Name: ", StringComparison.Ordinal))["Name: ".Length..];
}
