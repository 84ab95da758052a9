using System.Collections.Frozen;

namespace Flywheel.Cli.Demo;

/// <summary>The word lists behind the rules of taste: plain data, so that everybody can see what a rule means.</summary>
internal static class Lexicon
{
    /// <summary>Verbs that a tagline may begin with.</summary>
    public static FrozenSet<string> Verbs { get; } = Set("""
        access acquire adapt add adjust administer align analyse analyze animate annotate answer apply approve arrange ask
        assemble assess assign attach automate avoid back balance bake battle beat become begin bind blend blink block blur book boot
        bounce break brew bring broadcast browse build burn buy bypass calculate calibrate call capture care catalog
        catalogue catch change chart chat check choose chop classify clean clear click climb clone close collect combine
        compare compile complete compose compress compute configure confirm connect conquer construct control
        convert cook copy correct count cover craft create crop cross customise customize cut deal debug decide decode
        decorate decrypt defeat defend define delete deliver demonstrate design destroy detect determine develop diagnose
        dig digitise digitize dim discover discuss display dive divide do dock download draft drag draw drill drive drop edit
        eject embed emulate enable encode encrypt end enhance enjoy enlarge enter erase escape estimate evaluate evolve examine
        exchange execute exercise experience experiment explain explore export expose extend extract fade fetch fight
        fill filter find finish fit fix flash flip float fly focus fold follow forget format forward free gather generate get give go
        grab grade group grow guard guess guide handle have hear help hide highlight hit hold host hunt identify illustrate
        import improve inspect install integrate interact invert investigate invite join jump keep kill know label
        launch lay lead learn let level light limit link list listen load locate lock log look lower maintain make manage
        manipulate map mark match measure meet memorise memorize merge migrate mine mix modify monitor mount move
        mute name navigate note notify observe offer open operate optimise optimize order organise organize outline pack
        paint parse partition paste pause perform pick pilot place plan play plot point post practise practice predict
        prepare present preview print process produce profile project protect provide publish pull push put puzzle query
        race raise rate reach read rebuild receive recognise recognize record recover redirect reduce register relax remember
        remind remove rename render repair repeat replace replay report request rescue reset resize resolve restore resume
        retouch retrieve reveal reverse review revise ride ring rip roll rotate run save say scale scan schedule score
        scratch search secure see select sell send separate serve set settle shape share sharpen shoot show shrink shuffle shut sign
        simulate sing sketch skip slice slide slow smooth snap solve sort speak speed spell split spot stack start stay
        steer step stitch stop store stream strip study style submit subscribe subtract suggest survive swap switch sync synchronise
        synchronize synthesise synthesize tag tail take talk tap teach tell test think throw tidy tile toggle touch trace track
        trade train transcribe transfer transform translate transmit transpose trap travel trim tune turn tweak undo
        unlock unpack unscramble update upgrade upload use validate vary verify view visit visualise visualize wake walk warn
        watch weigh weight win wipe work wrap write zoom
        """);

    /// <summary>Words of praise and advertising.</summary>
    public static FrozenSet<string> Praise { get; } = Set("""
        advanced amazing awesome beautiful best better brilliant clean clever comfortable complete comprehensive convenient cool
        cutting-edge delightful easier easiest easily easy easy-to-use effective effortless effortlessly efficient elegant enjoyable
        excellent exciting extraordinary fabulous fancy fantastic fast faster fastest feature-rich featureful fine first-class flexible
        fluent friendly full-featured fully-featured fun funny good gorgeous great handy high-performance high-quality highly
        ideal impressive incredible innovative intuitive leading lightning lovely magic magical modern neat nice next-generation
        nifty perfect perfectly polished popular powerful premium pretty professional quality rich robust seamless
        seamlessly simple simplest simply sleek slick smart sophisticated splendid stunning stylish super superb
        superior top tremendous ultimate unique unmatched unparalleled user-friendly very wonderful world-class
        """);

    /// <summary>Nouns that say what kind of thing a product is.</summary>
    public static FrozenSet<string> KindNouns { get; } = Set("""
        app application archiver assistant audio-player backend bootloader browser burner calculator calendar catalogue
        chart client clock clone collection compiler composer console converter creator daemon database debugger decoder
        designer desktop diary dictionary downloader driver editor emulator encoder engine explorer
        finder font framework frontend front-end game games generator ide interpreter
        journal kit launcher library manager metronome mixer monitor notebook organiser organizer
        package planner platform player plotter plugin processor profiler program programs projector puzzle puzzles quiz
        reader recorder renamer renderer scanner scheduler screensaver sequencer server service shell
        shooter simulation simulator solver spreadsheet station studio suite switcher synthesiser synthesizer system
        terminal thesaurus timer tool toolbox toolkit tools toy tracker trainer translator tuner tutor
        uploader utilities utility viewer visualiser visualizer wallet widget wizard workbench workshop workspace
        """);

    /// <summary>Nouns of doers and what they do.</summary>
    public static FrozenDictionary<string, string> Agents { get; } = new Dictionary<string, string>
    {
        ["analyser"] = "analyse", ["analyzer"] = "analyze", ["archiver"] = "archive", ["browser"] = "browse", ["burner"] = "burn",
        ["calculator"] = "calculate", ["checker"] = "check", ["cleaner"] = "clean", ["composer"] = "compose", ["converter"] = "convert",
        ["creator"] = "create", ["debugger"] = "debug", ["decoder"] = "decode", ["designer"] = "design", ["detector"] = "detect",
        ["downloader"] = "download", ["editor"] = "edit", ["emulator"] = "emulate", ["encoder"] = "encode", ["explorer"] = "explore",
        ["extractor"] = "extract", ["finder"] = "find", ["generator"] = "generate", ["maker"] = "make", ["manager"] = "manage",
        ["mixer"] = "mix", ["monitor"] = "monitor", ["organiser"] = "organise", ["organizer"] = "organize", ["painter"] = "paint",
        ["planner"] = "plan", ["player"] = "play", ["plotter"] = "plot", ["profiler"] = "profile", ["reader"] = "read",
        ["recorder"] = "record", ["scanner"] = "scan", ["scheduler"] = "schedule", ["simulator"] = "simulate", ["solver"] = "solve",
        ["tracker"] = "track", ["trainer"] = "train", ["translator"] = "translate", ["tuner"] = "tune", ["viewer"] = "view",
        ["visualiser"] = "visualise", ["visualizer"] = "visualize", ["writer"] = "write",
    }.ToFrozenDictionary();

