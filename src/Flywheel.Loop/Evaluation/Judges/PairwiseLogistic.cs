namespace Flywheel.Loop;

/// <summary>
/// Logistic regression on choices between two: the probability that one is chosen is the logistic function of the weighted difference
/// of their features (Bradley and Terry 1952, Biometrika 39, pages 324 to 345). Fitted by Newton's method with a ridge.
/// </summary>
internal static class PairwiseLogistic
{
    private const int MaxSteps = 50;

    /// <param name="differences">Of each choice: features of what was chosen, less those of what was not. [choices][features]</param>
    /// <param name="ridge">Half of it times the squared weights is added to the loss, which is a sum over choices; above 0.</param>
    /// <returns>The weights. [features]</returns>
    public static double[] Fit(IReadOnlyList<double[]> differences, double ridge)
    {
        int size = differences[0].Length;
        double[] weights = new double[size];
        for (int step = 0; step < MaxSteps; step++)
        {
            double[] gradient = [.. weights.Select(weight => ridge * weight)];
            double[,] hessian = new double[size, size];
            for (int i = 0; i < size; i++) hessian[i, i] = ridge;
            foreach (double[] x in differences)
            {
                double p = 1 / (1 + Math.Exp(-Dot(weights, x)));
                for (int i = 0; i < size; i++)
                {
                    gradient[i] -= (1 - p) * x[i];
                    for (int j = 0; j < size; j++) hessian[i, j] += p * (1 - p) * x[i] * x[j];
                }
            }
            double[] change = Solve(hessian, gradient);
            for (int i = 0; i < size; i++) weights[i] -= change[i];
            if (change.Max(Math.Abs) < 1e-10) break;
        }
        return weights;
    }

    public static double Dot(double[] a, double[] b)
    {
        double sum = 0;
        for (int i = 0; i < a.Length; i++) sum += a[i] * b[i];
        return sum;
    }

    /// <summary>Cholesky's way; the matrix is positive definite by the ridge.</summary>
    private static double[] Solve(double[,] matrix, double[] right)
    {
        int size = right.Length;
        double[,] root = new double[size, size];
        double[] x = new double[size];
        for (int i = 0; i < size; i++)
        {
            for (int j = 0; j <= i; j++)
            {
                double sum = matrix[i, j];
                for (int k = 0; k < j; k++) sum -= root[i, k] * root[j, k];
                root[i, j] = i == j ? Math.Sqrt(sum) : sum / root[j, j];
            }
        }
        for (int i = 0; i < size; i++)
        {
            double sum = right[i];
            for (int k = 0; k < i; k++) sum -= root[i, k] * x[k];
            x[i] = sum / root[i, i];
        }
        for (int i = size - 1; i >= 0; i--)
        {
            double sum = x[i];
            for (int k = i + 1; k < size; k++) sum -= root[k, i] * x[k];
            x[i] = sum / root[i, i];
        }
        return x;
    }
}
