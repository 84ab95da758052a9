using Flywheel.Model;
using Flywheel.Studio.Shell;

namespace Flywheel.Studio.Apps.Write.Bulk;

/// <summary>Which field of a brief a column is, by its name in English or Chinese; and what people call kinds, tones and lengths in its
/// cells.</summary>
internal static class BulkColumns
{
    /// <summary>Several columns may be facts; of any other field there is one.</summary>
    public const string Facts = "facts";

    private static readonly (string Field, string[] Names)[] Known =
    [
        ("name", ["name", "product", "product name", "title", "item", "brand", "app", "名称", "名字", "产品", "产品名称", "商品", "商品名称", "品名", "标题"]),
        ("kind", ["kind", "kind of text", "type", "format", "文案类型", "类型", "文体"]),
        ("what", ["what", "what it is", "category", "categories", "genre", "是什么", "类别", "分类", "品类"]),
        (Facts, ["facts", "fact", "feature", "features", "bullet", "bullets", "bullet point", "selling point", "selling points", "usp",
            "benefit", "benefits", "details", "description", "notes",
            "事实", "特点", "卖点", "特性", "优点", "描述", "说明", "详情"]),
        ("audience", ["audience", "target audience", "target", "target group", "for", "for whom", "who for", "who", "customers", "受众",
            "目标受众", "面向谁", "对象", "目标人群", "人群"]),
        ("tone", ["tone", "tone of voice", "style", "语气", "风格", "口吻"]),
        ("length", ["length", "长度", "篇幅"]),
    ];

    /// <summary>Fields that a cell says in the model's words, and the values that the model knows.</summary>
    private static readonly Dictionary<string, string[]> Choices = new() { ["kind"] = [.. Brief.Kinds], ["tone"] = WritePage.Tones,
        ["length"] = WritePage.Lengths };

    /// <summary>A field for each column; empty where none is meant.</summary>
    public static List<string> Guess(IReadOnlyList<string> columns)
    {
        List<string> fields = [];
        foreach (string column in columns)
        {
            string field = Known.FirstOrDefault(one => one.Names.Contains(Plain(column), StringComparer.Ordinal)).Field ?? "";
            fields.Add(field != Facts && fields.Contains(field) ? "" : field);
        }
        // A brief has a name: of what is left, the first column.
        if (!fields.Contains("name") && fields.IndexOf("") is >= 0 and int first) fields[first] = "name";
        return fields;
    }

    /// <summary>As the model reads it, of a value in one of the pages' languages; any other stays as it is.</summary>
    public static string Value(string field, string cell)
    {
        if (!Choices.TryGetValue(field, out string[]? choices)) return cell;
        bool Is(string choice) => cell.Equals(choice, StringComparison.OrdinalIgnoreCase)
            || Strings.Languages.Any(language =>
                cell.Equals(Strings.Of(language.Tag)[$"write.{field}.{choice.Replace(' ', '-')}"], StringComparison.OrdinalIgnoreCase));
        return choices.FirstOrDefault(Is) ?? cell;
    }

    // "Fact_2", "fact 2" and "FACTS" are one name.
    private static string Plain(string column) =>
        string.Join(' ',
            column.ToLowerInvariant().Split([' ', '_', '-', '/', '.', ':', '：', '(', ')', '#'], StringSplitOptions.RemoveEmptyEntries))
            .TrimEnd('0', '1', '2', '3', '4', '5', '6', '7', '8', '9', ' ');
}
