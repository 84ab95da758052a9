namespace Flywheel.Engine;

/// <summary>How keys and values are held.</summary>
public enum KvType
{
    /// <summary>As computed, and so is the arithmetic; four bytes a number.</summary>
    Fp32,

    /// <summary>
    /// Integers up to 8191 and an fp32 scale: 17 bits a number, as precise as fp16. Products with them add up exactly, two to a lane,
    /// twice as many an instruction as fp32.
    /// </summary>
    Int16,

    /// <summary>Integers up to 127 and an fp32 scale: nine bits a number.</summary>
    Int8,
}
