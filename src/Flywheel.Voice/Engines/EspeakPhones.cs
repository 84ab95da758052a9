namespace Flywheel.Voice;

/// <summary>
/// Names of sounds in espeak-ng's notation, after Kirshenbaum's ASCII IPA (its documentation, "Phoneme names"). Each language has some of
/// them; which, and what they sound like there, is asked of the program.
/// </summary>
internal static class EspeakPhones
{
    /// <summary>Where two names sound alike the earlier is taken.</summary>
    public static IEnumerable<string> All => (
        "p b t d k g q G ? c J f v T D s z S Z C x X h H m n N n^ M l l^ L r R r^ * ** j w w# W B Q V\" ts dz tS dZ tS; dZ; ts; pF f; v; s; z; "
        + "t; d; p; b; k; g; m; n; l; r; x; S; Z; t[ d[ t` d` n` s` z` l` r` tS. s. z. ts. R2 l# r/ r\" J^ C^ "
        + "i I e E a A A: O o u U y Y W @ @2 @5 @L 3 3: V 0 & a# a2 I2 I# E# E2 O2 o2 u2 U2 U# i: e: E: a: O: o: u: y: Y: W: @: I: U: "
        + "A@ O@ e@ i@ U@ i@3 aI@ aU@ eI aI OI oU aU EI aI2 ai au ei oi ou eu ui iu ia ie io ua ue uo @U 0I iI eU "
        + "a~ A~ e~ E~ i~ o~ O~ u~ y~ W~ 9 9~ 1 2 8 e# y# A# i2 i# l- n- m- r- @- 3~ V~ U~ I~").Split(' ');
}
