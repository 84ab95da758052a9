using System.Text.Json;
using Flywheel.Data;
using Flywheel.Model;

namespace Flywheel.Cli.Demo;

/// <summary>A fictional product that simulated users ask copy for; a line of <c>recipes/demo/briefs.jsonl</c>.</summary>
internal sealed record Product(string Name, IReadOnlyList<string> Categories, IReadOnlyList<string> Facts, string Audience)
{
    /// <exception cref="FlywheelException">A line is no product, or two have one name; the message names the line.</exception>
    public static IReadOnlyList<Product> Load(string path)
    {
        if (!File.Exists(path)) throw new FlywheelException($"the demo's products are missing: {path} is not there");
        var products = new List<Product>();
        var names = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        foreach ((int number, string line) in Utf8File.ReadLines(path).Index().Where(line => line.Item.Length > 0))
        {
            string where = $"{path} line {number + 1}";
            Product? product;
            try
            {
                product = JsonSerializer.Deserialize<Product>(line, JsonText.Compact);
            }
            catch (JsonException e)
            {
                throw new FlywheelException($"{where} is not valid JSON: {e.Message}", e);
            }
            if (product is not { Name.Length: > 0, Facts.Count: > 0, Categories.Count: > 0, Audience: not null })
                throw new FlywheelException($"{where} lacks a field, expected name, categories, facts and audience");
            if (!names.Add(product.Name)) throw new FlywheelException($"{where} repeats the name '{product.Name}'");
            products.Add(product);
        }
        return products;
    }
}

/// <summary>One request of one simulated user: who asks for what, and the seed of the drafts.</summary>
internal sealed record Ask(string User, Brief Brief, int Seed);

/// <summary>
/// Who asks for what before and after the turn. The products, the users and so the prompts of the measurement are
/// disjoint from those that give feedback. A pure function of its arguments.
/// </summary>
internal sealed record Protocol(IReadOnlyList<Ask> Feedback, IReadOnlyList<Ask> Measurement)
{
    /// <param name="products">All there are.</param>
    /// <param name="users">That give feedback.</param>
    /// <param name="prompts">Each of them asks for.</param>
    /// <param name="seed">Decides every draw.</param>
    /// <param name="round">Of a series, from 0: other users, who ask for the next products. The measurement is the same in all.</param>
    public static Protocol Draw(IReadOnlyList<Product> products, int users, int prompts, int seed, int round = 0)
    {
        Product[] order = [.. products.OrderBy(product => StableHash.Of($"{seed}\n{product.Name}"))];
        int numUnseen = order.Length * 2 / 5;
        Product[] unseen = order[..numUnseen], seen = order[numUnseen..];
        if (users < 1 || prompts < 1 || unseen.Length < PromptsPerJudge || prompts > seen.Length)
            throw new FlywheelException(
                $"{users} users with {prompts} prompts each do not fit {products.Count} products, expected 1 or more users and 1 to {seen.Length} prompts");
        Random random = StableHash.Stream(round == 0 ? "protocol" : $"protocol, round {round}", seed);
        // Users walk round the products, so that each product is asked for about equally often; each asks in an own way.
        var feedback = from user in Enumerable.Range(0, users)
                       from prompt in Enumerable.Range(0, prompts)
                       select Draw($"simulated-user-{(round == 0 ? "" : $"{round + 1}-")}{user + 1:D2}",
                           seen[((round * users + user) * prompts + prompt) % seen.Length], random);
        var measurement = from index in Enumerable.Range(0, unseen.Length / PromptsPerJudge * PromptsPerJudge)
                          select Draw($"simulated-judge-{index / PromptsPerJudge + 1:D2}", unseen[index], random);
        return new Protocol([.. feedback], [.. measurement]);
    }

    /// <summary>Unseen products that one unseen user asks for; a product belongs to one of them, so users are independent
    /// clusters.</summary>
    public const int PromptsPerJudge = 3;

    /// <summary>Two or more of the product's facts in some order; not everybody names category and audience.</summary>
    private static Ask Draw(string user, Product product, Random random)
    {
        string[] facts = [.. product.Facts];
        random.Shuffle(facts);
        facts = facts[..random.Next(Math.Min(2, facts.Length), facts.Length + 1)];
        var brief = new Brief(product.Name, Brief.Tagline, facts, product.Categories, random.Next(2) == 0 ? product.Audience : "");
        return new Ask(user, brief, random.Next());
    }
}
