using Bunit;
using Flywheel.Studio.Apps;
using Flywheel.Studio.Shell;

namespace Flywheel.Studio.Tests.Apps;

/// <summary>A field whose text is never lost, without a browser: what it saves, what it shows when another window wrote too.</summary>
public sealed class KeptFieldTests : BunitContext
{
    private readonly List<(string Text, string Over)> _saved = [];
    private string? _theirs;

    public KeptFieldTests()
    {
        JSInterop.Mode = JSRuntimeMode.Loose;
        Keep();
    }

    [Fact]
    public async Task Typed_ThenLeft_IsSavedOverWhatLayThere()
    {
        IRenderedComponent<KeptField> field = Draw("before");
        await field.Find("input").InputAsync("after");
        await field.Find("input").FocusOutAsync(new());
        Assert.Equal([("after", "before")], _saved);
        await field.Find("input").FocusOutAsync(new());
        Assert.Single(_saved); // nothing new, nothing saved
    }

    /// <summary>Else the browser would say for ever that it is not saved.</summary>
    [Fact]
    public async Task Typed_AndTakenBack_TellsTheBrowserThatNothingWaits()
    {
        IRenderedComponent<KeptField> field = Draw("before");
        await field.Find("input").InputAsync("befor");
        await field.Find("input").InputAsync("before");
        await field.Find("input").FocusOutAsync(new());
        Assert.Empty(_saved);
        JSInterop.VerifyInvoke("flywheel.saved");
    }

    [Fact]
    public async Task Conflict_EitherWay_LosesNothingUnseen()
    {
        _theirs = "theirs";
        IRenderedComponent<KeptField> field = Draw("before");
        await field.Find("input").InputAsync("mine");
        await field.Find("input").FocusOutAsync(new());
        Assert.Contains("theirs", field.Find(".conflict").TextContent, StringComparison.Ordinal);
        Assert.Equal("mine", field.Find("input").GetAttribute("value"));
        _theirs = null;
        await field.FindAll(".conflict button")[0].ClickAsync(new());
        Assert.Equal([("mine", "before"), ("mine", "theirs")], _saved);
        Assert.Empty(field.FindAll(".conflict"));

        _theirs = "later";
        await field.Find("input").InputAsync("mine again");
        await field.Find("input").FocusOutAsync(new());
        await field.FindAll(".conflict button")[1].ClickAsync(new());
        Assert.Equal("later", field.Find("input").GetAttribute("value"));
    }

    [Fact]
    public async Task Value_FromAnotherWindow_IsShownUnlessSomethingIsBeingTyped()
    {
        IRenderedComponent<KeptField> field = Draw("one");
        field.Render(parameters => parameters.Add(one => one.Value, "two"));
        Assert.Equal("two", field.Find("input").GetAttribute("value"));
        await field.Find("input").InputAsync("typing");
        field.Render(parameters => parameters.Add(one => one.Value, "three"));
        Assert.Equal("typing", field.Find("input").GetAttribute("value"));
    }

    [Fact]
    public async Task Value_ThatAPageStillHoldsFromBeforeTheSave_DoesNotComeBack()
    {
        IRenderedComponent<KeptField> field = Draw("old");
        await field.Find("input").InputAsync("new");
        await field.InvokeAsync(field.Instance.FlushAsync);
        field.Render(parameters => parameters.Add(one => one.MaxLength, 199)); // the page draws itself anew, its value still old
        Assert.Equal("new", field.Find("input").GetAttribute("value"));
    }

    [Fact]
    public async Task Unsaved_InTheBrowser_IsAdoptedAndSavedOverItsBase()
    {
        Keep(new UnsavedText("name", "typed before the crash", "base"), new UnsavedText("other", "x", ""));
        IRenderedComponent<KeptField> field = Draw("base");
        await field.WaitForAssertionAsync(() => Assert.Equal([("typed before the crash", "base")], _saved));
        Assert.Equal("typed before the crash", field.Find("input").GetAttribute("value"));
    }

    /// <summary>A reload in the moment in which a document got its name: the page is drawn as a new one, and is then found to be
    /// that.</summary>
    [Fact]
    public async Task Unsaved_OfADocumentThatIsFoundAfterwards_IsAdopted()
    {
        JSInterop.Setup<UnsavedText[]>("flywheel.unsaved", KeptField.New).SetResult([]);
        JSInterop.Setup<UnsavedText[]>("flywheel.unsaved", "document").SetResult([new UnsavedText("name", "typed at once", "")]);
        IRenderedComponent<KeptField> field = Draw("", document: KeptField.New);
        field.Render(parameters => parameters.Add(one => one.Document, "document"));
        await field.WaitForAssertionAsync(() => Assert.Equal([("typed at once", "")], _saved));
        Assert.Equal("typed at once", field.Find("input").GetAttribute("value"));
    }

    /// <summary>Saving names the document: the browser is told under that name, and what is typed on stays as it is.</summary>
    [Fact]
    public async Task Typed_IntoADocumentThatSavingNames_IsSavedUnderItsName()
    {
        IRenderedComponent<KeptField>? drawn = null;
        IRenderedComponent<KeptField> field = drawn = Draw("", document: KeptField.New, save: (text, over) =>
        {
            drawn!.Render(parameters => parameters.Add(one => one.Document, "document"));
            return Record(text, over);
        });
        await field.Find("input").InputAsync("Quill");
        await field.Find("input").FocusOutAsync(new());
        Assert.Equal([("Quill", "")], _saved);
        Assert.Equal("Quill", field.Find("input").GetAttribute("value"));
        Assert.Contains(JSInterop.Invocations,
            call => call.Identifier == "flywheel.saved" && call.Arguments is ["document", "name", "Quill"]);
    }

    [Fact]
    public async Task Save_ThatFails_KeepsTheTextAndTriesAgain()
    {
        bool fails = true;
        IRenderedComponent<KeptField> field = Draw("", (text, over) => fails ? throw new IOException("disk full") : Record(text, over));
        await field.Find("input").InputAsync("kept");
        await field.Find("input").FocusOutAsync(new());
        Assert.Equal("kept", field.Find("input").GetAttribute("value"));
        fails = false;
        await field.Find("input").FocusOutAsync(new());
        Assert.Equal([("kept", "")], _saved);
    }

    private void Keep(params UnsavedText[] texts) => JSInterop.Setup<UnsavedText[]>("flywheel.unsaved", _ => true).SetResult(texts);

    private IRenderedComponent<KeptField> Draw(
        string value, Func<string, string, Task<string?>>? save = null, string document = "document") => Render<KeptField>(parameters => parameters
        .AddCascadingValue(new Visit("ann", Strings.Of("en"), null, TimeSpan.Zero))
        .Add(field => field.Id, "name").Add(field => field.Document, document).Add(field => field.Field, "name")
        .Add(field => field.Value, value)
        .Add(field => field.Save, save ?? Record));

    private Task<string?> Record(string text, string over)
    {
        _saved.Add((text, over));
        return Task.FromResult(_theirs);
    }
}
