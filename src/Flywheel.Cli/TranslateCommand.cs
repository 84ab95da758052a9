using System.CommandLine;
using Flywheel.Loop;
using Flywheel.Loop.Translation;
using Flywheel.Model;
using Flywheel.Studio.Apps.Translate;

namespace Flywheel.Cli;

/// <summary><c>flywheel translate</c>: a file with the home's translation memory and glossary, and Apertium for the rest.</summary>
internal static class TranslateCommand
{
    public static Command Create()
    {
        var file = new Argument<string>("file") { Description = $"File to translate: {string.Join(", ", TranslationFile.Extensions)}" };
        var from = new Option<string>("--from") { Description = "Language of the file, such as en", Required = true };
        var to = new Option<string>("--to") { Description = "Language to translate to, such as es", Required = true };
        var output = new Option<string?>("--output", "-o") { Description = "Where to write; FILE.LANGUAGE.ENDING when not given" };
        var engine = new Option<string>("--engine")
            { Description = "What drafts where the memory has nothing of the same source: apertium, or none",
                DefaultValueFactory = _ => "apertium" };
        var command = new Command("translate",
            "Translate a file, its form kept, with the translation memory and the glossary of this home.\nExample: ./flywheel translate README.md --from en --to es -o README.es.md") { file, from, to, output, engine };
        command.SetAction((parse, cancellation) =>
            RunAsync(parse.GetValue(file)!, parse.GetValue(from)!, parse.GetValue(to)!, parse.GetValue(output), parse.GetValue(engine)!,
                cancellation));
        return command;
    }

    private static async Task<int> RunAsync(string file, string from, string to, string? output, string engine,
        CancellationToken cancellation)
    {
        var pair = new LanguagePair(WorkspaceRow.Default, Tag("--from", from), Tag("--to", to));
        if (pair.From == pair.To) throw new FlywheelException($"--to is '{to}', the language of the file; expected another");
        if (engine is not ("apertium" or "none"))
            throw new FlywheelException(
                $"--engine is '{engine}', expected apertium or none; the served model translates in a running server: POST /v1/translate, or the page /translate");
        string format = TranslationFile.FormatOf(file)
            ?? throw new FlywheelException(
                $"{file}: ends with '{Path.GetExtension(file)}', expected {string.Join(", ", TranslationFile.Extensions)}");
        output ??= Path.ChangeExtension(file, $".{pair.To}{Path.GetExtension(file)}");
        if (Path.GetFullPath(output) == Path.GetFullPath(file))
            throw new FlywheelException($"--output is '{output}', the file itself; expected another");
        byte[] bytes = await ReadAsync(file, cancellation);
        IReadOnlyList<FileSegment> segments = TranslationFile.Read(bytes, format, pair.From);

        await using FlywheelStore store = await FlywheelStore.OpenAsync(new FlywheelHome(), cancellation: cancellation);
        using var memory = new TranslationMemory(store, TimeProvider.System);
        using var apertium = new Apertium(TimeProvider.System);
        var translator = new Translator(memory, new Glossary(store, TimeProvider.System), [apertium]);
        IReadOnlyList<TranslatedSegment> translated = await translator.TranslateAsync(new TranslationOrder
        {
            Segments = [.. segments.Select(segment => segment.Source)], Pair = pair, Engine = engine == "none" ? null : engine,
            Caller = new DraftCaller(Environment.UserName, "", "cli"),
        }, cancellation);
        byte[] written = TranslationFile.Write(bytes, format, [.. segments.Select((segment, i) => (segment, translated[i].Target))],
            pair.To);
        AtomicFile.Write(output, stream => stream.Write(written));

        Console.WriteLine(
            $"{output}: {segments.Count} segments, {translated.Count(one => one.Origin == "memory")} from the memory, {translated.Count(one => one.Origin == "apertium")} drafted by Apertium, {translated.Count(one => one.Target.Length == 0)} left as they were");
        int issues = translated.Sum(one => one.Issues.Count);
        if (issues > 0)
            Console.WriteLine($"The check has {issues} remarks; ./flywheel up, then /translate shows them beside each segment.");
        return 0;
    }

    private static async Task<byte[]> ReadAsync(string file, CancellationToken cancellation)
    {
        try
        {
            if (new FileInfo(file) is { Exists: true, Length: > TranslationFile.MaxBytes } large)
                throw new FlywheelException($"{file}: has {large.Length:N0} bytes, expected at most {TranslationFile.MaxBytes >> 20} MB");
            return await File.ReadAllBytesAsync(file, cancellation);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new FlywheelException($"{file}: cannot be read: {e.Message}", e);
        }
    }

    private static string Tag(string option, string tag) =>
        Language.Find(tag)?.Tag
            ?? throw new FlywheelException(
                $"{option} is '{tag}', expected a language: {string.Join(", ", Language.All.Select(one => one.Tag))}");
}
