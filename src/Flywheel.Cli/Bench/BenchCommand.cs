using System.CommandLine;
using Flywheel.Engine;
using Flywheel.Loop;
using Flywheel.Model;
using Spectre.Console;

namespace Flywheel.Cli.Bench;

/// <summary>
/// <c>flywheel bench engine</c>: tokens a second, and how much of the memory's bandwidth they use. <c>flywheel bench
/// serve</c>: many clients against a running server, or two in turn.
/// </summary>
internal static class BenchCommand
{
    public static Command Create()
    {
        return new Command("bench", "Measure this machine.\nExample: ./flywheel bench engine --shape 600m") { Engine(), Context(), Serve(),
            Sessions(), Quality(), RecordBenchCommand.Record(), RecordBenchCommand.Lineage(), TrainBenchCommand.Train(),
            TrainBenchCommand.Optimizers(), VoiceBenchCommand.Segments(), VoiceBenchCommand.Dub() };
    }

    private static Command Context()
    {
        var shape = new Option<string>("--shape")
            { Description = $"Random weights of a well-known shape: {string.Join(", ", RandomModel.Shapes.Keys)}",
                DefaultValueFactory = _ => "135m" };
        var lengths = new Option<int[]>("--tokens") { Description = "Lengths of the text before", AllowMultipleArgumentsPerToken = true,
            DefaultValueFactory = _ => [512, 2048, 8192] };
        var kv = new Option<KvType>("--kv") { Description = "How keys and values are held", DefaultValueFactory = _ => KvType.Int16 };
        var format = new Option<WeightFormat>("--weights") { Description = "Weight format", DefaultValueFactory = _ => WeightFormat.Q8_0 };
        var threads = new Option<int>("--threads") { Description = "Kernel threads; 0 is one a core" };
        var command = new Command("context",
            "Prefill and decode tokens/s as the text before grows.\nExample: ./flywheel bench context --shape 135m --tokens 8192 32768 --kv int8") { shape, lengths, kv, format, threads };
        command.SetAction(async (parse, _) =>
        {
            Table table = new Table().AddColumns("keys and values", "tokens before", "they take", "prefill tokens/s", "decode tokens/s");
            string name = parse.GetValue(shape)!;
            using GgufFile random = GgufFile.Open(RandomModel.Write(new FlywheelHome().Cache, name, parse.GetValue(format)));
            foreach (ContextFigures found in await ContextBenchmark.RunAsync(random, RandomModel.Shapes[name],
                new EngineOptions { Weights = parse.GetValue(format), Kv = parse.GetValue(kv), Threads = parse.GetValue(threads) },
                parse.GetValue(lengths)!))
                table.AddRow($"{found.Kv}", $"{found.Context:N0}", $"{found.CacheBytes / 1e6:N0} MB", $"{found.PrefillPerSecond:N0}",
                    $"{found.DecodePerSecond:N1}");
            AnsiConsole.Write(table);
        });
        return command;
    }

