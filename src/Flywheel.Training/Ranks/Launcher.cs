using System.Globalization;

namespace Flywheel.Training;

/// <summary>What started this process as one of several ranks, as its environment shows.</summary>
/// <param name="Rank">This process, from 0.</param>
/// <param name="Size">Number of ranks.</param>
/// <param name="Evidence">The variables that say so.</param>
/// <param name="Libraries">MPI libraries that can talk to the launcher, best first.</param>
/// <param name="Advice">What to install when none is there.</param>
internal sealed record Launcher(int Rank, int Size, string Evidence, string[] Libraries, string Advice)
{
    public static readonly string[] OpenMpi = ["libmpi.so.40"], Mpich = ["libmpich.so.12", "libmpi.so.12"];

    /// <summary>Null when nobody started several of us.</summary>
    /// <param name="variable">The environment.</param>
    public static Launcher? Find(Func<string, string?> variable)
    {
        // Open MPI's mpirun; MPICH's (PMI); Slurm's srun with --mpi=pmix or --mpi=pmi2, in this order because Open MPI's sets PMIX
        // variables too, and everything below a Slurm job has Slurm's.
        if (Read("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE") is { } open)
            return open with { Libraries = OpenMpi, Advice = "Debian: apt-get install libopenmpi3" };
        if (Read("PMI_RANK", "PMI_SIZE") is { } mpich)
            return mpich with { Libraries = Mpich, Advice = "Debian: apt-get install libmpich12" };
        if (variable("SLURM_STEP_ID") is not null && variable("SLURM_PROCID") is not null
            && Read("SLURM_PROCID", "SLURM_STEP_NUM_TASKS") is { Size: > 1 } slurm)
        {
            bool pmix = variable("PMIX_RANK") is not null, pmi2 = variable("PMI_FD") is not null;
            return slurm with
            {
                Libraries = pmix ? [.. OpenMpi, .. Mpich] : pmi2 ? Mpich : [],
                Advice = pmix ? "Debian: apt-get install libopenmpi3" : pmi2 ? "Debian: apt-get install libmpich12"
                    : "srun started the tasks without a way to find each other: give it --mpi=pmi2 (MPICH) or --mpi=pmix (Open MPI); 'srun --mpi=list' says what this cluster has",
            };
        }
        return null;

        Launcher? Read(string rank, string size) =>
            int.TryParse(variable(rank), NumberStyles.None, CultureInfo.InvariantCulture, out int r)
                && int.TryParse(variable(size), NumberStyles.None, CultureInfo.InvariantCulture, out int n)
                ? new Launcher(r, n, $"{rank}={r}, {size}={n}", [], "")
                : null;
    }
}
