namespace Flywheel.Model;

/// <summary>
/// Something that the person outside can mend: a bad file, field, value or environment. The message names it, the
/// value and what was expected. The command line prints the message alone and ends with code 2; HTTP answers 400.
/// Anything else that is thrown is a defect of ours.
/// </summary>
public class FlywheelException : Exception
{
    public FlywheelException(string message) : base(message) { }

    public FlywheelException(string message, Exception inner) : base(message, inner) { }
}
