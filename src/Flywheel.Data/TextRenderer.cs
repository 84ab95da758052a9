namespace Flywheel.Data;

/// <summary>A product as a document to continue: its name and summary as the title, then its description.</summary>
internal static class TextRenderer
{
    private const int MinimumLength = 80;

    /// <summary>Null when there is too little to learn from.</summary>
    public static TextExample? Render(Product product)
    {
        string body = string.Join("\n\n", product.Blocks.Select(block => block.Text));
        if (body.Length < MinimumLength) return null;
        return new TextExample(product.Summary.Length > 0 ? $"{product.Name}: {product.Summary}\n\n{body}" : $"{product.Name}\n\n{body}");
    }
}
