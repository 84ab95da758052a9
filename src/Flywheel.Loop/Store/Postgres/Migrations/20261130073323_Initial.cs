using Microsoft.EntityFrameworkCore.Migrations;
using Npgsql.EntityFrameworkCore.PostgreSQL.Metadata;

#nullable disable

namespace Flywheel.Loop.Store.Postgres.Migrations
{
    /// <inheritdoc />
    public partial class Initial : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.CreateTable(
                name: "conversation",
                columns: table => new
                {
                    id = table.Column<string>(type: "character varying(36)", nullable: false, collation: "C"),
                    workspace = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    user = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    app = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    folder = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    title = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    tags = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    leaf = table.Column<string>(type: "character varying(36)", nullable: true, collation: "C"),
                    created = table.Column<long>(type: "bigint", nullable: false),
                    updated = table.Column<long>(type: "bigint", nullable: false),
                    deleted = table.Column<long>(type: "bigint", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_conversation", x => x.id);
                });

            migrationBuilder.CreateTable(
                name: "dataset",
                columns: table => new
                {
                    hash = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    turn_id = table.Column<string>(type: "character varying(36)", nullable: false, collation: "C"),
                    num_train = table.Column<int>(type: "integer", nullable: false),
                    num_held_out = table.Column<int>(type: "integer", nullable: false),
                    created = table.Column<long>(type: "bigint", nullable: false),
                    owner = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    workspace = table.Column<string>(type: "text", nullable: false, collation: "C")
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_dataset", x => x.hash);
                });

            migrationBuilder.CreateTable(
                name: "deletion",
                columns: table => new
                {
                    id = table.Column<string>(type: "character varying(36)", nullable: false, collation: "C"),
                    person = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    began = table.Column<long>(type: "bigint", nullable: false),
                    finished = table.Column<long>(type: "bigint", nullable: true),
                    counts = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    models = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    plan = table.Column<string>(type: "text", nullable: true, collation: "C")
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_deletion", x => x.id);
                });

            migrationBuilder.CreateTable(
                name: "document",
                columns: table => new
                {
                    id = table.Column<string>(type: "character varying(36)", nullable: false, collation: "C"),
                    workspace = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    user = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    app = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    kind = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    folder = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    title = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    tags = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    version = table.Column<int>(type: "integer", nullable: false),
                    created = table.Column<long>(type: "bigint", nullable: false),
                    updated = table.Column<long>(type: "bigint", nullable: false),
                    deleted = table.Column<long>(type: "bigint", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_document", x => x.id);
                });

            migrationBuilder.CreateTable(
                name: "evaluation",
                columns: table => new
                {
                    id = table.Column<long>(type: "bigint", nullable: false)
                        .Annotation("Npgsql:ValueGenerationStrategy", NpgsqlValueGenerationStrategy.IdentityByDefaultColumn),
                    turn_id = table.Column<string>(type: "character varying(36)", nullable: false, collation: "C"),
                    champion = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    candidate = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    rule = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    champion_value = table.Column<double>(type: "double precision", nullable: false),
                    candidate_value = table.Column<double>(type: "double precision", nullable: false),
                    observed = table.Column<double>(type: "double precision", nullable: false),
                    low = table.Column<double>(type: "double precision", nullable: false),
                    high = table.Column<double>(type: "double precision", nullable: false),
                    threshold = table.Column<double>(type: "double precision", nullable: false),
                    passed = table.Column<bool>(type: "boolean", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_evaluation", x => x.id);
                });

            migrationBuilder.CreateTable(
                name: "example",
                columns: table => new
                {
                    id = table.Column<long>(type: "bigint", nullable: false)
                        .Annotation("Npgsql:ValueGenerationStrategy", NpgsqlValueGenerationStrategy.IdentityByDefaultColumn),
                    turn_id = table.Column<string>(type: "character varying(36)", nullable: false, collation: "C"),
                    hash = table.Column<string>(type: "text", nullable: true, collation: "C"),
                    kind = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    split = table.Column<string>(type: "text", nullable: true, collation: "C"),
                    user = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    owner = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    workspace = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    source = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    prompt_hash = table.Column<string>(type: "text", nullable: true, collation: "C"),
                    generation_id = table.Column<string>(type: "character varying(36)", nullable: false, collation: "C"),
                    rejected_id = table.Column<string>(type: "character varying(36)", nullable: true, collation: "C"),
                    drop_reason = table.Column<string>(type: "text", nullable: true, collation: "C")
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_example", x => x.id);
                });

            migrationBuilder.CreateTable(
                name: "feedback",
                columns: table => new
                {
                    sequence = table.Column<long>(type: "bigint", nullable: false)
                        .Annotation("Npgsql:ValueGenerationStrategy", NpgsqlValueGenerationStrategy.IdentityByDefaultColumn),
                    id = table.Column<string>(type: "character varying(36)", nullable: false, collation: "C"),
                    time = table.Column<long>(type: "bigint", nullable: false),
                    generation_id = table.Column<string>(type: "character varying(36)", nullable: false, collation: "C"),
                    metric = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    value = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    user = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    owner = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    workspace = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    source = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    tags = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    idempotency_key = table.Column<string>(type: "text", nullable: true, collation: "C")
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_feedback", x => x.sequence);
                });

            migrationBuilder.CreateTable(
                name: "generation",
                columns: table => new
                {
                    id = table.Column<string>(type: "character varying(36)", nullable: false, collation: "C"),
                    group_id = table.Column<string>(type: "character varying(36)", nullable: false, collation: "C"),
                    choice = table.Column<int>(type: "integer", nullable: false),
                    time = table.Column<long>(type: "bigint", nullable: false),
                    app = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    user = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    owner = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    workspace = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    consent = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    store = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    model_hash = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    upstream = table.Column<string>(type: "text", nullable: true, collation: "C"),
                    cost = table.Column<double>(type: "double precision", nullable: true),
                    adapter_hash = table.Column<string>(type: "text", nullable: true, collation: "C"),
                    rollout = table.Column<long>(type: "bigint", nullable: true),
                    variant = table.Column<string>(type: "text", nullable: true, collation: "C"),
                    propensity = table.Column<double>(type: "double precision", nullable: true),
                    candidate_score = table.Column<double>(type: "double precision", nullable: true),
                    candidate_rank = table.Column<int>(type: "integer", nullable: true),
                    num_candidates = table.Column<int>(type: "integer", nullable: true),
                    finish_reason = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    num_prompt_tokens = table.Column<int>(type: "integer", nullable: false),
                    num_tokens = table.Column<int>(type: "integer", nullable: false),
                    first_token_ms = table.Column<double>(type: "double precision", nullable: false),
                    latency_ms = table.Column<double>(type: "double precision", nullable: false),
                    fault = table.Column<string>(type: "text", nullable: true, collation: "C")
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_generation", x => x.id);
                });

            migrationBuilder.CreateTable(
                name: "job",
                columns: table => new
                {
                    id = table.Column<string>(type: "character varying(36)", nullable: false, collation: "C"),
                    kind = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    workspace = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    user = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    state = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    wish = table.Column<string>(type: "text", nullable: true, collation: "C"),
                    progress = table.Column<double>(type: "double precision", nullable: false),
                    message = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    claimed_by = table.Column<string>(type: "text", nullable: true, collation: "C"),
                    claimed_until = table.Column<long>(type: "bigint", nullable: true),
                    attempts = table.Column<int>(type: "integer", nullable: false),
                    max_attempts = table.Column<int>(type: "integer", nullable: false),
                    not_before = table.Column<long>(type: "bigint", nullable: false),
                    created = table.Column<long>(type: "bigint", nullable: false),
                    updated = table.Column<long>(type: "bigint", nullable: false),
                    finished = table.Column<long>(type: "bigint", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_job", x => x.id);
                });

            migrationBuilder.CreateTable(
                name: "key",
                columns: table => new
                {
                    id = table.Column<string>(type: "character varying(36)", nullable: false, collation: "C"),
                    name = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    hash = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    user = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    workspace = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    role = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    scopes = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    created = table.Column<long>(type: "bigint", nullable: false),
                    expires = table.Column<long>(type: "bigint", nullable: true),
                    revoked = table.Column<long>(type: "bigint", nullable: true),
                    last_used = table.Column<long>(type: "bigint", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_key", x => x.id);
                });

            migrationBuilder.CreateTable(
                name: "model",
                columns: table => new
                {
                    hash = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    name = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    path = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    parent = table.Column<string>(type: "text", nullable: true, collation: "C"),
                    run = table.Column<string>(type: "text", nullable: true, collation: "C"),
                    dataset = table.Column<string>(type: "text", nullable: true, collation: "C"),
                    created = table.Column<long>(type: "bigint", nullable: false),
                    num_parameters = table.Column<long>(type: "bigint", nullable: false),
                    owner = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    workspace = table.Column<string>(type: "text", nullable: false, collation: "C")
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_model", x => x.hash);
                });

            migrationBuilder.CreateTable(
                name: "release",
                columns: table => new
                {
                    id = table.Column<long>(type: "bigint", nullable: false)
                        .Annotation("Npgsql:ValueGenerationStrategy", NpgsqlValueGenerationStrategy.IdentityByDefaultColumn),
                    time = table.Column<long>(type: "bigint", nullable: false),
                    model_hash = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    turn_id = table.Column<string>(type: "character varying(36)", nullable: true, collation: "C"),
                    reason = table.Column<string>(type: "text", nullable: false, collation: "C")
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_release", x => x.id);
                });

            migrationBuilder.CreateTable(
                name: "rollout",
                columns: table => new
                {
                    id = table.Column<long>(type: "bigint", nullable: false)
                        .Annotation("Npgsql:ValueGenerationStrategy", NpgsqlValueGenerationStrategy.IdentityByDefaultColumn),
                    champion = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    candidate = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    decider = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    share = table.Column<double>(type: "double precision", nullable: false),
                    state = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    started = table.Column<long>(type: "bigint", nullable: false),
                    step_started = table.Column<long>(type: "bigint", nullable: false),
                    ended = table.Column<long>(type: "bigint", nullable: true),
                    reason = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    slow_ms = table.Column<double>(type: "double precision", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_rollout", x => x.id);
                });

            migrationBuilder.CreateTable(
                name: "run",
                columns: table => new
                {
                    name = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    turn_id = table.Column<string>(type: "character varying(36)", nullable: true, collation: "C"),
                    dataset = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    @base = table.Column<string>(name: "base", type: "text", nullable: true, collation: "C"),
                    model = table.Column<string>(type: "text", nullable: true, collation: "C"),
                    created = table.Column<long>(type: "bigint", nullable: false),
                    owner = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    workspace = table.Column<string>(type: "text", nullable: false, collation: "C")
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_run", x => x.name);
                });

            migrationBuilder.CreateTable(
                name: "secret",
                columns: table => new
                {
                    name = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    value = table.Column<byte[]>(type: "bytea", nullable: false),
                    created = table.Column<long>(type: "bigint", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_secret", x => x.name);
                });

            migrationBuilder.CreateTable(
                name: "stored_answer",
                columns: table => new
                {
                    sequence = table.Column<long>(type: "bigint", nullable: false)
                        .Annotation("Npgsql:ValueGenerationStrategy", NpgsqlValueGenerationStrategy.IdentityByDefaultColumn),
                    id = table.Column<string>(type: "character varying(36)", nullable: false, collation: "C"),
                    kind = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    workspace = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    time = table.Column<long>(type: "bigint", nullable: false),
                    user = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    model = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    previous = table.Column<string>(type: "character varying(36)", nullable: true, collation: "C"),
                    input = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    answer = table.Column<string>(type: "text", nullable: false, collation: "C")
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_stored_answer", x => x.sequence);
                });

            migrationBuilder.CreateTable(
                name: "term",
                columns: table => new
                {
                    id = table.Column<string>(type: "character varying(36)", nullable: false, collation: "C"),
                    workspace = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    user = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    source_language = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    target_language = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    source = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    target = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    forbidden = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    note = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    created = table.Column<long>(type: "bigint", nullable: false),
                    updated = table.Column<long>(type: "bigint", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_term", x => x.id);
                });

            migrationBuilder.CreateTable(
                name: "translation_unit",
                columns: table => new
                {
                    id = table.Column<string>(type: "character varying(36)", nullable: false, collation: "C"),
                    workspace = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    user = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    source_language = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    target_language = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    source = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    target = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    context = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    document_id = table.Column<string>(type: "character varying(36)", nullable: true, collation: "C"),
                    segment = table.Column<int>(type: "integer", nullable: true),
                    created = table.Column<long>(type: "bigint", nullable: false),
                    updated = table.Column<long>(type: "bigint", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_translation_unit", x => x.id);
                });

            migrationBuilder.CreateTable(
                name: "turn",
                columns: table => new
                {
                    id = table.Column<string>(type: "character varying(36)", nullable: false, collation: "C"),
                    number = table.Column<int>(type: "integer", nullable: false),
                    started = table.Column<long>(type: "bigint", nullable: false),
                    ended = table.Column<long>(type: "bigint", nullable: true),
                    state = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    champion = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    recipe = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    feedback_through = table.Column<long>(type: "bigint", nullable: false),
                    dataset = table.Column<string>(type: "text", nullable: true, collation: "C"),
                    candidate = table.Column<string>(type: "text", nullable: true, collation: "C"),
                    reason = table.Column<string>(type: "text", nullable: true, collation: "C")
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_turn", x => x.id);
                });

            migrationBuilder.CreateTable(
                name: "workspace",
                columns: table => new
                {
                    id = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    name = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    created = table.Column<long>(type: "bigint", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_workspace", x => x.id);
                });

            migrationBuilder.CreateTable(
                name: "conversation_message",
                columns: table => new
                {
                    id = table.Column<string>(type: "character varying(36)", nullable: false, collation: "C"),
                    conversation_id = table.Column<string>(type: "character varying(36)", nullable: false, collation: "C"),
                    parent_id = table.Column<string>(type: "character varying(36)", nullable: true, collation: "C"),
                    generation_id = table.Column<string>(type: "character varying(36)", nullable: true, collation: "C"),
                    time = table.Column<long>(type: "bigint", nullable: false),
                    body = table.Column<string>(type: "text", nullable: false, collation: "C")
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
                    document_id = table.Column<string>(type: "character varying(36)", nullable: false, collation: "C"),
                    number = table.Column<int>(type: "integer", nullable: false),
                    time = table.Column<long>(type: "bigint", nullable: false),
                    user = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    body = table.Column<string>(type: "text", nullable: false, collation: "C")
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
                name: "example_feedback",
                columns: table => new
                {
                    example_id = table.Column<long>(type: "bigint", nullable: false),
                    feedback_id = table.Column<string>(type: "character varying(36)", nullable: false, collation: "C")
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
                    generation_id = table.Column<string>(type: "character varying(36)", nullable: false, collation: "C"),
                    conversation = table.Column<string>(type: "text", nullable: true),
                    text = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    prompt_tokens = table.Column<byte[]>(type: "bytea", nullable: false),
                    tokens = table.Column<byte[]>(type: "bytea", nullable: false),
                    logprobs = table.Column<byte[]>(type: "bytea", nullable: false),
                    sampler_logprobs = table.Column<byte[]>(type: "bytea", nullable: false),
                    sampler = table.Column<string>(type: "text", nullable: false),
                    max_tokens = table.Column<int>(type: "integer", nullable: false),
                    stop = table.Column<string>(type: "text", nullable: false)
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

            migrationBuilder.CreateTable(
                name: "prompt_example",
                columns: table => new
                {
                    generation_id = table.Column<string>(type: "character varying(36)", nullable: false, collation: "C"),
                    place = table.Column<int>(type: "integer", nullable: false),
                    feedback_id = table.Column<string>(type: "character varying(36)", nullable: false, collation: "C")
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
                name: "job_payload",
                columns: table => new
                {
                    job_id = table.Column<string>(type: "character varying(36)", nullable: false, collation: "C"),
                    input = table.Column<string>(type: "text", nullable: false, collation: "C"),
                    checkpoint = table.Column<string>(type: "text", nullable: true, collation: "C"),
                    result = table.Column<string>(type: "text", nullable: true, collation: "C")
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
                name: "IX_deletion_person",
                table: "deletion",
                column: "person");

            migrationBuilder.CreateIndex(
                name: "IX_document_workspace_user_app_updated",
                table: "document",
                columns: new[] { "workspace", "user", "app", "updated" });

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
                name: "IX_example_owner",
                table: "example",
                column: "owner",
                filter: "owner <> ''");

            migrationBuilder.CreateIndex(
                name: "IX_example_prompt_hash",
                table: "example",
                column: "prompt_hash");

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
                name: "IX_generation_group_id",
                table: "generation",
                column: "group_id");

            migrationBuilder.CreateIndex(
                name: "IX_generation_model_hash",
                table: "generation",
                column: "model_hash");

            migrationBuilder.CreateIndex(
                name: "IX_generation_owner",
                table: "generation",
                column: "owner",
                filter: "owner <> ''");

            migrationBuilder.CreateIndex(
                name: "IX_generation_rollout",
                table: "generation",
                column: "rollout",
                filter: "rollout IS NOT NULL");

            migrationBuilder.CreateIndex(
                name: "IX_generation_time",
                table: "generation",
                column: "time");

            migrationBuilder.CreateIndex(
                name: "IX_generation_user",
                table: "generation",
                column: "user");

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
                name: "IX_prompt_example_feedback_id",
                table: "prompt_example",
                column: "feedback_id");

            migrationBuilder.CreateIndex(
                name: "IX_rollout_state",
                table: "rollout",
                column: "state",
                unique: true,
                filter: "state = 'Running'");

            migrationBuilder.CreateIndex(
                name: "IX_run_dataset",
                table: "run",
                column: "dataset");

            migrationBuilder.CreateIndex(
                name: "IX_run_turn_id",
                table: "run",
                column: "turn_id");

            migrationBuilder.CreateIndex(
                name: "IX_stored_answer_id",
                table: "stored_answer",
                column: "id",
                unique: true);

            migrationBuilder.CreateIndex(
                name: "IX_stored_answer_user",
                table: "stored_answer",
                column: "user");

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
                name: "IX_translation_unit_workspace_source_language_target_language_~",
                table: "translation_unit",
                columns: new[] { "workspace", "source_language", "target_language", "updated" });

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
                name: "conversation_message");

            migrationBuilder.DropTable(
                name: "dataset");

            migrationBuilder.DropTable(
                name: "deletion");

            migrationBuilder.DropTable(
                name: "document_version");

            migrationBuilder.DropTable(
                name: "evaluation");

            migrationBuilder.DropTable(
                name: "example_feedback");

            migrationBuilder.DropTable(
                name: "feedback");

            migrationBuilder.DropTable(
                name: "generation_payload");

            migrationBuilder.DropTable(
                name: "job_payload");

            migrationBuilder.DropTable(
                name: "key");

            migrationBuilder.DropTable(
                name: "model");

            migrationBuilder.DropTable(
                name: "prompt_example");

            migrationBuilder.DropTable(
                name: "release");

            migrationBuilder.DropTable(
                name: "rollout");

            migrationBuilder.DropTable(
                name: "run");

            migrationBuilder.DropTable(
                name: "secret");

            migrationBuilder.DropTable(
                name: "stored_answer");

            migrationBuilder.DropTable(
                name: "term");

            migrationBuilder.DropTable(
                name: "translation_unit");

            migrationBuilder.DropTable(
                name: "turn");

            migrationBuilder.DropTable(
                name: "workspace");

            migrationBuilder.DropTable(
                name: "conversation");

            migrationBuilder.DropTable(
                name: "document");

            migrationBuilder.DropTable(
                name: "example");

            migrationBuilder.DropTable(
                name: "job");

            migrationBuilder.DropTable(
                name: "generation");
        }
    }
}
