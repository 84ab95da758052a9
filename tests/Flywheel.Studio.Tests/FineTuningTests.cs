#pragma warning disable OPENAI001 // the client calls its own surface provisional
using System.ClientModel;
using System.ClientModel.Primitives;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Flywheel.Loop;
using Flywheel.Loop.Jobs;
using Flywheel.Testing;
using OpenAI;
using OpenAI.Chat;
using OpenAI.Files;
using OpenAI.FineTuning;

namespace Flywheel.Studio.Tests;

/// <summary><c>/v1/files</c> and <c>/v1/fine_tuning/jobs</c>, by hand and by OpenAI's .NET client; their npm client is in
/// client.mjs.</summary>
public sealed class FineTuningTests : IAsyncLifetime
{
    internal const string Jobs = "/v1/fine_tuning/jobs";

    private TestServer _server = null!;

    public async ValueTask InitializeAsync() => _server = await TestServer.StartAsync();

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task Job_FromAFile_BecomesAModelThatSaysWhatItLearntAlsoAfterARestart()
    {
        var client = new OpenAIClient(new ApiKeyCredential("none"),
            new OpenAIClientOptions { Endpoint = new Uri($"{_server.Server.Url}/v1"), RetryPolicy = new ClientRetryPolicy(0) });
        OpenAIFile file = await client.GetOpenAIFileClient()
            .UploadFileAsync(BinaryData.FromString(Lines(12)), "examples.jsonl", FileUploadPurpose.FineTune);
        Assert.Equal(("examples.jsonl", Encoding.UTF8.GetByteCount(Lines(12))), (file.Filename, file.SizeInBytesLong));
        Assert.Equal(Lines(12), (await client.GetOpenAIFileClient().DownloadFileAsync(file.Id)).Value.ToString());

        FineTuningJob job = await client.GetFineTuningClient()
            .FineTuneAsync("flywheel", file.Id, waitUntilCompleted: false, new FineTuningOptions
        {
            Suffix = "greeter", Seed = 5, ValidationFile = file.Id,
            TrainingMethod = FineTuningTrainingMethod.CreateSupervised(epochCount: 40, batchSize: 4, learningRate: 20),
        });
        Assert.StartsWith("ftjob-", job.JobId, StringComparison.Ordinal);
        await EndAsync(await _server.GetAsync($"{Jobs}/{job.JobId}")); // the client itself asks seldom
        await job.WaitForCompletionAsync(CancellationToken.None);
        Assert.Equal(FineTuningStatus.Succeeded, job.Status);
        Assert.StartsWith("tiny-1-greeter-", job.Value, StringComparison.Ordinal);
        JsonObject told = await _server.GetAsync($"{Jobs}/{job.JobId}");
        Assert.True((long)told["trained_tokens"]! > 0, told.ToJsonString());
        List<FineTuningEvent> events = [];
        await foreach (FineTuningEvent one in job.GetEventsAsync(new())) events.Add(one);
        Assert.Contains(events, one => one.Message.Contains("training loss", StringComparison.Ordinal));
        List<FineTuningCheckpoint> checkpoints = [];
        await foreach (FineTuningCheckpoint one in job.GetCheckpointsAsync()) checkpoints.Add(one);
        Assert.Equal(job.Value, Assert.Single(checkpoints).ModelId);

        string figures = await _server.Http.GetStringAsync($"/v1/files/{told["result_files"]![0]}/content");
        double[] losses =
            [.. figures.Split('\n')[1..^1].Select(line => line.Split(',')[1]).Where(loss => loss.Length > 0)
                .Select(loss => double.Parse(loss, System.Globalization.CultureInfo.InvariantCulture))];
        Assert.InRange(losses.Length, 115, 125); // twelve examples, four a step, forty times
        Assert.True(losses[^3..].Average() < 0.6 * losses[..3].Average(), figures);

        ChatCompletionOptions options = new() { MaxOutputTokenCount = 24, Temperature = 0 };
        string learnt =
            (await client.GetChatClient(job.Value).CompleteChatAsync([new UserChatMessage("Say hello.")], options)).Value.Content[0].Text;
        Assert.Equal("hello there", learnt);
        Assert.NotEqual(learnt,
            (await client.GetChatClient("flywheel").CompleteChatAsync([new UserChatMessage("Say hello.")], options)).Value.Content[0].Text);

        await _server.Server.DisposeAsync();
        await using StudioServer again =
            await StudioServer.StartAsync(new StudioOptions { Home = _server.Home, Url = "http://127.0.0.1:0",
                Engine = new() { Threads = 1 } });
        Assert.Contains(job.Value, again.Adapters);
    }

