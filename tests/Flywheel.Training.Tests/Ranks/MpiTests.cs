using System.Diagnostics;
using Flywheel.Model;
using Flywheel.Testing;

namespace Flywheel.Training.Tests;

/// <summary>Real mpirun, of Open MPI and of MPICH, with this assembly's child methods as the ranks.</summary>
public sealed class MpiTests : IDisposable
{
    private const string FolderVariable = "FLYWHEEL_TEST_RANKS";

    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Ranks.Launchers), MemberType = typeof(Ranks))]
    public async Task Collectives_OfFourRanks_BringEachPartWhereItBelongs(string launcher)
    {
        await Ranks.RunAsync(Child(launcher, 4, nameof(Collectives_AsARank)));
        Assert.Equal(4, Directory.GetFiles(_folder.Path, "done-*").Length);
    }

    [Fact]
    public void Collectives_AsARank()
    {
        string folder = ChildFolder();
        using ICollectives world = World.Join();
        Assert.IsType<Mpi>(world);
        Assert.Equal(4, world.Size);
        for (int round = 0; round < 20; round++)
        {
            // Every rank draws the same random numbers and so knows what every other one sends.
            var random = new SeededRandom(20261124, (ulong)round);
            // [from][to]
            int[][] counts =
                [.. Enumerable.Range(0, 4)
                    .Select(_ =>
                        Enumerable.Range(0, 4).Select(_ => random.Next(4) == 0 ? 0 : random.Next(round == 19 ? 300_000 : 50)).ToArray())];
            float[][] sent = [.. counts.Select(to => Enumerable.Range(0, to.Sum()).Select(_ => (float)random.NextNormal()).ToArray())];
            int[] receives = [.. counts.Select(to => to[world.Rank])];
            float[] received = new float[receives.Sum()];
            world.AllToAll(sent[world.Rank], counts[world.Rank], Offsets(counts[world.Rank]), received, receives, Offsets(receives));
            Assert.Equal(
                Enumerable.Range(0, 4)
                    .SelectMany(from => sent[from].Skip(Offsets(counts[from])[world.Rank]).Take(counts[from][world.Rank])), received);

            Gather(world, counts[0], i => (double)i / 7);
            Gather(world, counts[1], i => (float)i);
            Gather(world, counts[2], i => (i, (byte)i));
            Assert.Equal(Enumerable.Range(0, 4 + round).Select(i => i * i), world.Map(4 + round, i => i * i));
            Assert.Equal(42 + round, world.FromFirst(world.Rank == 0 ? 42 + round : -1));
            Assert.Equal(round < 4, world.Any(world.Rank == round));
        }
        File.WriteAllText(Path.Combine(folder, $"done-{world.Rank}"), ((Mpi)world).Library);

        static int[] Offsets(int[] counts) => [.. Enumerable.Range(0, counts.Length).Select(i => counts[..i].Sum())];

        static void Gather<T>(ICollectives world, int[] counts, Func<int, T> value)
            where T : unmanaged
        {
            T[] expected = [.. Enumerable.Range(0, counts.Sum()).Select(value)], actual = new T[expected.Length];
            int start = Offsets(counts)[world.Rank];
            for (int i = start; i < start + counts[world.Rank]; i++) actual[i] = expected[i];
            world.AllGather<T>(actual, counts, Offsets(counts));
            Assert.Equal(expected, actual);
        }
    }

    [Theory]
    [InlineData("next-token", "mpirun.openmpi", 2, 4)]
    [InlineData("supervised", "mpirun.mpich", 2)]
    [InlineData("preference", "mpirun.mpich", 3)]
    public async Task Run_OnAnyNumberOfRanks_EndsWithTheSameBits(string objective, string launcher, params int[] numbers)
    {
        string expected = TrainingRun.Run(Job(_folder.Path, objective, "1")).Hash;
        foreach (int ranks in numbers)
        {
            await Ranks.RunAsync(Child(launcher, ranks, nameof(Run_AsARank), objective, $"{ranks}"));
            Assert.Equal(expected, TrainingResult.Read(_folder[$"{ranks}"])!.Model);
            Assert.Equal(Curve("1"), Curve($"{ranks}"));
        }
    }

    /// <summary>
    /// Micro-batches that products and the output head cut into several blocks, of whole weights, of adapters, and of pairs.
    /// </summary>
    [Theory]
    [MemberData(nameof(Ranks.Launchers), MemberType = typeof(Ranks))]
    public async Task Run_LargeMicroBatchesOnAnyNumberOfRanks_EndsWithTheSameBits(string launcher)
    {
        TrainingJob first = Job(_folder.Path, "next-token", "base");
        ModelFolder wide = TrainingRun.Run(first with { Config = first.Config! with { IntermediateSize = 296 } }).Model!;
        TrainingJob[] jobs = [.. from objective in new[] { "next-token", "preference", "kto" } from lora in new[] { null,
            new LoraRecipe { Rank = 4, Alpha = 8 } } select Large(wide, objective, lora)];
        string[] expected = [.. jobs.Select(job => TrainingRun.Run(job).Hash)];
        int ranks = launcher.EndsWith("mpich", StringComparison.Ordinal) ? 3 : 4;
        TrainingJob[] shared = [.. jobs.Select(job => job with { RunFolder = $"{job.RunFolder}-{ranks}" })];
        await Ranks.RunAsync(Child(launcher, ranks, nameof(Run_JobsAsARank), [.. shared.Select(TrainingJobFile.Save)]));
        Assert.Equal(expected, shared.Select(job => TrainingResult.Read(job.RunFolder)!.Model));
        Assert.All(jobs.Zip(shared), pair => Assert.Equal(Curve(pair.First.RunFolder), Curve(pair.Second.RunFolder)));
    }

    [Fact]
    public void Run_JobsAsARank()
    {
        string[] jobs = ChildFolder().Split('|')[1..];
        using ICollectives world = World.Join();
        foreach (string job in jobs) TrainingRun.Run(TrainingJobFile.Load(job), world);
    }

    /// <summary>Two steps of five micro-batches of up to 1,100 tokens.</summary>
    private TrainingJob Large(ModelFolder parent, string objective, LoraRecipe? lora)
    {
        TrainingJob job = TrainingRunTests.Job(_folder.Path, lora is null ? objective : $"{objective}-lora", objective, steps: 2,
            numDocuments: 280);
        Recipe recipe = job.Recipe with { Base = "wide", Data = [new SourceRecipe { Source = "dataset", Path = "." }],
            Train = job.Recipe.Train with { BatchTokens = 5500, MicroTokens = 1100, Lora = lora } };
        return job with { Recipe = recipe, Base = parent, Config = null, Tokenizer = null };
    }

    [Fact]
    public async Task Run_GoneOnWithOnOtherNumbersOfRanks_EndsWithTheSameBits()
    {
        string expected = TrainingRun.Run(Job(_folder.Path, "next-token", "1")).Hash;
        foreach ((int ranks, int until) in new[] { (3, 5), (1, 8), (2, 12) })
        {
            await Ranks.RunAsync(Child("mpirun.openmpi", ranks, nameof(Run_AsARank), "next-token", "changing", $"{until}"));
            Assert.Equal(until, TrainingLog.Read(_folder["changing"])[^1].Step);
        }
        Assert.Equal(expected, TrainingResult.Read(_folder["changing"])!.Model);
        Assert.Equal(Curve("1"), Curve("changing"));
    }

    [Fact]
    public void Run_AsARank()
    {
        string[] arguments = ChildFolder().Split('|');
        using ICollectives world = World.Join();
        using var cancellation = new CancellationTokenSource();
        try
        {
            TrainingRun.Run(Job(arguments[0], arguments[1], arguments[2]), world, progress =>
            {
                if (arguments.Length > 3 && $"{progress.Line?.Step}" == arguments[3] && arguments[3] != "12") cancellation.Cancel();
            }, cancellation.Token);
        }
        catch (OperationCanceledException)
        {
        }
    }

    /// <summary>A launcher started several of us, but its library is not there: each alone would train the same model N times.</summary>
    [Fact]
    public void Join_LauncherWithoutALibrary_SaysWhatIsMissing()
    {
        var launcher = new Launcher(0, 4, "OMPI_COMM_WORLD_RANK=0, OMPI_COMM_WORLD_SIZE=4", ["libmpi.so.4711"],
            "Debian: apt-get install libopenmpi3");
        var error = Assert.Throws<FlywheelException>(() => new Mpi(launcher));
        Assert.Matches("one of 4 ranks .*OMPI_COMM_WORLD_SIZE=4.*no MPI library loads: libmpi.so.4711.*apt-get install libopenmpi3",
            error.Message);
    }

    [Theory]
    [InlineData("", null, 0)]
    [InlineData("OMPI_COMM_WORLD_RANK=2 OMPI_COMM_WORLD_SIZE=4 PMIX_RANK=2", "libmpi.so.40", 4)]
    [InlineData("PMI_RANK=1 PMI_SIZE=2", "libmpich.so.12", 2)]
    [InlineData("SLURM_STEP_ID=0 SLURM_PROCID=3 SLURM_STEP_NUM_TASKS=8 PMIX_RANK=3", "libmpi.so.40", 8)]
    [InlineData("SLURM_STEP_ID=0 SLURM_PROCID=3 SLURM_STEP_NUM_TASKS=8 PMI_FD=9", "libmpich.so.12", 8)]
    [InlineData("SLURM_STEP_ID=0 SLURM_PROCID=0 SLURM_STEP_NUM_TASKS=1", null, 0)]
    [InlineData("SLURM_JOB_ID=7 SLURM_PROCID=0 SLURM_NTASKS=8", null, 0)] // the batch script of a job, outside of any step
    public void Find_InAnEnvironment_KnowsItsLauncher(string environment, string? library, int size)
    {
        Dictionary<string, string> variables = environment.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(pair => pair.Split('='))
            .ToDictionary(pair => pair[0], pair => pair[1]);
        Launcher? launcher = Launcher.Find(name => variables.GetValueOrDefault(name));
        Assert.Equal((library, size), (launcher?.Libraries[0], launcher?.Size ?? 0));
    }

    private double?[] Curve(string run) =>
        [.. TrainingLog.Read(Path.Combine(_folder.Path, run)).Select(line => line.Loss ?? line.ValidationLoss)];

    private static TrainingJob Job(string folder, string objective, string run) => TrainingRunTests.Job(folder, run, objective);

    private static string ChildFolder()
    {
        string? value = Environment.GetEnvironmentVariable(FolderVariable);
        if (value is null) Assert.Skip("only another test starts this, as one of several ranks");
        return value!;
    }

    private ProcessStartInfo Child(string launcher, int numRanks, string method, params string[] arguments)
    {
        string[] self = Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet"
            ? [Environment.ProcessPath!, typeof(MpiTests).Assembly.Location] : [Environment.ProcessPath!];
        ProcessStartInfo start = Ranks.Start(launcher, numRanks, [.. self, "--filter-method", "*" + method, "--progress", "off"]);
        start.Environment[FolderVariable] = string.Join('|', arguments.Prepend(_folder.Path));
        return start;
    }
}
