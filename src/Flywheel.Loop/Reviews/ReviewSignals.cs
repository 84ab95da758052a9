using System.Numerics;
using System.Text.RegularExpressions;

namespace Flywheel.Loop.Reviews;

/// <summary>Why an item is worth a look. Each has a code, a stated rule, and nothing that is left out by itself.</summary>
public static partial class ReviewSignals
{
    public const string Garbage = "garbage", Contradiction = "contradiction", PersonalData = "personal_data", OnePerson = "one_person",
        LowAgreement = "low_agreement", LeftOut = "left_out";

    public static IReadOnlyList<string> All { get; } = [Garbage, Contradiction, PersonalData, OnePerson, LowAgreement, LeftOut];

    /// <summary>From this score on a text is called garbage.</summary>
    public const double GarbageFrom = 0.5;

    /// <summary>One person's part of the queue from which it is said, where there are this many items at least.</summary>
    private const double Share = 0.5;

    private const int MinItems = 8;

    /// <summary>
    /// How much a text looks like no text: 1 less the product of what is left by four shares of it, that of letters standing four or more
    /// times in a row, of signs that are neither letters, digits, blanks nor punctuation, of longer Latin words without a vowel or with
    /// five consonants in a row (in capitals they are taken for abbreviations), and of words that were there before, beyond one half.
    /// </summary>
    /// <returns>0 to 1.</returns>
    public static double GarbageOf(string text)
    {
        string trimmed = text.Trim();
        if (trimmed.Length == 0) return 1;
        double runs = Run().Matches(trimmed).Sum(run => run.Length) / (double)trimmed.Length;
        double strange = trimmed.EnumerateRunes().Count(rune => System.Text.Rune.GetUnicodeCategory(rune)
            is System.Globalization.UnicodeCategory.OtherSymbol or System.Globalization.UnicodeCategory.Control
                or System.Globalization.UnicodeCategory.PrivateUse
                or System.Globalization.UnicodeCategory.OtherNotAssigned && rune.Value is not ('\n' or '\r' or '\t'))
                / (double)trimmed.Length;
        string[] words = [.. Word().Matches(trimmed).Select(word => word.Value)];
        string[] latin = [.. words.Where(word => word.Length >= 4 && LatinWord().IsMatch(word) && word.Any(char.IsLower))];
        double unspeakable = latin.Length == 0
            ? 0 : latin.Count(word => Unspeakable().IsMatch(word) || !Vowel().IsMatch(word)) / (double)latin.Length;
        double repeated = words.Length < 6
            ? 0 : Math.Max(0, 2 * (1 - words.Distinct(StringComparer.OrdinalIgnoreCase).Count() / (double)words.Length) - 1);
        return Math.Clamp(1 - (1 - runs) * (1 - strange) * (1 - unspeakable) * (1 - repeated), 0, 1);
    }

    /// <summary>
    /// Kinds of personal data in a text: an e-mail address; a telephone number with its country's code; an account number (IBAN, its
    /// check digits right: ISO 13616, remainder 1 by 97); a card number (13 to 19 digits, right by ISO/IEC 7812's last digit).
    /// </summary>
    public static IReadOnlyList<string> PersonalDataIn(string text)
    {
        List<string> kinds = [];
        if (Mail().IsMatch(text)) kinds.Add("e-mail address");
        if (Phone().Matches(text).Any(match => match.Value.Count(char.IsAsciiDigit) is >= 8 and <= 15)) kinds.Add("telephone number");
        if (Account().Matches(text).Any(match => IsAccount(match.Value.Replace(" ", "", StringComparison.Ordinal))))
            kinds.Add("account number");
        if (Card().Matches(text).Any(match => IsCard([.. match.Value.Where(char.IsAsciiDigit).Select(digit => digit - '0')])))
            kinds.Add("card number");
        return kinds;
    }

    /// <summary>An item as it is after a decision, seen alone, with the codes that it has because of other items.</summary>
    public static ReviewItem Keep(ReviewItem now, ReviewItem before) =>
        now with {
            Signals =
                [.. All.Where(code => now.Signals.Contains(code) || code is Contradiction or OnePerson && before.Signals.Contains(code))] };

