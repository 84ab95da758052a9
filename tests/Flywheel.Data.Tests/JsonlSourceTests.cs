using CsCheck;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Data.Tests;

public class JsonlSourceTests
{
    private const string Good =
        """{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"}],"id":"a","group":"g","licence":"MIT","feedback_ids":["f1"]}""";
    private const string Pair =
        """{"input":{"messages":[{"role":"user","content":"Name it"}]},"preferred_output":[{"role":"assistant","content":"Kettle"}],"non_preferred_output":[{"role":"assistant","content":"Thing"}]}""";

    [Fact]
    public void Parse_Conversation_KeepsLineage()
    {
        SourceItem item = JsonlSource.Parse(Good, "x");
        Assert.Equal(("a", "g", "MIT"), (item.Id, item.Group, item.Licence));
        Assert.Equal("Hello", Assert.IsType<ConversationExample>(item.Examples.Single()).Conversation.Messages[1].Text);
    }

    [Fact]
    public void Parse_PreferencePair_JoinsThePrompt()
    {
        PairExample pair = Assert.IsType<PairExample>(JsonlSource.Parse(Pair, "x").Examples.Single());
        Assert.Equal(["Name it", "Kettle"], pair.Preferred.Messages.Select(message => message.Text));
        Assert.Equal(["Name it", "Thing"], pair.Rejected.Messages.Select(message => message.Text));
    }

    [Fact]
    public void Parse_SamePrompt_IsOneGroup() =>
        Assert.Equal(JsonlSource.Parse(Pair, "x").Group,
            JsonlSource.Parse(Pair.Replace("Kettle", "Pot", StringComparison.Ordinal), "y").Group);

    [Theory]
    [InlineData("{\"messages\":", "not valid JSON")]
    [InlineData("[1]", "is not a JSON object")]
    [InlineData("{\"prompt\":\"x\"}", "has the fields prompt, expected messages")]
    [InlineData("{\"messages\":{}}", "field 'messages' is no array")]
    [InlineData("{\"messages\":[]}", "field 'messages' is empty")]
    [InlineData("{\"messages\":[{\"role\":\"poet\",\"content\":\"x\"}]}", "'poet'")]
    [InlineData("{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", "ends with a message of the user")]
    [InlineData("{\"messages\":[{\"role\":\"assistant\",\"content\":\"\"}]}", "ends with an empty answer")]
    [InlineData("{\"preferred_output\":[]}", "field 'input' is missing")]
    [InlineData("{\"input\":{},\"preferred_output\":[]}", "field 'input.messages' is missing")]
    [InlineData("{\"messages\":[],\"messages\":[]}", "not valid JSON")]
    [InlineData("{\"\\ud800\":1}", "not valid JSON")]
    [InlineData("{\"messages\":[{\"role\":\"assistant\",\"content\":\"\\ud800\"}]}", "field 'messages")]
    public void Read_BadLine_NamesFileLineAndFault(string bad, string expected)
    {
        using var folder = new TempFolder();
        File.WriteAllText(folder["rows.jsonl"], $"{Good}\n\n{bad}\n");
        var error = Assert.Throws<FlywheelException>(() => JsonlSource.Read(folder["rows.jsonl"]).ToList());
        Assert.StartsWith($"{folder["rows.jsonl"]}:3: ", error.Message, StringComparison.Ordinal);
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Read_Latin1_IsRefusedWithItsLine()
    {
        using var folder = new TempFolder();
        File.WriteAllBytes(folder["rows.jsonl"],
            System.Text.Encoding.Latin1.GetBytes($"{Good}\n{Good.Replace("Hello", "café", StringComparison.Ordinal)}\n"));
        var error = Assert.Throws<FlywheelException>(() => JsonlSource.Read(folder["rows.jsonl"]).ToList());
        Assert.StartsWith($"{folder["rows.jsonl"]}:2: is not UTF-8 at byte 0xE9 after ", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Read_FilesJoinedWithTheirMarks_AreRead()
    {
        using var folder = new TempFolder();
        File.WriteAllText(folder["rows.jsonl"], $"\uFEFF{Good}\n\uFEFF{Pair}\n");
        Assert.Equal(2, JsonlSource.Read(folder["rows.jsonl"]).Count());
    }

    [Fact]
    public void Parse_AnyDamage_IsReadOrRefused() =>
    Gen.Select(Gen.Bool.Select(pair => pair ? Pair : Good), Gen.Int[0, 150], Gen.Int[0, 8],
        Gen.String[Gen.Char["{}[]\":,0nulltrue\\u "], 0, 6]).Sample((line, at, cut, put) =>
    {
        at = Math.Min(at, line.Length);
        try
        {
            Assert.NotEmpty(JsonlSource.Parse(line[..at] + put + line[Math.Min(line.Length, at + cut)..], "x").Examples);
        }
        catch (FlywheelException e)
        {
            Assert.NotEqual("", e.Message);
        }
    }, iter: 20_000, seed: "0000KYlZqMsY");
}
