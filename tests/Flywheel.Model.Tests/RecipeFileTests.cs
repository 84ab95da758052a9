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

    [Fact]
    public void ToYaml_ThenParse_GivesAnEqualRecipe()
    {
        string yaml = RecipeFile.ToYaml(RecipeFile.Parse(Valid, "small.yaml"));
        Assert.Equal(yaml, RecipeFile.ToYaml(RecipeFile.Parse(yaml, "again.yaml")));
    }

    [Fact]
    public void Parse_Override_ReplacesTheField() => Assert.Equal(99, RecipeFile.Parse(Valid, "small.yaml", "train.steps=99").Train.Steps);

    [Theory]
    [InlineData("learning_rate: 3e-3", "learning_rte: 3e-3", "small.yaml line 11: unknown field 'train.learning_rte'; did you mean 'learning_rate'?")]
    [InlineData("steps: 10", "steps: ten", "small.yaml line 10: field 'train.steps' is 'ten', expected a whole number")]
    [InlineData("  steps: 10", "", "small.yaml: train.epochs is 0 and train.steps is 0, expected exactly one of them above 0")]
    [InlineData("name: small", "seed: 2", "small.yaml: field 'name' is missing")]
    [InlineData("objective: next-token", "objective: next-tokens", "small.yaml: field 'train.objective' is 'next-tokens'; did you mean 'next-token'?")]
    [InlineData("learning_rate: 3e-3", "learning_rate: -1", "small.yaml: field 'train.learning_rate' is -1, expected above 0")]
    [InlineData("vocab: 512", "vocab: [1]", "small.yaml line 2: field 'tokenizer.vocab' is fields or a list, expected a whole number")]
    [InlineData("name: small", "name: small\nbase: x", "small.yaml: base is given, so tokenizer and model come from it; leave them out")]
    public void Parse_InvalidRecipe_NamesFieldValueAndExpectation(string from, string to, string expected)
    {
        var error = Assert.Throws<FlywheelException>(() => RecipeFile.Parse(Valid.Replace(from, to, StringComparison.Ordinal), "small.yaml"));
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
