using System.Text.Json.Nodes;
using CsCheck;
using Flywheel.Testing;

namespace Flywheel.Model.Tests;

public sealed class TokenDatasetTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private static DatasetManifest Template(int vocab = 1000, bool pairs = false) =>
        new() { TokenizerHash = "abc", VocabSize = vocab, Pairs = pairs, Facts = new Dictionary<string, string> { ["source"] = "test" } };

    private string Write(DatasetManifest template, params (int[] Tokens, byte[] Targets)[] documents)
    {
        using var writer = new TokenDatasetWriter(_folder.Path, template);
        foreach ((int[] tokens, byte[] targets) in documents) writer.Add(tokens, targets);
        return writer.Complete();
    }

    private string WriteSmall() => Write(Template(), ([1, 2, 3], [0, 1, 1]), ([999, 0], [0, 1]));

    [Theory]
    [InlineData(1000, 2)]
    [InlineData(65_536, 2)]
    [InlineData(65_537, 4)]
    [InlineData(200_000, 4)]
    public void Write_AnyDocuments_ReadBack(int vocab, int bytesPerToken) =>
    Gen.Select(Gen.Int[0, vocab - 1], Gen.Byte[0, 1]).Array[2, 40].Array[1, 10].Sample(items =>
    {
        var documents =
            items.Select(item => (Tokens: item.Select(pair => pair.Item1).ToArray(), Targets: item.Select(pair => pair.Item2).ToArray()))
                .ToArray();
        using TokenDataset dataset = TokenDataset.Open(Write(Template(vocab), documents));
        Assert.Equal(bytesPerToken, dataset.Manifest.BytesPerToken);
        Assert.Equal(documents.Length, dataset.NumDocuments);
        Assert.Equal(documents.Sum(document => document.Targets.Count(target => target == 1)), dataset.Manifest.NumTargets);
        for (int i = 0; i < documents.Length; i++)
        {
            int length = dataset.Length(i), half = length / 2;
            long[] tokens = new long[length];
            byte[] targets = new byte[length];
            dataset.ReadTokens(i, 0, tokens.AsSpan(0, half));
            dataset.ReadTokens(i, half, tokens.AsSpan(half));
            dataset.ReadTargets(i, 0, targets);
            Assert.Equal(documents[i].Tokens, tokens.Select(token => (int)token));
            Assert.Equal(documents[i].Targets, targets);
        }
    }, iter: 20, threads: 1);

    [Fact]
    public void Write_SameContentTwice_IsOneFolder()
    {
        Assert.Equal(WriteSmall(), WriteSmall());
        Assert.Single(Directory.GetFileSystemEntries(_folder.Path));
    }

    [Fact]
    public void Write_OtherContent_HasAnotherName()
    {
        string[] paths = [WriteSmall(), Write(Template(), ([1, 2, 3], [0, 1, 0]), ([999, 0], [0, 1])),
            Write(Template(), ([1, 2], [0, 1]), ([3, 999, 0], [1, 0, 1])),
            Write(Template(pairs: true), ([1, 2, 3], [0, 1, 1]), ([999, 0], [0, 1]))];
        Assert.Equal(4, paths.Distinct().Count());
    }

    [Fact]
    public void Write_NotCompleted_LeavesNothing()
    {
        using (var writer = new TokenDatasetWriter(_folder.Path, Template())) writer.Add([1, 2], [0, 1]);
        Assert.Empty(Directory.GetFileSystemEntries(_folder.Path));
    }

    [Fact]
    public void Write_NoDocument_IsRefused() => Assert.Contains("empty", Assert.Throws<FlywheelException>(() => Write(Template())).Message);

    [Fact]
    public void Add_DocumentThatDoesNotFit_IsRefusedAndNotHalfWritten()
    {
        using var writer = new TokenDatasetWriter(_folder.Path, Template());
        Assert.Throws<ArgumentException>(() => writer.Add([1], [1]));
        Assert.Throws<ArgumentException>(() => writer.Add([1, 2], [1]));
        Assert.Throws<ArgumentException>(() => writer.Add([1, 1000], [1, 1]));
        Assert.Throws<ArgumentException>(() => writer.Add([1, -1], [1, 1]));
        writer.Add([5, 6], [0, 1]);
        using TokenDataset dataset = TokenDataset.Open(writer.Complete());
        Assert.Equal((1, 2), (dataset.NumDocuments, dataset.Manifest.NumTokens));
    }

    [Fact]
    public void Complete_HalfAPair_IsRefused() =>
    Assert.Throws<InvalidOperationException>(() => Write(Template(pairs: true), ([1, 2], [0, 1])));

    [Fact]
    public void Read_OutsideTheDocument_IsRefused()
    {
        using TokenDataset dataset = TokenDataset.Open(WriteSmall());
        Assert.Throws<ArgumentOutOfRangeException>(() => dataset.ReadTokens(0, 2, new long[2]));
        Assert.Throws<ArgumentOutOfRangeException>(() => dataset.ReadTokens(1, -1, new long[1]));
        Assert.Throws<ArgumentOutOfRangeException>(() => dataset.ReadTargets(0, int.MaxValue, new byte[1]));
    }

    [Theory]
    [InlineData("dataset.json")]
    [InlineData("tokens.bin")]
    [InlineData("targets.bin")]
    [InlineData("documents.bin")]
    public void Open_PartMissingOrTruncated_NamesIt(string part)
    {
        string path = Path.Combine(WriteSmall(), part);
        using (FileStream stream = File.OpenWrite(path)) stream.SetLength(stream.Length - 2);
        Assert.Contains(part, OpenError(path));
        File.Delete(path);
        Assert.Contains(part, OpenError(path));
    }

    private static string OpenError(string part) =>
        Assert.Throws<FlywheelException>(() => TokenDataset.Open(Path.GetDirectoryName(part)!).Dispose()).Message;

    [Theory]
    [InlineData(8, -1)]
    [InlineData(8, 1)]
    [InlineData(8, 4)]
    [InlineData(8, long.MaxValue)]
    [InlineData(8, long.MinValue)]
    [InlineData(0, 1)]
    [InlineData(16, 6)]
    public void Open_OffsetsDamaged_SaysSo(int at, long value)
    {
        string path = Path.Combine(WriteSmall(), "documents.bin");
        byte[] bytes = File.ReadAllBytes(path);
        BitConverter.TryWriteBytes(bytes.AsSpan(at), value);
        File.WriteAllBytes(path, bytes);
        Assert.Contains("documents.bin", OpenError(path));
    }

    [Theory]
    [InlineData("num_documents", "-1")]
    [InlineData("num_documents", "9223372036854775807")]
    [InlineData("num_tokens", "9223372036854775807")]
    [InlineData("num_tokens", "-5")]
    [InlineData("bytes_per_token", "0")]
    [InlineData("bytes_per_token", "3")]
    [InlineData("num_documents", "\"two\"")]
    [InlineData("tokenizer_hash", null)]
    public void Open_ManifestDamaged_SaysSo(string field, string? value)
    {
        string path = Path.Combine(WriteSmall(), "dataset.json");
        JsonObject json = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
        json.Remove(field);
        if (value is not null) json[field] = JsonNode.Parse(value);
        File.WriteAllText(path, json.ToJsonString());
        Assert.Contains(Path.GetDirectoryName(path)!, OpenError(path));
    }

    [Fact]
    public void ReadTokens_TokenOutsideTheVocabulary_NamesItsPlace()
    {
        string path = WriteSmall();
        byte[] bytes = File.ReadAllBytes(Path.Combine(path, "tokens.bin"));
        bytes[7] = 0xFF;
        File.WriteAllBytes(Path.Combine(path, "tokens.bin"), bytes);
        using TokenDataset dataset = TokenDataset.Open(path);
        Assert.Contains("token 3 is", Assert.Throws<FlywheelException>(() => dataset.ReadTokens(1, 0, new long[2])).Message);
    }
}