    [Fact]
    public async Task Job_OfPairs_TeachesWhatIsPreferred()
    {
        string pairs =
            string.Concat(
                Enumerable.Range(0, 10)
                    .Select(i =>
                        "{\"input\": {\"messages\": [{\"role\": \"user\", \"content\": \"Pick " + i + ".\"}]}, \"preferred_output\": "
            + "[{\"role\": \"assistant\", \"content\": \"left\"}], \"non_preferred_output\": [{\"role\": \"assistant\", \"content\": \"right\"}]}\n"));
        JsonObject job = await EndAsync(await _server.PostAsync(Jobs, new()
        {
            ["model"] = "tiny-1", ["training_file"] = await UploadAsync(pairs),
            ["method"] = new JsonObject { ["type"] = "dpo",
                ["dpo"] =
                    new JsonObject { ["hyperparameters"] = new JsonObject { ["n_epochs"] = 2, ["beta"] = 0.2, ["batch_size"] = "auto" } } },
        }));
        Assert.Equal("succeeded", (string)job["status"]!);
        Assert.Equal(0.2, (double)job["method"]!["dpo"]!["hyperparameters"]!["beta"]!);
        Assert.Equal(2, (int)job["hyperparameters"]!["n_epochs"]!);
    }

    [Theory]
    [InlineData("{\"messages\": [{\"role\": \"user\", \"content\": \"no answer\"}]}\n", 12, "data.jsonl:1")]
    [InlineData("not json\n", 12, "data.jsonl:1")]
    [InlineData("{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", \"content\": \"b\"}]}\n", 3,
        "3 examples that fit")]
    [InlineData("{\"input\": {\"messages\": [{\"role\": \"user\", \"content\": \"a\"}]}, \"preferred_output\": [{\"role\": \"assistant\", \"content\": \"b\"}], \"non_preferred_output\": [{\"role\": \"assistant\", \"content\": \"c\"}]}\n", 12, "method supervised")]
    public async Task Job_OfAWrongFile_FailsAndNamesTheLine(string line, int times, string says)
    {
        JsonObject job =
            await EndAsync(await _server.PostAsync(Jobs,
                new() { ["model"] = "flywheel", ["training_file"] = await UploadAsync(string.Concat(Enumerable.Repeat(line, times))) }));
        Assert.Equal(("failed", "invalid_training_file", "training_file"),
            ((string)job["status"]!, (string)job["error"]!["code"]!, (string)job["error"]!["param"]!));
        Assert.Contains(says, (string)job["error"]!["message"]!, StringComparison.Ordinal);
        Assert.DoesNotContain(_server.Home.Path, job.ToJsonString(), StringComparison.Ordinal);
        Assert.All(Directory.GetFiles(Path.Combine(_server.Home.Path, "fine-tuning"), "*", SearchOption.AllDirectories),
            file => Assert.Equal("events.jsonl", Path.GetFileName(file)));
    }

    [Fact]
    public async Task Job_Cancelled_EndsAndSaysSo()
    {
        JsonObject job = await _server.PostAsync(Jobs,
            new() { ["model"] = "flywheel", ["training_file"] = await UploadAsync(Lines(400)),
                ["hyperparameters"] = new JsonObject { ["n_epochs"] = 50 } });
        await _server.PostAsync($"{Jobs}/{job["id"]}/cancel", []);
        job = await EndAsync(job);
        Assert.Equal("cancelled", (string)job["status"]!);
        Assert.Null(job["fine_tuned_model"]);
        (HttpStatusCode status, JsonObject refused) = await _server.TryPostAsync($"{Jobs}/{job["id"]}/cancel", "{}");
        Assert.Equal((HttpStatusCode.BadRequest, "invalid_job_state"), (status, (string)refused["error"]!["code"]!));
    }

    [Fact]
    public async Task Upload_ThatCannotBe_IsRefusedAndLeavesNothing()
    {
        await Refused(Form(("purpose", null, "assistants"), ("file", "a.jsonl", "{}")), 400, "purpose");
        await Refused(Form(("file", "a.jsonl", "{}")), 400, "purpose");
        await Refused(Form(("purpose", null, "fine-tune")), 400, "file");
        await Refused(Form(("purpose", null, "fine-tune"), ("file", "a.jsonl", "")), 400, "file");
        await Refused(Form(("purpose", null, "fine-tune"), ("file", "a.jsonl", "{}"), ("file", "b.jsonl", "{}")), 400, "file");
        await Refused(Form(("expires", null, "1"), ("purpose", null, "fine-tune"), ("file", "a.jsonl", "{}")), 400, "expires");
        await Refused(new StringContent("{}", Encoding.UTF8, "application/json"), 415, null);
        var broken = new StringContent("--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nno end");
        broken.Headers.ContentType = new("multipart/form-data") { Parameters = { new("boundary", "x") } };
        await Refused(broken, 400, null);
        string files = Path.Combine(_server.Home.Path, "files");
        Assert.Empty(Directory.Exists(files) ? Directory.GetFileSystemEntries(files) : []);

        string id = await UploadAsync("{}", name: "../..\\evil.jsonl");
        JsonObject kept = Assert.Single((await _server.GetAsync("/v1/files"))["data"]!.AsArray())!.AsObject();
        Assert.Equal((id, "evil.jsonl"), ((string)kept["id"]!, (string)kept["filename"]!));
        Assert.Empty((await _server.GetAsync("/v1/files?purpose=batch"))["data"]!.AsArray());
        using HttpResponseMessage deleted = await _server.Http.DeleteAsync($"/v1/files/{id}");
        Assert.Equal(HttpStatusCode.OK, deleted.StatusCode);
        using HttpResponseMessage gone = await _server.Http.GetAsync($"/v1/files/{id}/content");
        Assert.Equal(HttpStatusCode.NotFound, gone.StatusCode);

        async Task Refused(HttpContent form, int status, string? param)
        {
            using HttpResponseMessage response = await _server.Http.PostAsync("/v1/files", form);
            JsonObject answer = JsonNode.Parse(await response.Content.ReadAsStringAsync())!.AsObject();
            Assert.Equal((status, param), ((int)response.StatusCode, (string?)answer["error"]!["param"]));
        }
    }

