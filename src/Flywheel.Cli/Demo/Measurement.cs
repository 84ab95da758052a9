using Flywheel.Model;

namespace Flywheel.Cli.Demo;

/// <summary>One unseen prompt and how its variants fared against the stated rule.</summary>
internal sealed record MeasuredPrompt(string User, Brief Brief, IReadOnlyList<string> Texts, IReadOnlyList<bool> Accepted)
{
    /// <summary>Share of the variants that are acceptable as they are, 0 to 1.</summary>
    public double Rate => Accepted.Average(accepted => accepted ? 1.0 : 0.0);

    /// <summary>1 when the user finds at least one, else 0.</summary>
    public double AnyRate => Accepted.Contains(true) ? 1 : 0;
}

/// <summary>What a model writes for the unseen prompts, judged by the rule alone: nobody slips here.</summary>
internal sealed record Measurement(string ModelHash, IReadOnlyList<MeasuredPrompt> Prompts, double Seconds)
{
    public double Rate => Prompts.Average(prompt => prompt.Rate);

    public double AnyRate => Prompts.Average(prompt => prompt.AnyRate);

    /// <summary>Share of texts that no other prompt or variant got: 1 when all differ, near 0 when the model knows one phrase.</summary>
    public double Distinct => (double)Texts.Select(text => text.ToLowerInvariant()).Distinct().Count() / Texts.Count();

    /// <summary>Share of word pairs that are distinct (distinct-2, Li et al. 2016, arXiv 1510.03055).</summary>
    public double DistinctPairs
    {
        get
        {
            List<(string, string)> pairs = [.. Texts.Select(Wording.Words).SelectMany(words => words.Zip(words.Skip(1)))];
            return pairs.Count == 0 ? 0 : (double)pairs.Distinct().Count() / pairs.Count;
        }
    }

    /// <summary>Share of texts with a word of content from their own brief.</summary>
    public double About =>
        Prompts.SelectMany(prompt => prompt.Texts.Select(text => Taste.IsAbout(prompt.Brief, text) ? 1.0 : 0.0)).Average();

    /// <summary>Mean length in words.</summary>
    public double Words => Texts.Average(text => Wording.Words(text).Length);

    private IEnumerable<string> Texts => Prompts.SelectMany(prompt => prompt.Texts);

    public static async Task<Measurement> TakeAsync(StudioClient client, IReadOnlyList<Ask> asks, Taste taste, int variants,
        Action<int> progress, CancellationToken cancellation)
    {
        var clock = System.Diagnostics.Stopwatch.StartNew();
        string model = (await client.StatusAsync(cancellation)).ModelHash;
        MeasuredPrompt[] prompts = await StudioClient.EachAsync(asks, async (ask, stop) =>
        {
            string[] texts = [.. (await client.AskAsync(ask, variants, stop)).Select(variant => variant.Text)];
            return new MeasuredPrompt(ask.User, ask.Brief, texts, [.. texts.Select(text => taste.Judge(ask.Brief, text).Accepted)]);
        }, progress, cancellation);
        return new Measurement(model, prompts, clock.Elapsed.TotalSeconds);
    }
}
