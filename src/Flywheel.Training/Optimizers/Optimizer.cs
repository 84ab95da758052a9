using Flywheel.Model;
using static TorchSharp.torch;

namespace Flywheel.Training;

/// <summary>
/// Updates the parameters that this rank owns from their gradients: AdamW for all, or Muon for hidden matrices and AdamW for
/// the rest. Beside the norm of the whole gradient, a parameter's update needs only its own gradient and state, so that ranks
/// can share parameters out.
/// </summary>
internal sealed class Optimizer : IDisposable
{
    private const string First = "first", Second = "second", Momentum = "momentum", AverageOf = "average";

    private readonly TrainRecipe _recipe;
    private readonly Parameter[] _parameters;
    private readonly Dictionary<string, Tensor>[] _states;

    public Optimizer(IEnumerable<Parameter> parameters, TrainRecipe recipe)
    {
        (_parameters, _recipe) = ([.. parameters], recipe);
        _states =
            [.. _parameters.Select(parameter =>
                Names(parameter).ToDictionary(name => name, _ => Arena.Zeros(parameter.Tensor.shape).DetachFromDisposeScope()))];
    }

    /// <summary>What a checkpoint keeps: all that updates carry from step to step, in a fixed order.</summary>
    public IEnumerable<Parameter> State =>
        _parameters.SelectMany((parameter, i) =>
            Names(parameter).Select(name => new Parameter($"{name}.{parameter.Name}", _states[i][name])));

    /// <summary>Updates the parameters from their <c>grad</c>.</summary>
    /// <param name="step">Counted from 1.</param>
    /// <param name="factor">What the schedule makes of the learning rates in this step.</param>
    /// <param name="norm">Of the gradient of all parameters, for clipping.</param>
    public void Step(int step, double factor, double norm)
    {
        float clip = _recipe.ClipNorm > 0 && norm > _recipe.ClipNorm ? (float)(_recipe.ClipNorm / norm) : 1;
        for (int i = 0; i < _parameters.Length; i++)
        {
            (Parameter parameter, Dictionary<string, Tensor> state) = (_parameters[i], _states[i]);
            if (UsesMuon(parameter))
                Muon.Update(parameter, state[Momentum], step, factor * _recipe.MuonLearningRate, clip, _recipe.WeightDecay);
            else
            {
                // Gains and biases have no scale to shrink towards.
                double decay = parameter.Tensor.dim() >= 2 ? _recipe.WeightDecay : 0;
                AdamW.Update(parameter.Tensor, state[First], state[Second], step, factor * _recipe.LearningRate, clip, decay,
                    (_recipe.Beta1, _recipe.Beta2));
            }
            if (_recipe.AverageDecay > 0) Average(parameter.Tensor, state[AverageOf], step);
        }
    }

    /// <summary>After the last step: puts the average of the last weights in their place, where the recipe asks for it.</summary>
    public void UseAverage()
    {
        if (_recipe.AverageDecay <= 0) return;
        using var noGrad = no_grad();
        for (int i = 0; i < _parameters.Length; i++) _parameters[i].Tensor.copy_(_states[i][AverageOf]);
    }

    private IEnumerable<string> Names(Parameter parameter)
    {
        string[] own = UsesMuon(parameter) ? [Momentum] : [First, Second];
        return _recipe.AverageDecay > 0 ? own.Append(AverageOf) : own;
    }

    private bool UsesMuon(Parameter parameter) => _recipe.Optimizer == TrainRecipe.Muon && parameter.HiddenRows.Count > 0;

    /// <summary>Exponential moving average, its first value the weights themselves.</summary>
    private void Average(Tensor parameter, Tensor average, int step)
    {
        using var noGrad = no_grad();
        double kept = step == 1 ? 0 : _recipe.AverageDecay;
        average.mul_(kept).add_(parameter, 1 - kept);
    }

    public void Dispose()
    {
        foreach (Tensor tensor in _states.SelectMany(state => state.Values)) tensor.Dispose();
    }
}
