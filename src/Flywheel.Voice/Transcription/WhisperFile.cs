using System.Buffers.Binary;
using System.Text;
using Flywheel.Model;

namespace Flywheel.Voice;

/// <summary>
/// A Whisper model in whisper.cpp's ggml file (MIT; models/convert-pt-to-ggml.py there has its form): hyperparameters, mel filters,
/// vocabulary, then tensors, each
/// with its header. All of it is looked through but the weights' values before native code gets it: that would end the process over what is
/// wrong.
/// </summary>
/// <param name="Path">The file.</param>
/// <param name="NumBytes">Of it.</param>
/// <param name="NumVocab">51,864 of a model for English alone, more of one for many languages.</param>
/// <param name="Width">Of its layers.</param>
/// <param name="NumLayers">Of the encoder.</param>
public sealed record WhisperFile(string Path, long NumBytes, int NumVocab, int Width, int NumLayers)
{
    public const string Ending = ".bin";

    private const uint Magic = 0x67676d6c;

    private const int EnglishVocab = 51_864, MaxVocab = 52_000, NumFft = 201, MaxWord = 1024, MaxTensorName = 128, QuantFactor = 1000;

    /// <summary>The largest that was published, in 32-bit floats, has 6.2 GB.</summary>
    private const long MaxBytes = 8L << 30;

    /// <summary>Numbers and bytes of a block, by ggml's type.</summary>
    private static readonly Dictionary<int, (int Numbers, int Bytes)> s_blocks = new()
    {
        [0] = (1, 4), [1] = (1, 2), [2] = (32, 18), [3] = (32, 20), [6] = (32, 22), [7] = (32, 24), [8] = (32, 34),
        [10] = (256, 84), [11] = (256, 110), [12] = (256, 144), [13] = (256, 176), [14] = (256, 210),
    };

    /// <summary>What requests call it: the file's name without its ending.</summary>
    public string Name => System.IO.Path.GetFileNameWithoutExtension(Path);

    public bool IsMultilingual => NumVocab > EnglishVocab;

    /// <summary>Where a home keeps such files.</summary>
    public static string FolderIn(FlywheelHome home) => System.IO.Path.Combine(home.Path, "voice", "whisper");

    /// <summary>Looks through a file.</summary>
    /// <exception cref="FlywheelException">There is none, or it is not whole, or another; the message says what.</exception>
    public static WhisperFile Read(string path)
    {
        using FileStream stream = WavReader.OpenFile(path);
        if (stream.Length > MaxBytes)
            throw new FlywheelException($"{path}: has {stream.Length >> 20} MB, expected a Whisper model of at most {MaxBytes >> 20}");
        return new Reader(stream, path).Run();
    }

    private sealed class Reader(FileStream stream, string path)
    {
        public WhisperFile Run()
        {
            if (stream.Length < 4 || (uint)Number("its mark") is var mark && mark != Magic)
                throw Wrong(
                    $"is no Whisper model in ggml form: it does not begin with its mark{(Begins("GGUF") ? ", it is GGUF, which language models have" : "")}; whisper.cpp's models/convert-pt-to-ggml.py makes one");
            int vocab = Bounded("n_vocab", EnglishVocab, MaxVocab), context = Bounded("n_audio_ctx", 1, 1500),
                width = Bounded("n_audio_state", 1, 4096), heads = Bounded("n_audio_head", 1, 64), layers = Bounded("n_audio_layer", 1, 64),
                textContext = Bounded("n_text_ctx", 8, 448), textWidth = Bounded("n_text_state", width, width),
                textHeads = Bounded("n_text_head", 1, 64), textLayers = Bounded("n_text_layer", 1, 64), mels = Bounded("n_mels", 80, 128),
                type = Number("ftype") % QuantFactor;
            if (width % heads != 0 || width % textHeads != 0)
                throw Wrong($"says that {width} numbers are divided among {heads} and {textHeads} heads, which they are not evenly");
            if (type is < 0 or > 30) throw Wrong($"ftype is {type}, expected a type of whisper.cpp");
            Bounded("n_mel of its filters", mels, mels);
            Bounded("n_fft of its filters", NumFft, NumFft);
            Skip(4L * mels * NumFft, "its mel filters");
            int words = Bounded("words of its vocabulary", 1, vocab);
            for (int i = 0; i < words; i++) Skip(Bounded($"length of word {i}", 0, MaxWord), $"word {i}");
            Tensors(Shapes(mels, context, width, layers, textContext, textLayers, vocab));
            return new WhisperFile(path, stream.Length, vocab, width, layers);
        }

