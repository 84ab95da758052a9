using System.Runtime.CompilerServices;

[assembly: InternalsVisibleTo("Flywheel.Engine.Tests")]
