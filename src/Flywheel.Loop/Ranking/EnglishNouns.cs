using System.Text.RegularExpressions;

namespace Flywheel.Loop.Ranking;

/// <summary>What an article may stand before, as far as a word's shape and two lists of common nouns can tell. English only.</summary>
internal static partial class EnglishNouns
{
    /// <summary>What can be said of a thing's number.</summary>
    public enum Number
    {
        /// <summary>Not sure: with an article or without.</summary>
        Open,

        /// <summary>One of several: an article or another such word stands before it.</summary>
        Count,

        /// <summary>A substance or an idea: never "a".</summary>
        Mass,

        /// <summary>Several: never "a".</summary>
        Plural,
    }

    /// <summary>Of a thing such as "heated pool for children": its noun stands before the first preposition.</summary>
    public static Number NumberOf(string thing)
    {
        bool measured = IsMeasured(thing);
        if (!measured && Determined().IsMatch(thing) || Joined().IsMatch(thing)) return Number.Open;
        Number number = NumberOfNoun(Head(thing));
        return measured && number == Number.Open ? Number.Count : number;
    }

    /// <summary>Whether something stands before it that says which or how many.</summary>
    public static bool IsDetermined(string thing) => Determined().IsMatch(thing) && !IsMeasured(thing);

    /// <summary>Whether it is several things, each with a number of its own: "proper beds and bedding".</summary>
    public static bool IsJoined(string thing) => Joined().IsMatch(thing);

    /// <summary>One of a stated size, not several: "2 year warranty", "24 hour dispatch line".</summary>
    public static bool IsMeasured(string thing) => Measured().IsMatch(thing) && !Units.Contains(Head(thing).ToLowerInvariant());

    /// <summary>Whether its noun is one of the lists, in singular or plural.</summary>
    public static bool IsKnown(string thing)
    {
        string head = Head(thing).ToLowerInvariant();
        return Countable.Contains(head) || Uncountable.Contains(head)
            || IsPlural(head)
                && (Countable.Contains(head[..^1]) || head.EndsWith("es", StringComparison.Ordinal) && Countable.Contains(head[..^2])
            || head.EndsWith("ies", StringComparison.Ordinal) && Countable.Contains(head[..^3] + "y")
            || head.EndsWith("ves", StringComparison.Ordinal)
                && (Countable.Contains(head[..^3] + "f") || Countable.Contains(head[..^3] + "fe")));
    }

    private static Number NumberOfNoun(string head)
    {
        if (head.Length == 0) return Number.Open;
        if (IsPlural(head)) return Number.Plural;
        head = head.ToLowerInvariant();
        return Countable.Contains(head) ? Number.Count : Uncountable.Contains(head) || Doing().IsMatch(head) ? Number.Mass : Number.Open;
    }

    /// <summary>The noun that the others belong to; empty of an empty text.</summary>
    public static string Head(string thing)
    {
        string[] words = Behind().Split(thing.Trim())[0].Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return words.Length == 0 ? "" : words[^1];
    }

    /// <summary>Whether a noun is a plural by its shape.</summary>
    public static bool IsPlural(string noun) => Irregular.Contains(noun.ToLowerInvariant())
        || noun.Length > 3 && noun[^1] == 's' && noun[^2] is not ('s' or 'u' or 'i') && !Singular.Contains(noun.ToLowerInvariant());

    /// <summary>"a" or "an", as it is spoken.</summary>
    public static string Article(string text) => Vowel().IsMatch(text) || Spelt().IsMatch(text) ? "an" : "a";

    private static readonly HashSet<string> Irregular = [.. "people children men women teeth feet mice geese dice ads apps".Split(' ')];

    private static readonly HashSet<string> Singular = [.. "canvas atlas gas lens bias christmas always news".Split(' ')];

