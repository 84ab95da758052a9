using CsCheck;

namespace Flywheel.Model.Tests;

public sealed class RecipeFileTests
{
    private const string Valid = """
        name: small
        tokenizer: { vocab: 512 }
        model: { hidden: 64, intermediate: 128, layers: 2, heads: 4, kv_heads: 2, head_dim: 16, context: 128 }
        data:
          - source: text
            path: words.txt
            repeat: 2
        train:
          objective: next-token
          steps: 10
          learning_rate: 3e-3
        """;

    [Fact]
    public void Parse_ValidRecipe_KeepsValuesAndDefaults()
    {
        Recipe recipe = RecipeFile.Parse(Valid, "small.yaml");
        Assert.Equal(64, recipe.Model!.Hidden);
        Assert.Equal(2, recipe.Data[0].Repeat);
        Assert.Equal(3e-3, recipe.Train.LearningRate);
        Assert.Equal(0.95, recipe.Train.Beta2);
        Assert.Equal(1, recipe.Seed);
    }

    private static readonly Gen<string> s_word = Gen.String[Gen.Char["ab 1.:-#'\"{}[]&*!|>%@~né\t"], 1, 12];

    private static readonly Gen<Recipe> s_recipe =
        Gen.Select(s_word, Gen.Int[259, 70_000], Gen.Bool, Gen.Float[1, 1e7f], Gen.Double[1e-9, 1], Gen.Int[1, 100_000],
            (text, vocab, tied, theta, rate, steps) => new Recipe
    {
        Name = "made-by.test_1",
        Seed = -steps,
        Tokenizer = new TokenizerRecipe { Vocab = vocab, Reserve = tied ? ["value", "task"] : [] },
        Model = new ShapeRecipe { Hidden = 8, Intermediate = 9, Layers = 1, Heads = 2, KvHeads = 1, HeadDim = 4, Context = 16,
            TieEmbeddings = tied, RopeTheta = theta },
        Data = [new SourceRecipe { Source = "text", Path = text },
            new SourceRecipe { Source = "packages", As = "copy", Tag = text, Repeat = steps, NearDuplicates = tied ? 0.8 : null }],
        Train = new TrainRecipe { Objective = "next-token", Steps = steps, LearningRate = rate, WeightDecay = rate / 3 },
    });

    [Fact]
    public void ToYaml_AnyRecipe_ParsesToAnEqualOne() => s_recipe.Sample(recipe =>
    {
        Recipe again = RecipeFile.Parse(RecipeFile.ToYaml(recipe), "again.yaml");
        Assert.Equal(recipe.Data, again.Data);
        Assert.Equal(recipe.Tokenizer!.Reserve, again.Tokenizer!.Reserve);
        Assert.Equal(recipe with { Data = [], Tokenizer = null }, again with { Data = [], Tokenizer = null });
    });

    [Theory]
    [InlineData("null")]
    [InlineData("~")]
    [InlineData("true")]
    [InlineData("12")]
    [InlineData("- a")]
    [InlineData("a\nb")]
    [InlineData("...")]
    public void ToYaml_TextThatLooksLikeSomethingElse_StaysText(string text)
    {
        Recipe recipe = RecipeFile.Parse(Valid, "small.yaml");
        recipe = recipe with { Data = [recipe.Data[0] with { Path = text }] };
        Assert.Equal(text, RecipeFile.Parse(RecipeFile.ToYaml(recipe), "again.yaml").Data[0].Path);
    }

    [Theory]
    [InlineData("train.steps=ten", "override 'train.steps=ten': field 'train.steps' is 'ten', expected a whole number")]
    [InlineData("train.stps=1", "override 'train.stps=1': unknown field 'train.stps'; did you mean 'steps'?")]
    [InlineData("train.save=int3", "override 'train.save=int3': field 'train.save' is 'int3', expected float32 or bfloat16")]
    [InlineData("name.x=1", "override 'name.x=1': 'name' holds no fields")]
    [InlineData("steps", "'steps' is no override, expected field=value such as train.steps=100")]
    public void Parse_WrongOverride_IsNamed(string text, string expected) =>
        Assert.Equal(expected, Assert.Throws<FlywheelException>(() => RecipeFile.Parse(Valid, "small.yaml", text)).Message);

    [Theory]
    [InlineData("")]
    [InlineData("just text")]
    [InlineData("a: 1\na: 2")]
    [InlineData("--- {}\n--- {}")]
    [InlineData("name: [unclosed")]
    [InlineData("\t- x")]
    public void Parse_NoRecipe_SaysSo(string yaml) =>
        Assert.StartsWith("x.yaml", Assert.Throws<FlywheelException>(() => RecipeFile.Parse(yaml, "x.yaml")).Message,
            StringComparison.Ordinal);

    [Fact]
    public void Parse_NestedWithoutEnd_IsRefused() =>
        Assert.Contains("32 levels",
            Assert.Throws<FlywheelException>(() => RecipeFile.Parse("name: " + new string('[', 100_000), "deep.yaml")).Message);

    [Fact]
    public void Load_RecipesOfTheRepository_AreValid()
    {
        string folder = Path.Combine(Flywheel.Testing.TestFiles.Root, "recipes");
        foreach (string path in Directory.EnumerateFiles(folder, "*.yaml"))
        {
            if (PlayRecipe.IsOne(File.ReadAllText(path)))
                Assert.Equal(PlayRecipe.Load(path), PlayRecipe.Parse(PlayRecipe.Load(path).ToYaml(), path),
                    (one, other) => one.ToYaml() == other.ToYaml());
            else if (File.ReadLines(path).Contains("gate:")) RecipeFile.LoadTurn(path);
            else RecipeFile.Load(path);
        }
    }