    private static Command Engine()
    {
        var load = new EngineLoad();
        var model = new Option<string?>("--model") { Description = $"Model: {ModelCatalog.Names}" };
        var shape = new Option<string?>("--shape")
            { Description = $"Random weights of a well-known shape: {string.Join(", ", RandomModel.Shapes.Keys)}" };
        var format = new Option<WeightFormat>("--weights") { Description = "Weight format", DefaultValueFactory = _ => WeightFormat.Q8_0 };
        var threads = new Option<int>("--threads") { Description = "Kernel threads; 0 is one a core" };
        var runs = new Option<int>("--runs") { Description = "Alternating runs that the medians are of",
            DefaultValueFactory = _ => load.Runs };
        var depth = new Option<int>("--depth") { Description = "Also decode after so many tokens of context" };
        var versus = new Option<string?>("--vs")
            { Description = "Build folder of llama.cpp, whose llama-bench runs the same GGUF file in turn" };
        var command = new Command("engine",
            "Prefill and decode tokens/s of the engine against a plain memory read loop, medians.\nExample: ./flywheel bench engine --shape 135m --weights Q4_0 --vs ../llama.cpp/build") { model, shape, format, threads, runs, depth, versus };
        command.SetAction(async (parse, _) =>
        {
            if (parse.GetValue(runs) is < 1 and int count) throw new FlywheelException($"--runs is {count}, expected at least 1");
            if (parse.GetValue(depth) is < 0 and int tokens) throw new FlywheelException($"--depth is {tokens}, expected at least 0");
            var options = new EngineOptions { Weights = parse.GetValue(format), Threads = parse.GetValue(threads) };
            load = load with { Runs = parse.GetValue(runs), Depth = parse.GetValue(depth), Versus = parse.GetValue(versus) };
            if (parse.GetValue(model) is { } path)
            {
                ModelFolder folder = new ModelCatalog(new FlywheelHome()).FindModel(path);
                using IWeightFile file = folder.OpenWeights();
                Print(await EngineBenchmark.RunAsync($"{folder.ShortHash} {options.Weights}", file, folder.Config, options, load), load);
                return;
            }
            string name = parse.GetValue(shape) ?? "135m";
            using GgufFile random = GgufFile.Open(RandomModel.Write(new FlywheelHome().Cache, name, options.Weights));
            Print(await EngineBenchmark.RunAsync($"{name} {options.Weights}", random, RandomModel.Shapes[name], options, load), load);
        });
        return command;
    }

    private static Command Quality()
    {
        var model = new Option<string>("--model") { Description = $"Model: {ModelCatalog.Names}", Required = true };
        var text = new Option<string>("--text") { Description = "Text file of the kind that the model writes", Required = true };
        var versus = new Option<string?>("--vs")
            { Description = "Build folder of llama.cpp, whose llama-perplexity scores the same blocks on the same tokens" };
        var command = new Command("quality",
            "Perplexity and divergence from fp32 of every format of weights, and of keys and values.\nExample: ./flywheel bench quality --model models/first --text README.md --vs ../llama.cpp/build") { model, text, versus };
        command.SetAction(async (parse, cancellation) =>
        {
            string path = parse.GetValue(text)!;
            if (!File.Exists(path)) throw new FlywheelException($"{path}: no such file; expected a text");
            var figures = await QualityBenchmark.RunAsync(new ModelCatalog(new FlywheelHome()).FindModel(parse.GetValue(model)!),
                Utf8File.ReadText(path), parse.GetValue(versus), cancellation: cancellation);
            Table table = new Table().AddColumns("weights", "keys and values", "perplexity", "against fp32", "divergence, nats a token",
                "same best token");
            if (parse.GetValue(versus) is not null)
                table.AddColumns("llama.cpp's perplexity", "ours against it", "its divergence", "its same best");
            foreach ((ExportType type, KvType kv, Quality ours, Quality? theirs) in figures)
            {
                List<string> row = [type.Name, $"{kv}", $"{ours.Perplexity:N3}", Change(ours.Perplexity, figures[0].Ours.Perplexity),
                    $"{ours.Divergence:G3}", $"{ours.SameBest:P1}"];
                if (theirs is not null)
                    row.AddRange([$"{theirs.Perplexity:N3}", Change(ours.Perplexity, theirs.Perplexity), $"{theirs.Divergence:G3}",
                        $"{theirs.SameBest:P1}"]);
                table.AddRow([.. row]);
            }
            AnsiConsole.Write(table);
        });
        return command;

        static string Change(double value, double from) => $"{Math.Round(value / from - 1, 4):+0.00%;-0.00%;0.00%}";
    }

