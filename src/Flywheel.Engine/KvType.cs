namespace Flywheel.Engine;

/// <summary>How keys and values are held. Arithmetic over them is in fp32 whatever they are.</summary>
public enum KvType
{
    /// <summary>As computed; four bytes a number.</summary>
    Fp32,

    /// <summary>Rounded to half precision; what is beyond its range, 65504, is held as that.</summary>
    Fp16,

    /// <summary>Blocks of 32 numbers of one token and head in int8 with an fp32 scale: nine bits a number.</summary>
    Int8,
}
