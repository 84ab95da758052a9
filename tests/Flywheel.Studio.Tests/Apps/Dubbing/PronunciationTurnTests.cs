using Flywheel.Data;
using Flywheel.Engine;
using Flywheel.Loop;
using Flywheel.Loop.Runs;
using Flywheel.Loop.Tasks;
using Flywheel.Model;
using Flywheel.Studio.Apps;
using Flywheel.Studio.Apps.Dubbing;
using Flywheel.Testing;
using Flywheel.Voice;

namespace Flywheel.Studio.Tests.Apps.Dubbing;

/// <summary>
/// Whether corrections of one pattern change words that nobody corrected. Minutes long, so by hand: run this class with
/// <c>--explicit only</c>; docs/voice.md has the figures.
/// </summary>
public sealed class PronunciationTurnTests(ITestOutputHelper output)
{
    private const int NumCorrected = 60, NumTested = 100;

    private static readonly Dictionary<string, string> Ipa = new(StringComparer.Ordinal)
    {
        ["AA"] = "ɑ", ["AE"] = "æ", ["AH"] = "ʌ", ["AO"] = "ɔ", ["AW"] = "aʊ", ["AY"] = "aɪ", ["EH"] = "ɛ", ["ER"] = "ɝ", ["EY"] = "eɪ",
        ["IH"] = "ɪ", ["IY"] = "i", ["OW"] = "oʊ", ["OY"] = "ɔɪ",
        ["UH"] = "ʊ", ["UW"] = "u", ["B"] = "b", ["CH"] = "tʃ", ["D"] = "d", ["DH"] = "ð", ["F"] = "f", ["G"] = "ɡ", ["HH"] = "h",
        ["JH"] = "dʒ", ["K"] = "k", ["L"] = "l", ["M"] = "m", ["N"] = "n",
        ["NG"] = "ŋ", ["P"] = "p", ["R"] = "ɹ", ["S"] = "s", ["SH"] = "ʃ", ["T"] = "t", ["TH"] = "θ", ["V"] = "v", ["W"] = "w", ["Y"] = "j",
        ["Z"] = "z", ["ZH"] = "ʒ",
    };

    private static string ToIpa(string phones) => string.Concat(phones.Split(' ').Select(phone => char.IsDigit(phone[^1])
        ? (phone[^1] == '0' ? "" : "ˈ") + (phone == "AH0" ? "ə" : Ipa[phone[..^1]]) : Ipa[phone]));