    private static Command Serve()
    {
        var load = new ServeLoad();
        var url = new Option<string>("--url") { Description = "Server to measure", Required = true };
        var versus = new Option<string?>("--vs") { Description = "Another OpenAI-compatible server, asked in turn with the first" };
        var clients = new Option<int>("--clients") { Description = "Clients at the same time", DefaultValueFactory = _ => load.Clients };
        var shared = new Option<int>("--shared") { Description = "Tokens that all prompts begin with",
            DefaultValueFactory = _ => load.SharedTokens };
        var own = new Option<int>("--own") { Description = "Tokens of each prompt's own", DefaultValueFactory = _ => load.OwnTokens };
        var tokens = new Option<int>("--tokens") { Description = "Most tokens of an answer", DefaultValueFactory = _ => load.MaxTokens };
        var intrude = new Option<int?>("--intrude")
            { Description = "Instead: what the clients' running streams notice when a prompt of so many tokens arrives" };
        var rounds = new Option<int>("--rounds") { Description = "Rounds that the figures are of", DefaultValueFactory = _ => 3 };
        var command = new Command("serve",
            "Throughput, time to first text and between pieces of text, with shared tokens that are new (cold) and known (warm).\nExample: ./flywheel bench serve --url http://127.0.0.1:5005") { url, versus, clients, shared, own, tokens, intrude, rounds };
        command.SetAction(async (parse, cancellation) =>
        {
            if (parse.GetValue(rounds) is < 1 and int count) throw new FlywheelException($"--rounds is {count}, expected at least 1");
            string[] urls = parse.GetValue(versus) is { } other ? [parse.GetValue(url)!, other] : [parse.GetValue(url)!];
            Uri[] servers =
                [.. urls.Select(text => Uri.TryCreate(text, UriKind.Absolute, out Uri? server) && server.Scheme is "http" or "https"
                    ? server
                : throw new FlywheelException($"'{text}' is no server's address, expected one such as http://127.0.0.1:5005"))];
            load = load with { Clients = parse.GetValue(clients), SharedTokens = parse.GetValue(shared), OwnTokens = parse.GetValue(own),
                MaxTokens = parse.GetValue(tokens) };
            if (parse.GetValue(intrude) is { } prompt)
                Print(servers, load, prompt,
                    await ServeBenchmark.IntrudeAsync(servers, load, prompt, parse.GetValue(rounds), cancellation));
            else Print(servers, load, await ServeBenchmark.RunAsync(servers, load, parse.GetValue(rounds), cancellation));
        });
        return command;
    }

    private static Command Sessions()
    {
        var url = new Option<string>("--url") { Description = "Server to measure, one of this program", Required = true };
        var sessions = new Option<int>("--sessions") { Description = "Sessions that stream at the same time", DefaultValueFactory = _ => 50 };
        var minutes = new Option<double>("--minutes") { Description = "How long", DefaultValueFactory = _ => 5 };
        var tokens = new Option<int>("--tokens") { Description = "Most tokens of an answer", DefaultValueFactory = _ => 200 };
        var command = new Command("sessions",
            "What the server holds in memory while many sessions stream one answer after the other.\n"
            + "Example: ./flywheel bench sessions --url http://127.0.0.1:5005") { url, sessions, minutes, tokens };
        command.SetAction(async (parse, cancellation) =>
        {
            if (!Uri.TryCreate(parse.GetValue(url), UriKind.Absolute, out Uri? server) || server.Scheme is not ("http" or "https"))
                throw new FlywheelException(
                    $"'{parse.GetValue(url)}' is no server's address, expected one such as http://127.0.0.1:5005");
            double length = parse.GetValue(minutes);
            if (length is not (>= 0.1 and <= 1440)) throw new FlywheelException($"--minutes is {length}, expected 0.1 to 1440");
            TimeSpan duration = TimeSpan.FromMinutes(length);
            Console.WriteLine("   seconds   resident MiB   managed MiB   answers   tokens");
            SessionFigures found = await SessionBenchmark.RunAsync(server, parse.GetValue(sessions), duration, duration / 30,
                parse.GetValue(tokens), sample => Console.WriteLine(
                    $"{sample.Elapsed.TotalSeconds,10:F0}{sample.ResidentMiB,15:F1}{sample.HeapMiB,14:F1}{sample.Answers,10:N0}{sample.Tokens,9:N0}"),
                cancellation);
            Console.WriteLine($"The last third holds {found.GrowthMiB:+0.0;-0.0} MiB beside the middle one; {found.Failures.Count} answers failed.");
            foreach (IGrouping<string, string> failed in found.Failures.GroupBy(reason => reason))
                Console.WriteLine($"{failed.Count()} failed: {failed.Key}");
        });
        return command;
    }

