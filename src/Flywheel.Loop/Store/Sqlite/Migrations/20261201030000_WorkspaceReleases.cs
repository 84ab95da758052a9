using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace Flywheel.Loop.Store.Sqlite.Migrations
{
    /// <inheritdoc />
    [DbContext(typeof(FlywheelDb))]
    [Migration("20261201030000_WorkspaceReleases")]
    public partial class WorkspaceReleases : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.AddColumn<string>(name: "workspace", table: "turn", type: "TEXT", nullable: false, defaultValue: "default");

            migrationBuilder.CreateTable(
                name: "workspace_release",
                columns: table => new
                {
                    id = table.Column<long>(type: "INTEGER", nullable: false)
                        .Annotation("Sqlite:Autoincrement", true),
                    workspace = table.Column<string>(type: "TEXT", nullable: false),
                    time = table.Column<long>(type: "INTEGER", nullable: false),
                    model_hash = table.Column<string>(type: "TEXT", nullable: true),
                    turn_id = table.Column<string>(type: "TEXT", nullable: true),
                    reason = table.Column<string>(type: "TEXT", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_workspace_release", x => x.id);
                });

            migrationBuilder.CreateIndex(
                name: "IX_workspace_release_workspace",
                table: "workspace_release",
                column: "workspace");
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropTable(name: "workspace_release");

            migrationBuilder.DropColumn(name: "workspace", table: "turn");
        }
    }
}
