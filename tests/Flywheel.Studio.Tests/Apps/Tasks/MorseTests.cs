using System.Text.Json.Nodes;
using Flywheel.Engine;
using Flywheel.Loop.Runs;
using Flywheel.Loop.Tasks;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Studio.Tests.Apps.Tasks;

/// <summary>A task that nobody wrote code for: one file and a recipe, from there to a trained model, its figures and its address.</summary>
public sealed class MorseTests
{
    private const string Morse = """
        name: morse
        title: {en: Morse code, zh-CN: 摩尔斯电码}
        about: {en: Two letters in Morse code., zh-CN: 用摩尔斯电码写两个字母。}
        licence: Apache-2.0
        fields:
          - {name: text, label: {en: Text, zh-CN: 文字}, max_length: 2}
        form:
          ask: "Morse {{ text|list|join(' ') }}"
          max_tokens: 16
        sources:
          - source: draw
            limit: 60
            draws:
              - {name: first, of: [e, t, i, a, n, m, s, o]}
              - {name: second, of: [e, t, i, a, n, m, s, o]}
            fields: {text: "{{ first }}{{ second }}"}
            answer: "{% set code = {'e': '.', 't': '-', 'i': '..', 'a': '.-', 'n': '-.', 'm': '--', 's': '...', 'o': '---'} %}{{ code[first] }} {{ code[second] }}"
        split: {held_out: 0.2}
        metrics: [exact, character-error]
        baseline:
          name: {en: the nearest known text's, zh-CN: 最相近文字的答案}
          kind: nearest
        """;

    private const string Recipe = """
        name: morse
        tokenizer: { vocab: 259 }
        model: { hidden: 64, intermediate: 128, layers: 2, heads: 4, kv_heads: 2, head_dim: 16, context: 64 }
        data: [{ source: task, path: home/tasks/morse, repeat: 20 }]
        train: { objective: supervised, steps: 120, batch_tokens: 1024, micro_tokens: 1024, learning_rate: 4e-3, evaluate_every: 1000 }
        """;

    [Fact]
    public async Task Task_OfOneFile_IsTrainedMeasuredAndServed()
    {
        using var folder = new TempFolder();
        var home = new FlywheelHome(folder["home"]);
        string path = Directory.CreateDirectory(Path.Combine(home.Path, "tasks", "morse")).FullName;
        File.WriteAllText(Path.Combine(path, "task.yaml"), Morse);
        File.WriteAllText(folder["morse.yaml"], Recipe);
        TaskFolder task = new TaskCatalog(home).Find("morse");

        ModelFolder model = new RecipeRunner(home) { NumThreads = 1 }.Run(folder["morse.yaml"], []).Result.Model!;
        Assert.True(TaskAsk.IsTrained(task, model));

        TaskEvaluation evaluation = await TaskExam.TakeAsync(task, model, home, limit: 500, DateTimeOffset.UnixEpoch);
        evaluation.Write(home);
        TaskScore exact = evaluation.Scores[0], error = evaluation.Scores[1];
        Assert.True(exact.Value >= 0.7 && exact.Value > exact.Baseline && error.Value < error.Baseline, $"{exact} {error}");
        Assert.Equal(evaluation.NumHeldOut, evaluation.NumItems);

        await using StudioServer server =
            await StudioServer.StartAsync(new StudioOptions { Home = home, Url = "http://127.0.0.1:0", Model = model.Hash,
                Engine = new EngineOptions { Threads = 1 } });
        using var http = new HttpClient { BaseAddress = new Uri(server.Url) };
        int right = 0;
        foreach (TaskSample sample in evaluation.Samples)
        {
            using HttpResponseMessage response = await http.PostAsync("/v1/tasks/morse",
                new StringContent(new JsonObject { ["fields"] = new JsonObject { ["text"] = sample.Fields["text"] },
                    ["temperature"] = 0 }.ToJsonString(), System.Text.Encoding.UTF8, "application/json"));
            JsonObject answer = JsonNode.Parse(await response.Content.ReadAsStringAsync())!.AsObject();
            Assert.True((bool)answer["trained"]!);
            Assert.Equal(sample.Output, (string?)answer["output"]); // the evaluation asks as the API does
            if ((string?)answer["output"] == sample.Expected) right++;
        }
        Assert.True(right > 0);
        JsonObject shown = JsonNode.Parse(await http.GetStringAsync("/v1/tasks/morse"))!.AsObject();
        Assert.Equal(exact.Value, (double)shown["evaluation"]!["scores"]![0]!["value"]!);
    }
}
