using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace Flywheel.Loop.Store.Sqlite.Migrations
{
    /// <inheritdoc />
    public partial class Initial : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.CreateTable(
                name: "dataset",
                columns: table => new
                {
                    hash = table.Column<string>(type: "TEXT", nullable: false),
                    turn_id = table.Column<string>(type: "TEXT", nullable: false),
                    num_train = table.Column<int>(type: "INTEGER", nullable: false),
                    num_held_out = table.Column<int>(type: "INTEGER", nullable: false),
                    created = table.Column<long>(type: "INTEGER", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_dataset", x => x.hash);
                });

            migrationBuilder.CreateTable(
                name: "evaluation",
                columns: table => new
                {
                    id = table.Column<long>(type: "INTEGER", nullable: false)
                        .Annotation("Sqlite:Autoincrement", true),
                    turn_id = table.Column<string>(type: "TEXT", nullable: false),
                    champion = table.Column<string>(type: "TEXT", nullable: false),
                    candidate = table.Column<string>(type: "TEXT", nullable: false),
                    rule = table.Column<string>(type: "TEXT", nullable: false),
                    champion_value = table.Column<double>(type: "REAL", nullable: false),
                    candidate_value = table.Column<double>(type: "REAL", nullable: false),
                    observed = table.Column<double>(type: "REAL", nullable: false),
                    low = table.Column<double>(type: "REAL", nullable: false),
                    high = table.Column<double>(type: "REAL", nullable: false),
                    threshold = table.Column<double>(type: "REAL", nullable: false),
                    passed = table.Column<bool>(type: "INTEGER", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_evaluation", x => x.id);
                });

            migrationBuilder.CreateTable(
                name: "example",
                columns: table => new
                {
                    id = table.Column<long>(type: "INTEGER", nullable: false)
                        .Annotation("Sqlite:Autoincrement", true),
                    turn_id = table.Column<string>(type: "TEXT", nullable: false),
                    hash = table.Column<string>(type: "TEXT", nullable: true),
                    kind = table.Column<string>(type: "TEXT", nullable: false),
                    split = table.Column<string>(type: "TEXT", nullable: true),
                    user = table.Column<string>(type: "TEXT", nullable: false),
                    generation_id = table.Column<string>(type: "TEXT", nullable: false),
                    rejected_id = table.Column<string>(type: "TEXT", nullable: true),
                    drop_reason = table.Column<string>(type: "TEXT", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_example", x => x.id);
                });

            migrationBuilder.CreateTable(
                name: "feedback",
                columns: table => new
                {
                    sequence = table.Column<long>(type: "INTEGER", nullable: false)
                        .Annotation("Sqlite:Autoincrement", true),
                    id = table.Column<string>(type: "TEXT", nullable: false),
                    time = table.Column<long>(type: "INTEGER", nullable: false),
                    generation_id = table.Column<string>(type: "TEXT", nullable: false),
                    metric = table.Column<string>(type: "TEXT", nullable: false),
                    value = table.Column<string>(type: "TEXT", nullable: false),
                    user = table.Column<string>(type: "TEXT", nullable: false),
                    tags = table.Column<string>(type: "TEXT", nullable: false),
                    idempotency_key = table.Column<string>(type: "TEXT", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_feedback", x => x.sequence);
                });

            migrationBuilder.CreateTable(
                name: "generation",
                columns: table => new
                {
                    id = table.Column<string>(type: "TEXT", nullable: false),
                    group_id = table.Column<string>(type: "TEXT", nullable: false),
                    choice = table.Column<int>(type: "INTEGER", nullable: false),
                    time = table.Column<long>(type: "INTEGER", nullable: false),
                    app = table.Column<string>(type: "TEXT", nullable: false),
                    user = table.Column<string>(type: "TEXT", nullable: false),
                    model_hash = table.Column<string>(type: "TEXT", nullable: false),
                    finish_reason = table.Column<string>(type: "TEXT", nullable: false),
                    num_prompt_tokens = table.Column<int>(type: "INTEGER", nullable: false),
                    num_tokens = table.Column<int>(type: "INTEGER", nullable: false),
                    first_token_ms = table.Column<double>(type: "REAL", nullable: false),
                    latency_ms = table.Column<double>(type: "REAL", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_generation", x => x.id);
                });

            migrationBuilder.CreateTable(
                name: "model",
                columns: table => new
                {
                    hash = table.Column<string>(type: "TEXT", nullable: false),
                    name = table.Column<string>(type: "TEXT", nullable: false),
                    path = table.Column<string>(type: "TEXT", nullable: false),
                    parent = table.Column<string>(type: "TEXT", nullable: true),
                    run = table.Column<string>(type: "TEXT", nullable: true),
                    dataset = table.Column<string>(type: "TEXT", nullable: true),
                    created = table.Column<long>(type: "INTEGER", nullable: false),
                    num_parameters = table.Column<long>(type: "INTEGER", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_model", x => x.hash);
                });

            migrationBuilder.CreateTable(
                name: "release",
                columns: table => new
                {
                    id = table.Column<long>(type: "INTEGER", nullable: false)
                        .Annotation("Sqlite:Autoincrement", true),
                    time = table.Column<long>(type: "INTEGER", nullable: false),
                    model_hash = table.Column<string>(type: "TEXT", nullable: false),
                    turn_id = table.Column<string>(type: "TEXT", nullable: true),
                    reason = table.Column<string>(type: "TEXT", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_release", x => x.id);
                });

            migrationBuilder.CreateTable(
                name: "run",
                columns: table => new
                {
                    name = table.Column<string>(type: "TEXT", nullable: false),
                    turn_id = table.Column<string>(type: "TEXT", nullable: false),
                    dataset = table.Column<string>(type: "TEXT", nullable: false),
                    @base = table.Column<string>(name: "base", type: "TEXT", nullable: false),
                    model = table.Column<string>(type: "TEXT", nullable: true),
                    created = table.Column<long>(type: "INTEGER", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_run", x => x.name);
                });

            migrationBuilder.CreateTable(
                name: "turn",
                columns: table => new
                {
                    id = table.Column<string>(type: "TEXT", nullable: false),
                    number = table.Column<int>(type: "INTEGER", nullable: false),
                    started = table.Column<long>(type: "INTEGER", nullable: false),
                    ended = table.Column<long>(type: "INTEGER", nullable: true),
                    state = table.Column<string>(type: "TEXT", nullable: false),
                    champion = table.Column<string>(type: "TEXT", nullable: false),
                    recipe = table.Column<string>(type: "TEXT", nullable: false),
                    feedback_through = table.Column<long>(type: "INTEGER", nullable: false),
                    dataset = table.Column<string>(type: "TEXT", nullable: true),
                    candidate = table.Column<string>(type: "TEXT", nullable: true),
                    reason = table.Column<string>(type: "TEXT", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_turn", x => x.id);
                });

            migrationBuilder.CreateTable(
                name: "example_feedback",
                columns: table => new
                {
                    example_id = table.Column<long>(type: "INTEGER", nullable: false),
                    feedback_id = table.Column<string>(type: "TEXT", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_example_feedback", x => new { x.example_id, x.feedback_id });
                    table.ForeignKey(
                        name: "FK_example_feedback_example_example_id",
                        column: x => x.example_id,
                        principalTable: "example",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateTable(
                name: "generation_payload",
                columns: table => new
                {
                    generation_id = table.Column<string>(type: "TEXT", nullable: false),
                    conversation = table.Column<string>(type: "TEXT", nullable: true),
                    text = table.Column<string>(type: "TEXT", nullable: false),
                    prompt_tokens = table.Column<byte[]>(type: "BLOB", nullable: false),
                    tokens = table.Column<byte[]>(type: "BLOB", nullable: false),
                    logprobs = table.Column<byte[]>(type: "BLOB", nullable: false),
                    sampler_logprobs = table.Column<byte[]>(type: "BLOB", nullable: false),
                    sampler = table.Column<string>(type: "TEXT", nullable: false),
                    max_tokens = table.Column<int>(type: "INTEGER", nullable: false),
                    stop = table.Column<string>(type: "TEXT", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_generation_payload", x => x.generation_id);
                    table.ForeignKey(
                        name: "FK_generation_payload_generation_generation_id",
                        column: x => x.generation_id,
                        principalTable: "generation",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateIndex(
                name: "IX_evaluation_turn_id",
                table: "evaluation",
                column: "turn_id");

            migrationBuilder.CreateIndex(
                name: "IX_example_generation_id",
                table: "example",
                column: "generation_id");

            migrationBuilder.CreateIndex(
                name: "IX_example_hash",
                table: "example",
                column: "hash");

            migrationBuilder.CreateIndex(
                name: "IX_example_rejected_id",
                table: "example",
                column: "rejected_id");

            migrationBuilder.CreateIndex(
                name: "IX_example_turn_id",
                table: "example",
                column: "turn_id");

            migrationBuilder.CreateIndex(
                name: "IX_example_user",
                table: "example",
                column: "user");

            migrationBuilder.CreateIndex(
                name: "IX_example_feedback_feedback_id",
                table: "example_feedback",
                column: "feedback_id");

            migrationBuilder.CreateIndex(
                name: "IX_feedback_generation_id",
                table: "feedback",
                column: "generation_id");

            migrationBuilder.CreateIndex(
                name: "IX_feedback_id",
                table: "feedback",
                column: "id",
                unique: true);

            migrationBuilder.CreateIndex(
                name: "IX_feedback_idempotency_key",
                table: "feedback",
                column: "idempotency_key",
                unique: true);

            migrationBuilder.CreateIndex(
                name: "IX_generation_group_id",
                table: "generation",
                column: "group_id");

            migrationBuilder.CreateIndex(
                name: "IX_generation_model_hash",
                table: "generation",
                column: "model_hash");

            migrationBuilder.CreateIndex(
                name: "IX_generation_time",
                table: "generation",
                column: "time");

            migrationBuilder.CreateIndex(
                name: "IX_model_dataset",
                table: "model",
                column: "dataset");

            migrationBuilder.CreateIndex(
                name: "IX_model_parent",
                table: "model",
                column: "parent");

            migrationBuilder.CreateIndex(
                name: "IX_model_run",
                table: "model",
                column: "run");

            migrationBuilder.CreateIndex(
                name: "IX_run_dataset",
                table: "run",
                column: "dataset");

            migrationBuilder.CreateIndex(
                name: "IX_run_turn_id",
                table: "run",
                column: "turn_id");

            migrationBuilder.CreateIndex(
                name: "IX_turn_dataset",
                table: "turn",
                column: "dataset");

            migrationBuilder.CreateIndex(
                name: "IX_turn_number",
                table: "turn",
                column: "number",
                unique: true);
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropTable(
                name: "dataset");

            migrationBuilder.DropTable(
                name: "evaluation");

            migrationBuilder.DropTable(
                name: "example_feedback");

            migrationBuilder.DropTable(
                name: "feedback");

            migrationBuilder.DropTable(
                name: "generation_payload");

            migrationBuilder.DropTable(
                name: "model");

            migrationBuilder.DropTable(
                name: "release");

            migrationBuilder.DropTable(
                name: "run");

            migrationBuilder.DropTable(
                name: "turn");

            migrationBuilder.DropTable(
                name: "example");

            migrationBuilder.DropTable(
                name: "generation");
        }
    }
}