    private static readonly HashSet<string> Countable =
        [.. ("sport cafe coating service edition voucher certificate scheme version hotline helpline hem trip adviser aftertaste agency album alarm apartment app aquarium arcade atlas atrium attic author backpack badge bag bakery balcony ball band bar barn base basement basket bath bathroom battery beach bed bedroom bell belt bench bicycle "
        + "bike blanket boardwalk boat book booklet bookshop boutique bottle bowl box bridge browser brush bucket budget builder building button cabin cable café cage calculator calendar camera camp campsite candle car card carousel carpenter cart case castle catalogue ceiling cell cellar centre chair chalet channel charger "
        + "chart checker chef child choir church cinema clasp client clinic clip clock club coat collection collar comb company compartment compass concert container cookbook corner cottage counter couch country courtyard cover cradle crane cup cupboard cushion dashboard day deck delicatessen dentist deposit desk device dial diary dictionary dinghy discount "
        + "display dog doll door dormitory drawer dress drone drum editor elevator ending engine envelope estimate event exhibition export factory fair family fan farm farmhouse feeder fence ferry festival field film filter finish fireplace firm flag flat floor folder forum fountain frame fridge friend gallery game garage garden gate gel gift glossary glove gramophone greenhouse grill group guarantee guesthouse guide "
        + "guitar gym hall hammer hammock handbook handle harbour harness hat hayloft headline heater hide hill hint history hole holder hook horse hostel hotel hour house houseboat hut icon inn instrument instructor interview island jacket jar jetty jug kettle keyboard kiosk kit kitchen knife ladder lake lamp lantern laptop lawn layer leader "
        + "leaflet lecture lesson level library lid lift lighthouse line lining list locker lock lodge loft log loop lounge machine magazine magnet manager manual map market marquee mattress meal meadow menu meter microphone microscope mill mine minibus mirror mode model monitor month motor mug museum mystery napkin necklace newsletter nest notebook novel number "
        + "nursery observatory office orchard orchestra organ oven owner package pad paddock page painting pan panel parade park partner party passage path patio pen pencil person phone photo photograph photographer piano picture pier pillow pit planner plate platform player playground playlist plug pocket podcast pond pool porch portrait pouch practice pram preview printer prize programme project projector pub pump "
        + "purse puzzle quarry quiz quote rack radio raft ramp ranger rate reader reception receipt recipe recorder reel reminder report reserve restaurant rhythm ride ring river road roast robot roof room rope rota router rowing-boat rucksack rug ruler saddle salon sandpit sauna saw scanner scarf scent school scooter scorecard screen sculpture search seat seminar sensor set shed sheet shelf shelter shield ship shirt shop shower shrine shuttle "
        + "sign singer sink site skirt sleeve slide slope socket sofa song soundtrack spa speaker spire spoon sprinkler square stable stadium staircase stage stall stand station statue step stool store stove strap stream street studio suit suitcase summary swim surface swing switch table tablet tag tailor tank tap tea-room teacher team teapot telescope template tent terminal terrace theatre theme thermometer thermostat ticket tie tile "
        + "timeline timer toaster tool toothbrush topping torch tour towel tower toy track trail trailer train tram trampoline tray treehouse tripod truck tub tuner tunnel tutor umbrella valley van vault vehicle veranda vet viewer viewpoint village villa vineyard visit voice wait volcano waistband waiter walk wall wallet wardrobe warehouse watch waterfall wheel whistle widget wiki window wing workbench workshop yard yacht zip zoo "
        + "awning beginning show talk walk blessing booking carving clearing crossing drawing dressing duckling dumpling dwelling earring engraving etching evening filling fitting gathering greeting helping king landing mooring morning offering opening outing pairing planting pudding railing reading recording screening serving setting sibling sitting sling tasting viewing wedding "
        + "area armchair axle balm banner bark beam berth bistro bolt booth boot bouquet branch brooch buckle bun bunk buoy buyer cake calorie canoe cap caravan carriage catalog chimney chip chisel circle cloak cloister cloth coach coaster code colour column comet conference consultation cookie costume course crate crayon crown cube curtain cyclist daybed den diagram dome doorbell dough draft dragon duvet e-bike e-reader egg emblem exercise eye fabric fee fig firework flask fleece flute footbath footpath forecast fork fort gap garment gem glider goat grower gutter half hammam hatch hedge helmet herb hoop hood hotplate imprint index infusion inlet itinerary ivy jet jigsaw joint key kiln lace lagoon leaf ledge leg letter licence litre loaf lobby locket logbook loom marina mask mast mat medal meeting member melody mezzanine moat mountain mural nail neck needle net niche oar oasis omelette option outlet overview pane patch pattern pavilion peak peg picnic pie pin pipe pistachio pizza plan plant plaque pole portion post pot potter price print promise puppet push-button quay queue quilt quince rail rake raincoat rating refill refund rehearsal ribbon rim ritual robe rooftop routine row salad sample sandwich scale scene screw seal season segment series session shade shore shortcut shoulder shrub sieve signature silo skin skylight sleeper slice slot snack span spice spout spring squad stair star steamer stem stick stitch stopover storey story strand stretcher string student style subscription summit sunset supper tail tandem tart task taxi tea-house tea-set test thread throne thumb time tin tip title toolbox tortilla tractor translation trap treatment tree trial trick triangle trolley trophy trunk tube tulip turntable tutorial twin tyre unit upgrade urn variant vase velodrome vent vine violin waffle waistcoat walkway warning warranty watchtower waterwheel weaver week weekend whisk wingspan woodland word workbook world wreath year").Split(' ')];