    /// <summary>Gives every item its codes.</summary>
    /// <param name="items">The queue.</param>
    /// <param name="verdicts">Of every person about every text of the queue: whether it was liked, by prompt and text.</param>
    /// <param name="leftOut">Feedback of which curation makes nothing, and why.</param>
    internal static IReadOnlyList<ReviewItem> Mark(IReadOnlyList<ReviewItem> items, ILookup<(string Prompt, string Text), bool> verdicts,
        IReadOnlyDictionary<Guid, string> leftOut)
    {
        Dictionary<string, int> counts = items.GroupBy(item => item.Person).ToDictionary(mine => mine.Key, mine => mine.Count());
        return [.. items.Select(item =>
        {
            double garbage = GarbageOf(item.Text);
            bool[] said = [.. verdicts[KeyOf(item.Prompt, item.Text)].Distinct()];
            List<string> codes = [];
            if (garbage >= GarbageFrom) codes.Add(Garbage);
            if (said.Length > 1) codes.Add(Contradiction);
            if (PersonalDataIn(item.Text).Count > 0) codes.Add(PersonalData);
            if (counts.Count > 1 && items.Count >= MinItems && counts[item.Person] > Share * items.Count) codes.Add(OnePerson);
            if (item.State.Outcome == ReviewOutcome.Disputed) codes.Add(LowAgreement);
            if (leftOut.ContainsKey(item.Id)) codes.Add(LeftOut);
            return item with { Garbage = garbage, Signals = codes };
        })];
    }

    internal static (string Prompt, string Text) KeyOf(Model.Conversation? prompt, string text) =>
        (prompt is null ? "" : CuratedDataset.HashOf(prompt), Blanks().Replace(text.Trim(), " ").ToUpperInvariant());

    private static bool IsAccount(string number)
    {
        if (number.Length is < 15 or > 34) return false;
        string digits =
            string.Concat((number[4..] + number[..4]).Select(sign => char.IsAsciiDigit(sign) ? $"{sign}" : $"{sign - 'A' + 10}"));
        return BigInteger.Parse(digits, System.Globalization.CultureInfo.InvariantCulture) % 97 == 1;
    }

    private static bool IsCard(int[] digits)
    {
        if (digits.Length is < 13 or > 19 || digits.Distinct().Count() == 1) return false;
        int sum = 0;
        for (int i = 0; i < digits.Length; i++)
        {
            int digit = digits[^(i + 1)];
            if (i % 2 == 1) digit = digit > 4 ? 2 * digit - 9 : 2 * digit;
            sum += digit;
        }
        return sum % 10 == 0;
    }

    [GeneratedRegex(@"([^\s.\-_=*#])\1{3,}")]
    private static partial Regex Run();

    [GeneratedRegex(@"[\p{L}\p{M}\p{N}]+")]
    private static partial Regex Word();

    [GeneratedRegex("^[A-Za-z]+$")]
    private static partial Regex LatinWord();

    [GeneratedRegex("[bcdfghjklmnpqrstvwxz]{5,}", RegexOptions.IgnoreCase)]
    private static partial Regex Unspeakable();

    [GeneratedRegex("[aeiouy]", RegexOptions.IgnoreCase)]
    private static partial Regex Vowel();

    [GeneratedRegex(@"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*\.[A-Za-z]{2,24}")]
    private static partial Regex Mail();

    [GeneratedRegex(@"(?<![\w+])(\+|00)[1-9][0-9 ()./-]{6,22}[0-9](?!\w)")]
    private static partial Regex Phone();

    [GeneratedRegex(@"\b[A-Z]{2}[0-9]{2}( ?[A-Z0-9]{4}){2,7}( ?[A-Z0-9]{1,4})?\b")]
    private static partial Regex Account();

    [GeneratedRegex(@"(?<![\w.])[0-9]([ -]?[0-9]){12,18}(?![\w.]*[0-9])")]
    private static partial Regex Card();

    [GeneratedRegex(@"\s+")]
    private static partial Regex Blanks();
}
