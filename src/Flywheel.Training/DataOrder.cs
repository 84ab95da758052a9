using Flywheel.Model;

namespace Flywheel.Training;

/// <summary>A stretch of one document: inputs are all its tokens but the last, targets all but the first.</summary>
internal readonly record struct Segment(long Document, int Start, int Length)
{
    public int NumInputs => Length - 1;
}

/// <summary>
/// Which documents each optimiser step sees: a pure function of dataset, seed and step, so that a run can start again at
/// any step. Each epoch is a new permutation; a step takes the next units until its budget of tokens is full, and its
/// micro-batches are filled first-fit with whole units. Nothing is padded and nothing is left out.
/// </summary>
/// <remarks>A unit is a document, a piece of one that exceeds the context, or a preference pair, which stays together.</remarks>
internal sealed class DataOrder
{
    private readonly Segment[][] _units;
    private readonly int _seed, _batchTokens, _microTokens;
    private readonly long[] _starts;
    private (long Epoch, int[] Order) _permutation = (-1, []);

    public DataOrder(TokenDataset data, TrainRecipe recipe, int seed, int context)
    {
        (_seed, _batchTokens, _microTokens) = (seed, recipe.BatchTokens, recipe.MicroTokens);
        _units = [.. Units(data, split: Objective.Named(recipe.Objective).Form.EveryToken, context)];
        _starts = Plan(recipe);
    }

    public int NumSteps => _starts.Length - 1;

    /// <summary>The micro-batches of a step, each a list of units.</summary>
    public List<List<Segment>> Step(int step)
    {
        List<List<Segment>> micros = [];
        List<int> room = [];
        for (long at = _starts[step]; at < _starts[step + 1]; at++)
        {
            Segment[] unit = Unit(at);
            int size = unit.Sum(segment => segment.NumInputs), micro = room.FindIndex(free => free >= size);
            if (micro < 0)
            {
                micro = micros.Count;
                micros.Add([]);
                room.Add(_microTokens);
            }
            micros[micro].AddRange(unit);
            room[micro] -= size;
        }
        return micros;
    }

    /// <summary>
    /// Units in the dataset's order, packed: all of them, or every k-th so that about <paramref name="maxTokens"/> remain.
    /// </summary>
    public static IEnumerable<List<Segment>> Sample(TokenDataset data, bool split, int context, int microTokens,
        long maxTokens = long.MaxValue)
    {
        List<Segment> micro = [];
        long size = 0, stride = 1 + (data.Manifest.NumTokens - 1) / maxTokens, index = 0;
        foreach (Segment[] unit in Units(data, split, context))
        {
            if (index++ % stride != 0) continue;
            int inputs = unit.Sum(segment => segment.NumInputs);
            if (micro.Count > 0 && size + inputs > microTokens)
            {
                yield return micro;
                (micro, size) = ([], 0);
            }
            micro.AddRange(unit);
            size += inputs;
        }
        if (micro.Count > 0) yield return micro;
    }

    private static IEnumerable<Segment[]> Units(TokenDataset data, bool split, int context)
    {
        int perUnit = data.Manifest.Pairs ? 2 : 1;
        for (long document = 0; document < data.NumDocuments; document += perUnit)
        {
            if (split)
            {
                // Pieces overlap by one token, so that every token but the first is predicted once.
                int length = data.Length(document);
                for (int start = 0; start < length - 1; start += context)
                    yield return [new Segment(document, start, Math.Min(context + 1, length - start))];
                continue;
            }
            var unit = new Segment[perUnit];
            for (int i = 0; i < perUnit; i++)
            {
                int length = data.Length(document + i);
                if (length - 1 > context)
                    throw new FlywheelException(
                        $"{data.Path}: document {document + i} has {length} tokens, the model's context is {context}");
                unit[i] = new Segment(document + i, 0, length);
            }
            yield return unit;
        }
    }

    /// <summary>Where each step starts in the endless sequence of epochs, and the end of the last.</summary>
    private long[] Plan(TrainRecipe recipe)
    {
        if (recipe.Steps <= 0 && recipe.Epochs <= 0)
            throw new FlywheelException("train: neither 'steps' nor 'epochs' is given, expected one of them to be positive");
        long end = recipe.Steps > 0 ? long.MaxValue : Math.Max(1, (long)Math.Round(recipe.Epochs * _units.Length));
        List<long> starts = [0];
        long at = 0;
        while (at < end && (recipe.Steps <= 0 || starts.Count <= recipe.Steps))
        {
            long size = 0;
            do size += Unit(at++).Sum(segment => segment.NumInputs);
            while (at < end && size + Unit(at).Sum(segment => segment.NumInputs) <= _batchTokens);
            starts.Add(at);
        }
        return [.. starts];
    }

    private Segment[] Unit(long at)
    {
        (long epoch, long index) = Math.DivRem(at, _units.Length);
        if (_permutation.Epoch != epoch)
        {
            int[] order = [.. Enumerable.Range(0, _units.Length)];
            var random = new SeededRandom((ulong)_seed, (ulong)epoch);
            for (int i = order.Length - 1; i > 0; i--)
            {
                int j = random.Next(i + 1);
                (order[i], order[j]) = (order[j], order[i]);
            }
            _permutation = (epoch, order);
        }
        return _units[_permutation.Order[index]];
    }
}