    private static readonly HashSet<string> Uncountable =
        [.. ("salmon trout haddock mackerel tuna herring bacon lamb pork mutton veal sake vodka rum tequila brandy whiskey perry chutney mozzarella cheddar brie ricotta feta halloumi chorizo salami knitwear menswear womenswear nightwear samphire sourdough wax access accounting advice air aluminium artwork ash assembly baggage bamboo beech beef beer birch brass bread breakfast butter canvas cargo cash catering cedar ceramic charcoal charging cheese chocolate cider cinnamon cleaning clothing coffee copper cork cotton cream crockery curry "
        + "cutlery dairy denim dust electricity electronics embroidery encryption entertainment entry equipment felt firewood fishing flour food footwear furniture garlic ginger gingerbread glass glue gold granola gravel guidance hair hardware heating help hemp hire homework honey housing hummus ice-cream import information insulation insurance iron ivory jam jazz jewellery "
        + "juice kombucha leather lemonade lighting linen literature lotion luck luggage lunch machinery maple marble marmalade meat merchandise milk mint money mud muesli music mustard nougat oak oil olive-oil packaging paper paprika parking pasta pasture peat pepper pesto photography physiotherapy plaster plastic plumbing popcorn porcelain porridge postage pottery poultry processing protection publicity "
        + "rain recycling research rice room-service rope-making rubber rust safety salt sand sawdust seafood seating shade shampoo shipping silk silver sleet snow soap software soil soup spinach staff stationery steam steel stoneware sugar sunlight sunshine support syrup tea technology thyme timber tofu traffic training transport tuition tutoring underwear vanilla velvet vinegar walnut watching water weather wheat whisky wi-fi wildlife wine wood wool work wrapping yarn yoghurt yogurt "
        + "admission aftercare alcohol algebra amber asparagus aspirin assistance attention availability balance bedding beeswax beetroot caffeine calm care carpentry clay climbing coaching comfort compost content cooking coriander courage crochet dancing design dill drainage driftwood earth edging elderflower enamel energy engineering etiquette exercise fabric fennel fish flooring fog fruit fun gauze gin glazing granite grass grease grooming gymnastics hail hay heather horseradish housework hygiene ice independence ink innovation joinery kale kindness kindling knitting knowledge lace landscaping lavender lead legwork leisure light limestone liquorice loam maintenance manga manure mead mercury mohair mortar moss nutmeg nylon oatmeal organisation painting parchment parsley peace permission petrol pine poetry polish polyester privacy produce pumpkin quartz quiet ramen raw-milk ribboning rooibos rye sailing sage seaweed sewing shelter silence silicone sledging slate smoke snorkelling soya spelt straw street-food suede sunscreen swimming tar tarragon tartan tenancy theatre therapy tin tobacco tomato translation travel turf turmeric twine upkeep varnish veneer venison viscose vocabulary warmth waste wax willow yeast").Split(' ')];

