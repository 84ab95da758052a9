using Flywheel.Engine.Grammars;
using Flywheel.Engine.Sampling;
using Flywheel.Engine.Text;
using Flywheel.Model;

namespace Flywheel.Engine;

/// <summary>A generation for <see cref="InferenceEngine.Submit"/>.</summary>
internal sealed unsafe class GenerationSequence : Sequence
{
    /// <summary>Most guesses that one step checks.</summary>
    public const int MaxGuesses = 7;

    private readonly GenerationRequest _request;
    private readonly IReadOnlyList<int> _endTokens;
    private readonly Sampler _sampler;
    private readonly TokenSpelling? _spelling;
    private readonly TextAssembler? _text;
    private readonly int[] _guesses = new int[MaxGuesses];
    private readonly Draw[] _draws = new Draw[MaxGuesses + 1];
    private readonly TokenLogprob[] _top;
    private GuessPace _pace = new(GuessPace.RowPrice);
    private int _numDraws, _numMade;

    public GenerationSequence(GenerationRequest request, int maxTokens, IReadOnlyList<int> endTokens, TokenSpelling? spelling,
        GrammarCursor? grammar, Action<Sequence> cancel)
        : base(request.PromptTokens, maxTokens)
    {
        _request = request;
        _endTokens = endTokens;
        _sampler = new Sampler(request.Sampler, request.PromptTokens, grammar);
        _spelling = spelling;
        _text = spelling is null ? null : new TextAssembler(request.Stop);
        _top = new TokenLogprob[request.TopLogprobs * _draws.Length];
        Stream = new GenerationStream(() => cancel(this));
    }

    public GenerationStream Stream { get; }

    /// <summary>Guesses that were checked, and those of them that were right.</summary>
    public int NumChecked { get; private set; }

    public int NumAccepted { get; private set; }

    private int NumSampled => Tokens.Length - PromptLength;

    public override bool Wants(int position) => position >= Tokens.Length - 1;

    /// <summary>The text as a draft model reads it; null without one.</summary>
    public DraftText? Draft { get; private set; }

    /// <summary>Guesses of the tokens after the newest, to be checked in the next step.</summary>
    public ReadOnlySpan<int> Guesses => _guesses.AsSpan(0, NumGuesses);

    public int NumGuesses { get; private set; }

    /// <param name="price">What the draft's step costs, in steps of the model.</param>
    public void AddDraft(double price)
    {
        Draft = new DraftText(this, KvPool.PagesFor(PromptLength + MaxTokens));
        _pace = new GuessPace(price + GuessPace.RowPrice);
    }

    /// <summary>How many guesses are worth it. The newest token is drawn anyway, so one fewer than tokens are left.</summary>
    public int MostGuesses(int most) => Math.Min(Math.Min(most, _pace.Most), MaxTokens - NumSampled - 1);

    /// <summary>Guesses what followed the last time that the text was like this.</summary>
    public void LookUp(int most)
    {
        most = MostGuesses(most);
        NumGuesses = _numMade = most <= 0 ? 0 : PromptLookup.Guess(Tokens, _guesses.AsSpan(0, most));
    }

    /// <summary>Guesses what a draft model would draw; false, and no guess, when that is too unlikely.</summary>
    public bool Draw(float* logits, LogitsReader reader, int threadId, float leastProbability)
    {
        (int id, float logprob) = _sampler.Guess(reader.Kernels, logits, reader.Ids.End, NumSampled + NumGuesses, reader.Scratch[threadId]);
        _numMade++;
        if (logprob < MathF.Log(leastProbability)) return false;
        _guesses[NumGuesses++] = id;
        return true;
    }

    /// <summary>Draws one token after the other for as long as the guesses were right: each draw is the one that a step of its own would
    /// give.</summary>
    public override void Read(float* logits, long ld, int count, int position, LogitsReader reader, int threadId)
    {
        _numDraws = 0;
        for (int i = 0; i < count; i++, logits += ld)
        {
            if (_top.Length > 0) FindTop(logits, reader, _top.AsSpan(i * _request.TopLogprobs, _request.TopLogprobs));
            int id = (_draws[_numDraws++] = _sampler.Next(reader.Kernels, logits, reader.Ids, NumSampled + i, reader.Scratch[threadId])).Id;
            if (i == count - 1 || id != _guesses[i] || _endTokens.Contains(id)) break;
        }
    }

    public override bool Publish()
    {
        if (_numDraws == 0) return false;
        Stream.NumCachedPromptTokens = NumFound;
        NumCached -= NumGuesses - (_numDraws - 1); // what follows a wrong guess is written again
        _pace.Observe(_numMade, _numDraws - 1);
        bool ended = false;
        for (int i = 0; i < _numDraws && !ended; i++)
            ended = Publish(_draws[i], _top.AsSpan(i * _request.TopLogprobs, _request.TopLogprobs));
        if (ended) NumCached = Math.Min(NumCached, Tokens.Length); // drawn beyond a stop text
        NumChecked += NumGuesses;
        NumAccepted += _numDraws - 1;
        _numDraws = _numMade = NumGuesses = 0;
        return ended;
    }

    public override void Abort(Exception? defect)
    {
        if (defect is null) Stream.Finish(FinishReason.Cancelled);
        else Stream.Fail(defect);
    }

    private bool Publish(Draw draw, ReadOnlySpan<TokenLogprob> top)
    {
        Append(draw.Id);
        bool end = _endTokens.Contains(draw.Id);
        string text = _text is null ? "" : end ? _text.Flush() : _text.Append(_spelling!.Bytes(draw.Id));
        bool stopped = end || _text is { Stopped: true };
        bool full = !stopped && NumSampled == MaxTokens;
        if (full && _text is not null) text += _text.Flush();
        Stream.Publish(new SampledToken(draw.Id, draw.Logprob, draw.SamplerLogprob, text, [.. top[..NumRanked(top)]]));
        if (stopped || full) Stream.Finish(stopped ? FinishReason.Stop : FinishReason.Length);
        return stopped || full;
    }

    private static int NumRanked(ReadOnlySpan<TokenLogprob> top)
    {
        int found = top.Length;
        while (found > 0 && top[found - 1].Id < 0) found--;
        return found;
    }

    /// <summary>The most likely tokens, best first, ties by id; -1 where the model gives no more any chance.</summary>
    private static void FindTop(float* logits, LogitsReader reader, Span<TokenLogprob> top)
    {
        float* summary = stackalloc float[2];
        reader.Kernels.LogSumExp(logits, reader.VocabSize, summary);
        float normalizer = summary[0] + MathF.Log(summary[1]);
        top.Fill(new TokenLogprob(-1, float.NegativeInfinity));
        for (int id = 0; id < reader.Ids.End; id++)
        {
            float logprob = logits[id] - normalizer;
            if (!(logprob > top[^1].Logprob) || !reader.Ids.Contains(id)) continue;
            int place = top.Length - 1;
            for (; place > 0 && logprob > top[place - 1].Logprob; place--) top[place] = top[place - 1];
            top[place] = new TokenLogprob(id, logprob);
        }
    }
}
