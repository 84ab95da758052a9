using Flywheel.Loop;

namespace Flywheel.Studio.Serving;

/// <summary>What a running generation needs of the server.</summary>
/// <param name="Store">Takes the record.</param>
/// <param name="Time">Stamps it.</param>
/// <param name="Metrics">Counts it.</param>
/// <param name="Ending">Cuts it when the server's time to end is over.</param>
/// <param name="Keys">Counts it against the limit of its key.</param>
internal sealed record ServingContext(FlywheelStore Store, TimeProvider Time, ServingMetrics Metrics, ServerEnding Ending, ApiKeys Keys);
