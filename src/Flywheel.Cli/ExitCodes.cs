namespace Flywheel.Cli;

/// <summary>What the process ends with. 0 is success; 3 and 4 are the launcher's (no SDK, build failed).</summary>
internal static class ExitCodes
{
    /// <summary>The verb ran and its answer is no: a candidate was rejected, an acceptance rate did not rise.</summary>
    public const int Rejected = 1;

    /// <summary>Bad input or environment; the message says what to mend.</summary>
    public const int UserError = 2;

    /// <summary>A turn waits for a person's answer.</summary>
    public const int Waiting = 5;

    /// <summary>Ranks were lost again and again; another machine may do (EX_TEMPFAIL of sysexits.h).</summary>
    public const int RanksLost = 75;

    /// <summary>Ctrl-C, as shells count it.</summary>
    public const int Cancelled = 130;
}
