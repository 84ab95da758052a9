using System.CommandLine;
using System.Text;
using Flywheel.Data;
using Flywheel.Engine;
using Flywheel.Loop.Ranking;
using Flywheel.Model;

namespace Flywheel.Cli;

/// <summary><c>flywheel drafts</c>: what a model writes to a file of briefs, ranked, with what it copied.</summary>
internal static class DraftsCommand
{
    public static Command Create()
    {
        var briefs = new Argument<string>("briefs") { Description = "JSON lines with id, name, categories, facts, audience and tone" };
        var model = new Option<string>("--model") { Description = $"Model: {ModelCatalog.Names}", Required = true };
        var kind = new Option<string>("--kind") { Description = $"Kind of text: {NearestName.List(Brief.Kinds)}",
            DefaultValueFactory = _ => Brief.Description };
        var candidates = new Option<int>("--candidates") { Description = "Drafts sampled of each brief",
            DefaultValueFactory = _ => DraftSampling.NumCandidates };
        var show = new Option<int>("--show") { Description = "Drafts of each brief that are printed", DefaultValueFactory = _ => 3 };
        var temperature = new Option<float?>("--temperature") { Description = "As the model's generation_config.json says when not given" };
        var topP = new Option<float?>("--top-p") { Description = "The same" };
        var minP = new Option<float?>("--min-p") { Description = "The same" };
        var seed = new Option<int>("--seed") { Description = "Of the sampling", DefaultValueFactory = _ => 1 };
        var output = new Option<string?>("--output") { Description = "Markdown file; printed when not given" };
        var command = new Command("drafts",
            "Have a model write to briefs, several drafts each, rank them, and count what was copied.\nExample: ./flywheel drafts tasks/copywriting/development-briefs.jsonl --model first") { briefs, model, kind, candidates, show, temperature, topP, minP, seed, output };
        command.SetAction(async (parse, cancellation) =>
        {
            string wanted = parse.GetValue(kind)!;
            if (!Brief.Kinds.Contains(wanted))
                throw new FlywheelException($"--kind is '{wanted}', expected {NearestName.List(Brief.Kinds)}");
            if (parse.GetValue(candidates) < 1)
                throw new FlywheelException($"--candidates is {parse.GetValue(candidates)}, expected at least 1");
            ModelFolder folder = new ModelCatalog(new FlywheelHome()).FindModel(parse.GetValue(model)!);
            var config = folder.ReadGenerationConfig();
            float Default(string name, float absent) => config[name]?.GetValue<float>() ?? absent;
            var sampler = new SamplerOptions { Temperature = parse.GetValue(temperature) ?? Default("temperature", 1),
                TopP = parse.GetValue(topP) ?? Default("top_p", 1), MinP = parse.GetValue(minP) ?? Default("min_p", 0),
                Seed = (ulong)parse.GetValue(seed) };
            IReadOnlyList<DraftedBrief> drafted = await DraftExam.TakeAsync(folder,
                [.. BriefFile.Read(parse.GetValue(briefs)!).Select(entry => (entry.Id, entry.Brief with { Kind = wanted }))],
                parse.GetValue(candidates), sampler, cancellation);
            string text = new StringBuilder(DraftExam.Table(drafted)).Append('\n').Append(DraftExam.Markdown(drafted, parse.GetValue(show)))
                .ToString();
            if (parse.GetValue(output) is { } file) AtomicFile.WriteText(file, text);
            else Console.Write(text);
        });
        return command;
    }
}
