using System.Text.RegularExpressions;
using Flywheel.Data;
using Flywheel.Model;

namespace Flywheel.Loop.Ranking;

/// <summary>
/// Finds facts that stand in a sentence which their form does not fit: "you can opens at six", "it is hot showers", "it also has dogs may
/// bark". A fact's form is guessed from its first words and its last; where the guess is open, nothing is said. English only.
/// </summary>
internal static partial class FactFrames
{
    public enum Form
    {
        /// <summary>Not sure.</summary>
        Open,

        /// <summary>Things: "hot showers", "34 rooms", "a garden".</summary>
        Thing,

        /// <summary>A verb in the third person: "opens at six".</summary>
        Verb,

        /// <summary>Said of it: "made of oak", "from Peru", "open until nine".</summary>
        Said,

        /// <summary>A whole sentence: "dogs may bark".</summary>
        Sentence,

        /// <summary>What one can do: "pay by card".</summary>
        Ability,

        /// <summary>Of any form: said as it was typed, behind a label or as a point.</summary>
        Note,
    }

    /// <summary>How many of the brief's facts stand where their form does not fit.</summary>
    public static int Misfits(Brief brief, string text)
    {
        // whatever it is called, the name is a subject and the category a noun
        if (brief.Name.Length > 0) text = text.Replace(brief.Name, "It", StringComparison.Ordinal);
        foreach (string category in brief.Categories.Where(category => category.Length > 0))
            text = Regex.Replace(text, $@"(?<=\ban? ){Regex.Escape(category)}(?!\w)", "thing", RegexOptions.IgnoreCase);
        return Misfits(brief.Facts, text) + (brief.Categories.Count > 0 ? HavingItself().Count(text) : 0);
    }

    /// <summary>How many of the facts stand where their form does not fit.</summary>
    public static int Misfits(IEnumerable<string> facts, string text) => facts.Count(fact => Misfit(Bare(fact), FormIn(fact), text));

    /// <summary>Whether a sentence has the name as its subject, or would have, and no verb.</summary>
    public static bool IsVerbless(Brief brief, string sentence)
    {
        if (Regex.IsMatch(sentence, $@"^((With|In|For) [^:]*, |What makes ){Regex.Escape(brief.Name)}[.!]*$")) return true;
        if (!sentence.EndsWith('.') || sentence.Contains(':', StringComparison.Ordinal)
            || !Regex.IsMatch(sentence, $@"^((At|With|In) )?{Regex.Escape(brief.Name)}(?!\w)")) return false;
        IEnumerable<string> own = brief.Facts.Where(fact => FormIn(fact) is Form.Verb or Form.Open or Form.Sentence).Select(Bare)
            .SelectMany(fact => fact.Split(' '));
        HashSet<string> verbs = [.. Verbs, .. Finite, .. Acts, .. own];
        return !Regex.Matches(sentence.Replace(brief.Name, "", StringComparison.Ordinal), @"[\w-]+")
            .Any(word => verbs.Contains(word.Value));
    }

