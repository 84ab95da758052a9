using System.Buffers;
using System.Collections.Concurrent;
using System.Text.RegularExpressions;
using Flywheel.Model;

namespace Flywheel.Voice;

/// <summary>Makes plans of a project's lines: settings, markup and dictionaries applied.</summary>
/// <param name="engines">Where voices are looked up.</param>
/// <param name="project">Its lines are planned.</param>
/// <param name="scopes">Dictionaries beyond the project's own, the widest first (system, team).</param>
/// <param name="recordings">Where recorded takes lie.</param>
internal sealed partial class Planner(SpeechEngines engines, VoiceProject project, IReadOnlyList<IReadOnlyList<Pronunciation>> scopes,
    Recordings? recordings)
{
    /// <summary>Signs that voices say by name.</summary>
    private static readonly SearchValues<char> s_spokenSigns = SearchValues.Create("%&+=@€$£#*/<>^~|°§±×÷");

    private readonly ConcurrentDictionary<string, Task<Voice>> _voices = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, Task<string>> _versions = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, Lexicon> _lexicons = new(StringComparer.Ordinal);

    public Task<LinePlan> PlanAsync(VoiceLine line, CancellationToken cancellation)
    {
        if (line.Take is not { } take) return PlanAsync(line, line.Text, line.IsMarkup, cancellation);
        if (recordings?.Contains(take) != true)
            throw new FlywheelException(
                $"line '{line.Id}': the recorded take that it is heard by is not on this machine; choose another take");
        return Task.FromResult(new LinePlan(line.Id, PlannedRecording.VoiceOf(project.Language), [new PlannedRecording(take)],
            project.SampleRate));
    }

    /// <exception cref="FlywheelException">Markup, voice or pronunciation is wrong; the message names the line.</exception>
    public async Task<LinePlan> PlanAsync(VoiceLine line, string text, bool isMarkup, CancellationToken cancellation)
    {
        string where = $"line '{line.Id}'";
        try
        {
            VoiceSettings settings = project.SettingsOf(line);
            Voice voice = await _voices.GetOrAdd(settings.Voice ?? "",
                id => id.Length > 0
                    ? engines.FindAsync(id, CancellationToken.None) : engines.ForLanguageAsync(project.Language, CancellationToken.None));
            string version = await _versions.GetOrAdd(voice.Id, _ => engines[voice].VersionAsync(voice, CancellationToken.None));
            string language = settings.Voice is null ? project.Language : voice.Language;
            Lexicon lexicon = _lexicons.GetOrAdd($"{voice.Id} {language}",
                _ => new Lexicon([.. scopes, project.Dictionary], language, voice.Id));
            IReadOnlyList<MarkupPiece> pieces = isMarkup ? Ssml.Parse(text, where, language)
                : [.. TextMarks.Parts(text, TextMarks.Follow(line.Marks, line.Text, text))
                    .Select(part => Said(part.Text, part.Mark, settings.SayAs, language))];
            Prosody emphasis = Ssml.ProsodyOf(settings.Emphasis);
            var plan = new List<PlanPiece>();
            var parts = new List<SpeechPart>();
            Prosody prosody = Prosody.Plain;
            foreach (MarkupPiece piece in pieces)
            {
                if (piece is BreakPiece pause)
                {
                    Flush();
                    plan.Add(new PlannedPause(Time.ToSamples(pause.Length, project.SampleRate)));
                    continue;
                }
                var spoken = (SpokenPiece)piece;
                Prosody own = emphasis.With(spoken.Prosody);
                if (own != prosody) Flush();
                prosody = own;
                string clean = Spaces().Replace(spoken.Text, " ");
                if (spoken.Ipa is not null) parts.Add(new SpeechPart(clean, spoken.Ipa));
                else if (spoken.IsLiteral) parts.Add(new SpeechPart(clean));
                else parts.AddRange(lexicon.Apply(clean));
            }
            Flush();
            foreach (SpeechPart part in plan.OfType<PlannedSpeech>().SelectMany(speech => speech.Utterance.Parts))
                if (part.Ipa is not null) await engines[voice].PhonesAsync(voice, part.Ipa, cancellation);
            return new LinePlan(line.Id, voice, plan, project.SampleRate);

            void Flush()
            {
                // What no voice can say (dashes, dots, a space between two pauses) is no call.
                if (parts.Any(part => part.Ipa is not null || part.Text.EnumerateRunes().Any(System.Text.Rune.IsLetterOrDigit)
                    || part.Text.AsSpan().ContainsAny(s_spokenSigns)))
                {
                    double speed = Math.Clamp(Math.Round((settings.Speed ?? 1) * prosody.Speed, 4), VoiceSettings.MinSpeed,
                        VoiceSettings.MaxSpeed);
                    double pitch = Math.Clamp(Math.Round((settings.Pitch ?? 0) + prosody.Pitch, 4), -VoiceSettings.MaxPitch,
                        VoiceSettings.MaxPitch);
                    double volume = Math.Round((settings.Volume ?? 0) + prosody.Volume, 4);
                    plan.Add(PlannedSpeech.Create(new Utterance(voice, Joined(parts), speed, pitch), volume, project.SampleRate, version));
                }
                parts.Clear();
            }
        }
        catch (FlywheelException e) when (!e.Message.StartsWith(where, StringComparison.Ordinal))
        {
            throw new FlywheelException($"{where}: {e.Message}", e);
        }
    }

    /// <summary>A part of a text as it is said: characters or a telephone number are no words of a dictionary.</summary>
    private static SpokenPiece Said(string text, TextMark? mark, string? kind, string language)
    {
        kind = mark?.SayAs ?? kind;
        Prosody emphasis = Ssml.ProsodyOf(mark?.Emphasis);
        if (kind is null) return new SpokenPiece(text, null, IsLiteral: false, emphasis);
        Func<string, string> say = SayAs.Find(kind, language) ?? throw new FlywheelException(
            $"say_as is '{kind}', which is not for '{language}'; expected {NearestName.List(SayAs.Kinds(language))}");
        return new SpokenPiece(say(text), null, IsLiteral: true, emphasis);
    }

    /// <summary>One spelling of the same words: texts side by side are one text, without space at the ends.</summary>
    private static List<SpeechPart> Joined(List<SpeechPart> parts)
    {
        var joined = new List<SpeechPart>();
        foreach (SpeechPart part in parts)
        {
            if (part.Ipa is null && joined.Count > 0 && joined[^1].Ipa is null)
                joined[^1] = new SpeechPart(Spaces().Replace(joined[^1].Text + part.Text, " "));
            else joined.Add(part);
        }
        if (joined[0].Ipa is null) joined[0] = new SpeechPart(joined[0].Text.TrimStart());
        if (joined[^1].Ipa is null) joined[^1] = new SpeechPart(joined[^1].Text.TrimEnd());
        joined.RemoveAll(part => part.Ipa is null && part.Text.Length == 0);
        return joined;
    }

    [GeneratedRegex(@"[\s\p{Cc}]+", RegexOptions.CultureInvariant)]
    private static partial Regex Spaces();
}