    [Fact]
    public void Parse_Override_ReplacesTheField() => Assert.Equal(99, RecipeFile.Parse(Valid, "small.yaml", "train.steps=99").Train.Steps);

    [Theory]
    [InlineData("learning_rate: 3e-3", "learning_rte: 3e-3",
        "small.yaml line 11: unknown field 'train.learning_rte'; did you mean 'learning_rate'?")]
    [InlineData("steps: 10", "steps: ten", "small.yaml line 10: field 'train.steps' is 'ten', expected a whole number")]
    [InlineData("  steps: 10", "", "small.yaml line 9: field 'train.epochs' is 0, expected epochs or steps above 0")]
    [InlineData("name: small", "seed: 2", "small.yaml: field 'name' is missing")]
    [InlineData("objective: next-token", "objective: next-tokens",
        "small.yaml line 9: field 'train.objective' is 'next-tokens', expected next-token, supervised, preference, kto, policy or soft-targets")]
    [InlineData("learning_rate: 3e-3", "learning_rate: -1",
        "small.yaml line 11: field 'train.learning_rate' is -1, expected a number above 0")]
    [InlineData("vocab: 512", "vocab: [1]", "small.yaml line 2: field 'tokenizer.vocab' is a list, expected a whole number")]
    [InlineData("vocab: 512", "vocab: '512'", "small.yaml line 2: field 'tokenizer.vocab' is the text '512', expected a whole number")]
    [InlineData("vocab: 512", "vocab:", "small.yaml line 2: field 'tokenizer.vocab' is empty, expected a whole number")]
    [InlineData("vocab: 512", "vocab: 100", "small.yaml line 2: field 'tokenizer.vocab' is 100, expected at least 259")]
    [InlineData("name: small", "name: ~", "small.yaml line 1: field 'name' is '~', expected a text")]
    [InlineData("name: small", "name: ../small",
        "small.yaml line 1: field 'name' is '../small', expected letters, digits, '-', '_' and '.', as it names a folder")]
    [InlineData("source: text", "sorce: text", "small.yaml line 5: unknown field 'data[0].sorce'; did you mean 'source'?")]
    [InlineData("source: text", "source: texts",
        "small.yaml line 5: field 'data[0].source' is 'texts', expected appstream, packages, jsonl, text, dataset, grammar, schema-guided-dialogue, rnnlg, inside-airbnb, persona-chat, masc or task")]
    [InlineData("source: text", "source: text\n    as: chat",
        "small.yaml line 6: field 'data[0].as' is 'chat', expected text or copy, which text can be read as")]
    [InlineData("source: text", "source: text\n    near_duplicates: 0.2",
        "small.yaml line 6: field 'data[0].near_duplicates' is 0.2, expected a number from 0.5 to 1")]
    [InlineData("source: text", "source: grammar\n    as: copy", "small.yaml line 5: field 'data[0].limit' is 0, expected at least 1")]
    [InlineData("vocab: 512", "vocab: 512, reserve: [chess-from, chess-form]",
        "small.yaml line 2: field 'tokenizer.reserve[1]' is 'chess-form', expected speech-in, image, image-colour, protein, structure, phone, duration, pitch, connect-four, othello, chess-from, chess-to, chess-promotion, value, language, task, spare, connect-four-column, othello-disc, chess-piece or chess-move")]
    [InlineData("vocab: 512", "vocab: 512, reserve: [value, value]",
        "small.yaml line 2: field 'tokenizer.reserve[1]' is 'value', expected each name once")]
    [InlineData("    path: words.txt\n", "",
        "small.yaml line 5: field 'data[0].path' is missing, expected a file or folder, because the source is text")]
    [InlineData("heads: 4", "heads: 3", "small.yaml line 3: field 'model.heads' is 3, expected a multiple of kv_heads 2")]
    [InlineData("hidden: 64, ", "", "small.yaml line 3: field 'model.hidden' is missing")]
    [InlineData("steps: 10", "steps: 1e400", "small.yaml line 10: field 'train.steps' is '1e400', expected a whole number")]
    [InlineData("learning_rate: 3e-3", "learning_rate: .nan",
        "small.yaml line 11: field 'train.learning_rate' is '.nan', expected a number")]
    [InlineData("steps: 10", "steps: 10\n  epochs: 1",
        "small.yaml line 10: field 'train.steps' is 10, expected either epochs or steps, and epochs is 1")]
    [InlineData("name: small", "name: small\nbase: x",
        "small.yaml line 3: field 'tokenizer' is given, expected none, because the base has one")]
    public void Parse_InvalidRecipe_NamesFieldValueAndExpectation(string from, string to, string expected)
    {
        var error =
            Assert.Throws<FlywheelException>(() => RecipeFile.Parse(Valid.Replace(from, to, StringComparison.Ordinal), "small.yaml"));
        Assert.Equal(expected, error.Message);
    }

    [Fact]
    public void Parse_MutatedText_NeverFailsOtherwiseThanWithAFlywheelException() =>
        Gen.Select(Gen.Int[0, Valid.Length - 1], Gen.Char[' ', '~']).Array[1, 6].Sample(changes =>
        {
            char[] text = Valid.ToCharArray();
            foreach ((int at, char with) in changes) text[at] = with;
            try
            {
                RecipeFile.Parse(new string(text), "fuzzed.yaml");
            }
            catch (FlywheelException)
            {
            }
        });
}
