using Flywheel.Model;

namespace Flywheel.Voice.Tests;

/// <summary>What festival's Russian voice is given: words that it has sounds for.</summary>
public sealed class RussianTextTests
{
    private const string Voice = "msu_ru_nsh_clunits";

    [Theory]
    [InlineData(0, "ноль")]
    [InlineData(-5, "минус пять")]
    [InlineData(111, "сто одиннадцать")]
    [InlineData(1000, "тысяча")]
    [InlineData(1001, "тысяча один")]
    [InlineData(2000, "две тысячи")]
    [InlineData(5000, "пять тысяч")]
    [InlineData(11_000, "одиннадцать тысяч")]
    [InlineData(21_000, "двадцать одна тысяча")]
    [InlineData(222_222, "двести двадцать две тысячи двести двадцать два")]
    [InlineData(1_001_000, "один миллион одна тысяча")]
    [InlineData(3_000_014, "три миллиона четырнадцать")]
    [InlineData(999_999_999_999,
        "девятьсот девяносто девять миллиардов девятьсот девяносто девять миллионов девятьсот девяносто девять тысяч девятьсот девяносто девять")]
    public void Number_Written_IsAsOneCounts(long number, string expected) => Assert.Equal(expected, RussianText.Number(number));

    [Theory]
    [InlineData("Цена 3,5 рубля", "Цена три целых пять десятых рубля")]
    [InlineData("1,25 и 2.004", "одна целая двадцать пять сотых и две целых четыре тысячных")]
    [InlineData("0,12345", "ноль запятая один два три четыре пять")]
    [InlineData("Скидка 21%, потом 2 % и 1,5%.", "Скидка двадцать один процент, потом два процента и одна целая пять десятых процента .")]
    [InlineData("в 5:30 и в 17:05, в 9:00", "в пять тридцать и в семнадцать ноль пять , в девять ноль ноль")]
    [InlineData("30.11.2026", "тридцать одиннадцать две тысячи двадцать шесть")]
    [InlineData("1\u00A0000\u00A0000 марсиан", "один миллион марсиан")]
    [InlineData("$5 и 101 ₽, 3 €", "пять долларов и сто один рубль , три евро")]
    [InlineData("-5°C", "минус пять градусов Цельсия")]
    [InlineData("25-30 и 007", "двадцать пять - тридцать и ноль ноль семь")]
    [InlineData("в 1990-х, 5-й", "в 1990-х , 5-й")]
    [InlineData("«Мир»/дом… — да!", "Мир дом. - да!")]
    [InlineData("э\u0301то café & Co, № 7", "это cafe и Co, номер семь")]
    [InlineData("рок-н-ролл, йод, ёж", "рок-н-ролл, йод, ёж")]
    public void Write_SignsAndNumbers_AreWords(string text, string expected) =>
    Assert.Equal(expected.Replace(" ", "", StringComparison.Ordinal), RussianText.Write(text).Replace(" ", "", StringComparison.Ordinal));

    [Theory]
    [InlineData("мир ß", "ß")]
    [InlineData("міст", "і")]
    [InlineData("слово 词", "词")]
    [InlineData("мир 🎈", "🎈")]
    public void Unspeakable_LetterOfAnotherAlphabet_IsNamed(string text, string letter) =>
    Assert.Equal(letter, RussianText.Unspeakable(RussianText.Write(text)));

    /// <summary>Property: whatever is written has nothing that the voice falls silent at, twice written is once written, and no digit is
    /// lost on the way.</summary>
    [Fact]
    public void Write_AnyText_HasOnlyWhatTheVoiceKnows()
    {
        var random = new Random(11);
        string[] parts = ["мир", "дом", "test", "é", "1", "25", "3,5", "10%", "№", "-", "--", "/", ":", "5:30", ".", "...", "«", "»", "(",
            ")", "\"", "'", "$", "°", "&", "@", "_", " ", "  ", "\n", "007", "1 000", "-х", "\u0301", ",", "!"];
        for (int i = 0; i < 3000; i++)
        {
            string text = string.Concat(Enumerable.Range(0, random.Next(1, 9)).Select(_ => parts[random.Next(parts.Length)]));
            string written = RussianText.Write(text);
            Assert.Null(RussianText.Unspeakable(written));
            // A mark stands at the end of a word, and nothing but a hyphen or an apostrophe within.
            Assert.DoesNotMatch(@"[^\p{L}\d\s,.;:!?'-]|(^|\s)[,.;:!?']|[,.;:!?][^\s]|(^|\s)-\S|\S-(\s|$)", written);
            Assert.Equal(text.Any(char.IsLetterOrDigit), written.Any(char.IsLetterOrDigit) && text.Any(char.IsLetterOrDigit));
        }
    }

    /// <summary>Digits of other scripts are characters that the voice does not know.</summary>
    [Theory]
    [InlineData("\u0663 дня", "\u0663")]
    [InlineData("в \u0665:3\u0660", "\u0665")]
    [InlineData("-\u0967,5%", "\u0967")]
    [InlineData("\uFF13 дня", null)] // a wide 3 may be a plain one
    public void Write_DigitsOfOtherScripts_LeavesThemToBeNamed(string text, string? unknown)
    {
        string? found = RussianText.Unspeakable(RussianText.Write(text));
        if (unknown is not null) Assert.Equal(unknown, found);
    }

    /// <summary>Oracle: festival says numbers below a thousand, and millions, by rules of its own; it hears no difference.</summary>
    [Fact]
    public async Task Speak_NumbersInWords_SoundAsFestivalSaysThem()
    {
        var engine = new FestivalEngine();
        if (!engine.Program.IsInstalled || await engine.FindAsync(Voice, TestContext.Current.CancellationToken) is not { } voice)
        {
            Assert.Skip($"the voice festival:{Voice} is not installed");
            return;
        }
        long[] numbers = [7, 12, 19, 20, 21, 25, 40, 90, 99, 101, 111, 212, 300, 600, 999, 5000, 12_000, 1_000_000, 2_000_000, 5_000_000];
        string words = string.Join(' ', numbers.Select(number => RussianText.Number(number)));
        // Its own rules are reached by an ending that is none of ours: the digits go to it as they are.
        Clip ours = await SayAsync(words), whole = await SayAsync("«Скидка» 3,5% — с 5:30/6:00");
        string folder = Directory.CreateTempSubdirectory("flywheel-ru-").FullName;
        try
        {
            await File.WriteAllTextAsync(Path.Combine(folder, "text"), string.Join(' ', numbers), TestContext.Current.CancellationToken);
            await new ExternalProgram("text2wave", "festival").RunAsync(["-eval", $"(begin (voice_{Voice}))", "-o",
                Path.Combine(folder, "wav"), Path.Combine(folder, "text")], cancellation: TestContext.Current.CancellationToken);
            Assert.Equal(WavReader.ReadMono(Path.Combine(folder, "wav")).Samples.Length, ours.Samples.Length);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
        Assert.True(whole.Trim().Duration.TotalSeconds > 3, "all of it is said");
        FlywheelException refused = await Assert.ThrowsAsync<FlywheelException>(() => SayAsync("мир 词"));
        Assert.Contains("cannot speak '词'", refused.Message, StringComparison.Ordinal);

        Task<Clip> SayAsync(string text) =>
            engine.SpeakAsync(new Utterance(voice, [new SpeechPart(text)]), TestContext.Current.CancellationToken);
    }
}
