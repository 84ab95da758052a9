namespace Flywheel.Data.Tests;

/// <summary>A small archive of our own invention.</summary>
internal static class Fixtures
{
    public const string Components =
        """
        ---
        File: DEP-11
        Version: '0.16'
        Origin: test
        ---
        Type: desktop-application
        ID: org.example.Brushwood
        Package: brushwood-gtk
        Name:
          de: Reisig
          C: Brushwood
        Summary:
          de: Bilder malen
          C: Paint pictures with twigs
        Description:
          de: <p>Nichts davon.</p>
          C: >-
            <p>Brushwood is a painting program that mixes colours like wet paint. You can stack as many layers as you like, which keeps every stroke apart.</p>

            <ul>
              <li>Wet brushes that mix</li>
              <li>Layers with masks</li>
              <li>Pictures of any size</li>
            </ul>
        ProjectLicense: MIT
        Categories:
        - GTK
        - Graphics
        - 2DGraphics
        Keywords:
          C:
          - painting
          - brush
        Icon:
          cached:
          - name: brushwood.png
            width: 64
            height: 64
        ---
        Type: font
        ID: org.example.Font
        Package: fonts-example
        Name:
          C: Example Font
        ---
        Type: desktop-application
        ID: org.example.Kettle
        Package: kettle
        Name:
          C: Kettle
        Summary:
          C: Time your tea.

        """;

    public const string Packages =
        """
        Package: brushwood-gtk
        Source: brushwood (1.2)
        Version: 1.2-3
        Section: graphics
        Tag: role::program, interface::graphical,
         works-with::image:raster, works-with-format::png, use::editing

        Package: brushwood-data
        Source: brushwood
        Section: graphics
        Tag: role::app-data

        Package: kettle
        Section: utils
        Tag: role::program, use::timekeeping

        Package: undescribed
        Section: utils

        """;

    public const string Translations =
        """
        Package: brushwood-gtk
        Description-md5: 0
        Description-en: painting program with twigs
         Brushwood is a painting program that mixes colours like wet paint.
         .
         This package contains the program itself.

        Package: brushwood-data
        Description-md5: 1
        Description-en: painting program with twigs (data files)
         Brushwood mixes colours like wet paint, so that pictures look as if they
         had been painted by hand.
         .
         This package contains the data files.

        Package: kettle
        Description-md5: 2
        Description-en: tea timer for the command line
         KETTLE counts the minutes for you while the tea draws, and rings when it
         is ready to drink. It knows the times of many kinds of tea.

        """;

    public static Product Product(string id = "appstream:org.example.Brushwood", string name = "Brushwood",
        string summary = "Paint pictures with twigs", params string[] paragraphs) =>
        new(id, "brushwood", name, summary, [.. paragraphs.Select(Block.Paragraph)], ["Graphics"], ["painting"]);
}
