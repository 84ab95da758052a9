using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Npgsql.EntityFrameworkCore.PostgreSQL.Metadata;

#nullable disable

namespace Flywheel.Loop.Store.Postgres.Migrations
{
    /// <inheritdoc />
    [DbContext(typeof(PostgresDb))]
    [Migration("20261201030001_WorkspaceReleases")]
    public partial class WorkspaceReleases : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.AddColumn<string>(name: "workspace", table: "turn", type: "text", nullable: false, defaultValue: "default", collation: "C");

            migrationBuilder.CreateTable(
                name: "workspace_release",
                columns: table => new
                {
                    id = table.Column<long>(type: "bigint", nullable: false)
                        .Annotation("Npgsql:ValueGenerationStrategy", NpgsqlValueGenerationStrategy.IdentityByDefaultColumn),
                    workspace = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    time = table.Column<long>(type: "bigint", nullable: false),
                    model_hash = table.Column<string>(type: "text", nullable: true, collation: "C"),
                    turn_id = table.Column<string>(type: "character varying(36)", nullable: true, collation: "C"),
                    reason = table.Column<string>(type: "text", nullable: false, collation: "C")
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