        private void Tensors(Dictionary<string, int[]> missing)
        {
            byte[] name = new byte[MaxTensorName];
            while (stream.Position < stream.Length)
            {
                int dims = Bounded("dimensions of a tensor", 1, 4), length = Bounded("length of a tensor's name", 1, MaxTensorName),
                    type = Number("a tensor's type");
                int[] shape = [.. Enumerable.Range(0, dims).Select(i => Bounded("size of a tensor", 1, 1 << 24))];
                if (stream.ReadAtLeast(name.AsSpan(0, length), length, throwOnEndOfStream: false) < length) throw Ends("a tensor's name");
                string called = Encoding.UTF8.GetString(name, 0, length);
                if (!missing.Remove(called, out int[]? expected))
                    throw Wrong($"holds the tensor '{Short(called)}' {(Known(called) ? "twice" : "which Whisper has not")}");
                if (!shape.Concat(Ones(4 - shape.Length)).SequenceEqual(expected.Concat(Ones(4 - expected.Length))))
                    throw Wrong($"its tensor '{called}' is [{string.Join(", ", shape)}], expected [{string.Join(", ", expected)}]");
                if (!s_blocks.TryGetValue(type, out (int Numbers, int Bytes) block))
                    throw Wrong($"its tensor '{called}' has numbers of type {type}, which is not known here");
                long count = shape.Aggregate(1L, (all, each) => all * each);
                if (shape[0] % block.Numbers != 0)
                    throw Wrong($"its tensor '{called}' has rows of {shape[0]} numbers, expected a multiple of {block.Numbers}");
                Skip(count / block.Numbers * block.Bytes, $"the tensor '{called}'");
            }
            if (missing.Count > 0)
                throw Wrong($"lacks {missing.Count} tensors, such as '{missing.Keys.First()}'; it was cut, or not wholly converted");

            static IEnumerable<int> Ones(int count) => Enumerable.Repeat(1, count);

            bool Known(string called) =>
                called.StartsWith("encoder.", StringComparison.Ordinal) || called.StartsWith("decoder.", StringComparison.Ordinal);
        }

        /// <summary>Sizes of each tensor, the innermost first, as ggml has them.</summary>
        private static Dictionary<string, int[]> Shapes(int mels, int context, int width, int layers, int textContext, int textLayers,
            int vocab)
        {
            var shapes = new Dictionary<string, int[]>(StringComparer.Ordinal)
            {
                ["encoder.positional_embedding"] = [width, context], ["encoder.conv1.weight"] = [3, mels, width],
                ["encoder.conv1.bias"] = [1, width],
                ["encoder.conv2.weight"] = [3, width, width], ["encoder.conv2.bias"] = [1, width],
                ["decoder.positional_embedding"] = [width, textContext], ["decoder.token_embedding.weight"] = [width, vocab],
            };
            Norm("encoder.ln_post");
            Norm("decoder.ln");
            for (int i = 0; i < layers; i++) Block($"encoder.blocks.{i}", isDecoder: false);
            for (int i = 0; i < textLayers; i++) Block($"decoder.blocks.{i}", isDecoder: true);
            return shapes;

            void Norm(string name) => (shapes[$"{name}.weight"], shapes[$"{name}.bias"]) = ([width], [width]);

            void Attention(string name)
            {
                foreach (string part in new[] { "query", "key", "value", "out" })
                {
                    shapes[$"{name}.{part}.weight"] = [width, width];
                    if (part != "key") shapes[$"{name}.{part}.bias"] = [width];
                }
                Norm($"{name}_ln");
            }

            void Block(string name, bool isDecoder)
            {
                Attention($"{name}.attn");
                if (isDecoder) Attention($"{name}.cross_attn");
                Norm($"{name}.mlp_ln");
                (shapes[$"{name}.mlp.0.weight"], shapes[$"{name}.mlp.0.bias"]) = ([width, 4 * width], [4 * width]);
                (shapes[$"{name}.mlp.2.weight"], shapes[$"{name}.mlp.2.bias"]) = ([4 * width, width], [width]);
            }
        }

        private int Number(string what)
        {
            Span<byte> bytes = stackalloc byte[4];
            if (stream.ReadAtLeast(bytes, 4, throwOnEndOfStream: false) < 4) throw Ends(what);
            return BinaryPrimitives.ReadInt32LittleEndian(bytes);
        }

        private int Bounded(string what, int min, int max) =>
            Number(what) is var number && number >= min && number <= max
                ? number : throw Wrong($"{what} is {number}, expected {(min == max ? $"{min}" : $"{min} to {max}")}");

        private void Skip(long count, string what)
        {
            if (stream.Position + count > stream.Length) throw Ends(what);
            stream.Position += count;
        }

        private bool Begins(string text)
        {
            stream.Position = 0;
            byte[] bytes = new byte[4];
            return stream.ReadAtLeast(bytes, 4, throwOnEndOfStream: false) == 4 && Encoding.Latin1.GetString(bytes) == text;
        }

        private FlywheelException Ends(string what) =>
            Wrong($"ends within {what}, after {stream.Length} bytes: it was cut; fetch it again");

        private FlywheelException Wrong(string what) => new($"{path}: {what}");

        private static string Short(string text) => text.Length <= 60 ? text : text[..60] + "…";
    }
}
