namespace Flywheel.Voice.Tests;

public sealed class ShorterTextTests
{
    [Theory]
    [InlineData("es", "Por favor marque el 7 en este momento.", "Marque el 7 ahora.")]
    [InlineData("es-mx", "Si no, por favor, marque el asterisco.", "Si no, marque el asterisco.")]
    [InlineData("fr", "Veuillez composer le numéro afin de joindre Marie (à la maison).", "Composer le numéro pour joindre Marie.")]
    [InlineData("en", "In order to go on, please press 1.", "To go on, press 1.")]
    [InlineData("ru", "Пожалуйста, нажмите 1.", "Нажмите 1.")]
    public void ByRule_OfAWordingThatIsKnown_SaysTheSameInLess(string language, string text, string expected) =>
    Assert.Equal(expected, ShorterText.ByRule(text, language));

    [Theory]
    [InlineData("es", "Marque el 7.")]
    [InlineData("tlh", "Please go.")]
    [InlineData("en", "The pleased man went (with 3 dogs).")]
    [InlineData("en", "Please")]
    [InlineData("en", "")]
    public void ByRule_OfNothingToLeaveOut_IsNothing(string language, string text) => Assert.Null(ShorterText.ByRule(text, language));

    [Theory]
    [InlineData("Marque el 7 o el 9, por favor.", "Marque el 7.", "the number 9 is not in it")]
    [InlineData("Marque el siete, por favor.", "Marque el 7.", "has the number 7")]
    [InlineData("Esta noche llega Marie Curie a casa.", "Esta noche llega Marie.", "the name Curie is not in it")]
    [InlineData("Bienvenue dans le répertoire d'Asterisk.", "Bienvenue.", "the name Asterisk is not in it")]
    [InlineData("It rains today.", "It rains today, a lot.", "is not shorter")]
    [InlineData("It rains today.", "  ", "is empty")]
    [InlineData("It rains today.", "It rains", "does not end as a sentence")]
    [InlineData("It rains here today.", "It\nrains.", "more than one line")]
    [InlineData("The fly wheel turns today.", "It turns.", "the term fly wheel is not in it")]
    public void Fault_OfWhatLosesSomething_SaysWhat(string text, string shorter, string expected) =>
    Assert.Contains(expected, ShorterText.Fault(text, shorter, ["fly wheel"])!, StringComparison.Ordinal);

    [Fact]
    public void ByRule_OfAnyText_IsShorterWithItsNumbersOrNothing()
    {
        string[] parts = ["por favor", "en este momento", "s'il vous plaît", "afin de", "7", "3,5", "Marie", "(aparte)", "¿", "?", ".", ",",
            "y", "a", "\t", "'"];
        var random = new Random(2);
        for (int round = 0; round < 3000; round++)
        {
            string text = string.Join(random.Next(4) == 0 ? "" : " ",
                Enumerable.Range(0, random.Next(9)).Select(_ => parts[random.Next(parts.Length)]));
            if (ShorterText.ByRule(text, random.Next(2) == 0 ? "es" : "fr") is not { } shorter) continue;
            Assert.True(shorter.Length < text.Length, text);
            Assert.Null(ShorterText.Fault(text, shorter));
        }
    }
}