    /// <summary>How many lines of a feature list are no fact of the brief, nor for whom it is, stand there a second time or begin with a
    /// small letter.</summary>
    public static int StrangeLines(Brief brief, string text)
    {
        string[] lines = [.. text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.TrimStart('-', ' '))];
        HashSet<string> known = new([.. brief.Facts.Select(fact => LeadingArticle().Replace(Bare(fact), "")), "For " + brief.Audience],
            StringComparer.OrdinalIgnoreCase);
        return lines.Length - lines.Select(line => LeadingArticle().Replace(line, "")).Distinct(StringComparer.OrdinalIgnoreCase)
            .Count(known.Contains) + lines.Count(line => line.Length > 0 && char.IsLower(line[0]));
    }

    /// <summary>How many sentences are nothing but a thing of the brief ("Kippers on request."), or begin with a small letter, and how many
    /// facts have a capital inside one.</summary>
    public static int Fragments(Brief brief, string text)
    {
        HashSet<string> things =
            new(brief.Facts.Where(fact => FormIn(fact) is Form.Thing or Form.Note).Select(fact => LeadingArticle().Replace(Bare(fact), "")),
                StringComparer.OrdinalIgnoreCase);
        return TextCleaner.Sentences(text.ReplaceLineEndings(" "))
            .Count(sentence => things.Contains(LeadingArticle().Replace(Introduced().Replace(sentence.TrimEnd('.', '!', '?'), ""), "")))
            + BrokenSentence().Count(text)
            + brief.Facts.Select(Bare)
                .Count(fact => fact.Length > 0 && char.IsLower(fact[0])
                    && Regex.IsMatch(text, $@"[\w,] {Regex.Escape($"{char.ToUpperInvariant(fact[0])}{fact[1..]}")}"));
    }

    /// <summary>How many sentences end with the name and go on all the same: "That is Old Kiln also has a garden", "At Old Kiln is a
    /// bakery".</summary>
    public static int RunOns(Brief brief, string text) =>
        brief.Name.Length == 0
            ? 0 : Regex.Matches(text,
                $@"((?<!\b(you|is|will|can) )\b(that is|this is|there is|here is|here comes|come to|welcome to|discover|meet|try|visit|choose|call)|(?<=^|[.!?]\s)(at|with|in|for)) {Regex.Escape(brief.Name)} ((also|even|always|never) )*(?<next>[\w-]+)", RegexOptions.IgnoreCase | RegexOptions.Multiline)
        .Count(at => Finite.Contains(at.Groups["next"].Value) || IsThirdPerson(at.Groups["next"].Value));

    private static readonly HashSet<string> Finite =
        [.. "is are was were has have can may must will would does do did lets let offers offer provides provide brings bring gives give comes come makes make combines stands allows invites awaits need needs want wants get find enjoy discover meet see know love look visit try call book ask expect add guests there".Split(' ')];

    /// <summary>How many facts that are one of several things ("rooftop bar") stand without an article.</summary>
    public static int MissingArticles(IEnumerable<string> facts, string text) =>
        facts.Where(fact => FormIn(fact) == Form.Thing).Select(Bare)
            .Count(fact => EnglishNouns.NumberOf(fact) == EnglishNouns.Number.Count
                && Regex.Matches(text, $@"(?<![\w-]){Start(fact)}", RegexOptions.IgnoreCase)
                    .Any(at => Needing().IsMatch(text[..at.Index])));

    private static bool Misfit(string fact, Form form, string text)
    {
        if (form == Form.Open && !NoInfinitive().IsMatch(fact) && !Regular().IsMatch(fact) && !PluralOf(fact)) return false;
        foreach (Match at in Regex.Matches(text, $@"(?<![\w-]){Start(fact)}", RegexOptions.IgnoreCase))
        {
            string before = text[..at.Index];
            if (form == Form.Note && !Apart().IsMatch(before)) return true;
            if (form is Form.Sentence or Form.Ability && Relative().IsMatch(before)) return true;
            if (form == Form.Sentence && (Doing().IsMatch(before) || Able().IsMatch(before) || Because().IsMatch(before))) return true;
            if (PluralOf(fact) && Articled().IsMatch(before)) return true;
            if (form == Form.Open)
                return Able().IsMatch(before) || Being().IsMatch(before) && Span().IsMatch(fact)
                    || Having().IsMatch(before) && Regular().IsMatch(fact);
            if (form != Form.Thing && Having().IsMatch(before)) return true;
            if (form == Form.Said && (HavingAnd().IsMatch(before) || BareAnd().IsMatch(before))) return true;
            if (form == Form.Sentence && HavingAnd().IsMatch(before)
                && !before.TrimEnd().EndsWith(", and", StringComparison.OrdinalIgnoreCase)) return true;
            if (form == Form.Thing && ThatAnd().IsMatch(before)) return true;
            if (form is Form.Verb or Form.Sentence or Form.Thing && OfAThing().IsMatch(before)) return true;
            if (Urging().IsMatch(before)) return true;
            if (form != Form.Said && Being().IsMatch(before) || form == Form.Thing && BeingA().IsMatch(before)) return true;
            if ((form is Form.Verb or Form.Said || NoInfinitive().IsMatch(fact)
                || form == Form.Thing && EnglishNouns.IsKnown(fact) && fact.Split(' ')[0].EndsWith("ing", StringComparison.Ordinal))
                && Able().IsMatch(before)) return true;
            if ((form is Form.Thing or Form.Said && (!MaybeVerb().IsMatch(fact) || EnglishNouns.IsKnown(fact.Split(' ')[0]))
                || form == Form.Ability) && Doing().IsMatch(before)) return true;
            if ((form != Form.Thing || EnglishNouns.NumberOf(fact) == EnglishNouns.Number.Mass) && Articled().IsMatch(before)) return true;
        }
        return false;
    }

    /// <summary>The fact's first two words, which a text that restates it begins it with.</summary>
    private static string Start(string fact) =>
        string.Join(@"\s+", fact.Split(' ', StringSplitOptions.RemoveEmptyEntries).Take(2).Select(Regex.Escape)) + @"(?!\w)";

    /// <summary>Without what the sentence may say otherwise.</summary>
    public static string Bare(string fact) => Lead().Replace(fact.Trim().TrimEnd('.'), "");

    /// <summary>As its first words say; else by its shape and as <see cref="FactForms"/> learnt it, where they do not differ.</summary>
    private static Form FormIn(string fact)
    {
        if (MarkOf(fact) is { } marked) return marked;
        Form shape = FormOf(Bare(fact)), learnt = FactForms.FormOf(Bare(fact)) switch
        {
            FactForm.Has or FactForm.No => Form.Thing, FactForm.Does => Form.Verb, FactForm.Is => Form.Said, FactForm.Says => Form.Sentence,
            FactForm.Lets => Form.Ability, _ => Form.Open,
        };
        // "no booking is needed" begins as what it does without, and is a sentence
        if (shape == Form.Sentence && Clause().IsMatch(Bare(fact))) return shape;
        if (shape == Form.Open && (Regular().IsMatch(Bare(fact)) || Span().IsMatch(Bare(fact)))) return Form.Open;
        return shape == Form.Open ? learnt : learnt == Form.Open || learnt == shape ? shape : Form.Open;
    }

    /// <summary>The form that a fact's first words say, which <see cref="Bare"/> takes away; null where they say none.</summary>
    public static Form? MarkOf(string fact) => Lead().Match(fact.Trim()).Groups[1].Value.ToLowerInvariant() switch
    {
        "has" or "it has" or "with" => Form.Thing,
        "is" or "it is" => Form.Said,
        "it" => Form.Verb,
        "you can" => Form.Ability,
        "note:" => Form.Note,
        _ => null,
    };

    /// <summary>Whether it is asked for as a note.</summary>
    public static bool IsNote(string fact) => MarkOf(fact) == Form.Note;

    /// <summary>A fact of which nobody is sure how a sentence would say it.</summary>
    public static string NoteOf(string fact) => "note: " + fact;

    public static Form FormOf(string fact)
    {
        if (fact.Length == 0) return Form.Open;
        string[] words = fact.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        string first = words[0].ToLowerInvariant().TrimEnd(',');
        if (first.Length == 0) return Form.Open;
        if (Enough().IsMatch(fact) || Away().IsMatch(fact)) return Form.Said;
        if (Clause().IsMatch(fact) || IsClause(words)) return Form.Sentence;
        if (AreThings(fact)) return Form.Thing;
        if (Verbs.Contains(first) && words.Length > 1
            && (words[1] != "of" || first is "smells" or "tastes" or "warns" or "reminds" or "consists")) return Form.Verb;
        if (words.Length > 1 && Ambiguous.Contains(first) && !Behind().IsMatch(words[1])) return Form.Verb;
        if (words.Length > 1 && first.Length > 3 && first[^1] == 's' && first[^2] is not ('s' or 'u' or 'i')
            && !EnglishNouns.IsKnown(words[0]) && (Object().IsMatch(words[1]) || EnglishNouns.IsPlural(words[1]))) return Form.Verb;
        if (Prepositions.Contains(first) || Saying().IsMatch(fact)) return Form.Said;
        if (Counted().IsMatch(fact)) return Measure().IsMatch(fact) ? Form.Open : Form.Thing;
        if (EnglishNouns.IsKnown(fact) || EnglishNouns.IsPlural(words[0]) && EnglishNouns.IsKnown(words[0])) return Form.Thing;
        // "paints walls" may be a verb that is not on the list.
        if (words.Length is 2 or 3 && first[^1] != 's' && !Qualified().IsMatch(fact)) return Form.Thing;
        return PluralOf(fact) && first is not ("never" or "always" or "also")
            && (first[^1] != 's' || words.Length == 1 || Tail().IsMatch(" " + string.Join(' ', words.Skip(1)))) ? Form.Thing : Form.Open;
    }

    /// <summary>A verb such as "opens".</summary>
    public static bool IsThirdPerson(string word) => Verbs.Contains(word) || Ambiguous.Contains(word);

    /// <summary>A verb such as "open".</summary>
    public static bool IsAct(string word) => Acts.Contains(word) || Verbs.Contains(word + "s") || Verbs.Contains(word + "es");

    /// <summary>Several of a known thing, and which: "lockers with charging points"; two things that are no verbs, "contracts and patents";
    /// and what is one's own.</summary>
    public static bool AreThings(string fact) => OwnThing().IsMatch(fact)
        || fact.Split(' ') is [var one, "and" or "&", var other]
            && new[] { one, other }.All(word => EnglishNouns.IsPlural(word) && !Verbs.Contains(word.ToLowerInvariant()))
        || fact.Split(' ', 3) is [var first, var second, _] && !Verbs.Contains(first.ToLowerInvariant()) && EnglishNouns.IsPlural(first)
            && EnglishNouns.IsKnown(first) && Which().IsMatch(second);

    /// <summary>A subject and its verb: "choirs sing at dusk", "the lamp lasts a year".</summary>
    private static bool IsClause(string[] words) => Enumerable.Range(1, Math.Clamp(words.Length - 2, 0, 3)).Any(at =>
        Several().IsMatch(words[at - 1]) || EnglishNouns.IsPlural(words[at - 1]) && !Verbs.Contains(words[at - 1].ToLowerInvariant())
            ? Acts.Contains(words[at])
        : at > 1 && Subject().IsMatch(words[0]) && (Verbs.Contains(words[at]) || Ambiguous.Contains(words[at]))
            && Object().IsMatch(words[at + 1]));

    [GeneratedRegex("^(an?|the|each|every|one|our)$", RegexOptions.IgnoreCase)]
    private static partial Regex Subject();

    /// <summary>"under 12s get in free", "kids under 12 go free", "staff swap shifts".</summary>
    [GeneratedRegex(@"^(\d+s?|staff)$", RegexOptions.IgnoreCase)]
    private static partial Regex Several();

    private static readonly HashSet<string> Acts =
        [.. "answer arrange arrive bake bark belong brew bring carry choose climb close collect come cook cost decide eat enter fall feed fit float fly gather get go graze greet grow hang have help hold hunt include join keep land last lead leave lie listen live love make meet move need open pass pay perform play read receive ride ring rise roam run sail sell send serve share shine show sign sing sit sleep speak stand start stay stop swap sweep swim take talk teach tell travel use visit vote wait walk want watch welcome work write".Split(' ')];

    /// <summary>Whether the noun before the first preposition is a plural.</summary>
    private static bool PluralOf(string fact) => EnglishNouns.NumberOf(fact) == EnglishNouns.Number.Plural && !Measure().IsMatch(fact);

    private static readonly HashSet<string> Verbs =
        [.. "does makes gives accepts achieves activates adapts adds adheres adjusts admires adopts advertises advises agrees aligns amplifies animates announces anticipates appreciates approves ascends asks assembles assesses assists assigns attends attracts audits authorises automates awakens balances banishes becomes behaves believes belongs blanches borrows bothers breathes breeds bursts camouflages categorises chauffeurs chirps clarifies classifies coaxes combines communicates completes complies composes composts conceals condenses conducts confirms connects conserves considers consolidates constructs consults contributes coordinates counsels crochets curates customises decodes decreases decrypts dedicates deepens defends defines demonstrates deodorises deploys describes deserves destroys determines develops diagnoses dictates differs digests digitises directs disappears discovers discusses disguises disinfects dismantles dissolves distinguishes distils distributes donates duplicates earns educates eliminates embraces embroiders emits employs empowers enables encloses encourages endures energises engages enhances enjoys enlarges enriches entertains equips establishes estimates etches evaluates evolves examines exceeds excels exfoliates exists expands expects experiences expires extends extracts facilitates fades familiarises fastens feels fends ferments fits flattens flourishes foresees fosters founds frees fulfils furnishes gathers generates gets glitters governs greets happens hardens harmonises heals hears helps hesitates hovers hydrates identifies illuminates illustrates imagines imitates immerses implements impresses incorporates increases indicates infuses inherits initiates innovates inscribes inserts inspires insulates insures integrates intensifies interacts interprets invests involves irrigates isolates juggles keeps kneads launders lengthens liberates livens localises lubricates magnifies maintains manages manufactures marinates maximises memorises mentions merges minimises moderates modernises modifies moisturises motivates multiplies narrates neutralises nominates normalises nourishes nurtures obeys observes obtains occupies occurs offsets operates optimises orchestrates originates outlasts outlines outperforms oversees owns pampers participates perfumes personalises persuades picks pinpoints pivots pleases polices pollinates popularises portrays possesses postpones prefers preheats prepares preserves prioritises proceeds produces prolongs promotes pronounces proofreads proposes prospers proves publicises punctuates purifies pursues qualifies quietens reaches realises reassures receives reclaims recognises reconnects recovers recycles redirects refers refines reflects refreshes regrows regulates rehearses reinforces rejects rejuvenates relates relaxes releases relies relocates remains remakes remodels renders renews reopens reorders reorganises repeats rephrases replays replies represents reproduces requires reroutes resembles resets resists responds restocks restores retains retires retrieves revives rewrites ripens roams safeguards satisfies sculpts secures selects serenades shreds simulates sits soars socialises softens soothes spares specialises specifies spins sprouts stabilises standardises sterilises stimulates stretches strives struggles subscribes substitutes subtracts succeeds suffers surrounds survives suspends sustains swallows sympathises tackles teases tends terminates thickens thinks thrives tolerates transfers transmits understands unifies unites unrolls unwinds unwraps uploads utilises vaccinates vanishes varies ventilates verifies waives waterproofs weakens wears weathers welcomes wins answers appears arrives bakes begins brews brings builds buys carries celebrates changes catches charges checks cleans closes collects comes compares contains converts cooks counts covers cuts dates delivers dims draws dries edits encrypts ends engraves explains exports feeds fetches fills finds flies floats folds follows gives glows goes grows hangs hides holds hosts imports includes lasts learns lends lets lies lists loads locks looks matches makes measures melts mixes moves needs offers opens organises packs plants pairs performs plans plays prints protects publishes reads recalls records reminds remembers removes repairs rents replaces rolls runs saves scans searches seats sees sells sets signs sings sends serves shares ships shows sleeps smells sorts speaks stands starts stays stops switches stores supports syncs takes tastes teaches tells tests tracks trains translates travels turns unfolds uses visits waits wakes walks watches warms washes waters weighs withstands works wraps writes alerts allows analyses applies arranges attaches blooms blows boils brightens broadcasts burns calculates calms cancels captures cares chooses churns clamps clears clicks climbs compiles compresses controls corrects crawls creates decorates designs detects digs dips dispenses dives downloads drains drives dyes eases emails empties ensures enters erases explores fixes flashes forwards freezes fries glides grinds guides handles harvests heats hems hums ignites improves informs inspects installs introduces invites irons jumps knits launches leads lifts listens lowers mends mows mutes navigates notices overlooks pauses pays peels polishes pops pours praises predicts prevents promises puts raises reacts rebuilds recommends reduces refills refunds reheats relieves resoles rises rotates sands schedules scrubs senses separates settles sews sharpens shaves shines shortens simplifies smooths solves splits spreads steers stirs stitches submits suggests summarises sweeps swims synchronises tans thaws tightens tows transcribes transforms types undoes unlocks unpacks validates vibrates warns weaves weeds whisks widens wipes withdraws yields".Split(' ')];

    /// <summary>Verbs that are also plural nouns: with a noun behind them they are verbs ("trims claws"), with a preposition things ("trims
    /// of lace").</summary>
    private static readonly HashSet<string> Ambiguous =
        [.. "advances aims airs backs bands bars batches bathes beds bends bids bills binds blends blocks boards bolts bonds books boosts boots bottles boxes braids breaks bridges briefs brushes bundles buttons calls camps cans caps captions cards carves casts caters champions chases chats cheers chills chimes circles claims clasps clips coaches coats codes coils colours combs comforts commands commissions copies costs crafts cranks crops crosses curls curves cushions cycles deals decks delays delights dials displays docks dots doubles drafts dresses drills drinks drops ducks edges engineers exchanges eyes faces farms favours fences fields fights figures files films filters fires fishes flags flavours flips flows foams focuses foils forges formats forms frames frosts fuels functions funds furs gauges gears glazes glues grades grants grates greases grills grips grooms groups guarantees guards hands harbours harnesses hatches heads herds highlights hikes hints homes hooks hoops houses hunts ices images indexes inks interests interviews jars joins judges keys kicks knots labels laces ladders laminates lands laps lashes laughs layers leaks leases lights limits lines links loans lodges loops lunches maps marks masks massages masters matters meals mentors menus mills minds mirrors models monitors moulds names nests notes numbers nurses oils orders paces packages pads pages pans parks parts passes patches pedals peers pegs permits pets phones photographs photos pickles pictures pins pipes pitches places planes plasters plots plugs plunges points poses posts pots powers presents presses prices primes probes processes profiles programs projects prompts proofs pulls pumps quilts quotes races rafts rakes ranges ranks rates reports rescues researches reserves rests results returns reviews rewards rewires reworks rides rings rinses risks roasts rocks roots ropes rounds routes rows rubs rules saddles sails salts samples scales scents schools scores screens seals seasons seeds seeks sentences services shades shapes shells shelters shields shifts shoots shops shovels sides signals silences sketches skims skips slices slides slopes slows smokes snacks snaps soaks sounds sources spans spars spices spots sprays springs squeezes stacks stages stamps staples stars states steams steps stews sticks stocks strains strands straps streams stresses strikes strips structures studies styles suits supplies surfaces surprises surveys swaps swings tables tacks tags tailors tails talks taps targets tasks teams tempers texts threads tickets ties tiles tints tips titles toasts tones tops touches tours toys traces trades trails transports traps trays treasures treats triggers trims trips troubles trucks trusts tucks tunes tutors twists updates upgrades vacuums values vaults videos views vinegars voices votes walls warehouses waxes welds wheels whips whistles winds wires wishes wonders words zips zones".Split(' ')];

    [GeneratedRegex(@"^(of|with|for|from|in|on|at|by|to|around|beside|over|under|until|after|before|between|through|without|per|that|who|and|or|as|made|built|cut|sewn|grown|sold|\w+(ed|en))$|,$", RegexOptions.IgnoreCase)]
    private static partial Regex Behind();

    /// <summary>Says which things are meant: "lockers with charging points", though not "tunes by ear".</summary>
    [GeneratedRegex("^(of|with|from|that|who|without|at|in|on|to)$", RegexOptions.IgnoreCase)]
    private static partial Regex Which();

    public static readonly HashSet<string> Prepositions =
        [.. "about above at behind below beside between by for from in inside near next on opposite outside under with without".Split(' ')];

    /// <summary>"has walled gardens" has them, "has belonged to a family" does something.</summary>
    [GeneratedRegex(@"^(with|(?:it )?has(?! (been|won|\w+ed (to|the|an?|its|his|her|our|in|for|since|by|more|over))\b)|is|it is|it|you can|note:) (?=\S)", RegexOptions.IgnoreCase)]
    private static partial Regex Lead();

    [GeneratedRegex(@"^own (?!(up|to)\b)\w", RegexOptions.IgnoreCase)]
    private static partial Regex OwnThing();

    /// <summary>The start, a label, a point, or another note before.</summary>
    [GeneratedRegex(@"(^|[:;.!?]\s+|\n(- )?)$")]
    private static partial Regex Apart();

    /// <summary>A sentence that begins small, or ends before it says anything ("Plus, it is.").</summary>
    [GeneratedRegex(@"[.!?]\s+\p{Ll}|\bBecause no (?![^.!?]* (is|are|has|have|can) )|\b(it|that|you|we) (is|are|has|have|also|can|even)[.!?:]")]
    private static partial Regex BrokenSentence();

    [GeneratedRegex("^(an?|the|and) ", RegexOptions.IgnoreCase)]
    private static partial Regex LeadingArticle();

    /// <summary>"Here, an upfront price.", "And a garden."</summary>
    [GeneratedRegex("^(here|there|and|also|plus),? ", RegexOptions.IgnoreCase)]
    private static partial Regex Introduced();

    /// <summary>A verb after a subject, and no relative clause.</summary>
    [GeneratedRegex(@"^(?!.*\b(who|which|that|where|what|while|as)\b)[\w'’-]+( [\w'’-]+){0,3} (is|are|was|were|may|can|must|costs?|has|have|lasts?|pays?|stays?) [\w£€$]|^(we|you|it|there) \w", RegexOptions.IgnoreCase)]
    private static partial Regex Clause();

    [GeneratedRegex(@"^[\w-]+( [\w-]+)? (friendly|dry|safe|proof|resistant|accessible|(?<!s )throughout)$|^((never|always|fully|freshly|newly|best) )?(?!(garden|kitchen|linen|bed|oven|children|chicken|seed|feed|shed)\b)\w+(ed|en)$|^([\w-]+(ed|en)|made|built|sewn|cut|set(?! of)|open|closed|free|ready|easy|suitable|available|known|full|rich|low|safe|family run) (and|by|in|with|for|at|on|of|to|from|until|without|every|during|as|over|under|since|within|after|before|twice)\b", RegexOptions.IgnoreCase)]
    private static partial Regex Saying();

    [GeneratedRegex(@"^(an? |the only |\d|(two|three|four|five|six|seven|eight|nine|ten|twelve|twenty|thirty|forty|fifty) )",
        RegexOptions.IgnoreCase)]
    private static partial Regex Counted();

    /// <summary>Begins as a third person might, and no "by" or "of" makes it a plural.</summary>
    [GeneratedRegex(@"^\w+s,? (?!by |of )", RegexOptions.IgnoreCase)]
    private static partial Regex MaybeVerb();

    /// <summary>No verb that "you can" takes: a number, an article, a plural or a third person.</summary>
    [GeneratedRegex(@"^(an? |no |\d|(two|three|four|five|six|seven|eight|nine|ten|twelve|twenty)\b|\w{2,}[^sui\W]s (?!up|off|on)\w)",
        RegexOptions.IgnoreCase)]
    private static partial Regex NoInfinitive();

    /// <summary>Two or three words that may be said of a thing ("dog friendly", "open late") rather than be one ("steam room").</summary>
    [GeneratedRegex(@"^(open|closed|fully|never|always|very|best|easy|ready|quick|out|half|no|all|one|only|first|two|three|four|five|six|seven|eight|nine|ten)\b|,|\b(and|or|of|to|for|in|on|at|by|with|from|per|since|after|before|within|is|are|until|not|than|as)\b|\b(friendly|free|dry|proof|resistant|safe|accessible|run|made|fresh|cold|hot|warm|late|early|only|online|outside|included|welcome|old|long|high|wide|\w+(ed|able|ible|ful|less|ous|ive|ly|y|en|wn|est|er))$", RegexOptions.IgnoreCase)]
    private static partial Regex Qualified();

    [GeneratedRegex(@"^([\d.,]+|two|three|four|five|six|seven|eight|nine|ten|twelve|fifteen|twenty|thirty|an?) (minutes?|hours?|days?|weeks?|months?|years?|(kilo|centi|milli)?met(re|er)s?|kilos?|(kilo)?grams?|lit(re|er)s?|miles?|pages? long|percent|degrees)\b|^\d+([:.]\d+)?$", RegexOptions.IgnoreCase)]
    private static partial Regex Measure();

    [GeneratedRegex(@" (?:of|with|for|from|in|on|at|by|to|around|beside|over|under|until|after|before|between|through|without|per|that|who|which|and)\b.*$", RegexOptions.IgnoreCase)]
    private static partial Regex Tail();

    [GeneratedRegex(@"\b(has|have|having|with|offers?|offering|provides?|enjoy|gets?|expect|find|love|mention|brings? you|gives? you|combines|stands for|comes with|along with|add to that)\s+(a |an |the )?$", RegexOptions.IgnoreCase)]
    private static partial Regex Having();

    /// <summary>"has a pool and", with no other verb since.</summary>
    [GeneratedRegex(@"\b(has|have|with|offers?|offering|provides?|enjoy|gets?|expect|find|love|combines)\b(?!.*\b(is|are|was|it|you|that|which|who)\b)[^.!?;:]* and\s+$", RegexOptions.IgnoreCase)]
    private static partial Regex HavingAnd();

    /// <summary>How long, and of what is not said.</summary>
    [GeneratedRegex(@"^\S+ (minutes?|hours?|days?|weeks?|months?|pages?|grams?|kilos?|lit(re|er)s?|met(re|er)s?|kilomet(re|er)s?)( (an?|per|each) .*)?$", RegexOptions.IgnoreCase)]
    private static partial Regex Span();

    /// <summary>What follows a verb and no noun: "compares two databases", "records how you slept".</summary>
    [GeneratedRegex(@"^(the|an?|your|its|his|her|their|how|what|where|when|why|whole|all|every|each|you|it|them|up|off|out|back|away|together|itself|\d\S*|two|three|four|five|six|seven|eight|nine|ten|twelve|twenty)$", RegexOptions.IgnoreCase)]
    private static partial Regex Object();

    [GeneratedRegex(@"^\w+ enough\b", RegexOptions.IgnoreCase)]
    private static partial Regex Enough();

    /// <summary>How far: said of a place, and nothing that it has.</summary>
    [GeneratedRegex(@"^(an?|\d\S*|two|three|four|five|six|seven|eight|nine|ten|fifteen|twenty) (minutes?|hours?|steps?|met(re|er)s?|kilomet(re|er)s?|miles?)['’]?( walk| drive| ride)? (from|to|by|away|on foot)\b", RegexOptions.IgnoreCase)]
    private static partial Regex Away();

    /// <summary>How often.</summary>
    [GeneratedRegex(@"^(every|each|daily|weekly) |^\S+ to \S+ (players|people|persons|pages|years)\b", RegexOptions.IgnoreCase)]
    private static partial Regex Regular();

    [GeneratedRegex(@"\b(?<!(add to|mention|know|say|note) )(that|which|who)\s+$", RegexOptions.IgnoreCase)]
    private static partial Regex Relative();

    /// <summary>"sleeps four and", where nothing is said to be anything.</summary>
    [GeneratedRegex(@"(^|[.!?]\s+)(?!.*\b(is|are|with)\b)\w+ (?!\bthing\b)[^.!?;:,]* and\s+$", RegexOptions.IgnoreCase)]
    private static partial Regex BareAnd();

    /// <summary>"that opens at six and", where nothing is had.</summary>
    [GeneratedRegex(@"(?<! to) (that|which|who) (?!.*\b(is|has|have|having|with|offers?|provides?|combines|stands for|comes)\b)[^.!?;:,]* and\s+$", RegexOptions.IgnoreCase)]
    private static partial Regex ThatAnd();

    /// <summary>"The Second Spoke has a bike shop", which it is; categories are replaced by "thing" before.</summary>
    [GeneratedRegex(@"\b(it|it also) (has|offers|comes with) an? thing\b", RegexOptions.IgnoreCase)]
    private static partial Regex HavingItself();

    [GeneratedRegex(@"\bbecause (it|they)\s+$", RegexOptions.IgnoreCase)]
    private static partial Regex Because();

    [GeneratedRegex(@"\ban? thing\s+$", RegexOptions.IgnoreCase)]
    private static partial Regex OfAThing();

    [GeneratedRegex(@"[\w,] (is|are)( also| even)?\s+$", RegexOptions.IgnoreCase)]
    private static partial Regex Being();

    [GeneratedRegex(@"\b\w+ (is|are)( also| even)? (a|an|the)\s+$", RegexOptions.IgnoreCase)]
    private static partial Regex BeingA();

    [GeneratedRegex(@"\b(you can|lets you|allows you to|free to|can also|may also|(?<!\b(gives?|brings?) )you)( also| even)?\s+$",
        RegexOptions.IgnoreCase)]
    private static partial Regex Able();

    [GeneratedRegex(@"\b((it|they)( also| even| further)?|(?<!\b(to|note|mention|know|say) )that|which|who)\s+$", RegexOptions.IgnoreCase)]
    private static partial Regex Doing();

    /// <summary>"Go on, opens at six!"</summary>
    [GeneratedRegex(@"\bgo on,\s+$", RegexOptions.IgnoreCase)]
    private static partial Regex Urging();

    /// <summary>Where a thing follows and nothing that says which.</summary>
    [GeneratedRegex(@"\b(with|has|have|offers?|offering|provides?|enjoy|gets?|expect|find|love|mention|brings you|comes with|also|that|is)\s+$|,\s+$", RegexOptions.IgnoreCase)]
    private static partial Regex Needing();

    [GeneratedRegex(@"\b(a|an)\s+$", RegexOptions.IgnoreCase)]
    private static partial Regex Articled();
}
