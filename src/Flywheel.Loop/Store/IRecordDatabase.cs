namespace Flywheel.Loop;

/// <summary>What a database management system has of its own: how it is opened and brought up to date, and what its failures
/// mean.</summary>
internal interface IRecordDatabase : IDisposable
{
    /// <summary>Processes of other machines may use it at the same time.</summary>
    bool IsShared { get; }

    /// <summary>
    /// The tables; the caller disposes. Transactions that are begun by name come one after another, those of other processes too: what
    /// one reads stays true until it ends, and numbers are given in the order in which others get to see them.
    /// </summary>
    /// <param name="inOrder">False for transactions that only add what is known by ids of its own: they may go side by side.</param>
    FlywheelDb Open(bool inOrder = true);

    /// <summary>The tables as they are at the first query, whatever others write meanwhile, who wait for nothing; nothing may be written
    /// by it. The caller disposes.</summary>
    Task<FlywheelDb> OpenSnapshotAsync(CancellationToken cancellation);

    /// <summary>Makes the tables, or brings those of an older version up to date; all of it or nothing.</summary>
    /// <exception cref="FlywheelException">It cannot be reached or written, is none of ours, or is of a newer Flywheel.</exception>
    Task PrepareAsync(CancellationToken cancellation);

    /// <summary>Has this connection overwrite what it deletes, where the system can do that.</summary>
    Task OverwriteDeletedAsync(FlywheelDb db, CancellationToken cancellation);

    /// <summary>Rewrites the tables without what was removed, which else stays readable in their free space.</summary>
    /// <param name="say">Told when it cannot be done now.</param>
    /// <param name="cancellation">Ends it.</param>
    Task CompactAsync(Action<string> say, CancellationToken cancellation);

    /// <summary>Empties what holds pages as they were before the last statements.</summary>
    /// <inheritdoc cref="CompactAsync"/>
    Task EmptyLogAsync(Action<string> say, CancellationToken cancellation);

    /// <summary>Nobody is to have it for that long besides this process; null: somebody has it.</summary>
    /// <param name="name">What is taken.</param>
    /// <param name="cancellation">Ends it.</param>
    Task<IAsyncDisposable?> TryLockAsync(string name, CancellationToken cancellation);
}
