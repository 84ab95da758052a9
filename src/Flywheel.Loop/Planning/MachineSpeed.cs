using Flywheel.Model;
using Flywheel.Training;

namespace Flywheel.Loop.Planning;

/// <summary>What training reaches on this machine, found by training on random tokens for some seconds.</summary>
public static class MachineSpeed
{
    private const int Vocab = 8192, Context = 512, NumDocuments = 400;

    /// <summary>Operations a second of whole training steps, by the count of <see cref="ModelShape.TrainingFlops"/>.</summary>
    public static double Measure(CancellationToken cancellation = default)
    {
        string folder = Directory.CreateTempSubdirectory("flywheel-speed-").FullName;
        try
        {
            Tokenizer tokenizer = Tokenizer.Train([], Tokenizer.MinVocabSize);
            var config = new ModelConfig { HiddenSize = 384, IntermediateSize = 1024, NumLayers = 6, NumHeads = 6, NumKvHeads = 6,
                HeadDim = 64, VocabSize = Vocab, MaxPositions = Context };
            var random = new Random(1);
            string data;
            using (var writer = new TokenDatasetWriter(folder, new DatasetManifest { TokenizerHash = tokenizer.Hash, VocabSize = Vocab }))
            {
                for (int i = 0; i < NumDocuments; i++)
                    writer.Add([.. Enumerable.Range(0, Context + 1).Select(_ => random.Next(Vocab))],
                        [.. Enumerable.Repeat((byte)1, Context + 1)]);
                data = writer.Complete();
            }
            TrainingForecast forecast = TrainingPilot.Run(new TrainingJob
            {
                Recipe = new Recipe { Name = "speed",
                    Train = new TrainRecipe { Objective = NextToken.Id, Steps = 1000, BatchTokens = 4 * Context,
                        MicroTokens = 4 * Context } },
                RunFolder = folder, Config = config, Tokenizer = tokenizer, TrainData = data, ModelsFolder = folder,
            }, cancellation);
            return forecast.TokensPerSecond * ModelShape.TrainingFlops(config, Context);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
