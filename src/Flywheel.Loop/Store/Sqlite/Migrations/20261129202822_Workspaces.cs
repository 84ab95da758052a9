using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace Flywheel.Loop.Store.Sqlite.Migrations
{
    /// <inheritdoc />
    public partial class Workspaces : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropIndex(
                name: "IX_feedback_idempotency_key",
                table: "feedback");

            migrationBuilder.AlterColumn<string>(
                name: "turn_id",
                table: "run",
                type: "TEXT",
                nullable: true,
                oldClrType: typeof(string),
                oldType: "TEXT");

            migrationBuilder.AlterColumn<string>(
                name: "base",
                table: "run",
                type: "TEXT",
                nullable: true,
                oldClrType: typeof(string),
                oldType: "TEXT");

            migrationBuilder.AddColumn<string>(
                name: "owner",
                table: "run",
                type: "TEXT",
                nullable: false,
                defaultValue: "");

            migrationBuilder.AddColumn<string>(
                name: "workspace",
                table: "run",
                type: "TEXT",
                nullable: false,
                defaultValue: "default");

            migrationBuilder.AddColumn<string>(
                name: "owner",
                table: "model",
                type: "TEXT",
                nullable: false,
                defaultValue: "");

            migrationBuilder.AddColumn<string>(
                name: "workspace",
                table: "model",
                type: "TEXT",
                nullable: false,
                defaultValue: "default");

            migrationBuilder.AddColumn<int>(
                name: "candidate_rank",
                table: "generation",
                type: "INTEGER",
                nullable: true);

            migrationBuilder.AddColumn<double>(
                name: "candidate_score",
                table: "generation",
                type: "REAL",
                nullable: true);

            migrationBuilder.AddColumn<string>(
                name: "consent",
                table: "generation",
                type: "TEXT",
                nullable: false,
                defaultValue: "NotAsked");

            migrationBuilder.AddColumn<int>(
                name: "num_candidates",
                table: "generation",
                type: "INTEGER",
                nullable: true);

            migrationBuilder.AddColumn<string>(
                name: "owner",
                table: "generation",
                type: "TEXT",
                nullable: false,
                defaultValue: "");

            migrationBuilder.AddColumn<double>(
                name: "propensity",
                table: "generation",
                type: "REAL",
                nullable: true);

            migrationBuilder.AddColumn<string>(
                name: "store",
                table: "generation",
                type: "TEXT",
                nullable: false,
                defaultValue: "Full");

            // Of an answer that was not to be stored there is no payload.
            migrationBuilder.Sql("""
                UPDATE generation SET store = 'Counts'
                WHERE NOT EXISTS (SELECT 1 FROM generation_payload WHERE generation_payload.generation_id = generation.id);
                """);

            migrationBuilder.AddColumn<string>(
                name: "variant",
                table: "generation",
                type: "TEXT",
                nullable: true);

            migrationBuilder.AddColumn<string>(
                name: "workspace",
                table: "generation",
                type: "TEXT",
                nullable: false,
                defaultValue: "default");

            migrationBuilder.AddColumn<string>(
                name: "owner",
                table: "feedback",
                type: "TEXT",
                nullable: false,
                defaultValue: "");

            migrationBuilder.AddColumn<string>(
                name: "source",
                table: "feedback",
                type: "TEXT",
                nullable: false,
                defaultValue: "Person");

            migrationBuilder.AddColumn<string>(
                name: "workspace",
                table: "feedback",
                type: "TEXT",
                nullable: false,
                defaultValue: "default");

            migrationBuilder.AddColumn<string>(
                name: "owner",
                table: "example",
                type: "TEXT",
                nullable: false,
                defaultValue: "");

            migrationBuilder.AddColumn<string>(
                name: "prompt_hash",
                table: "example",
                type: "TEXT",
                nullable: true);

            migrationBuilder.AddColumn<string>(
                name: "source",
                table: "example",
                type: "TEXT",
                nullable: false,
                defaultValue: "Person");

            migrationBuilder.AddColumn<string>(
                name: "workspace",
                table: "example",
                type: "TEXT",
                nullable: false,
                defaultValue: "default");

            migrationBuilder.AddColumn<string>(
                name: "owner",
                table: "dataset",
                type: "TEXT",
                nullable: false,
                defaultValue: "");

            migrationBuilder.AddColumn<string>(
                name: "workspace",
                table: "dataset",
                type: "TEXT",
                nullable: false,
                defaultValue: "default");

            migrationBuilder.CreateTable(
                name: "conversation",
                columns: table => new
                {
                    id = table.Column<string>(type: "TEXT", nullable: false),
                    workspace = table.Column<string>(type: "TEXT", nullable: false),
                    user = table.Column<string>(type: "TEXT", nullable: false),
                    app = table.Column<string>(type: "TEXT", nullable: false),
                    folder = table.Column<string>(type: "TEXT", nullable: false),
                    title = table.Column<string>(type: "TEXT", nullable: false),
                    tags = table.Column<string>(type: "TEXT", nullable: false),
                    leaf = table.Column<string>(type: "TEXT", nullable: true),
                    created = table.Column<long>(type: "INTEGER", nullable: false),
                    updated = table.Column<long>(type: "INTEGER", nullable: false),
                    deleted = table.Column<long>(type: "INTEGER", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_conversation", x => x.id);
                });

            migrationBuilder.CreateTable(
                name: "document",
                columns: table => new
                {
                    id = table.Column<string>(type: "TEXT", nullable: false),
                    workspace = table.Column<string>(type: "TEXT", nullable: false),
                    user = table.Column<string>(type: "TEXT", nullable: false),
                    app = table.Column<string>(type: "TEXT", nullable: false),
                    kind = table.Column<string>(type: "TEXT", nullable: false),
                    folder = table.Column<string>(type: "TEXT", nullable: false),
                    title = table.Column<string>(type: "TEXT", nullable: false),
                    tags = table.Column<string>(type: "TEXT", nullable: false),
                    version = table.Column<int>(type: "INTEGER", nullable: false),
                    created = table.Column<long>(type: "INTEGER", nullable: false),
                    updated = table.Column<long>(type: "INTEGER", nullable: false),
                    deleted = table.Column<long>(type: "INTEGER", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_document", x => x.id);
                });

            migrationBuilder.CreateTable(
                name: "job",
                columns: table => new
                {
                    id = table.Column<string>(type: "TEXT", nullable: false),
                    kind = table.Column<string>(type: "TEXT", nullable: false),
                    workspace = table.Column<string>(type: "TEXT", nullable: false),
                    user = table.Column<string>(type: "TEXT", nullable: false),
                    state = table.Column<string>(type: "TEXT", nullable: false),
                    wish = table.Column<string>(type: "TEXT", nullable: true),
                    progress = table.Column<double>(type: "REAL", nullable: false),
                    message = table.Column<string>(type: "TEXT", nullable: false),
                    claimed_by = table.Column<string>(type: "TEXT", nullable: true),
                    claimed_until = table.Column<long>(type: "INTEGER", nullable: true),
                    attempts = table.Column<int>(type: "INTEGER", nullable: false),
                    max_attempts = table.Column<int>(type: "INTEGER", nullable: false),
                    not_before = table.Column<long>(type: "INTEGER", nullable: false),
                    created = table.Column<long>(type: "INTEGER", nullable: false),
                    updated = table.Column<long>(type: "INTEGER", nullable: false),
                    finished = table.Column<long>(type: "INTEGER", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_job", x => x.id);
                });

            migrationBuilder.CreateTable(
                name: "key",
                columns: table => new
                {
                    id = table.Column<string>(type: "TEXT", nullable: false),
                    name = table.Column<string>(type: "TEXT", nullable: false),
                    hash = table.Column<string>(type: "TEXT", nullable: false),
                    user = table.Column<string>(type: "TEXT", nullable: false),
                    workspace = table.Column<string>(type: "TEXT", nullable: false),
                    role = table.Column<string>(type: "TEXT", nullable: false),
                    scopes = table.Column<string>(type: "TEXT", nullable: false),
                    created = table.Column<long>(type: "INTEGER", nullable: false),
                    expires = table.Column<long>(type: "INTEGER", nullable: true),
                    revoked = table.Column<long>(type: "INTEGER", nullable: true),
                    last_used = table.Column<long>(type: "INTEGER", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_key", x => x.id);
                });

            migrationBuilder.CreateTable(
                name: "prompt_example",
                columns: table => new
                {
                    generation_id = table.Column<string>(type: "TEXT", nullable: false),
                    place = table.Column<int>(type: "INTEGER", nullable: false),
                    feedback_id = table.Column<string>(type: "TEXT", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_prompt_example", x => new { x.generation_id, x.place });
                    table.ForeignKey(
                        name: "FK_prompt_example_generation_generation_id",
                        column: x => x.generation_id,
                        principalTable: "generation",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateTable(
                name: "secret",
                columns: table => new
                {
                    name = table.Column<string>(type: "TEXT", nullable: false),
                    value = table.Column<byte[]>(type: "BLOB", nullable: false),
                    created = table.Column<long>(type: "INTEGER", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_secret", x => x.name);
                });

            migrationBuilder.CreateTable(
                name: "workspace",
                columns: table => new
                {
                    id = table.Column<string>(type: "TEXT", nullable: false),
                    name = table.Column<string>(type: "TEXT", nullable: false),
                    created = table.Column<long>(type: "INTEGER", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_workspace", x => x.id);
                });

            migrationBuilder.CreateTable(
                name: "conversation_message",
                columns: table => new
                {
                    id = table.Column<string>(type: "TEXT", nullable: false),
                    conversation_id = table.Column<string>(type: "TEXT", nullable: false),
                    parent_id = table.Column<string>(type: "TEXT", nullable: true),
                    generation_id = table.Column<string>(type: "TEXT", nullable: true),
                    time = table.Column<long>(type: "INTEGER", nullable: false),
                    body = table.Column<string>(type: "TEXT", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_conversation_message", x => x.id);
                    table.ForeignKey(
                        name: "FK_conversation_message_conversation_conversation_id",
                        column: x => x.conversation_id,
                        principalTable: "conversation",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateTable(
                name: "document_version",
                columns: table => new
                {
                    document_id = table.Column<string>(type: "TEXT", nullable: false),
                    number = table.Column<int>(type: "INTEGER", nullable: false),
                    time = table.Column<long>(type: "INTEGER", nullable: false),
                    user = table.Column<string>(type: "TEXT", nullable: false),
                    body = table.Column<string>(type: "TEXT", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_document_version", x => new { x.document_id, x.number });
                    table.ForeignKey(
                        name: "FK_document_version_document_document_id",
                        column: x => x.document_id,
                        principalTable: "document",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateTable(
                name: "job_payload",
                columns: table => new
                {
                    job_id = table.Column<string>(type: "TEXT", nullable: false),
                    input = table.Column<string>(type: "TEXT", nullable: false),
                    checkpoint = table.Column<string>(type: "TEXT", nullable: true),
                    result = table.Column<string>(type: "TEXT", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_job_payload", x => x.job_id);
                    table.ForeignKey(
                        name: "FK_job_payload_job_job_id",
                        column: x => x.job_id,
                        principalTable: "job",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.InsertData(
                table: "workspace",
                columns: new[] { "id", "created", "name" },
                values: new object[] { "default", 0L, "Default" });

            migrationBuilder.CreateIndex(
                name: "IX_generation_owner",
                table: "generation",
                column: "owner",
                filter: "owner <> ''");

            migrationBuilder.CreateIndex(
                name: "IX_generation_user",
                table: "generation",
                column: "user");

            migrationBuilder.CreateIndex(
                name: "IX_feedback_idempotency_key_user_owner_workspace",
                table: "feedback",
                columns: new[] { "idempotency_key", "user", "owner", "workspace" },
                unique: true,
                filter: "idempotency_key IS NOT NULL");

            migrationBuilder.CreateIndex(
                name: "IX_feedback_owner",
                table: "feedback",
                column: "owner",
                filter: "owner <> ''");

            migrationBuilder.CreateIndex(
                name: "IX_feedback_user",
                table: "feedback",
                column: "user");

            migrationBuilder.CreateIndex(
                name: "IX_example_owner",
                table: "example",
                column: "owner",
                filter: "owner <> ''");

            migrationBuilder.CreateIndex(
                name: "IX_example_prompt_hash",
                table: "example",
                column: "prompt_hash");

            migrationBuilder.CreateIndex(
                name: "IX_conversation_workspace_user_app_updated",
                table: "conversation",
                columns: new[] { "workspace", "user", "app", "updated" });

            migrationBuilder.CreateIndex(
                name: "IX_conversation_message_conversation_id",
                table: "conversation_message",
                column: "conversation_id");

            migrationBuilder.CreateIndex(
                name: "IX_conversation_message_generation_id",
                table: "conversation_message",
                column: "generation_id");

            migrationBuilder.CreateIndex(
                name: "IX_document_workspace_user_app_updated",
                table: "document",
                columns: new[] { "workspace", "user", "app", "updated" });

            migrationBuilder.CreateIndex(
                name: "IX_job_state_not_before",
                table: "job",
                columns: new[] { "state", "not_before" });

            migrationBuilder.CreateIndex(
                name: "IX_job_workspace_created",
                table: "job",
                columns: new[] { "workspace", "created" });

            migrationBuilder.CreateIndex(
                name: "IX_key_hash",
                table: "key",
                column: "hash",
                unique: true);

            migrationBuilder.CreateIndex(
                name: "IX_key_user",
                table: "key",
                column: "user");

            migrationBuilder.CreateIndex(
                name: "IX_prompt_example_feedback_id",
                table: "prompt_example",
                column: "feedback_id");
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropTable(
                name: "conversation_message");

            migrationBuilder.DropTable(
                name: "document_version");

            migrationBuilder.DropTable(
                name: "job_payload");

            migrationBuilder.DropTable(
                name: "key");

            migrationBuilder.DropTable(
                name: "prompt_example");

            migrationBuilder.DropTable(
                name: "secret");

            migrationBuilder.DropTable(
                name: "workspace");

            migrationBuilder.DropTable(
                name: "conversation");

            migrationBuilder.DropTable(
                name: "document");

            migrationBuilder.DropTable(
                name: "job");

            migrationBuilder.DropIndex(
                name: "IX_generation_owner",
                table: "generation");

            migrationBuilder.DropIndex(
                name: "IX_generation_user",
                table: "generation");

            migrationBuilder.DropIndex(
                name: "IX_feedback_idempotency_key_user_owner_workspace",
                table: "feedback");

            migrationBuilder.DropIndex(
                name: "IX_feedback_owner",
                table: "feedback");

            migrationBuilder.DropIndex(
                name: "IX_feedback_user",
                table: "feedback");

            migrationBuilder.DropIndex(
                name: "IX_example_owner",
                table: "example");

            migrationBuilder.DropIndex(
                name: "IX_example_prompt_hash",
                table: "example");

            migrationBuilder.DropColumn(
                name: "owner",
                table: "run");

            migrationBuilder.DropColumn(
                name: "workspace",
                table: "run");

            migrationBuilder.DropColumn(
                name: "owner",
                table: "model");

            migrationBuilder.DropColumn(
                name: "workspace",
                table: "model");

            migrationBuilder.DropColumn(
                name: "candidate_rank",
                table: "generation");

            migrationBuilder.DropColumn(
                name: "candidate_score",
                table: "generation");

            migrationBuilder.DropColumn(
                name: "consent",
                table: "generation");

            migrationBuilder.DropColumn(
                name: "num_candidates",
                table: "generation");

            migrationBuilder.DropColumn(
                name: "owner",
                table: "generation");

            migrationBuilder.DropColumn(
                name: "propensity",
                table: "generation");

            migrationBuilder.DropColumn(
                name: "store",
                table: "generation");

            migrationBuilder.DropColumn(
                name: "variant",
                table: "generation");

            migrationBuilder.DropColumn(
                name: "workspace",
                table: "generation");

            migrationBuilder.DropColumn(
                name: "owner",
                table: "feedback");

            migrationBuilder.DropColumn(
                name: "source",
                table: "feedback");

            migrationBuilder.DropColumn(
                name: "workspace",
                table: "feedback");

            migrationBuilder.DropColumn(
                name: "owner",
                table: "example");

            migrationBuilder.DropColumn(
                name: "prompt_hash",
                table: "example");

            migrationBuilder.DropColumn(
                name: "source",
                table: "example");

            migrationBuilder.DropColumn(
                name: "workspace",
                table: "example");

            migrationBuilder.DropColumn(
                name: "owner",
                table: "dataset");

            migrationBuilder.DropColumn(
                name: "workspace",
                table: "dataset");

            migrationBuilder.AlterColumn<string>(
                name: "turn_id",
                table: "run",
                type: "TEXT",
                nullable: false,
                defaultValue: "",
                oldClrType: typeof(string),
                oldType: "TEXT",
                oldNullable: true);

            migrationBuilder.AlterColumn<string>(
                name: "base",
                table: "run",
                type: "TEXT",
                nullable: false,
                defaultValue: "",
                oldClrType: typeof(string),
                oldType: "TEXT",
                oldNullable: true);

            migrationBuilder.CreateIndex(
                name: "IX_feedback_idempotency_key",
                table: "feedback",
                column: "idempotency_key",
                unique: true);
        }
    }
}
