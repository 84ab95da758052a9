using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace Flywheel.Loop.Store.Sqlite.Migrations
{
    /// <inheritdoc />
    [DbContext(typeof(FlywheelDb))]
    [Migration("20261130031500_Deletion")]
    public partial class Deletion : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.CreateTable(
                name: "deletion",
                columns: table => new
                {
                    id = table.Column<string>(type: "TEXT", nullable: false),
                    person = table.Column<string>(type: "TEXT", nullable: false),
                    began = table.Column<long>(type: "INTEGER", nullable: false),
                    finished = table.Column<long>(type: "INTEGER", nullable: true),
                    counts = table.Column<string>(type: "TEXT", nullable: false),
                    models = table.Column<string>(type: "TEXT", nullable: false),
                    plan = table.Column<string>(type: "TEXT", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_deletion", x => x.id);
                });

            migrationBuilder.CreateIndex(
                name: "IX_deletion_person",
                table: "deletion",
                column: "person");
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropTable(
                name: "deletion");
        }
    }
}
