using System.Reflection;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Training.Tests;

public sealed class TorchLibraryTests
{
    [Fact]
    public void Find_FolderWithoutTheLibrary_SaysWhatToDo()
    {
        using var empty = new TempFolder();
        var error =
            Assert.Throws<FlywheelException>(() =>
                TorchLibrary.Find(empty.Path, "LibTorchFolder", "libtorch_cpu.so", "libtorch-cpu-linux-x64"));
        Assert.Contains(empty.Path, error.Message, StringComparison.Ordinal);
        Assert.Contains(TorchLibrary.FolderVariable, error.Message, StringComparison.Ordinal);
        error = Assert.Throws<FlywheelException>(() =>
            TorchLibrary.Find(null, "no such key", "libtorch_none.so", "libtorch-cpu-linux-x64"));
        Assert.Contains("dotnet restore", error.Message, StringComparison.Ordinal);
    }

    /// <summary>The mend touches the flags of one version and nothing else.</summary>
    [Fact]
    public void MakeWeak_OnTorchSharpsLibrary_ChangesOneFlag()
    {
        byte[] original =
            File.ReadAllBytes(Path.Combine(TorchLibrary.Find(null, "TorchSharpFolder", "libLibTorchSharp.so", "TorchSharp"),
                "libLibTorchSharp.so"));
        byte[] mended = [.. original];
        Assert.False(ElfVersions.MakeWeak(mended, "GLIBCXX_99"));
        Assert.Equal(original, mended);
        Assert.True(ElfVersions.MakeWeak(mended, "GLIBCXX_3.4.32"));
        int changed = Assert.Single(Enumerable.Range(0, original.Length), i => original[i] != mended[i]);
        Assert.Equal(original[changed] | 2, mended[changed]);
        Assert.Throws<InvalidDataException>(() =>
            ElfVersions.MakeWeak("#!/bin/sh and so on, longer than an ELF header would have to be, really"u8.ToArray(), "GLIBCXX_3.4.32"));
    }

    /// <summary>libtorch stays in its package folder: an output that carried it would be half a gigabyte.</summary>
    [Fact]
    public void Output_DoesNotCarryLibtorch() =>
        Assert.Empty(Directory.EnumerateFiles(AppContext.BaseDirectory, "*torch_cpu*", SearchOption.AllDirectories));
}
