using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Flywheel.Engine;
using Flywheel.Loop;
using Flywheel.Loop.Translation;
using Flywheel.Model;
using Flywheel.Voice;
using Microsoft.EntityFrameworkCore;

namespace Flywheel.Studio.Apps.Dubbing;

/// <summary>
/// What editors of voice projects do, as the record has it. A line that is spoken is a generation; a word that is said otherwise, a
/// translation that is edited or shortened and a take that is chosen are feedback that turns learn from; a speed or pause that is set is
/// kept beside
/// it. Everything has an id that follows from what it is about, so the same act is recorded once.
/// </summary>
internal sealed class VoiceRecord(FlywheelStore store, TimeProvider time)
{
    /// <summary>Of spoken lines and of what is asked to become shorter.</summary>
    public const string App = VoiceProjects.App;

    /// <summary>The field of a generation's conversation that says how a line was spoken.</summary>
    public const string Speech = "speech";

    /// <summary>The scope of words that are everybody's.</summary>
    public const string Team = "team";

    private const string Words = "pronunciation";

    /// <summary>Feedback may not be longer.</summary>
    private const int MaxTranscript = 100_000;

    private readonly TaskCatalog _tasks = new(store.Home);

    /// <summary>An id that follows from what it is of, and from the workspace where this is called: the same sound or word is another row
    /// in each.</summary>
    public static Guid IdOf(params string[] parts)
    {
        // ids in the default one are older than workspaces
        if (Actor.Workspace is not (null or WorkspaceRow.Default)) parts = [.. parts, Actor.Workspace];
        return HashedId.Of(string.Join('\0', parts));
    }

    /// <summary>The generation of a line's sound.</summary>
    public static Guid SpokenId(string person, string hash) => IdOf("spoken", person, hash);

    /// <summary>The generation that a word's pronunciations are about; of one scope, language and voice.</summary>
    /// <param name="person">Who edits.</param>
    /// <param name="scope">A project's id, or <c>team</c>.</param>
    /// <param name="entry">Names the word.</param>
    public static Guid WordId(string person, string scope, Pronunciation entry)
    {
        (string word, string language, string voice) = VoiceDictionaries.KeyOf(entry);
        return IdOf(Words, person, scope, word, language, voice);
    }

    public static Guid TranslationId(string person, Guid project, string line) => IdOf("translation", person, project.ToString("N"), line);

    /// <summary>One for each pair, since what is asked names the shorter text's length.</summary>
    public static Guid ShorterId(string person, Guid project, string line, string longer, string shorter) =>
        IdOf("shorter", person, project.ToString("N"), line, longer, shorter);

    /// <summary>How long a voice takes for a text: what an example of text and voice to duration asks.</summary>
    public static Conversation AskDuration(string voice, double speed, string text) =>
        new([Message.User(string.Create(CultureInfo.InvariantCulture,
            $"How long does the voice {voice} take at speed {speed:0.##} to say this?\n{text}"))]);

    /// <summary>A translation that takes less time to say.</summary>
    public static Conversation AskShorter(string language, int maxLetters, string text) =>
        new([Message.User(
            $"Shorten this {Loop.Translation.Language.Find(language.Split('-')[0])?.English ?? language} line for dubbing to at most {maxLetters} characters.\n{text}")]);

    /// <summary>A line was spoken: who, how, what, how long, and the hash of the sound.</summary>
    public async Task SpokenAsync(string person, Guid project, VoiceProject of, RenderedLine rendered, string engineVersion)
    {
        VoiceLine line = of.Line(rendered.LineId);
        VoiceSettings settings = of.SettingsOf(line);
        double seconds = Math.Round(rendered.Clip.Duration.TotalSeconds, 3);
        var facts = new JsonObject
        {
            ["engine"] = rendered.Plan.Voice.Engine, ["engine_version"] = engineVersion, ["voice"] = rendered.Plan.Voice.Id,
            ["language"] = rendered.Plan.Voice.Language,
            ["speed"] = settings.Speed ?? 1, ["pitch"] = settings.Pitch ?? 0, ["volume"] = settings.Volume ?? 0, ["role"] = line.Role,
            ["seconds"] = seconds, ["content_hash"] = rendered.Hash, ["project"] = project.ToString(), ["line"] = line.Id,
        };
        Conversation asked = AskDuration(rendered.Plan.Voice.Id, settings.Speed ?? 1, line.Text) with
        {
            TemplateArguments = new Dictionary<string, string> { [Speech] = facts.ToJsonString(JsonText.Compact) },
        };
        await AskedAsync(SpokenId(person, rendered.Hash), person, App, asked,
            string.Create(CultureInfo.InvariantCulture, $"{seconds:0.00} seconds"));
    }

