using System.Text.Json;
using Flywheel.Model;

namespace Flywheel.Training;

/// <summary>
/// Appends to a run's log. A full disk does not stop it: lines wait in memory and follow when there is room, so that the log has
/// each line once, whatever happened.
/// </summary>
internal sealed class TrainingLogWriter : IDisposable
{
    private readonly Lock _lock = new(); // the checkpoint's thread syncs
    private readonly FileStream _stream;
    private readonly List<byte[]> _waiting = [];
    private readonly Action<string> _report;

    /// <param name="runFolder">Of the run.</param>
    /// <param name="length">What is kept of an earlier log, in bytes: a checkpoint says it.</param>
    /// <param name="report">Told when the disk is full.</param>
    public TrainingLogWriter(string runFolder, long length, Action<string> report)
    {
        string path = TrainingLog.PathOf(runFolder);
        _report = report;
        _stream = new FileStream(path, FileMode.OpenOrCreate, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);
        if (_stream.Length < length)
            throw new FlywheelException(
                $"{path}: has {_stream.Length} bytes, the checkpoint was written after {length}; put the log back or remove the run folder's checkpoints to start again");
        _stream.SetLength(length);
        _stream.Position = length;
    }

    /// <summary>Bytes with all lines in the file, or that it will have once those that wait are written.</summary>
    public long Length
    {
        get
        {
            lock (_lock) return _stream.Length + _waiting.Sum(line => (long)line.Length);
        }
    }

    public void Append(LogLine line)
    {
        using Lock.Scope scope = _lock.EnterScope();
        bool waited = _waiting.Count > 0;
        _waiting.Add([.. JsonSerializer.SerializeToUtf8Bytes(line, JsonText.Compact), (byte)'\n']);
        try
        {
            WriteWaiting();
        }
        catch (IOException e) when (e.HResult == DiskFull)
        {
            if (!waited)
                _report($"{_stream.Name}: the disk is full; training goes on, and what there is to log waits in memory until there is room");
        }
    }

    /// <summary>Everything to the disk, through a power cut.</summary>
    /// <exception cref="IOException">The disk is full.</exception>
    public void Sync()
    {
        using Lock.Scope scope = _lock.EnterScope();
        WriteWaiting();
        _stream.Flush(flushToDisk: true);
    }

    /// <summary>ENOSPC as .NET reports it on Unix.</summary>
    public const int DiskFull = 28;

    private void WriteWaiting()
    {
        while (_waiting.Count > 0)
        {
            long before = _stream.Position;
            try
            {
                _stream.Write(_waiting[0]);
            }
            catch (IOException)
            {
                _stream.Position = before;
                _stream.SetLength(before); // a part of the line may have found room
                throw;
            }
            _waiting.RemoveAt(0);
        }
    }

    public void Dispose() => _stream.Dispose();
}
