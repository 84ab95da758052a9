using MudBlazor;

namespace Flywheel.Studio.Shell;

/// <summary>Paper, ink and one green. The style sheet takes its colours from here too (MudBlazor's variables).</summary>
internal static class StudioTheme
{
    /// <summary>The colours as a style sheet's variables, for pages without the script that the theme needs to follow the
    /// system's.</summary>
    /// <param name="dark">Null follows the system.</param>
    public static string VariablesFor(bool? dark) => dark switch
    {
        true => Variables(Theme.PaletteDark),
        false => Variables(Theme.PaletteLight),
        null => Variables(Theme.PaletteLight) + "@media (prefers-color-scheme: dark) {" + Variables(Theme.PaletteDark) + "}",
    };

    private static string Variables(Palette palette) =>
        $":root {{ --ink: {palette.TextPrimary}; --quiet: {palette.TextSecondary}; --paper: {palette.Background}; --sheet: {palette.Surface}; --line: {palette.LinesDefault}; --edge: {palette.LinesInputs}; --green: {palette.Primary}; --on-green: {palette.PrimaryContrastText}; --red: {palette.Error}; }}";

    public static MudTheme Theme { get; } = new()
    {
        PaletteLight = new PaletteLight
        {
            Background = "#f6f5f1",
            Surface = "#ffffff",
            TextPrimary = "#1c1b18",
            TextSecondary = "#67635b",
            ActionDefault = "#67635b",
            Primary = "#1d6b57",
            PrimaryContrastText = "#ffffff",
            Error = "#b3402e",
            LinesDefault = "#e4e1d9",
            LinesInputs = "#d3cfc5",
            Divider = "#e4e1d9",
            Success = "#1d6b57",
            Warning = "#8f5c0b",
        },
        PaletteDark = new PaletteDark
        {
            Background = "#151513",
            Surface = "#1e1e1b",
            TextPrimary = "#eeece6",
            TextSecondary = "#a39e94",
            ActionDefault = "#a39e94",
            Primary = "#67c9ab",
            PrimaryContrastText = "#0e1f1a",
            Error = "#f0897a",
            LinesDefault = "#31302c",
            LinesInputs = "#45433d",
            Divider = "#31302c",
            Success = "#67c9ab",
            Warning = "#e0b05c",
        },
        LayoutProperties = new LayoutProperties { DefaultBorderRadius = "10px" },
        Typography = new Typography
        {
            Default =
                new DefaultTypography { FontFamily = ["Inter", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "Noto Sans SC",
                    "WenQuanYi Micro Hei", "system-ui", "sans-serif"], FontSize = "0.9375rem", LineHeight = "1.5",
                    LetterSpacing = "normal" },
            Button = new ButtonTypography { TextTransform = "none", FontWeight = "550", FontSize = "0.9375rem", LetterSpacing = "normal" },
        },
    };
}
