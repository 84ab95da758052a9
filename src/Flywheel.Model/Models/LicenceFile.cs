namespace Flywheel.Model;

/// <summary>The file with the terms that a model came with, and which licence it is where its first lines name a common one.</summary>
public static class LicenceFile
{
    private static readonly string[] s_names = ["LICENSE", "LICENCE", "COPYING", "NOTICE", "USE_POLICY"];

    /// <summary>What the first lines of a licence say, and the short name that hubs give it.</summary>
    private static readonly (string[] Says, string Licence)[] s_known =
    [
        (["Apache License", "Version 2.0"], "apache-2.0"),
        (["MIT License"], "mit"),
        (["Permission is hereby granted, free of charge"], "mit"),
        (["GNU AFFERO GENERAL PUBLIC LICENSE", "Version 3"], "agpl-3.0"),
        (["GNU GENERAL PUBLIC LICENSE", "Version 3"], "gpl-3.0"),
        (["GNU GENERAL PUBLIC LICENSE", "Version 2"], "gpl-2.0"),
        (["BSD 3-Clause License"], "bsd-3-clause"),
        (["Attribution-NonCommercial 4.0 International"], "cc-by-nc-4.0"),
        (["Attribution-ShareAlike 4.0 International"], "cc-by-sa-4.0"),
        (["Attribution 4.0 International"], "cc-by-4.0"),
        (["CC0 1.0 Universal"], "cc0-1.0"),
    ];

    /// <summary>Whether a file's name says that it holds terms: LICENSE, Licence.txt, COPYING, NOTICE.</summary>
    internal static bool IsOne(string name) => Array.Exists(s_names, start => name.StartsWith(start, StringComparison.OrdinalIgnoreCase))
        && Path.GetExtension(name).ToLowerInvariant() is "" or ".txt" or ".md" or ".rst";

    /// <summary>The name of a folder's file with the licence; null when it has none.</summary>
    public static string? Find(string folder) => Directory.EnumerateFiles(folder).Select(file => Path.GetFileName(file))
        .Where(name => IsOne(name) && !name.StartsWith("NOTICE", StringComparison.OrdinalIgnoreCase)
            && !name.StartsWith("USE_POLICY", StringComparison.OrdinalIgnoreCase))
        .Order(StringComparer.Ordinal).FirstOrDefault();

    /// <summary>The licence that a folder's file is; null when there is none, or no common one.</summary>
    internal static string? Identify(string folder)
    {
        if (Find(folder) is not { } name) return null;
        using StreamReader reader = File.OpenText(Path.Combine(folder, name));
        char[] start = new char[2000];
        string text = new(start, 0, reader.ReadBlock(start));
        return Array.Find(s_known,
            known => Array.TrueForAll(known.Says, says => text.Contains(says, StringComparison.OrdinalIgnoreCase))).Licence;
    }

    internal static void Copy(string from, string to)
    {
        foreach (string path in Directory.EnumerateFiles(from))
            if (IsOne(Path.GetFileName(path))) AtomicFile.Copy(path, Path.Combine(to, Path.GetFileName(path)));
    }
}