    /// <summary>Somebody spoke a line: what, how long, and the hash of the sound.</summary>
    public Task RecordedAsync(string person, Guid project, VoiceProject of, string lineId, VoiceTake take)
    {
        Voice.Voice voice = PlannedRecording.VoiceOf(of.Language);
        var facts = new JsonObject
        {
            ["engine"] = voice.Engine, ["voice"] = voice.Id, ["language"] = of.Language, ["role"] = of.Line(lineId).Role,
            ["seconds"] = take.Seconds, ["content_hash"] = take.Hash, ["project"] = project.ToString(), ["line"] = lineId,
        };
        Conversation asked = AskDuration(voice.Id, 1, take.Text)
            with { TemplateArguments = new Dictionary<string, string> { [Speech] = facts.ToJsonString(JsonText.Compact) } };
        return AskedAsync(SpokenId(person, take.Hash), person, App, asked,
            string.Create(CultureInfo.InvariantCulture, $"{take.Seconds:0.00} seconds"));
    }

    /// <summary>A take was chosen: its text and voice take that long.</summary>
    public Task ChosenAsync(string person, Guid project, string line, VoiceTake take) =>
        SayAsync(SpokenId(person, take.Hash), person, Metrics.Keep, true,
            new() { ["project"] = project.ToString(), ["line"] = line, ["content_hash"] = take.Hash });

    /// <summary>A project was edited: what of it teaches is recorded.</summary>
    public async Task ChangedAsync(string person, Guid id, VoiceProject before, VoiceProject after)
    {
        await WordsAsync(person, id.ToString("N"), after.Language, before.Dictionary, after.Dictionary);
        await CorrectedAsync(person, id, before, after);
        Dictionary<string, VoiceLine> known = before.Lines.ToDictionary(line => line.Id);
        foreach (VoiceLine line in after.Lines)
        {
            if (!known.TryGetValue(line.Id, out VoiceLine? was) || ReferenceEquals(was, line)) continue;
            (double from, double to) = (before.SettingsOf(was).Speed ?? 1, after.SettingsOf(line).Speed ?? 1);
            if (from != to) await RemarkAsync("speed", from, to);
            if (was.Pause != line.Pause) await RemarkAsync("pause", was.Pause?.TotalSeconds, line.Pause?.TotalSeconds);
            if (was.Text != line.Text || was.IsMarkup != line.IsMarkup) await TranslatedAsync(person, id, after, was, line);
            if (was.Take is { } heard && line.Take != heard) await RetractAsync(SpokenId(person, heard), person); // also by undo
            foreach (string gone in was.Alternates.Except(line.Alternates)) await TakeShorterBackAsync(person, id, line, was.Text, gone);
            foreach (string shorter in line.Alternates.Except(was.Alternates))
                await ShorterAsync(person, id, after, line, line.Text, shorter);

            Task RemarkAsync(string field, double? old, double? now) => was.RenderedHash is not { } hash ? Task.CompletedTask
                : SayAsync(SpokenId(person, hash), person, Metrics.Comment,
                    string.Create(CultureInfo.InvariantCulture, $"{field} {old:0.###} -> {now:0.###}"),
                    new() { ["project"] = id.ToString(), ["line"] = line.Id, ["field"] = field });
        }
    }

