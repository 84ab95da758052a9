namespace Flywheel.Studio.Serving;

/// <summary>Starts generations for the API and the pages alike: one way in, and everything on it is recorded.</summary>
/// <param name="host">Gives the model.</param>
/// <param name="serving">Takes the record and counts.</param>
/// <param name="drawSeed">Gives a seed to a request that brings none; it is recorded like any other.</param>
internal sealed class Generator(ModelHost host, ServingContext serving, Func<ulong> drawSeed)
{
    public ModelHost Host => host;

    public ulong DrawSeed() => drawSeed();

    /// <summary>Starts an order that is made for the model that answers it (its tokenizer, its defaults).</summary>
    /// <exception cref="Engine.QueueFullException">Too many wait.</exception>
    public GenerationGroup Start(Func<ServedModel, GenerationOrder> makeOrder, CancellationToken cancellation)
    {
        serving.Ending.RefuseWhenStopping();
        ServedModel model = host.Acquire();
        GenerationOrder order;
        try
        {
            order = makeOrder(model);
        }
        catch
        {
            model.Release();
            throw;
        }
        return GenerationGroup.Start(model, order, serving, cancellation);
    }
}
