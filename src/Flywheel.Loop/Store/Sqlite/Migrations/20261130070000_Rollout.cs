using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace Flywheel.Loop.Store.Sqlite.Migrations
{
    /// <inheritdoc />
    [DbContext(typeof(FlywheelDb))]
    [Migration("20261130070000_Rollout")]
    public partial class Rollout : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.AddColumn<double>(
                name: "cost",
                table: "generation",
                type: "REAL",
                nullable: true);

            migrationBuilder.AddColumn<long>(
                name: "rollout",
                table: "generation",
                type: "INTEGER",
                nullable: true);

            migrationBuilder.AddColumn<string>(
                name: "upstream",
                table: "generation",
                type: "TEXT",
                nullable: true);

            migrationBuilder.CreateTable(
                name: "rollout",
                columns: table => new
                {
                    id = table.Column<long>(type: "INTEGER", nullable: false)
                        .Annotation("Sqlite:Autoincrement", true),
                    champion = table.Column<string>(type: "TEXT", nullable: false),
                    candidate = table.Column<string>(type: "TEXT", nullable: false),
                    decider = table.Column<string>(type: "TEXT", nullable: false),
                    share = table.Column<double>(type: "REAL", nullable: false),
                    state = table.Column<string>(type: "TEXT", nullable: false),
                    started = table.Column<long>(type: "INTEGER", nullable: false),
                    step_started = table.Column<long>(type: "INTEGER", nullable: false),
                    ended = table.Column<long>(type: "INTEGER", nullable: true),
                    reason = table.Column<string>(type: "TEXT", nullable: false),
                    slow_ms = table.Column<double>(type: "REAL", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_rollout", x => x.id);
                });

            migrationBuilder.CreateIndex(
                name: "IX_generation_rollout",
                table: "generation",
                column: "rollout",
                filter: "rollout IS NOT NULL");

            migrationBuilder.CreateIndex(
                name: "IX_rollout_state",
                table: "rollout",
                column: "state",
                unique: true,
                filter: "state = 'Running'");
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropTable(
                name: "rollout");

            migrationBuilder.DropIndex(
                name: "IX_generation_rollout",
                table: "generation");

            migrationBuilder.DropColumn(
                name: "cost",
                table: "generation");

            migrationBuilder.DropColumn(
                name: "rollout",
                table: "generation");

            migrationBuilder.DropColumn(
                name: "upstream",
                table: "generation");
        }
    }
}