    [Fact(Explicit = true)]
    public async Task Turn_OnCorrectionsOfOnePattern_ChangesUnseenWordsOfThatPatternAndFewOthers()
    {
        using var folder = new TempFolder();
        var home = new FlywheelHome(folder["home"]);
        TaskFolder task = new TaskCatalog(home).Find("pronunciation");
        string recipes = Path.Combine(Path.GetDirectoryName(TaskCatalog.Shipped)!, "recipes");
        FinishedRun run = new RecipeRunner(home) { NumThreads = 2 }.Run(Path.Combine(recipes, "pronunciation.yaml"),
            ["model.hidden=64", "model.intermediate=176", "model.layers=2", "model.heads=2", "model.kv_heads=1", "train.steps=700"],
            TestContext.Current.CancellationToken);
        ModelFolder champion = run.Result.Model!;
        await using FlywheelStore store = await FlywheelStore.OpenAsync(home);
        await store.RegisterModelAsync(champion);
        await store.ReleaseAsync(champion.Hash, "first");

        // The pattern: a house style that says -ing as -in. Words are drawn by a hash, and those that are tested are never corrected.
        (string Word, string Phones)[] all =
            [.. CmuDictionary.Read(CmuDictionary.Find(new SourceFiles(home)))
                .Select(row => (Word: (string)row["word"]!, Phones: (string)row["phones"]!))
            .Where(entry => entry.Word.Length is > 4 and < 11 && entry.Word.All(char.IsAsciiLetterLower))
            .OrderBy(entry => StableHash.Of(entry.Word))];
        (string Word, string Phones)[] pattern =
            [.. all.Where(entry => entry.Word.EndsWith("ing", StringComparison.Ordinal)
                && entry.Phones.EndsWith(" IH0 NG", StringComparison.Ordinal))];
        string[] tested = [.. pattern.Skip(NumCorrected).Take(NumTested).Select(entry => entry.Word)];
        string[] others =
            [.. all.Where(entry => !entry.Word.EndsWith("ing", StringComparison.Ordinal)).Take(NumTested).Select(entry => entry.Word)];

        var projects = new VoiceProjects(new Documents(store, TimeProvider.System),
            new Renderer(SpeechEngines.Default, SegmentCache.In(home)), SpeechEngines.Default, new VoiceRecord(store, TimeProvider.System),
            TimeProvider.System);
        Guid film =
            (await projects.CreateAsync("ann", new VoiceProject { Name = "film",
                Lines = [new VoiceLine { Id = "1", Text = "Walking." }] })).Id;
        await projects.ChangeAsync(film, "ann",
            project =>
                project with {
                    Dictionary =
                        [.. pattern.Take(NumCorrected)
                            .Select(entry => new Pronunciation { Word = entry.Word, Ipa = ToIpa(entry.Phones[..^1]) })] });

        File.WriteAllText(folder["regression.jsonl"],
            string.Join('\n',
                others.Take(12)
                    .Select(word =>
                        $$"""{"messages": [{"role": "user", "content": "Pronounce: {{string.Join(' ', word.ToCharArray())}}"}, {"role": "assistant", "content": [{"type": "phone", "phone": "{{all.First(entry => entry.Word == word).Phones}}"}]}], "modalities": ["phone"]}""")) + "\n");
        TurnRecipe recipe = RecipeFile.ParseTurn($$"""
            name: words
            seed: 1
            curate: { min_train: 16, min_held_out: 4 }
            replay: { share: 0.7, data: [{ source: task, path: "{{task.Path}}", limit: 4000 }] }
            stages:
              - train: { objective: supervised, epochs: 6, batch_tokens: 2048, micro_tokens: 2048, learning_rate: 0.001 }
            gate: { judge: person, regression: "{{folder["regression.jsonl"]}}", regression_margin: 1, sanity_prompts: 8, drafts: 1, max_tokens: 40 }
            """, "words");
        TurnOutcome turn = await new TurnRunner(store, new TurnProgress { Say = output.WriteLine }).RunAsync(recipe, folder.Path,
            cancellation: TestContext.Current.CancellationToken);
        ModelFolder candidate = ModelFolder.Open(store.FolderOf((await store.FindModelAsync(turn.Turn.Candidate!))!));

        string[] before = await SayAsync(champion, tested), after = await SayAsync(candidate, tested),
            otherBefore = await SayAsync(champion, others), otherAfter = await SayAsync(candidate, others);
        double Share(string[] said) => said.Count(phones => phones.EndsWith(" IH0 N", StringComparison.Ordinal)) / (double)said.Length;
        double kept =
            otherBefore.Zip(otherAfter)
                .Count(pair => pair.First.Split(' ').Length - pair.Second.Split(' ').Length is >= -1 and <= 1 && !Dropped(pair))
                / (double)others.Length;
        output.WriteLine(
            $"{turn.Dataset.Summary} {NumTested} held-out words that end with -ing: said with -in {Share(before):P0} before, {Share(after):P0} after. "
            + $"{others.Length} other words: {otherBefore.Zip(otherAfter).Count(pair => pair.First == pair.Second)} said as before, {kept:P0} with the same end; {Right(otherBefore)} of them as the dictionary has them before, {Right(otherAfter)} after.");
        Assert.True(Share(before) < .1 && Share(after) > .6, $"{Share(before)} -> {Share(after)}");
        Assert.True(kept > .9, $"{kept}");

        int Right(string[] said) => others.Zip(said).Count(pair => all.First(entry => entry.Word == pair.First).Phones == pair.Second);

        static bool Dropped((string First, string Second) pair) =>
            pair.First.EndsWith(" NG", StringComparison.Ordinal) != pair.Second.EndsWith(" NG", StringComparison.Ordinal);

        async Task<string[]> SayAsync(ModelFolder model, string[] words)
        {
            await using InferenceEngine engine = InferenceEngine.Load(model, new EngineOptions { Threads = 2 });
            return await Task.WhenAll(
                words.Select(async (word, i) =>
                    task.Output(
                        await TaskAsk.For(task, task.Check(new Dictionary<string, string> { ["word"] = word }), model,
                            new SamplerOptions { Temperature = 0 })
                .AnswerAsync(engine, model.Tokenizer, (ulong)i, TestContext.Current.CancellationToken))));
        }
    }
}