    /// <summary>Lines that a Whisper file wrote down are edited: all of them are what it should have heard.</summary>
    private async Task CorrectedAsync(string person, Guid id, VoiceProject before, VoiceProject after)
    {
        if (after.Original?.Heard is not { } heard || before.Original?.Heard != heard || after.SourceLanguage is not null) return;
        string text = string.Join(' ', after.Lines.Where(line => !line.IsMarkup).Select(line => line.Text.Trim()));
        if (text.Trim().Length > 0 && text.Length <= MaxTranscript
            && text != string.Join(' ', before.Lines.Where(line => !line.IsMarkup).Select(line => line.Text.Trim())))
            await SayAsync(heard, person, Metrics.Demonstration, text, new() { ["project"] = id.ToString() });
    }

    /// <summary>Words that are said otherwise than before, and those that no longer are. English ones teach the task
    /// <c>pronunciation</c>.</summary>
    /// <param name="person">Who edits.</param>
    /// <param name="scope">A project's id, or <c>team</c>.</param>
    /// <param name="language">Of entries that are for all languages.</param>
    /// <param name="before">Entries.</param>
    /// <param name="after">Entries.</param>
    public async Task WordsAsync(string person, string scope, string language, IReadOnlyList<Pronunciation> before,
        IReadOnlyList<Pronunciation> after)
    {
        HashSet<Pronunciation> same = [.. before];
        Pronunciation[] changed = [.. after.Where(entry => !same.Contains(entry))];
        HashSet<(string, string, string)> left = [.. after.Select(VoiceDictionaries.KeyOf)];
        Pronunciation[] gone = [.. before.Where(entry => !left.Contains(VoiceDictionaries.KeyOf(entry)))];
        foreach (Pronunciation entry in changed)
        {
            Guid about = WordId(person, scope, entry);
            if (await CmuPhones.OfAsync(entry, language) is not { } phones || FindTask() is not { } task)
            {
                await RetractAsync(about, person); // it is said otherwise than it was, in a way that teaches nothing
                continue;
            }
            await AskedAsync(about, person, Generation.TaskApp + task.Name,
                task.Ask(task.Check(new Dictionary<string, string> { ["word"] = entry.Word.Trim() })), "");
            await SayAsync(about, person, Metrics.Demonstration, phones, new()
            {
                ["scope"] = scope == Team ? scope : "project", ["language"] = entry.Language, ["voice"] = entry.Voice,
                [entry.Ipa is null ? "respelling" : "ipa"] = Short(entry.Ipa ?? entry.Respelling!),
            });
        }
        foreach (Pronunciation entry in gone) await RetractAsync(WordId(person, scope, entry), person);
        if (scope == Team) await TakeBackOthersAsync(person, [.. changed, .. gone]);
    }

    /// <summary>A word of the team that somebody changes or deletes no longer teaches what another person made of it. It is taken back in
    /// the maker's name, as only that counts.</summary>
    private async Task TakeBackOthersAsync(string person, IReadOnlyList<Pronunciation> words)
    {
        if (words.Count == 0) return;
        const string app = Generation.TaskApp + Words;
        Dictionary<Guid, string> known;
        await using (FlywheelDb db = store.Tables())
            known = await db.Generations.Where(row => row.App == app && row.User != person).Select(row => new { row.Id, row.User })
                .ToDictionaryAsync(row => row.Id, row => row.User);
        foreach (string maker in known.Values.Distinct().ToArray())
            foreach (Pronunciation word in words)
                if (WordId(maker, Team, word) is var about && known.ContainsKey(about))
                    await SayAsync(about, maker, Metrics.Retract, true, new() { ["by"] = person });
    }

    private async Task TranslatedAsync(string person, Guid id, VoiceProject project, VoiceLine was, VoiceLine line)
    {
        if (line.Source is not { } source || project.SourceLanguage is not { } from) return;
        string draft = line.Draft?.Trim() ?? "", text = line.Text.Trim(), to = project.Language;
        Guid about = TranslationId(person, id, line.Id);
        var tags = new JsonObject { ["project"] = id.ToString(), ["line"] = line.Id, ["source_language"] = from, ["target_language"] = to };
        // A text is saved while it is typed: what stood there before was no finished one.
        if (was.Text.Trim() != text || line.IsMarkup) await TakeShorterBackAsync(person, id, line, draft, was.Text);
        if (text.Length == 0 || text == draft || line.IsMarkup)
        {
            await RetractAsync(about, person);
            return;
        }
        await AskedAsync(about, person, App, TranslationPrompt.Ask(source, Base(from), Base(to)), draft);
        await SayAsync(about, person, Metrics.Demonstration, text, tags);
        if (draft.Length > 0) await ShorterAsync(person, id, project, line, draft, text);
    }

