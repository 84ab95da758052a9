namespace Flywheel.Loop;

/// <summary>Why the record's database did not do what it was asked, where that is not the asker's fault.</summary>
public enum StoreFault
{
    /// <summary>Somebody else holds its lock.</summary>
    Locked,

    /// <summary>Its server does not answer, or takes nobody now: it may be back in a moment.</summary>
    Unreachable,

    /// <summary>It is not there, lets nobody in or cannot be written, until a person does something.</summary>
    Unavailable,

    /// <summary>Its disk is full.</summary>
    Full,
}

public static class StoreFaults
{
    /// <summary>What lies at the bottom of an exception; null: nothing of the database, or a statement that it refuses.</summary>
    public static StoreFault? Of(Exception? e)
    {
        for (; e is not null; e = e.InnerException)
            if ((SqliteDatabase.FaultOf(e) ?? PostgresDatabase.FaultOf(e)) is { } fault) return fault;
        return null;
    }
}