    private static void Print(Uri[] servers, ServeLoad load, IReadOnlyList<(ServerFigures Cold, ServerFigures Warm)> figures)
    {
        Table table =
            new Table()
                .Title(Markup.Escape(
                    $"{load.Clients} clients, {load.SharedTokens} shared and {load.OwnTokens} own tokens, up to {load.MaxTokens} new"))
            .AddColumns("server", "shared tokens", "tokens/s", "first text p50 / p95 / p99 ms", "between p50 / p95 / p99 ms", "failed");
        for (int i = 0; i < servers.Length; i++)
            foreach ((string kind, ServerFigures found) in new[] { ("cold", figures[i].Cold), ("warm", figures[i].Warm) })
                table.AddRow(Markup.Escape(servers[i].ToString()), kind, $"{found.TokensPerSecond:N0}", Text(found.FirstMs),
                    Text(found.BetweenMs), $"{found.Failures.Count}");
        AnsiConsole.Write(table);
        foreach ((Uri server, (ServerFigures cold, ServerFigures warm)) in servers.Zip(figures))
            foreach (IGrouping<string, string> failed in cold.Failures.Concat(warm.Failures).GroupBy(reason => reason))
                AnsiConsole.WriteLine($"{server}: {failed.Count()} failed: {failed.Key}");
    }

    private static void Print(Uri[] servers, ServeLoad load, int prompt, IReadOnlyList<IntrusionFigures> figures)
    {
        Table table = new Table().Title(Markup.Escape($"{load.Clients} streams while a prompt of {prompt} tokens arrives"))
            .AddColumns("server", "between, quiet p50 / p95 / p99 ms", "between, during p50 / p95 / p99 ms", "p99 against quiet",
                "the prompt's first text ms");
        for (int i = 0; i < servers.Length; i++)
            table.AddRow(Markup.Escape(servers[i].ToString()), Text(figures[i].QuietMs), Text(figures[i].DuringMs),
                $"{figures[i].DuringMs.P99 / figures[i].QuietMs.P99:N2}", $"{figures[i].FirstMs.P50:N0}");
        AnsiConsole.Write(table);
    }

    private static string Text(Percentiles p) => $"{p.P50:N1} / {p.P95:N1} / {p.P99:N1}";

    private static void Print(EngineFigures figures, EngineLoad load)
    {
        Table table =
            new Table()
                .Title(Markup.Escape(
                    $"{figures.Model}: {figures.WeightBytes / 1e6:N0} MB a step, {figures.Kernels} kernels, {figures.Threads} threads"))
                    .AddColumns("what", "tokens/s");
        if (figures.Theirs is not null) table.AddColumns("llama.cpp", "ratio");
        Row($"prefill, {EngineBenchmark.PromptTokens} tokens", pace => pace.Prefill);
        Row($"decode, {EngineBenchmark.AnswerTokens} tokens", pace => pace.Decode);
        if (load.Depth > 0) Row($"decode after {load.Depth} tokens", pace => pace.DeepDecode);
        table.AddRow($"decode, {EngineBenchmark.BatchStreams} streams together", $"{figures.BatchDecodePerSecond:N1}");
        AnsiConsole.Write(table);
        AnsiConsole.WriteLine(
            $"A plain loop reads {figures.ReadBytesPerSecond / 1e9:N1} GB/s; decoding uses {figures.BandwidthUsed:P0} of it.");

        void Row(string what, Func<Pace, double> figure)
        {
            string ours = $"{figure(figures.Ours):N1}";
            if (figures.Theirs is { } theirs)
                table.AddRow(what, ours, $"{figure(theirs):N1}", $"{figure(figures.Ours) / figure(theirs):F2}x");
            else table.AddRow(what, ours);
        }
    }
}
