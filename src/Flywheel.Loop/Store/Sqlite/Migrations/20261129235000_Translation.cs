using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace Flywheel.Loop.Store.Sqlite.Migrations
{
    /// <inheritdoc />
    [DbContext(typeof(FlywheelDb))]
    [Migration("20261129235000_Translation")]
    public partial class Translation : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.CreateTable(
                name: "term",
                columns: table => new
                {
                    id = table.Column<string>(type: "TEXT", nullable: false),
                    workspace = table.Column<string>(type: "TEXT", nullable: false),
                    user = table.Column<string>(type: "TEXT", nullable: false),
                    source_language = table.Column<string>(type: "TEXT", nullable: false),
                    target_language = table.Column<string>(type: "TEXT", nullable: false),
                    source = table.Column<string>(type: "TEXT", nullable: false),
                    target = table.Column<string>(type: "TEXT", nullable: false),
                    forbidden = table.Column<string>(type: "TEXT", nullable: false),
                    note = table.Column<string>(type: "TEXT", nullable: false),
                    created = table.Column<long>(type: "INTEGER", nullable: false),
                    updated = table.Column<long>(type: "INTEGER", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_term", x => x.id);
                });

            migrationBuilder.CreateTable(
                name: "translation_unit",
                columns: table => new
                {
                    id = table.Column<string>(type: "TEXT", nullable: false),
                    workspace = table.Column<string>(type: "TEXT", nullable: false),
                    user = table.Column<string>(type: "TEXT", nullable: false),
                    source_language = table.Column<string>(type: "TEXT", nullable: false),
                    target_language = table.Column<string>(type: "TEXT", nullable: false),
                    source = table.Column<string>(type: "TEXT", nullable: false),
                    target = table.Column<string>(type: "TEXT", nullable: false),
                    context = table.Column<string>(type: "TEXT", nullable: false),
                    document_id = table.Column<string>(type: "TEXT", nullable: true),
                    segment = table.Column<int>(type: "INTEGER", nullable: true),
                    created = table.Column<long>(type: "INTEGER", nullable: false),
                    updated = table.Column<long>(type: "INTEGER", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_translation_unit", x => x.id);
                });

            migrationBuilder.CreateIndex(
                name: "IX_term_workspace_source_language_target_language_source",
                table: "term",
                columns: new[] { "workspace", "source_language", "target_language", "source" },
                unique: true);

            migrationBuilder.CreateIndex(
                name: "IX_translation_unit_document_id_segment",
                table: "translation_unit",
                columns: new[] { "document_id", "segment" });

            migrationBuilder.CreateIndex(
                name: "IX_translation_unit_user",
                table: "translation_unit",
                column: "user");

            migrationBuilder.CreateIndex(
                name: "IX_translation_unit_workspace_source_language_target_language_updated",
                table: "translation_unit",
                columns: new[] { "workspace", "source_language", "target_language", "updated" });
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropTable(
                name: "term");

            migrationBuilder.DropTable(
                name: "translation_unit");
        }
    }
}
