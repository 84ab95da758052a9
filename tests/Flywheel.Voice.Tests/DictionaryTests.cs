using CsCheck;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Voice.Tests;

public sealed class DictionaryTests
{
    private static string Applied(string text, string language, string voice, params Pronunciation[] entries) =>
        string.Concat(new Lexicon([entries], language, voice).Apply(text).Select(part => part.Ipa is null ? part.Text : $"/{part.Ipa}/"));

    private static Pronunciation Respelled(string word, string respelling, string language = "", string voice = "") =>
        new() { Word = word, Respelling = respelling, Language = language, Voice = voice };

    [Theory]
    [InlineData("SQL and MySQL, sql!", "sequel and MySQL, sequel!")]
    [InlineData("in New  York or New-York", "in Noo Yawk or Noo-York")]
    [InlineData("New and old", "Noo and old")]
    [InlineData("don't; dont", "do not; dont")]
    [InlineData("C++ or C", "see plus plus or C")]
    [InlineData("我在重庆。", "我在chong qing。")]
    [InlineData("nguyễn", "win")]
    [InlineData("", "")]
    public void Apply_OfWholeWords_LeavesTheRest(string text, string expected) => Assert.Equal(expected, Applied(text, "en-us", "flite:slt",
        Respelled("SQL", "sequel"), Respelled("New", "Noo"), Respelled("new york", "Noo Yawk"), Respelled("Don't", "do not"),
        Respelled("c++", "see plus plus"), Respelled("重庆", "chong qing"), Respelled("Nguye\u0302\u0303n", "win")));

    [Theory]
    [InlineData("en-us", "flite:slt", "voice")]
    [InlineData("en-us", "flite:rms", "region")]
    [InlineData("en-gb", "flite:rms", "english")]
    [InlineData("it", "x", "all")]
    public void Apply_OfSeveralEntries_TakesTheNarrowest(string language, string voice, string expected) =>
    Assert.Equal(expected, Applied("word", language, voice,
        Respelled("word", "voice", voice: "flite:slt"), Respelled("word", "region", "en-US"), Respelled("word", "english", "en"),
        Respelled("word", "all")));

    [Fact]
    public void Apply_OfScopes_TakesTheNearer() => Assert.Equal("project team", string.Concat(new Lexicon(
        [[Respelled("a", "system", voice: "v"), Respelled("b", "system")], [Respelled("b", "team")], [Respelled("a", "project")]], "en",
        "v").Apply("a b").Select(part => part.Text)));

    [Fact]
    public void Apply_WithoutAMatch_LeavesAnyText() => Gen.String.Sample(text =>
    {
        string clean = new([.. text.Where(letter => !char.IsSurrogate(letter))]);
        Assert.Equal(clean, Applied(clean, "en", "v", Respelled("qqqqqqqqqqq", "x")));
    }, iter: 500);

    private static readonly Gen<Pronunciation> s_entry =
        from word in Gen.String[Gen.Char["ab,\" é\n'中"], 1, 10].Select(word => word.Trim()).Where(word => word.Length > 0)
        from said in Gen.String[Gen.Char["ab,\"ˈəː;\n"], 1, 10].Select(said => said.Trim()).Where(said => said.Length > 0)
        from isIpa in Gen.Bool
        from language in Gen.Int[0, 2].Select(i => new[] { "", "en", "en-us" }[i])
        from voice in Gen.Bool.Select(isSlt => isSlt ? "flite:slt" : "")
        select new Pronunciation { Word = word, Language = language, Voice = voice, Ipa = isIpa ? said : null,
            Respelling = isIpa ? null : said };

    [Fact]
    public void Csv_OfAnyEntries_ReadsBackTheSame() => s_entry.List[0, 6].Sample(entries =>
        Assert.Equal(entries, DictionaryFile.ParseCsv(DictionaryFile.WriteCsv(entries), "test")), iter: 300);

    [Fact]
    public void Pls_OfEntriesOfALanguage_ReadsBackTheSame() => s_entry.List[0, 6].Sample(entries =>
        Assert.Equal(entries.Where(entry => entry is { Language: "en-us", Voice: "" }),
            DictionaryFile.ParsePls(DictionaryFile.WritePls(entries, "en-us"), "test")), iter: 300);

    [Fact]
    public void Pls_FromTheStandardsExample_IsRead() =>
    Assert.Equal([("judgment", "ˈdʒʌdʒmənt", null), ("judgement", "ˈdʒʌdʒmənt", null), ("W3C", null, "World Wide Web Consortium")],
        DictionaryFile.ParsePls("""
        <?xml version="1.0" encoding="UTF-8"?>
        <lexicon version="1.0" xmlns="http://www.w3.org/2005/01/pronunciation-lexicon" alphabet="ipa" xml:lang="en-US">
          <lexeme><grapheme>judgment</grapheme><grapheme>judgement</grapheme><phoneme>ˈdʒʌdʒmənt</phoneme></lexeme>
          <lexeme><grapheme>W3C</grapheme><alias>World Wide Web Consortium</alias></lexeme>
        </lexicon>
        """, "test").Select(entry => (entry.Word, entry.Ipa, entry.Respelling)));

    [Theory]
    [InlineData("word,ipa\nSQL,ˈsiːkwəl,extra", "d.csv: line 2: has 3 fields, expected 2")]
    [InlineData("word,ipa,respelling\nSQL,a,b", "d.csv: line 2: 'SQL' has IPA and a respelling")]
    [InlineData("word,ipa\nA,a\nSQL,", "d.csv: line 3: 'SQL' has neither IPA nor a respelling")]
    [InlineData("word,sound\nSQL,a", "d.csv: line 1: the column 'sound' is not known")]
    [InlineData("ipa\na", "d.csv: line 1: there is no column 'word'")]
    [InlineData("word,ipa\n,a", "d.csv: line 2: the word is empty")]
    public void Csv_Wrong_IsRefusedWithFileAndLine(string csv, string expected) =>
        Assert.StartsWith(expected, Assert.Throws<FlywheelException>(() => DictionaryFile.ParseCsv(csv, "d.csv")).Message,
            StringComparison.Ordinal);

    [Theory]
    [InlineData("<!DOCTYPE a [<!ENTITY b \"c\">]><lexicon/>", "d.pls: line 1: ")]
    [InlineData("<lexicon/>", "d.pls: line 1: the root is 'lexicon', expected lexicon of http")]
    [InlineData("<lexicon xmlns=\"http://www.w3.org/2005/01/pronunciation-lexicon\">\n<lexeme><grapheme>a</grapheme></lexeme></lexicon>",
        "d.pls: line 2: a lexeme has neither")]
    public void Pls_Wrong_IsRefusedWithFileAndLine(string pls, string expected) =>
        Assert.StartsWith(expected, Assert.Throws<FlywheelException>(() => DictionaryFile.ParsePls(pls, "d.pls")).Message,
            StringComparison.Ordinal);

    [Fact]
    public void Csv_Mutated_IsReadOrRefusedByName() =>
        Gen.Select(Gen.Int[0, 37], Gen.Char["\",\n\ra;"]).Array[1, 5].Sample(changes =>
        {
            char[] text = "word,language,ipa\nSQL,en,ˈsiːkwəl\na,,b".ToCharArray();
            foreach ((int at, char letter) in changes) text[at] = letter;
            try
            {
                DictionaryFile.ParseCsv(new string(text), "f");
            }
            catch (FlywheelException e)
            {
                Assert.StartsWith("f: ", e.Message, StringComparison.Ordinal);
            }
        }, iter: Fuzz.Iterations(1000));
}
