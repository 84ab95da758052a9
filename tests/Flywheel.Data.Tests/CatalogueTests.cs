using CsCheck;
using Flywheel.Model;

namespace Flywheel.Data.Tests;

public class CatalogueTests
{
    [Fact]
    public void AppStream_Catalogue_GivesApplicationsInEnglish()
    {
        Product[] products =
            [.. AppStreamCatalog.Read(new StringReader(Fixtures.Components), "components",
                package => package == "brushwood-gtk" ? "brushwood" : package)];
        Assert.Equal(["appstream:org.example.Brushwood", "appstream:org.example.Kettle"], products.Select(product => product.Id));
        Product painting = products[0];
        Assert.Equal(("brushwood", "Brushwood", "Paint pictures with twigs", "MIT"),
            (painting.Group, painting.Name, painting.Summary, painting.Licence));
        Assert.Equal(["Graphics", "2D Graphics"], painting.Categories);
        Assert.Equal(["painting", "brush"], painting.Keywords);
        Assert.Equal(["Wet brushes that mix", "Layers with masks", "Pictures of any size"], painting.Items);
        Assert.StartsWith("Brushwood is a painting program", painting.Paragraphs.Single(), StringComparison.Ordinal);
    }

    [Fact]
    public void AppStream_NotYaml_NamesTheLine()
    {
        var error =
            Assert.Throws<FlywheelException>(() =>
                AppStreamCatalog.Read(new StringReader("---\nType: desktop-application\nID: [unclosed\n"), "components.yml",
                    package => package).ToList());
        Assert.StartsWith("components.yml:", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void AppStream_AnyDamage_IsReadOrRefused() => Gen.Select(Gen.Int[0, Fixtures.Components.Length - 1], Gen.Char).Sample((at, c) =>
    {
        try
        {
            Assert.All(AppStreamCatalog.Read(new StringReader(Fixtures.Components[..at] + c + Fixtures.Components[(at + 1)..]),
                "components", package => package), product => Assert.NotEqual("", product.Name));
        }
        catch (FlywheelException e)
        {
            Assert.StartsWith("components:", e.Message, StringComparison.Ordinal);
        }
    }, iter: 2_000, seed: "0000KYlZqMsY");

    [Fact]
    public void Packages_Tag_Filters()
    {
        IReadOnlyList<Product> programs = PackageCatalog.Read(new StringReader(Fixtures.Packages), new StringReader(Fixtures.Translations),
            "role::program");
        Assert.Equal(["packages:kettle", "packages:brushwood-gtk"], programs.Select(product => product.Id));
        Assert.Equal("KETTLE", programs[0].Name);
        Assert.Equal(("Brushwood", "brushwood"), (programs[1].Name, programs[1].Group));
        Assert.Equal(["graphical interface", "works with raster images", "reads PNG", "for editing"], programs[1].Keywords);
        Assert.Equal(["Graphics"], programs[1].Categories);
    }

    [Fact]
    public void Packages_All_PutProgramsFirst() =>
        Assert.Equal(["packages:kettle", "packages:brushwood-gtk", "packages:brushwood-data"],
            PackageCatalog.Read(new StringReader(Fixtures.Packages), new StringReader(Fixtures.Translations))
                .Select(product => product.Id));

    [Fact]
    public void Families_Packages_AreTheirSource()
    {
        Dictionary<string, string> families = PackageCatalog.Families(new StringReader(Fixtures.Packages));
        Assert.Equal(("brushwood", "brushwood", "kettle"), (families["brushwood-gtk"], families["brushwood-data"], families["kettle"]));
    }

    [Fact]
    public void ControlFile_AnyStanzas_RoundTrip()
    {
        Gen<string> value = Gen.String[Gen.Char['!', '~'], 1, 12];
        Gen<string> name = Gen.String[Gen.Char.AlphaNumeric, 1, 8];
        Gen.Dictionary(name, Gen.Select(value, value.Array[0, 3]))[1, 5].Array[0, 5].Sample(stanzas =>
        {
            string text =
                string.Join('\n',
                    stanzas.Select(stanza =>
                        string.Concat(stanza.DistinctBy(field => field.Key.ToLowerInvariant())
                            .Select(field =>
                                $"{field.Key}: {field.Value.Item1}\n{string.Concat(field.Value.Item2.Select(line => $" {line}\n"))}"))));
            IReadOnlyDictionary<string, string>[] read = [.. ControlFile.Read(new StringReader(text))];
            Assert.Equal(stanzas.Length, read.Length);
            foreach ((IReadOnlyDictionary<string, string> stanza,
                IReadOnlyDictionary<string, string> expected) in read.Zip(
                    stanzas.Select(s =>
                        s.DistinctBy(f => f.Key.ToLowerInvariant())
                            .ToDictionary(f => f.Key,
                                f => string.Concat(f.Value.Item2.Prepend(f.Value.Item1)
                                    .Select((line, i) => i == 0 ? line : "\n " + line))))))
                foreach ((string field, string content) in expected) Assert.Equal(content, stanza[field]);
        }, iter: 2_000, seed: "0000KYlZqMsY");
    }

    [Fact]
    public void ControlFile_AnyText_IsRead() =>
    Gen.String[Gen.OneOf(Gen.Char, Gen.Char[": \n\t#ab"]), 0, 80].Sample(text =>
        Assert.All(ControlFile.Read(new StringReader(text)), Assert.NotEmpty), iter: 10_000, seed: "0000KYlZqMsY");
}
