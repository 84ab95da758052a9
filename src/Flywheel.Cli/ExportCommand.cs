using System.CommandLine;
using Flywheel.Loop;
using Flywheel.Loop.Keeping;
using Flywheel.Model;

namespace Flywheel.Cli;

/// <summary><c>flywheel export</c>: a model or an adapter, or (<c>export record</c>) the record, for other tools.</summary>
internal static class ExportCommand
{
    public static Command Create()
    {
        var model = new Argument<string>("model") { Description = $"Model or adapter: {ModelCatalog.Names}" };
        var to = new Option<string>("--to") { Description = "gguf (for llama.cpp) or hf (a folder for transformers and PEFT)",
            Required = true };
        var type = new Option<string?>("--type")
            { Description =
                $"Types of the weights: {string.Join(", ", ExportType.All.Select(each => each.Name))}; hf takes the first three. As they are when not given" };
        var output = new Option<string?>("--output")
            { Description = "File or folder to write; named after the model in the current folder when not given" };
        var merge = new Option<bool>("--merge") { Description = "Of an adapter: write the model that it and its base are together" };
        var parent = new Option<string?>("--base") { Description = "Of an adapter that does not say it by hash: its base model" };
        var command = new Command("export",
            "Write a model or an adapter as llama.cpp, transformers or PEFT load it.\nExample: ./flywheel export 9f7ac77fa760 --to gguf --type q4_k_m --output starter.gguf") { model, to, type, output, merge, parent, Record() };
        command.SetAction(parse =>
            Run(parse.GetValue(model)!, parse.GetValue(to)!, parse.GetValue(type), parse.GetValue(output), parse.GetValue(merge),
                parse.GetValue(parent)));
        return command;
    }

    private static Command Record()
    {
        var file = new Argument<string>("FILE") { Description = "Ends in .jsonl or .parquet" };
        var app = new Option<string?>("--app") { Description = "Only of this application or task, such as chat or tasks/translation" };
        var user = new Option<string?>("--user") { Description = "Only of this person: a sign-in name, or as requests and keys name them" };
        var since = new Option<string?>("--since") { Description = "From this date or time (UTC) on: 2026-11-01 or 2026-11-01T12:00:00Z" };
        var until = new Option<string?>("--until") { Description = "Before this date or time" };
        var record = new Command("record",
            "Write what was asked and answered, with what people said about it, as JSON lines or Parquet.\nExample: ./flywheel export record chat.parquet --app chat --since 2026-11-01")
            { file, app, user, since, until };
        record.SetAction(async (parse, cancellation) =>
        {
            string path = parse.GetValue(file)!;
            string format = RecordExport.FormatOf(Path.GetExtension(path).TrimStart('.').ToLowerInvariant(),
                $"the ending of FILE, {path},");
            var filter = new ExportFilter { App = parse.GetValue(app), Since = Time(parse.GetValue(since), "--since"),
                Until = Time(parse.GetValue(until), "--until") };
            await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(), cancellation: cancellation);
            if (parse.GetValue(user) is { } typed)
                filter = filter with { Person = await PersonName.ResolveAsync(store, typed, "--user", cancellation) };
            long count = RecordExport.WriteFile(store, filter, format, path, cancellation);
            await store.NoteAsync(AuditAct.Export, about: "record", cancellation: cancellation);
            Console.WriteLine(
                $"Wrote {count} answers: {Path.GetFullPath(path)} ({new FileInfo(path).Length / 1e6:N1} MB). It holds what people wrote: keep it as you keep the record.");
        });
        return record;

        static DateTimeOffset? Time(string? text, string option) => text is null ? null
            : RecordExport.TimeOf(text)
                ?? throw new FlywheelException(
                    $"{option} is '{text}', expected a date or a time such as 2026-11-01 or 2026-11-01T12:00:00Z");
    }

    private static void Run(string wanted, string to, string? type, string? output, bool merge, string? parent)
    {
        var catalog = new ModelCatalog(new FlywheelHome());
        if (to is not ("gguf" or "hf")) throw new FlywheelException($"--to is '{to}', expected gguf or hf");
        ExportType? types = type is null ? null : ExportType.Parse(type);
        if (to == "hf" && types?.Matrix.IsQuantized() == true)
            throw new FlywheelException(
                $"--type is '{type}', which a Hugging Face folder does not hold; expected f32, f16 or bf16, or --to gguf");
        string path = catalog.Find(wanted);
        if (!AdapterFolder.IsAdapter(path))
        {
            if (merge || parent is not null)
                throw new FlywheelException($"{path}: is a model and no adapter; --merge and --base are for adapters");
            Write(ModelFolder.Open(path));
            return;
        }

        AdapterFolder adapter = AdapterFolder.Open(path);
        if (to == "hf" && !merge)
        {
            if (types is not null) throw new FlywheelException("--type is for models; an adapter is written as it is");
            ModelExport.ToPeft(adapter, output ??= $"{Name(adapter.Manifest, adapter.ShortHash)}-adapter");
            Say($"a PEFT adapter of rank {adapter.Config.Rank}", output, "peft.PeftModel.from_pretrained(base, PATH)");
            return;
        }
        ModelFolder baseModel = parent is null ? catalog.BaseOf(adapter) : catalog.FindModel(parent);
        if (!merge)
        {
            if (types is not null) throw new FlywheelException("--type is for models; an adapter is written in f32");
            adapter.CheckFits(baseModel);
            ModelExport.ToGgufAdapter(adapter, baseModel.Config, output ??= $"{Name(adapter.Manifest, adapter.ShortHash)}-adapter.gguf");
            Say($"a GGUF adapter of rank {adapter.Config.Rank}", output, "llama-server --model BASE.gguf --lora PATH");
            return;
        }
        // The merged model is kept only as what was asked for.
        string folder = Directory.CreateTempSubdirectory("flywheel-merge-").FullName;
        try
        {
            Write(adapter.Merge(baseModel, folder, TensorType.F32));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }

        void Write(ModelFolder model)
        {
            string name = Name(model.Manifest, model.ShortHash);
            if (to == "hf")
            {
                ModelExport.ToHuggingFace(model, output ??= $"{name}-hf", types?.Matrix, TimeProvider.System.GetUtcNow());
                Say("a Hugging Face folder", output, "transformers.AutoModelForCausalLM.from_pretrained(PATH)");
                return;
            }
            ModelExport.ToGguf(model, output ??= $"{name}{(types is null ? "" : $"-{types.Name}")}.gguf", types);
            Say($"a GGUF file{(types is null ? "" : $" in {types.Name}")}", output, "llama-server --model PATH");
        }
    }

    /// <summary>A name that is one part of a path.</summary>
    private static string Name(ModelManifest manifest, string hash)
    {
        string name =
            string.Concat(manifest.Name.Select(letter => char.IsAsciiLetterOrDigit(letter) || letter is '.' or '_' or '-' ? letter : '-'))
                .Trim('-', '.');
        return name.Length > 0 ? name : hash;
    }

    private static void Say(string what, string output, string use)
    {
        string path = Path.GetFullPath(output);
        long bytes = File.Exists(path) ? new FileInfo(path).Length : Directory.EnumerateFiles(path).Sum(file => new FileInfo(file).Length);
        Console.WriteLine($"Wrote {what}: {path} ({bytes / 1e6:N1} MB)");
        Console.WriteLine($"Load it with {use.Replace("PATH", path, StringComparison.Ordinal)}");
    }
}
