using System.CommandLine;
using Flywheel.Cli;

// One file a verb; this list is the table of contents of `flywheel help`.
var root = new RootCommand("Own your model loop: train, serve, learn from people, prove it is better, release, repeat.");
foreach (Command verb in Verbs.All) root.Add(verb);
return await root.Parse(args is ["help"] ? ["--help"] : args).InvokeAsync();
