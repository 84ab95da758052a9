using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace Flywheel.Loop.Store.Sqlite.Migrations
{
    /// <inheritdoc />
    public partial class AdapterHash : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.AddColumn<string>(
                name: "adapter_hash",
                table: "generation",
                type: "TEXT",
                nullable: true);
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropColumn(
                name: "adapter_hash",
                table: "generation");
        }
    }
}
