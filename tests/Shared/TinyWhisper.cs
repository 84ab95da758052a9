using System.Text;

namespace Flywheel.Testing;

/// <summary>
/// Writes Whisper models in whisper.cpp's ggml form whose decoder says one thing at each place of its context, whatever it hears: each
/// place has a
/// direction of its own, and the token of that place the same. whisper.cpp really loads and runs them.
/// </summary>
internal static class TinyWhisper
{
    public const int Width = 32, NumLayers = 4, AudioContext = 1500, TextContext = 448, NumMels = 80, NumFft = 201;

    /// <summary>What is said without a prompt from 0.1 to 1.5 s, and what where the prompt takes as many tokens as
    /// <see cref="Prompt"/>.</summary>
    public const string Says = "Hello, world.", Prompted = "Hallo Welt!", Prompt = "abc";

    private static readonly string[] s_words = [" ", " Hello,", " world.", " Hallo", " Welt!", "a", "b", "c", "-", " -", "'", " '"];

    /// <param name="path">The file.</param>
    /// <param name="languages">Of many, and hears French; else English alone.</param>
    public static void Write(string path, bool languages = false)
    {
        int shift = languages ? 1 : 0, numVocab = 51_864 + shift, end = 50_256 + shift, begin = 50_363 + shift, first = languages ? 2 : 0;
        var directions = new Dictionary<int, List<int>>();
        Say(first, begin + 5, 1, 2, begin + 75, end); // from 0.1 s, two words, to 1.5 s
        int prompted = first + 1 + Prompt.Length; // behind the mark of a prompt and its letters
        Say(prompted, begin + 5, 3, 4, begin + 75, end);
        if (languages) Add(50_258 + 1 + 6, 0); // French is the seventh of the languages
        using FileStream stream = File.Create(path);
        using var writer = new BinaryWriter(stream);
        foreach (int number in new[] { 0x67676d6c, numVocab, AudioContext, Width, 1, NumLayers, TextContext, Width, 1, 1, NumMels, 1,
            NumMels, NumFft }) writer.Write(number);
        for (int i = 0; i < NumMels * NumFft; i++) writer.Write(i % NumFft == i / NumFft * 2 ? .01f : 0f);
        writer.Write(s_words.Length);
        foreach (string word in s_words)
        {
            writer.Write(Encoding.UTF8.GetByteCount(word));
            writer.Write(Encoding.UTF8.GetBytes(word));
        }
        Tensor("encoder.positional_embedding", false, [Width, AudioContext]);
        Tensor("encoder.conv1.weight", true, [3, NumMels, Width]);
        Tensor("encoder.conv1.bias", false, [1, Width]);
        Tensor("encoder.conv2.weight", true, [3, Width, Width]);
        Tensor("encoder.conv2.bias", false, [1, Width]);
        Norm("encoder.ln_post");
        for (int i = 0; i < NumLayers; i++) Block($"encoder.blocks.{i}", false);
        Tensor("decoder.positional_embedding", false, [Width, TextContext], at => at % Width == at / Width ? 100 : 0);
        Tensor("decoder.token_embedding.weight", true, [Width, numVocab],
            at => directions.TryGetValue(at / Width, out List<int>? own) && own.Contains(at % Width) ? 10 : 0);
        Norm("decoder.ln");
        Block("decoder.blocks.0", true);

        void Say(int from, params int[] tokens)
        {
            foreach ((int i, int token) in tokens.Index()) Add(token, from + i);
        }

        void Add(int token, int place)
        {
            if (!directions.TryGetValue(token, out List<int>? own)) directions[token] = own = [];
            own.Add(place);
        }

        void Tensor(string name, bool isHalf, int[] shape, Func<int, float>? value = null)
        {
            foreach (int number in new[] { shape.Length, name.Length, isHalf ? 1 : 0 }.Concat(shape)) writer.Write(number);
            writer.Write(Encoding.ASCII.GetBytes(name));
            int count = shape.Aggregate((all, each) => all * each);
            byte[] bytes = new byte[count * (isHalf ? 2 : 4)];
            if (value is not null)
                for (int i = 0; i < count; i++)
                    if (value(i) is var number and not 0)
                        (isHalf ? BitConverter.GetBytes((Half)number) : BitConverter.GetBytes(number)).CopyTo(bytes, i * (isHalf ? 2 : 4));
            writer.Write(bytes);
        }

        void Norm(string name)
        {
            Tensor($"{name}.weight", false, [Width], _ => 1);
            Tensor($"{name}.bias", false, [Width]);
        }

        void Attention(string name)
        {
            foreach (string part in new[] { "query", "key", "value", "out" })
            {
                Tensor($"{name}.{part}.weight", true, [Width, Width]);
                if (part != "key") Tensor($"{name}.{part}.bias", false, [Width]);
            }
            Norm($"{name}_ln");
        }

        void Block(string name, bool isDecoder)
        {
            Attention($"{name}.attn");
            if (isDecoder) Attention($"{name}.cross_attn");
            Norm($"{name}.mlp_ln");
            Tensor($"{name}.mlp.0.weight", true, [Width, 4 * Width]);
            Tensor($"{name}.mlp.0.bias", false, [4 * Width]);
            Tensor($"{name}.mlp.2.weight", true, [4 * Width, Width]);
            Tensor($"{name}.mlp.2.bias", false, [Width]);
        }
    }
}
