using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace Flywheel.Loop.Store.Postgres.Migrations
{
    /// <inheritdoc />
    [DbContext(typeof(PostgresDb))]
    [Migration("20261130140001_Teams")]
    public partial class Teams : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.AddColumn<string>(
                name: "by",
                table: "key",
                type: "text",
                nullable: false,
                defaultValue: "",
                collation: "C");

            migrationBuilder.AddColumn<int>(
                name: "max_requests",
                table: "key",
                type: "integer",
                nullable: true);

            migrationBuilder.AddColumn<long>(
                name: "max_tokens",
                table: "key",
                type: "bigint",
                nullable: true);

            migrationBuilder.AddColumn<long>(
                name: "archived",
                table: "workspace",
                type: "bigint",
                nullable: true);

            migrationBuilder.AddColumn<bool>(
                name: "trains_shared",
                table: "workspace",
                type: "boolean",
                nullable: false,
                defaultValue: false);

            migrationBuilder.CreateTable(
                name: "key_use",
                columns: table => new
                {
                    key_id = table.Column<string>(type: "character varying(36)", nullable: false, collation: "C"),
                    day = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    requests = table.Column<int>(type: "integer", nullable: false),
                    tokens = table.Column<long>(type: "bigint", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_key_use", x => new { x.key_id, x.day });
                });

            migrationBuilder.CreateTable(
                name: "member",
                columns: table => new
                {
                    account_id = table.Column<string>(type: "character varying(36)", nullable: false, collation: "C"),
                    workspace = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    created = table.Column<long>(type: "bigint", nullable: false),
                    role = table.Column<string>(type: "text", nullable: false, collation: "C")
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_member", x => new { x.account_id, x.workspace });
                });

            migrationBuilder.CreateIndex(
                name: "IX_member_workspace",
                table: "member",
                column: "workspace");

            migrationBuilder.CreateTable(
                name: "passkey",
                columns: table => new
                {
                    id = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    account_id = table.Column<string>(type: "character varying(36)", nullable: false, collation: "C"),
                    attestation = table.Column<byte[]>(type: "bytea", nullable: false),
                    client_data = table.Column<byte[]>(type: "bytea", nullable: false),
                    created = table.Column<long>(type: "bigint", nullable: false),
                    is_backed_up = table.Column<bool>(type: "boolean", nullable: false),
                    is_backup_eligible = table.Column<bool>(type: "boolean", nullable: false),
                    is_user_verified = table.Column<bool>(type: "boolean", nullable: false),
                    last_used = table.Column<long>(type: "bigint", nullable: true),
                    name = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    public_key = table.Column<byte[]>(type: "bytea", nullable: false),
                    sign_count = table.Column<long>(type: "bigint", nullable: false),
                    transports = table.Column<string>(type: "text", nullable: false, collation: "C")
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_passkey", x => x.id);
                });

            migrationBuilder.CreateIndex(
                name: "IX_passkey_account_id",
                table: "passkey",
                column: "account_id");

            migrationBuilder.Sql("UPDATE workspace SET trains_shared = true WHERE id = 'default';");
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropTable(
                name: "passkey");

            migrationBuilder.DropTable(
                name: "member");

            migrationBuilder.DropTable(
                name: "key_use");

            migrationBuilder.DropColumn(
                name: "by",
                table: "key");

            migrationBuilder.DropColumn(
                name: "max_requests",
                table: "key");

            migrationBuilder.DropColumn(
                name: "max_tokens",
                table: "key");

            migrationBuilder.DropColumn(
                name: "archived",
                table: "workspace");

            migrationBuilder.DropColumn(
                name: "trains_shared",
                table: "workspace");
        }
    }
}
