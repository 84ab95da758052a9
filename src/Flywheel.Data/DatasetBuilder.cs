using System.Text.Json.Nodes;
using Flywheel.Model;

namespace Flywheel.Data;

/// <summary>Tokenised data, ready to train on.</summary>
/// <param name="TrainPath">Folder of a <see cref="TokenDataset"/>; <c>report.md</c> and <c>report.json</c> lie in it.</param>
/// <param name="ValidationPath">The held-out items, with <c>examples.jsonl</c> beside the tokens; null when there are none.</param>
public sealed record BuiltData(string TrainPath, string? ValidationPath, DataReport Report);

/// <summary>From a recipe's sources to tokenised datasets. Same recipe, sources and tokenizer: same bytes.</summary>
public static class DatasetBuilder
{
    /// <summary>Collects and tokenises in one go, for a run that has its tokenizer already.</summary>
    public static BuiltData Build(Recipe recipe, string folder, FlywheelHome home, Tokenizer tokenizer, int context,
        Action<string>? progress = null, ModelFolder? parent = null) =>
        Tokenise(DataCollection.Collect(recipe, folder, home, progress), recipe, home, tokenizer, context, progress, parent);

    /// <param name="collection">What the recipe's sources gave.</param>
    /// <param name="recipe">Its objective decides what a document is.</param>
    /// <param name="home">The datasets appear in its folder.</param>
    /// <param name="tokenizer">The model's.</param>
    /// <param name="context">
    /// Longest document in tokens. Longer ones are split for next-token training; elsewhere they are dropped, since
    /// half an answer teaches to stop in mid-air.
    /// </param>
    /// <param name="progress">Told what is being done.</param>
    /// <param name="parent">The model that learns on, whose chat template is used; null for a new one.</param>
    /// <exception cref="FlywheelException">The examples do not suit the objective, or none fits.</exception>
    public static BuiltData Tokenise(DataCollection collection, Recipe recipe, FlywheelHome home, Tokenizer tokenizer, int context,
        Action<string>? progress = null, ModelFolder? parent = null)
    {
        string? train = Write(Split.Train), validation = Write(Split.Validation);
        if (train is null)
            throw new FlywheelException(
                $"recipe '{recipe.Name}': no document of at most {context} tokens was kept for training:\n{collection.Report.ToMarkdown()}");
        AtomicFile.WriteText(Path.Combine(train, "report.md"), collection.Report.ToMarkdown());
        AtomicFile.WriteText(Path.Combine(train, "report.json"), collection.Report.ToJson());
        if (validation is not null) WriteExamples(collection, validation);
        return new BuiltData(train, validation, collection.Report);

        string? Write(Split split)
        {
            var encoder = new DocumentEncoder(tokenizer, recipe.Train.Objective, context, parent);
            var facts = new SortedDictionary<string, string>(StringComparer.Ordinal)
            {
                ["recipe"] = recipe.Name,
                ["split"] = split.ToString().ToLowerInvariant(),
                ["sources"] = string.Join("; ", collection.Report.Sources.Select(source => $"{source.Name}: {source.Read} items")),
            };
            if (collection.Codec is { } codec) facts["image codec"] = PictureCodec.Load(codec).Hash;
            var template = new DatasetManifest
            {
                TokenizerHash = tokenizer.Hash,
                VocabSize = tokenizer.VocabSize,
                Pairs = encoder.Form.InPairs,
                Labels = encoder.Form.Labels,
                LogProbs = encoder.Form.LogProbs,
                Facts = facts,
            };
            using var writer = new TokenDatasetWriter(home.Datasets, template);
            List<int> lengths = [];
            long targets = 0, characters = 0;
            IEnumerable<EncodedDocument> documents = Encoded(encoder, split, count => characters += count);
            if (encoder.Form.WithOthers) documents = encoder.WithOthers([.. documents]);
            foreach (EncodedDocument document in documents)
            {
                writer.Add(document.Tokens, document.Targets, document.Label, document.LogProbs);
                lengths.Add(document.Tokens.Length);
                targets += document.Targets.Sum(mark => (long)mark);
            }
            if (lengths.Count == 0) return null;
            lengths.Sort();
            int Percentile(double share) => lengths[(int)(share * (lengths.Count - 1))];
            long total = lengths.Sum(length => (long)length);
            collection.Report.Splits[split.ToString().ToLowerInvariant()] =
                new SplitReport(lengths.Count, total, targets, (double)characters / total, Percentile(0.05), Percentile(0.5),
                    Percentile(0.95), lengths[^1]);
            return writer.Complete();
        }

        IEnumerable<EncodedDocument> Encoded(DocumentEncoder encoder, Split split, Action<long> addCharacters)
        {
            int done = 0, numItems = collection.Items(split).Count();
            var told = new Ticker(progress, $"tokenising {split.ToString().ToLowerInvariant()}", "items");
            foreach ((SourceItem item, SourceReport source) in collection.Entries(split))
            {
                int tooLong = 0;
                foreach (Example example in item.Examples)
                {
                    IReadOnlyList<EncodedDocument> documents = encoder.Encode(item.Id, example);
                    if (documents.Count == 0) tooLong++;
                    else addCharacters(example.Texts.Sum(text => (long)text.Length));
                    foreach (EncodedDocument document in documents) yield return document;
                }
                source.DroppedTooLong(item, tooLong, context);
                told.At(++done, numItems);
            }
        }
    }

    /// <summary>The held-out examples as text, for evaluation and for the reader.</summary>
    private static void WriteExamples(DataCollection collection, string folder) =>
        AtomicFile.Write(Path.Combine(folder, "examples.jsonl"), stream =>
        {
            using var writer = new StreamWriter(stream, leaveOpen: true);
            foreach (SourceItem item in collection.Items(Split.Validation))
                foreach (Example example in item.Examples)
                    writer.Write(ToJson(item, example).ToJsonString(JsonText.Compact) + "\n");
        });

    private static JsonObject ToJson(SourceItem item, Example example)
    {
        JsonObject row = example switch
        {
            ConversationExample conversation => conversation.Conversation.ToJson(),
            PairExample pair => new JsonObject
            {
                ["input"] = (pair.Preferred with { Messages = [.. pair.Preferred.Messages.SkipLast(1)] }).ToJson(),
                ["preferred_output"] = new Conversation([pair.Preferred.Messages[^1]]).ToJson()["messages"]!.DeepClone(),
                ["non_preferred_output"] = new Conversation([pair.Rejected.Messages[^1]]).ToJson()["messages"]!.DeepClone(),
            },
            TextExample text => new JsonObject { ["text"] = text.Text },
            JudgedExample judged => With(judged.Conversation, ("label", judged.Liked)),
            SampledExample sampled =>
                With(sampled.Prompt, ("tokens", Numbers(sampled.Tokens)), ("logprobs", Numbers(sampled.LogProbs)),
                    ("reward", sampled.Reward)),
            _ => throw new InvalidOperationException(example.GetType().Name),
        };
        row["id"] = item.Id;
        row["group"] = item.Group;
        if (item.Licence.Length > 0) row["licence"] = item.Licence;
        return row;
    }

    private static JsonObject With(Conversation conversation, params (string Name, JsonNode Value)[] fields)
    {
        JsonObject json = conversation.ToJson();
        foreach ((string name, JsonNode value) in fields) json[name] = value;
        return json;
    }

    private static JsonArray Numbers<T>(IEnumerable<T> values) => [.. values.Select(value => JsonValue.Create(value))];
}