    /// <summary>What sizes are counted in.</summary>
    private const string Unit =
        "year|month|week|day|night|hour|minute|second|mile|metre|meter|kilometre|litre|liter|page|piece|seat|room|bedroom|bed|person|part|course|kilo|gram|inch|foot|watt|storey|volume|speed|point";

    private static readonly HashSet<string> Units = [.. Unit.Split('|').Except(["course", "room", "bedroom", "bed", "seat", "piece"])];

    [GeneratedRegex($@"^(\d[\d.,]*|two|three|four|five|six|seven|eight|nine|ten|twelve|fifteen|twenty|thirty|forty|fifty)[ -]({Unit})[ -](?!(an?|per|each|ago|away|later|old|long|and|or|to|of|in|on|at|by|from|with|for|before|after|until)\b)\w", RegexOptions.IgnoreCase)]
    private static partial Regex Measured();

    /// <summary>What one does, which nobody counts: "plaiting", "steering".</summary>
    [GeneratedRegex(@"^\w{3,}ing$")]
    private static partial Regex Doing();

    /// <summary>Something stands before it that says which or how many.</summary>
    [GeneratedRegex(@"^(an?|the|this|that|these|those|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|forty|fifty|\d[\d.,]*|no|your|our|my|its|their|his|her|every|each|all|any|some|many|most|several|more|few|half|both|another|plenty|lots)\b(?!-)", RegexOptions.IgnoreCase)]
    private static partial Regex Determined();

    /// <summary>Two things, each with a number of its own; "dark and light themes" are one.</summary>
    [GeneratedRegex(@"^(?!(dark|light|hot|cold|warm|sweet|savoury|large|small|big|little|red|white|black|blue|green|grey|old|new|used|indoor|outdoor|fresh|dried|local|live|daily|weekly|modern|simple|soft|hard) (and|or) )[\w-]+( [\w-]+)? (and|or) ", RegexOptions.IgnoreCase)]
    private static partial Regex Joined();

    [GeneratedRegex(@",? (?:of|with|for|from|in|on|at|by|to|around|beside|over|under|until|after|before|between|through|without|per|that|who|which|when|where|above|behind|near|next|made|run|against|along|across|inside|outside|up|down|since|during|as|included|available|every|each|while|free of|free for|sold|made|cut|sewn|built|grown|(?!(?:garden|kitchen|linen|oven|chicken|children|women|men|token|haven|den|seed|bed|shed|feed|reed|weed|hen|pen|screen)\b)\w+(?:ed|en) (?:in|on|at|by|with|from|to|over|within|every|under|without|overnight|daily|weekly)|(?:provided|included|accepted|guaranteed|needed|required|served|replaced|welcome|allowed|only))\b.*$|,.*$", RegexOptions.IgnoreCase)]
    private static partial Regex Behind();

    [GeneratedRegex(@"^(?!uni[^nm]|use|eu|one\b|once)[aeiou]|^(hour|honest|heir|8|11\b|18\b)", RegexOptions.IgnoreCase)]
    private static partial Regex Vowel();

    /// <summary>Letters that are said one by one, the first beginning with a vowel: "MIT", "LED", "RSS".</summary>
    [GeneratedRegex(@"^(?!(NASA|NATO|LEGO|RAM|ROM|SIM|LAN|MIDI|FIFA|FAQ|SCUBA|HALAL)\b)[FHLMNRSX][A-Z0-9]+s?\b")]
    private static partial Regex Spelt();
}
