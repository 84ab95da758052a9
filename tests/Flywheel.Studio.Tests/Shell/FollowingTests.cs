using Flywheel.Studio.Shell;
using Microsoft.Extensions.Logging.Abstractions;

namespace Flywheel.Studio.Tests.Shell;

/// <summary>An open page goes on looking after an error, and stops when it is done or left.</summary>
public sealed class FollowingTests
{
    [Fact]
    public async Task Follow_LookThatFails_IsLookedAgain()
    {
        int looks = 0;
        await Following.RunAsync(TimeSpan.FromMilliseconds(1), TimeProvider.System, () => ++looks switch
        {
            1 => throw new InvalidOperationException("the database was locked"),
            2 => Task.FromException<bool>(new TaskCanceledException("the database did not answer in time")),
            3 => Task.FromResult(true),
            _ => Task.FromResult(false),
        }, NullLogger.Instance, CancellationToken.None).WaitAsync(TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken);
        Assert.Equal(4, looks);
    }

    [Fact]
    public async Task Follow_PageThatIsLeft_Ends()
    {
        using var left = new CancellationTokenSource();
        int looks = 0;
        await Following.RunAsync(TimeSpan.FromMilliseconds(1), TimeProvider.System, () =>
        {
            looks++;
            left.Cancel();
            left.Token.ThrowIfCancellationRequested();
            return Task.FromResult(true);
        }, NullLogger.Instance, left.Token).WaitAsync(TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken);
        await Following.RunAsync(TimeSpan.FromMilliseconds(1), TimeProvider.System, () => throw new ObjectDisposedException("page"),
            NullLogger.Instance, CancellationToken.None)
            .WaitAsync(TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken);
        Assert.Equal(1, looks);
    }
}
