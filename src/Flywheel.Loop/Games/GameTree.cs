using Flywheel.Model;
using MathNet.Numerics.Distributions;

namespace Flywheel.Loop.Games;

/// <summary>How a position is searched.</summary>
/// <param name="Simulations">Descents for one move; those that an earlier search made below the position count.</param>
/// <param name="Exploration">PUCT's constant.</param>
internal sealed record SearchSettings(int Simulations, double Exploration);

/// <summary>
/// A search of one game: PUCT over a model's moves and values (Silver 2017, arXiv 1712.01815), in which positions that are won, lost or
/// drawn
/// whatever is played count as what they are (MCTS-Solver, Winands 2008). Values are seen by the side to move and lie between -1 and 1;
/// numbers of moves are places in <see cref="GamePosition.Moves"/>.
/// </summary>
/// <remarks>One leaf waits for its evaluation at a time, so that a game does not depend on those beside it; batches come from many
/// games.</remarks>
internal sealed class GameTree(GamePosition position, SearchSettings settings)
{
    /// <summary>A move that was not tried counts as so much worse than the position.</summary>
    private const double FirstPlay = 0.2;

    private readonly List<(Node Node, int Place)> _path = [];
    private Node _root = new(position);
    private Node? _leaf;
    private double[]? _noisy;

    public GamePosition Position => _root.Position;

    /// <summary>The search has done what it was asked to, or knows the result.</summary>
    public bool IsDone => _root.Evaluation is not null && (_root.NumVisits >= settings.Simulations || _root.Proof is not null);

    /// <summary>What the model said of the root; null before it was asked.</summary>
    public Evaluation? Evaluation => _root.Evaluation;

    public int[] Visits => [.. _root.Visits];

    /// <summary>The root's value by the search.</summary>
    public double Value => _root.Proof ?? _root.Mean;

    /// <summary>Value of each of the root's moves; of one that was never tried, the root's.</summary>
    public double[] MoveValues =>
        [.. Enumerable.Range(0, _root.Children.Length)
            .Select(place => -_root.Children[place]?.Proof ?? (_root.Visits[place] > 0 ? _root.Sums[place] / _root.Visits[place] : Value))];

    /// <summary>What should be played: shares of visits, without moves that are known to be worse than another.</summary>
    public double[] Shares() => Normalized(place => _root.Visits[place]);

    /// <summary>
    /// What should be learnt: the model's own probabilities, raised for moves that the search found good and lowered for others, by
    /// exp(scale * value). Few simulations spread their visits over all moves; what they found of each says more (Grill 2020, arXiv
    /// 2007.12509; Danihelka 2022). A move that was never tried counts as the position does.
    /// </summary>
    public double[] Targets(double scale)
    {
        double[] values = MoveValues;
        double most = values.Max();
        return Normalized(place => _root.Evaluation!.Policy[place] * Math.Exp(scale * (values[place] - most)));
    }

    /// <summary>Weights of the moves that are not known to be worse than another, as shares.</summary>
    private double[] Normalized(Func<int, double> weight)
    {
        double[] shares = new double[_root.Children.Length];
        for (int place = 0; place < shares.Length; place++)
        {
            int? proof = -_root.Children[place]?.Proof;
            if (_root.Proof is { } known ? proof == known : proof != -1) shares[place] = weight(place);
        }
        double sum = shares.Sum();
        if (sum == 0) // what is left was never tried
        {
            for (int place = 0; place < shares.Length; place++) shares[place] = _root.Evaluation!.Policy[place];
            sum = shares.Sum();
        }
        return [.. shares.Select(share => share / sum)];
    }

    /// <summary>Mixes noise into the root's moves; once the root has been evaluated.</summary>
    public void AddNoise(Random random, double share, double alpha)
    {
        double[] noise = new Dirichlet(alpha, _root.Children.Length, random).Sample();
        _noisy = [.. _root.Evaluation!.Policy.Zip(noise, (p, other) => (1 - share) * p + share * other)];
    }

    public bool HasNoise => _noisy is not null;

    /// <summary>The move was played: what the search knows about the position after it stays.</summary>
    public void Advance(int place) =>
        (_root, _noisy) = (_root.Children[place] ?? new Node(_root.Position.Play(_root.Position.Moves[place])), null);

    /// <summary>Goes down to a position that must be evaluated; null when this descent ended with the game, and is done.</summary>
    public GamePosition? Descend()
    {
        _path.Clear();
        Node node = _root;
        while (node.Proof is null && node.Evaluation is not null)
        {
            int place = Choose(node);
            _path.Add((node, place));
            node = node.Children[place] ??= new Node(node.Position.Play(node.Position.Moves[place]));
        }
        if (node.Proof is { } proof)
        {
            BackUp(proof);
            return null;
        }
        _leaf = node;
        return node.Position;
    }

    /// <summary>What <see cref="Descend"/> asked for.</summary>
    public void Evaluated(Evaluation evaluation)
    {
        _leaf!.Evaluation = evaluation;
        BackUp(evaluation.Value);
    }

    private int Choose(Node node)
    {
        double most = double.NegativeInfinity, root = Math.Sqrt(Math.Max(1, node.NumVisits));
        double untried = node.Mean - (node == _root && _noisy is not null ? 0 : FirstPlay);
        int best = -1;
        for (int place = 0; place < node.Children.Length; place++)
        {
            if (node.Children[place]?.Proof == 1) continue; // it loses
            double prior = node == _root && _noisy is not null ? _noisy[place] : node.Evaluation!.Policy[place];
            int visits = node.Visits[place];
            double score = (visits > 0 ? node.Sums[place] / visits : untried) + settings.Exploration * prior * root / (1 + visits);
            if (score > most) (most, best) = (score, place);
        }
        return best;
    }

    private void BackUp(double value)
    {
        for (int i = _path.Count - 1; i >= 0; i--)
        {
            (Node node, int place) = _path[i];
            node.Prove(place);
            value = node.Proof ?? -value;
            node.Visits[place]++;
            node.Sums[place] += value;
            node.NumVisits++;
            node.Sum += value;
        }
    }

    private sealed class Node(GamePosition position)
    {
        public readonly GamePosition Position = position;
        public readonly Node?[] Children = new Node?[position.Moves.Count];
        public readonly int[] Visits = new int[position.Moves.Count];
        public readonly double[] Sums = new double[position.Moves.Count];
        public int NumVisits;
        public double Sum;

        public Evaluation? Evaluation { get; set; }

        /// <summary>The result when both play best, once it is known for certain.</summary>
        public int? Proof { get; private set; } = position.Result;

        public double Mean => ((Evaluation?.Value ?? 0) + Sum) / (1 + NumVisits);

        /// <summary>A move's result may have become known, and with it the position's.</summary>
        public void Prove(int place)
        {
            if (Proof is not null || Children[place]?.Proof is not { } theirs) return;
            if (theirs == -1)
            {
                Proof = 1;
                return;
            }
            int best = -1;
            for (int other = 0; other < Children.Length; other++)
            {
                if (Children[other]?.Proof is not { } proof) return;
                best = Math.Max(best, -proof);
            }
            Proof = best;
        }
    }
}
