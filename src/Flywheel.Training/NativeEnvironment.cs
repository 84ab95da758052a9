using System.Runtime.InteropServices;

namespace Flywheel.Training;

/// <summary>
/// The environment as native libraries read it when they are loaded; .NET's own is a copy that they never see.
/// </summary>
internal static partial class NativeEnvironment
{
    /// <summary>Sets a variable; with <paramref name="overwrite"/> 0 what a person has set stays.</summary>
    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Set(string name, string value, int overwrite);
}