    /// <summary>Adjectives that an editor drops when a noun phrase becomes a call.</summary>
    public static FrozenSet<string> Filler { get; } = Set("""
        additional basic complete configurable cross-platform desktop extensible fast featured flexible free full general generic graphical gtk gtk+ gui
        interactive java kde light lightweight little minimal minimalist minimalistic modern multi-platform native new open open-source
        personal portable powerful python qt qt-based simple small standalone tiny traditional universal versatile visual
        """);

    /// <summary>Nouns without a plural, or that stand for many already.</summary>
    public static FrozenSet<string> Mass { get; } = Set("""
        audio code content data email hardware information internet mail media memory midi music network paper power radio sheet
        software sound speech system text time traffic video weather web
        """);

    /// <summary>Words that carry no content.</summary>
    public static FrozenSet<string> Function { get; } = Set("""
        about after all also and any are before between but can each every for from has have her his how into its many more most
        not off one only other our out over own per several she some such than that the their them then there they this those
        through two under until upon use used using very was what when where which while who will with without you your
        """);

    /// <summary>What a product of these categories is called; the most special one decides.</summary>
    public static string KindOf(IReadOnlyList<string> categories)
    {
        for (int i = categories.Count - 1; i >= 0; i--)
            if (Kinds.TryGetValue(categories[i], out string? kind)) return kind;
        return "program";
    }

    private static readonly FrozenDictionary<string, string> Kinds = new Dictionary<string, string>
    {
        ["2D Graphics"] = "drawing program", ["3D Graphics"] = "modelling program", ["Accessibility"] = "desktop tool",
        ["Adventure Game"] = "adventure game",
        ["Arcade Game"] = "arcade game", ["Archiving"] = "backup tool", ["Astronomy"] = "sky viewer", ["Audio"] = "sound program",
        ["Audio and Video"] = "media program", ["Audio Video Editing"] = "media editor", ["Biology"] = "biology program",
        ["Blocks Game"] = "puzzle game",
        ["Board Game"] = "board game", ["Calculator"] = "calculator", ["Calendar"] = "calendar", ["Card Game"] = "card game",
        ["Chat"] = "chat client", ["Chemistry"] = "chemistry program", ["Clock"] = "timer", ["Contact Management"] = "address manager",
        ["Data Visualization"] = "chart program", ["Database"] = "database tool", ["Debugger"] = "debugger",
        ["Desktop Settings"] = "settings tool",
        ["Development"] = "development tool", ["Dictionary"] = "dictionary", ["Education"] = "learning program",
        ["Electronics"] = "circuit tool",
        ["Email"] = "mail client", ["Emulator"] = "emulator", ["Engineering"] = "drawing program", ["File Manager"] = "file manager",
        ["File Tools"] = "file tool", ["File Transfer"] = "transfer tool", ["Filesystem"] = "disk tool", ["Finance"] = "money manager",
        ["Game"] = "game", ["Geography"] = "map program", ["Geology"] = "geology program", ["Graphics"] = "graphics program",
        ["IDE"] = "code editor", ["Image Processing"] = "image program", ["Instant Messaging"] = "chat client",
        ["Kids Game"] = "game for children",
        ["Languages"] = "language trainer", ["Logic Game"] = "puzzle game", ["Maps"] = "map viewer", ["Math"] = "mathematics program",
        ["Midi"] = "synthesizer", ["Mixer"] = "mixer", ["Monitor"] = "monitor", ["Music"] = "music program",
        ["Network"] = "network tool", ["News"] = "news reader", ["Office"] = "office program", ["Photography"] = "photo editor",
        ["Physics"] = "simulator", ["Player"] = "player", ["Presentation"] = "presentation program", ["Printing"] = "print manager",
        ["Project Management"] = "planner", ["Publishing"] = "publishing program", ["Raster Graphics"] = "paint program",
        ["Recorder"] = "recorder",
        ["Remote Access"] = "remote desktop client", ["Revision Control"] = "version browser", ["Role Playing"] = "role-playing game",
        ["Science"] = "science program",
        ["Security"] = "security tool", ["Sequencer"] = "sequencer", ["Settings"] = "settings tool", ["Simulation"] = "simulation game",
        ["Sports Game"] = "sports game", ["Spreadsheet"] = "spreadsheet", ["Strategy Game"] = "strategy game", ["System"] = "system tool",
        ["Terminal Emulator"] = "terminal", ["Text Editor"] = "text editor", ["Translation"] = "translation editor",
        ["Utility"] = "utility",
        ["Vector Graphics"] = "drawing program", ["Video"] = "video program", ["Viewer"] = "viewer", ["Web Browser"] = "web browser",
        ["Word Processor"] = "word processor",
    }.ToFrozenDictionary();

    private static FrozenSet<string> Set(string words) =>
        words.Split([' ', '\n', '\r'], StringSplitOptions.RemoveEmptyEntries).ToFrozenSet();
}