    private Task TakeShorterBackAsync(string person, Guid id, VoiceLine line, string longer, string shorter) =>
        RetractAsync(ShorterId(person, id, line.Id, longer.Trim(), shorter.Trim()), person);

    /// <summary>A text that says the same in clearly fewer letters.</summary>
    private async Task ShorterAsync(string person, Guid id, VoiceProject project, VoiceLine line, string longer, string shorter)
    {
        const double clearly = .92;
        (longer, shorter) = (longer.Trim(), shorter.Trim());
        if (shorter.Length == 0 || shorter.Length > clearly * longer.Length || line.IsMarkup) return;
        Guid about = ShorterId(person, id, line.Id, longer, shorter);
        await AskedAsync(about, person, App, AskShorter(project.Language, shorter.Length, longer), "");
        await SayAsync(about, person, Metrics.Demonstration, shorter,
            new() { ["project"] = id.ToString(), ["line"] = line.Id, ["language"] = project.Language });
    }

    /// <summary>A suggested shorter text was taken.</summary>
    /// <param name="person">Who took it.</param>
    /// <param name="suggestion">In the record.</param>
    /// <param name="project">Of the line.</param>
    /// <param name="line">Which it stands for.</param>
    public Task TakenAsync(string person, Guid suggestion, Guid project, string line) =>
        SayAsync(suggestion, person, Metrics.Keep, true, new() { ["project"] = project.ToString(), ["line"] = line });

    /// <summary>The person undid it.</summary>
    public Task TakenBackAsync(string person, Guid suggestion) => RetractAsync(suggestion, person);

    private TaskFolder? FindTask() => _tasks.List().FirstOrDefault(task => task.Name == Words);

    private static string Base(string language) => language.Split('-')[0];

    private static string Short(string text) => text.Length <= 200 ? text : text[..200];

    /// <summary>Puts a generation into the record, unless it is there.</summary>
    private async Task AskedAsync(Guid id, string person, string app, Conversation asked, string text)
    {
        if (await IsThereAsync()) return;
        try
        {
            await store.RecordAsync(new Generation
            {
                Id = id, Group = id, Time = time.GetUtcNow(), App = app, User = person, ModelHash = "", FinishReason = FinishReason.Stop,
                Payload = new GenerationPayload { GenerationId = id, Conversation = asked, Text = text, PromptTokens = [], Tokens = [],
                    Logprobs = [], SamplerLogprobs = [], Sampler = new SamplerOptions() },
            });
        }
        catch (DbUpdateException) when (IsThereAsync().GetAwaiter().GetResult())
        {
            // Another window was quicker.
        }

        async Task<bool> IsThereAsync()
        {
            await using FlywheelDb db = store.Tables();
            return await db.Generations.AnyAsync(row => row.Id == id);
        }
    }

    /// <summary>Takes back what this person said; nothing where nothing was.</summary>
    private Task RetractAsync(Guid about, string person) => SayAsync(about, person, Metrics.Retract, true, []);

    /// <summary>Feedback, unless it is what this person said last.</summary>
    private async Task SayAsync(Guid about, string person, string metric, JsonNode value, JsonObject tags)
    {
        await using FlywheelDb db = store.Tables();
        Feedback? last = await db.Feedback.AsNoTracking().Where(row => row.GenerationId == about && row.User == person)
            .OrderByDescending(row => row.Sequence).FirstOrDefaultAsync();
        if (last is null ? metric == Metrics.Retract : last.Metric == metric && last.Value == value.ToJsonString(JsonText.Compact)) return;
        // a sound of before there was a record
        if (metric != Metrics.Demonstration && last is null && !await db.Generations.AnyAsync(row => row.Id == about)) return;
        string key =
            $"{about:N}-{last?.Sequence ?? 0}-{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(metric + value.ToJsonString(JsonText.Compact))))[..16]}";
        await store.AddFeedbackAsync(new FeedbackInput(about, metric, value, person, tags, key));
    }
}
