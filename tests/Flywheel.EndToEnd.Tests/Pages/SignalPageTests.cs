using Flywheel.Loop.Tasks;
using Flywheel.Model;
using Flywheel.Testing;
using Microsoft.Playwright;

namespace Flywheel.EndToEnd.Tests.Pages;

/// <summary>A person at tasks that are no text: a protein whose structure is drawn, a picture that is dropped, both refused where they are
/// wrong.</summary>
public sealed class SignalPageTests
{
    [Fact]
    public async Task Signals_GivenOnTheirPages_AreDrawnAsTheModelSeesThem()
    {
        using var models = new TempFolder();
        byte[] shirt = [.. Enumerable.Range(0, 28 * 28).Select(i => (byte)(i / 28 is > 3 and < 24 && i % 28 is > 5 and < 22 ? 180 : 0))];
        PictureCodec.Fit([shirt], side: 28, patch: 4, numCentres: 8, seed: 1, models["codec"], samples: 100);
        Tokenizer tokenizer = Tokenizer.Train(["Secondary structure: What is it? a shirt"], 300,
            [.. new[] { "protein", "structure", "spare", "image" }.SelectMany(group => ReservedTokens.Groups[group])]);
        ModelFolder model = TinyModel.Create(models["models"], context: 512, tokenizer: tokenizer, codec: models["codec"]);
        await using StudioBrowser studio = await StudioBrowser.StartAsync(model.Path);

        IPage page = await studio.OpenAsync("/tasks/protein-structure");
        await page.GetByRole(AriaRole.Button, new() { Name = "MTPAVTTYKLVINGKTLKGETTTKAVDAETAEKAF" }).ClickAsync();
        await Assertions.Expect(page.Locator(".result .structure svg")).ToHaveCountAsync(7); // 66 residues, ten in each
        await Assertions.Expect(page.Locator(".result .structure .residue")).ToHaveCountAsync(66);
        await StudioBrowser.CheckAsync(page, "the structure");
        await page.GetByLabel("Sequence").FillAsync("MKJA");
        await page.GetByRole(AriaRole.Button, new() { Name = "Answer", Exact = true }).ClickAsync();
        await Assertions.Expect(page.Locator("#field-sequence-error"))
            .ToHaveTextAsync("“J”, letter 3, is not one of ACDEFGHIKLMNPQRSTVWYXUOBZ.");

        page = await studio.OpenAsync("/tasks/picture-class", width: 390, dark: true);
        await StudioBrowser.ChooseAsync(page.Locator("#field-picture"),
            new FilePayload { Name = "notes.txt", MimeType = "text/plain", Buffer = [1, 2, 3] });
        await Assertions.Expect(page.GetByText("notes.txt is no picture that can be read")).ToBeVisibleAsync();
        await StudioBrowser.ChooseAsync(page.Locator("#field-picture"),
            new FilePayload { Name = "shirt.png", MimeType = "image/png",
                Buffer = Convert.FromBase64String(PictureReader.ToDataUrl(shirt).Split(',')[1]) });
        await Assertions.Expect(page.Locator(".picture .seen")).ToBeVisibleAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "Answer", Exact = true }).ClickAsync();
        await Assertions.Expect(page.Locator(".result .seen")).ToBeVisibleAsync();
        await StudioBrowser.CheckAsync(page, "the picture");
    }
}
