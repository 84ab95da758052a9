namespace Flywheel.Training.Tests;

/// <summary>Tests that count the process's tensors: nothing else may make any beside them.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class Alone
{
    public const string Name = "alone";
}
