using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Data.Tests;

/// <summary>What is learnt must end: a template that ends answers without an end token is refused before anything is trained.</summary>
public sealed class EndTokenTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private DocumentEncoder Encoder(string objective, string end)
    {
        ModelFolder model = TinyModel.Create(_folder["models"]);
        File.Delete(Path.Combine(model.Path, "flywheel.json"));
        File.WriteAllText(Path.Combine(model.Path, "chat_template.jinja"),
            "{% for m in messages %}[{{ m.role }}] {{ m.content }}" + end
                + "{% endfor %}{% if add_generation_prompt %}[assistant] {% endif %}");
        model = ModelFolder.Open(model.Path);
        return new DocumentEncoder(model.Tokenizer, objective, 256, model);
    }

    private static readonly Conversation s_conversation = new([Message.User("Hi"), Message.Assistant("Yes")]);

    [Theory]
    [InlineData("supervised")]
    [InlineData("preference")]
    [InlineData("kto")]
    [InlineData("next-token")]
    public void Encode_TemplateWithoutAnEndToken_IsRefusedWithTheWayOut(string objective)
    {
        Example example = objective switch
        {
            "preference" => new PairExample(s_conversation, s_conversation),
            "kto" => new JudgedExample(s_conversation, true),
            _ => new ConversationExample(s_conversation),
        };
        string error = Assert.Throws<FlywheelException>(() => Encoder(objective, "\n").Encode("a", example)).Message;
        Assert.Contains("would never stop", error, StringComparison.Ordinal);
        Assert.Contains("{{ eos_token }}", error, StringComparison.Ordinal);
    }

    [Fact]
    public void Encode_TemplateWithTheEndToken_IsLearntToItsEnd()
    {
        DocumentEncoder encoder = Encoder("supervised", "{{ eos_token }}\n");
        EncodedDocument document = Assert.Single(encoder.Encode("a", new ConversationExample(s_conversation)));
        Assert.Contains((byte)1, document.Targets);
    }

    /// <summary>A judged answer's prompt has the functions that were offered.</summary>
    [Fact]
    public void Encode_JudgedAnswerWithTools_LearnsTheAnswerOnly()
    {
        ModelFolder model = TinyModel.Create(_folder["models"]);
        var encoder = new DocumentEncoder(model.Tokenizer, "kto", 4096, model);
        Conversation conversation = s_conversation
            with { Tools = [new ToolDefinition("look", "Looks.", """{"type":"object","properties":{}}""")] };
        EncodedDocument document = Assert.Single(encoder.Encode("a", new JudgedExample(conversation, true)));
        Assert.Equal(model.ChatTemplate.Prompt(conversation with { Messages = [conversation.Messages[0]] }).Length, document.PromptLength);
    }
}
