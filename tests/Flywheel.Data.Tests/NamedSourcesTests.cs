using System.IO.Compression;
using System.Text;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Data.Tests;

public sealed class NamedSourcesTests : IDisposable
{
    private const string Dialogue =
        """{"id": "1_0", "services": ["Restaurants_1"], "turns": [{"s": "U", "t": "I am hungry."}, {"s": "S", "t": "Bird Dog is a restaurant in Palo Alto.", "a": [["OFFER", "restaurant_name", ["Bird Dog"]], ["OFFER", "city", ["Palo Alto"]]]}, {"s": "U", "t": "Thanks."}]}""";
    private const string Listing =
        """{"title": "Sunny flat near the harbour", "description": "Bright flat with a sunny balcony, a modern kitchen and a quiet garden. Free parking.", "property": "Entire rental unit", "amenities": []}""";
    private const string Chat =
        """{"persona1": ["I bake."], "persona2": ["I am a boy."], "turns": [[1, "Hi!"], [2, "Hello!"], [1, "Bye"]]}""";

    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private string Rows(params string[] rows)
    {
        string path = _folder["rows.jsonl.gz"];
        using var file = new GZipStream(File.Create(path), CompressionLevel.Fastest);
        file.Write(Encoding.UTF8.GetBytes(string.Join('\n', rows)));
        return path;
    }

    [Fact]
    public void Statements_SystemTurn_IsATextWithItsFacts()
    {
        FactText found = Assert.Single(SchemaGuidedDialogue.Statements(Rows(Dialogue)));
        Assert.Equal(("Bird Dog", "Restaurant", "Bird Dog is a restaurant in Palo Alto."), (found.Name, found.Category, found.Text));
        Assert.Equal(["city: Palo Alto"], found.Facts);
    }

    [Fact]
    public void Dialogues_OddTurn_EndsWithTheAssistant()
    {
        var conversation =
            Assert.IsType<ConversationExample>(Assert.Single(SchemaGuidedDialogue.Dialogues(Rows(Dialogue))).Examples[0]).Conversation;
        Assert.Equal([Role.User, Role.Assistant], conversation.Messages.Select(message => message.Role));
    }

    [Fact]
    public void Persona_SecondPerson_AnswersAsTheAssistant()
    {
        var conversation = Assert.IsType<ConversationExample>(Assert.Single(PersonaChat.Read(Rows(Chat))).Examples[0]).Conversation;
        Assert.Equal(["I am a boy.", "Hi!", "Hello!"], conversation.Messages.Select(message => message.Text));
    }

    [Fact]
    public void Rnnlg_Act_IsASentenceOfFacts()
    {
        FactText found = Assert.Single(Rnnlg.Read(Rows(
            """{"act": "inform(name=zeus 5;type=television;hasusbport=true;price=90 dollars)", "text": "the zeus 5 has usb port -s and costs 90 dollars"}""",
            """{"act": "?request(price=dontcare)", "text": "what price"}"""), "Television"));
        Assert.Equal("The zeus 5 has USB ports and costs 90 dollars.", found.Text);
        Assert.Equal(["has USB ports", "price: 90 dollars"], found.Facts);
    }

    [Fact]
    public void Airbnb_Listing_GivesFactsOutOfItsOwnText()
    {
        FactText[] found = [.. InsideAirbnb.Read(Rows(Listing))];
        Assert.Equal([Brief.Description, Brief.Tagline], found.Select(item => item.Kind));
        Assert.Equal(
            $"{InsideAirbnb.Placeholder} is a bright flat with a sunny balcony, a modern kitchen and a quiet garden. Free parking.",
            found[0].Text);
        Assert.All(found, item => Assert.All(item.Facts, fact => Assert.Contains(fact, item.Text, StringComparison.OrdinalIgnoreCase)));
    }

    [Fact]
    public void Render_FactText_CarriesOneNameThroughBriefAndText()
    {
        FactText item = new("x", "x", Brief.Description, "Bird Dog", "Restaurant", ["near Bird Dog Park"],
            "Bird Dog is near Bird Dog Park.");
        foreach (Example example in FactTextRenderer.Render(item, 40, 1).Examples)
        {
            Conversation conversation = ((ConversationExample)example).Conversation;
            string name = conversation.Messages[0].Text.Split('\n').First(line => line.StartsWith("Name: ", StringComparison.Ordinal))[6..];
            Assert.Equal($"{name} is near {name} Park.", conversation.Messages[1].Text);
        }
    }

    [Theory]
    [InlineData("""{"services": []}""", "rows.jsonl.gz:1: field 'id' is missing, expected a text")]
    [InlineData("""{"id": "a", "turns": 3}""", "rows.jsonl.gz:1: field 'turns' is missing, expected a list of turns")]
    [InlineData("""{"id": "a", "turns": [{"s": "S", "t": "x", "a": [["OFFER"]]}]}""", "rows.jsonl.gz:1: field 'a' holds [\"OFFER\"]")]
    [InlineData("""{"id": """, "rows.jsonl.gz:1: not valid JSON")]
    [InlineData("[]", "rows.jsonl.gz:1: is not a JSON object")]
    public void Rows_BadRow_NamesFileLineAndField(string row, string expected) =>
        Assert.Contains(expected, Assert.Throws<FlywheelException>(() => SchemaGuidedDialogue.Statements(Rows(row)).ToArray()).Message,
            StringComparison.Ordinal);

    [Fact]
    public void Rows_NotUtf8OrDamaged_IsRefusedWithFileAndLine()
    {
        string path = _folder["bad.jsonl"];
        File.WriteAllBytes(path, [.. "{\"a\": \"b\"}\n{\"a\": \""u8, 0xC3, 0x28, .. "\"}\n"u8]);
        Assert.Contains($"{path}:2: is not UTF-8", Assert.Throws<FlywheelException>(() => SourceFiles.Rows(path).ToArray()).Message,
            StringComparison.Ordinal);
        string damaged = Rows(Dialogue);
        byte[] bytes = File.ReadAllBytes(damaged);
        bytes.AsSpan(20, 40).Fill(0xFF);
        File.WriteAllBytes(damaged, bytes);
        Assert.Contains($"{damaged}: is damaged", Assert.Throws<FlywheelException>(() => SourceFiles.Rows(damaged).ToArray()).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Find_MissingDataSet_SaysWhereFromAndWhereTo()
    {
        var error =
            Assert.Throws<FlywheelException>(() =>
                new SourceFiles(new FlywheelHome(_folder.Path)).Find("no-such-set", "x.gz", "https://example.org"));
        Assert.Contains(Path.Combine(_folder.Path, "sources", "no-such-set", "x.gz"), error.Message, StringComparison.Ordinal);
        Assert.Contains("https://example.org", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Find_InTheHome_IsFound()
    {
        string file = Path.Combine(new FlywheelHome(_folder.Path).Sources, "set", "x.gz");
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.WriteAllText(file, "");
        Assert.Equal(file, new SourceFiles(new FlywheelHome(_folder.Path)).Find("set", "x.gz", "https://example.org"));
    }
}
