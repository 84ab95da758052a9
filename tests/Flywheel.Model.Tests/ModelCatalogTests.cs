using Flywheel.Testing;

namespace Flywheel.Model.Tests;

/// <summary>What a person may call a model, everywhere the same.</summary>
public sealed class ModelCatalogTests : IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly FlywheelHome _home;
    private readonly ModelCatalog _catalog;

    public ModelCatalogTests() => (_home, _catalog) = (new(_folder["home"]), new(new FlywheelHome(_folder["home"])));

    public void Dispose() => _folder.Dispose();

    private ModelFolder Model(string name, float value, string? parent = null) =>
        ModelFolder.Create(parent ?? _home.Models, ModelFolderTests.TinyConfig, TokenizerTests.Small, TensorType.F32,
        tensor =>
            [.. Enumerable.Repeat(value,
                (int)ModelFolderTests.TinyConfig.Tensors().First(one => one.Name == tensor).Shape.Aggregate(1L,
                    (all, size) => all * size))], new ModelManifest { Name = name, Created = DateTimeOffset.UnixEpoch.AddDays(value) });

    private AdapterFolder Adapter(string name, ModelFolder model, string? parent = null) =>
        AdapterFolder.Create(parent ?? _home.Models,
            new AdapterConfig { Rank = 1, Alpha = 1, TargetModules = ["q_proj"], Base = model.Hash },
        [("model.layers.0.self_attn.q_proj", new float[8], new float[24])], new ModelManifest { Name = name });

    private string Refused(string wanted) => Assert.Throws<FlywheelException>(() => _catalog.FindModel(wanted)).Message;

    [Fact]
    public void Find_NameHashOrFolder_IsTheModel()
    {
        ModelFolder model = Model("small", 1), elsewhere = Model("big", 2, _folder["elsewhere"]);
        foreach (string wanted in new[] { "small", model.Hash, model.ShortHash, model.Hash[..4], model.Hash[..5].ToUpperInvariant(),
            model.Path }) Assert.Equal(model.Hash, _catalog.FindModel(wanted).Hash);
        Assert.Equal(elsewhere.Hash, _catalog.FindModel(elsewhere.Path).Hash);
        Assert.Equal("first", _catalog.FindModel("first").Manifest.Name); // of this project
        Assert.Equal(["first", "small"], _catalog.List().Select(entry => entry.Name).Order());
    }

    [Fact]
    public void Find_NothingOrTooMany_SaysWhatThereIs()
    {
        ModelFolder first = Model("small", 1), second = Model("small", 2);
        foreach (string part in new[] { "names 2 of the models", first.ShortHash, second.ShortHash, "1970-01-03", "give the hash" })
            Assert.Contains(part, Refused("small"));
        Assert.Contains("did you mean 'small'?", Refused("smal"));
        Assert.Contains("./flywheel import hf:acme/tiny", Refused("hf:acme/tiny"));
        File.WriteAllText(_folder["x.gguf"], "");
        Assert.Contains("./flywheel import " + _folder["x.gguf"], Refused(_folder["x.gguf"]));
    }

    [Fact]
    public void Find_Adapter_IsNoModelAndLeadsToItsBase()
    {
        ModelFolder model = Model("small", 1);
        AdapterFolder adapter = Adapter("style", model), foreign = Adapter("foreign", Model("gone", 2, _folder["elsewhere"]));
        Assert.Equal(adapter.Hash, _catalog.FindAdapter("style").Hash);
        Assert.Equal(model.Hash, _catalog.BaseOf(adapter).Hash);
        Assert.Contains("--adapter style", Refused("style"));
        Assert.Contains("expected an adapter", Assert.Throws<FlywheelException>(() => _catalog.FindAdapter("small")).Message);
        Assert.Contains("which is not in", Assert.Throws<FlywheelException>(() => _catalog.BaseOf(foreign)).Message);
    }

    [Fact]
    public void List_DamagedManifestOrHalfAFolder_IsToldAndLeftOut()
    {
        ModelFolder model = Model("small", 1);
        Directory.CreateDirectory(Path.Combine(_home.Models, "folder.0123.tmp"));
        foreach ((string name, string? text) in new[] { ("a", null), ("b", "{"), ("c", "null"), ("d", """{"hash": "12"}"""),
            ("e", """{"hash": 12}""") })
        {
            string folder = Directory.CreateDirectory(Path.Combine(_home.Models, name)).FullName;
            if (text is not null) File.WriteAllText(Path.Combine(folder, "flywheel.json"), text);
        }
        List<string> problems = [];
        Assert.Contains(_catalog.List(problems.Add), entry => entry.Manifest.Hash == model.Hash);
        Assert.Equal(["a", "b", "c", "d", "e"],
            problems.Select(problem => Path.GetFileName(Path.GetDirectoryName(problem.Split(": ")[0]))).Order());
    }

    [Fact]
    public void Keep_FromElsewhere_IsCopiedOrImportedOnce()
    {
        ModelFolder here = Model("small", 1), ours = Model("big", 2, _folder["elsewhere"]),
            foreign = Model("foreign", 3, _folder["elsewhere"]);
        File.Delete(Path.Combine(foreign.Path, "flywheel.json"));
        File.WriteAllText(Path.Combine(foreign.Path, "generation_config.json"), """{"eos_token_id": [2, 5]}""");
        Assert.Equal(here.Path, _catalog.Keep(here, DateTimeOffset.UnixEpoch).Path);
        Assert.Equal(Path.Combine(_home.Models, ours.ShortHash), _catalog.Keep(ours, DateTimeOffset.UnixEpoch).Path);
        ModelFolder imported = _catalog.Keep(ModelFolder.Open(foreign.Path), DateTimeOffset.UnixEpoch);
        Assert.Equal(imported.Hash, ModelImport.Import(foreign.Path, _home.Models, DateTimeOffset.UnixEpoch).Hash);
        Assert.Equal([2, 0, 5], imported.Config.EosTokenIds);
        AdapterFolder adapter = Adapter("style", ours, _folder["elsewhere"]);
        Assert.Equal((adapter.Hash, Path.Combine(_home.Models, adapter.ShortHash)),
            (_catalog.Keep(adapter).Hash, _catalog.Keep(adapter).Path));
    }
}
