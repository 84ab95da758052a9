using Flywheel.Model;

namespace Flywheel.Data;

/// <summary>All items of a recipe: read, cleaned, exact duplicates gone, rendered, split. Not yet tokens.</summary>
public sealed class DataCollection
{
    private readonly List<(SourceItem Item, Split Split, SourceReport Report)> _items = [];

    private DataCollection() { }

    public DataReport Report { get; } = new();

    /// <summary>The file of the codec that made pictures tokens; null where there are none.</summary>
    public string? Codec { get; private set; }

    public IEnumerable<SourceItem> Items(Split split) => _items.Where(entry => entry.Split == split).Select(entry => entry.Item);

    /// <summary>The same of the sources that are meant.</summary>
    public IEnumerable<SourceItem> Items(Split split, Func<SourceReport, bool> from) =>
        _items.Where(entry => entry.Split == split && from(entry.Report)).Select(entry => entry.Item);

    /// <summary>A split's items with the report of the source that each came from.</summary>
    internal IEnumerable<(SourceItem Item, SourceReport Report)> Entries(Split split) =>
        _items.Where(entry => entry.Split == split).Select(entry => (entry.Item, entry.Report));

    /// <summary>The training side's texts, to learn a tokenizer from.</summary>
    public IEnumerable<string> Texts() => Items(Split.Train).SelectMany(item => item.Examples).SelectMany(example => example.Texts);

    /// <summary>A vocabulary of the training side's texts, with the ids that the recipe reserves.</summary>
    public Tokenizer LearnTokenizer(TokenizerRecipe wanted, Action<string>? progress = null)
    {
        var told = new Ticker(progress, $"learning a vocabulary of {wanted.Vocab}", "texts counted");
        long read = 0;
        if (wanted.File is { } file) return Tokenizer.Load(file);
        return Tokenizer.Train(Texts().Select(text =>
        {
            told.At(++read);
            return text;
        }), wanted.Vocab, [.. wanted.Reserve.SelectMany(name => ReservedTokens.Groups[name])]);
    }

    /// <param name="recipe">Its data and seed.</param>
    /// <param name="folder">Where the recipe's relative paths start.</param>
    /// <param name="home">Fetched sources live here.</param>
    /// <param name="progress">Told what is being done, a short phrase at a time.</param>
    /// <param name="refresh">Fetch again what is fetched already.</param>
    /// <exception cref="FlywheelException">A source is unknown, missing, invalid or empty.</exception>
    public static DataCollection Collect(Recipe recipe, string folder, FlywheelHome home, Action<string>? progress = null,
        bool refresh = false)
    {
        recipe.Validate($"recipe '{recipe.Name}'");
        var collection = new DataCollection();
        var catalogues = new Catalogues(new Lazy<AptIndex>(() => AptIndex.Open(home, refresh, progress)));
        Dictionary<string, ProductCleaner> cleaners = new() { ["text"] = new(programsOnly: false), ["copy"] = new(programsOnly: true) };
        HashSet<ulong> seen = [];
        foreach (SourceRecipe source in recipe.Data)
        {
            var told = new Ticker(progress, $"reading {source.Source}", "items");
            string path = Path.Combine(folder, source.Path ?? "");
            if (source.Source is "appstream" or "packages")
            {
                SourceReport report = collection.Begin($"{source.Source} as {source.As}", catalogues.Origin);
                IEnumerable<Product> products = source.Source == "appstream" ? catalogues.AppStream : catalogues.Packages(source.Tag);
                collection.Add(Render(products, source, recipe.Seed, cleaners[source.As], report), source, report, seen, told);
            }
            else
            {
                (IEnumerable<SourceItem> items, string origin) = NamedSources.Read(source, path, recipe.Seed, home);
                collection.Add(items, source,
                    collection.Begin(source.Source == "task"
                        ? $"task {Path.GetFileName(Path.TrimEndingDirectorySeparator(path))}" : source.As == "text"
                        ? source.Source : $"{source.Source} as {source.As}", origin), seen, told);
            }
        }
        foreach (Split split in Enum.GetValues<Split>())
            collection.Report.Items[split.ToString().ToLowerInvariant()] = collection.Items(split).Count();
        string[] codecs = [.. recipe.Data.Where(source => source.Source == "task")
            .Select(source => TaskItems.CodecFile(TaskFolder.Open(Path.Combine(folder, source.Path!)), home)).OfType<string>().Distinct()];
        collection.Codec = codecs.Length <= 1 ? codecs.FirstOrDefault()
            : throw new FlywheelException(
                $"recipe '{recipe.Name}': its tasks' pictures have {codecs.Length} codecs, expected one: a model reads pictures by one");
        if (!collection.Items(Split.Train).Any())
            throw new FlywheelException($"recipe '{recipe.Name}': no item was kept for training:\n{collection.Report.ToMarkdown()}");
        return collection;
    }

