using Flywheel.Engine;
using Flywheel.Studio.Serving;

namespace Flywheel.Studio.Tests.Serving;

/// <summary>An answer in the making.</summary>
public sealed class ChoiceTests
{
    /// <summary>A page draws what has come while the engine goes on: that broke off the drafts of a brief once in some hundred.</summary>
    [Fact]
    public async Task Text_ReadWhileItGrows_IsAlwaysABeginningOfTheWhole()
    {
        const int pieces = 60_000;
        var choice = new Choice(0, new GenerationRequest { PromptTokens = [], MaxTokens = pieces, Sampler = new() });
        var token = new SampledToken(1, 0, 0, "ab ", []);
        Task writing = Task.Run(() =>
        {
            for (int i = 0; i < pieces; i++) choice.Add(token, TimeSpan.Zero);
        }, TestContext.Current.CancellationToken);
        int longest = 0;
        while (!writing.IsCompleted)
        {
            string text = choice.Text;
            Assert.True(text.Length >= longest && (text.Length < 3 || text.EndsWith("ab ", StringComparison.Ordinal)),
                $"{text.Length} after {longest}");
            longest = text.Length;
        }
        await writing;
        Assert.Equal(3 * pieces, choice.Text.Length);
    }
}
