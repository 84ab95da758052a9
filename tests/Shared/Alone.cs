namespace Flywheel.Testing;

/// <summary>Tests that count what the process holds, tensors or memory: nothing else may make any beside them.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class Alone
{
    public const string Name = "alone";
}