    private SourceReport Begin(string name, string origin)
    {
        var report = new SourceReport(name, origin);
        Report.Sources.Add(report);
        return report;
    }

    private static IEnumerable<SourceItem> Render(IEnumerable<Product> products, SourceRecipe source, int seed, ProductCleaner cleaner,
        SourceReport report)
    {
        foreach (Product raw in products)
        {
            report.Read++;
            if (cleaner.Clean(raw, report) is not { } product) continue;
            // Held-out items are asked about once; training repeats with other facts each time.
            int variants = StableHash.SplitOf(product.Group) == Split.Validation ? 1 : source.Repeat;
            IReadOnlyList<Example> examples = source.As == "copy" ? CopyRenderer.Render(product, variants, seed)
                : TextRenderer.Render(product) is { } text ? [.. Enumerable.Repeat(text, variants)]
                : [];
            if (examples.Count == 0) report.Dropped("item: too little text", product.Id);
            yield return new SourceItem(product.Id, product.Group, examples, product.Licence);
        }
    }

    private void Add(IEnumerable<SourceItem> items, SourceRecipe source, SourceReport report, HashSet<ulong> seen, Ticker told)
    {
        bool rendered = source.Source is "appstream" or "packages"; // these count as they clean
        bool repeats = !rendered && source.As != "copy"; // what is rendered as copy repeats in other words
        NearDuplicates? near = source.NearDuplicates is { } share ? new NearDuplicates(share) : null;
        foreach (SourceItem item in items)
        {
            if (!rendered) report.Read++;
            told.At(report.Read);
            if (source.Share is { } wanted && StableHash.ShareOf(item.Id) >= wanted) continue;
            if (item.Examples.Count == 0) continue;
            if (item.Examples.All(example => !example.Texts.Any(text => text.Length > 0)))
            {
                report.Dropped("item: empty", item.Id);
                continue;
            }
            // A curated edit may be a matter of one comma: the turn that wrote it has removed what is equal.
            string key =
                string.Join('\n', item.Examples[0].Identity.Prepend(item.Examples[0].GetType().Name).Select(TextCleaner.Normalise));
            if (item.Split is null && !seen.Add(StableHash.Of(key)))
            {
                report.Dropped("item: exact duplicate", $"{item.Id}: {item.Examples[0].Texts.First()}");
                continue;
            }
            if (near?.Add(string.Join('\n', item.Examples[0].Texts)) == false)
            {
                report.Dropped("item: near duplicate", $"{item.Id}: {item.Examples[0].Texts.First()}");
                continue;
            }
            Split split = item.Split ?? StableHash.SplitOf(item.Group);
            SourceItem kept = repeats && split == Split.Train && source.Repeat > 1
                ? item with { Examples = [.. Enumerable.Repeat(item.Examples, source.Repeat).SelectMany(examples => examples)] }
                : item;
            report.Kept++;
            report.Examples += kept.Examples.Count;
            _items.Add((kept, split, report));
            if (report.Kept == source.Limit) break;
        }
        if (report.Read == 0) throw new FlywheelException($"{report.Origin}: holds no item");
    }

    /// <summary>Debian's catalogues, each read at most once for a collection.</summary>
    private sealed class Catalogues(Lazy<AptIndex> apt)
    {
        private IReadOnlyList<Product>? _appStream;
        private readonly Dictionary<string, IReadOnlyList<Product>> _packages = [];

        public string Origin =>
            $"Debian {apt.Value.Stamp.Version} ({apt.Value.Stamp.Codename}), index of {apt.Value.Stamp.Date}; sha256 {string.Join(", ", apt.Value.Stamp.Sha256.Select(file => $"{file.Key} {file.Value[..12]}"))}";

        public IReadOnlyList<Product> AppStream
        {
            get
            {
                if (_appStream is not null) return _appStream;
                using StreamReader packages = apt.Value.Packages(), components = apt.Value.Components();
                Dictionary<string, string> families = PackageCatalog.Families(packages);
                return _appStream =
                    [.. AppStreamCatalog.Read(components, "DEP-11 catalogue", package => families.GetValueOrDefault(package, package))];
            }
        }

        public IReadOnlyList<Product> Packages(string? tag)
        {
            if (_packages.TryGetValue(tag ?? "", out IReadOnlyList<Product>? products)) return products;
            using StreamReader packages = apt.Value.Packages(), translations = apt.Value.Translations();
            return _packages[tag ?? ""] = PackageCatalog.Read(packages, translations, tag);
        }
    }
}