    internal static string Lines(int count) =>
        string.Concat(
            Enumerable
                .Repeat("{\"messages\": [{\"role\": \"user\", \"content\": \"Say hello.\"}, {\"role\": \"assistant\", \"content\": \"hello there\"}]}\n", count)
        .Select((line, i) => i == 0 ? line : line.Replace("Say hello.", $"Say hello {i}.", StringComparison.Ordinal)));

    private static MultipartFormDataContent Form(params (string Name, string? File, string Text)[] fields)
    {
        var form = new MultipartFormDataContent();
        foreach ((string name, string? file, string text) in fields)
            if (file is null) form.Add(new StringContent(text), name);
            else form.Add(new ByteArrayContent(Encoding.UTF8.GetBytes(text)), name, file);
        return form;
    }

    private Task<string> UploadAsync(string text, string name = "data.jsonl") => UploadAsync(_server, text, name);

    internal static async Task<string> UploadAsync(TestServer server, string text, string name = "data.jsonl")
    {
        using HttpResponseMessage response = await server.Http.PostAsync("/v1/files",
            Form(("file", name, text), ("purpose", null, "fine-tune")));
        string answer = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, answer);
        return (string)JsonNode.Parse(answer)!["id"]!;
    }

    private async Task<JsonObject> EndAsync(JsonObject job)
    {
        while ((string)job["status"]! is "queued" or "running" or "validating_files")
        {
            await Task.Delay(50, TestContext.Current.CancellationToken);
            job = await _server.GetAsync($"{Jobs}/{job["id"]}");
        }
        return job;
    }
}

/// <summary>Requests for jobs that are refused, on one server, which has no job at the end.</summary>
public sealed class FineTuningRequestTests(OneServer one) : IClassFixture<OneServer>
{
    private readonly TestServer _server = one.Server;

    [Theory]
    [InlineData("{\"training_file\": \"FILE\"}", 400, "model")]
    [InlineData("{\"model\": \"gpt-9\", \"training_file\": \"FILE\"}", 404, "model")]
    [InlineData("{\"model\": \"flywheel\"}", 400, "training_file")]
    [InlineData("{\"model\": \"flywheel\", \"training_file\": \"file-00000000000000000000000000000000\"}", 404, "training_file")]
    [InlineData("{\"model\": \"flywheel\", \"training_file\": \"../../flywheel.db\"}", 404, "training_file")]
    [InlineData("{\"model\": \"flywheel\", \"training_file\": \"FILE\", \"suffix\": \"a/b\"}", 400, "suffix")]
    [InlineData("{\"model\": \"flywheel\", \"training_file\": \"FILE\", \"colour\": 1}", 400, "colour")]
    [InlineData("{\"model\": \"flywheel\", \"training_file\": \"FILE\", \"method\": {\"type\": \"reinforcement\"}}", 400, "method.type")]
    [InlineData("{\"model\": \"flywheel\", \"training_file\": \"FILE\", \"method\": {\"type\": \"supervised\", \"dpo\": {}}}", 400,
        "method.dpo")]
    [InlineData("{\"model\": \"flywheel\", \"training_file\": \"FILE\", \"method\": {\"type\": \"supervised\", \"supervised\": {\"hyperparameters\": {\"n_epochs\": 0}}}}", 400, "method.supervised.hyperparameters.n_epochs")]
    [InlineData("{\"model\": \"flywheel\", \"training_file\": \"FILE\", \"hyperparameters\": {\"beta\": 1}}", 400, "hyperparameters.beta")]
    [InlineData("{\"model\": \"flywheel\", \"training_file\": \"FILE\", \"hyperparameters\": {\"learning_rate_multiplier\": \"fast\"}}",
        400, "hyperparameters.learning_rate_multiplier")]
    [InlineData("{\"model\": \"flywheel\", \"training_file\": \"FILE\", \"integrations\": [{\"type\": \"wandb\"}]}", 400, "integrations")]
    public async Task Request_Wrong_IsRefusedByItsField(string body, int status, string param)
    {
        string file = await FineTuningTests.UploadAsync(_server, FineTuningTests.Lines(12));
        (HttpStatusCode code, JsonObject answer) =
            await _server.TryPostAsync(FineTuningTests.Jobs, body.Replace("FILE", file, StringComparison.Ordinal));
        Assert.Equal((status, param), ((int)code, (string?)answer["error"]!["param"]));
        Assert.Empty((await _server.GetAsync(FineTuningTests.Jobs))["data"]!.AsArray());
    }
}
