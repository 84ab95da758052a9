// OpenAI's npm client against a running server: node client.mjs http://127.0.0.1:PORT/v1
import assert from "node:assert/strict";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.argv[2], apiKey: "none", maxRetries: 0 });
const ask = { model: "flywheel", messages: [{ role: "user", content: "Write a tagline." }], max_tokens: 24, seed: 3, temperature: 1.2 };

const plain = await client.chat.completions.create({ ...ask, n: 2, logprobs: true, top_logprobs: 2 });
assert.equal(plain.object, "chat.completion");
assert.equal(plain.choices.length, 2);
assert.equal(plain.usage.total_tokens, plain.usage.prompt_tokens + plain.usage.completion_tokens);
for (const choice of plain.choices) {
  assert.match(choice.generation_id, /^[0-9a-f-]{36}$/);
  assert.equal(Buffer.from(choice.logprobs.content.flatMap((token) => token.bytes)).toString(), choice.message.content);
  assert.ok(choice.logprobs.content.every((token) => token.logprob <= 0 && token.top_logprobs.length === 2));
}

let text = "", usage = null, reason = null;
for await (const chunk of await client.chat.completions.create({ ...ask, stream: true, stream_options: { include_usage: true } })) {
  text += chunk.choices[0]?.delta?.content ?? "";
  reason = chunk.choices[0]?.finish_reason ?? reason;
  usage = chunk.usage ?? usage;
}
assert.equal(text, plain.choices[0].message.content);
assert.equal(reason, plain.choices[0].finish_reason);
assert.ok(usage.completion_tokens > 0);

// The client's own accumulator accepts our chunks.
const streamed = await client.chat.completions.stream(ask).finalChatCompletion();
assert.equal(streamed.choices[0].message.content, text);

const completion = await client.completions.create({ model: "flywheel", prompt: "The wheel", max_tokens: 8, seed: 1, logprobs: 1 });
assert.equal(completion.choices[0].logprobs.tokens.length, completion.choices[0].logprobs.text_offset.length);

// Tool calls: plain, accumulated from a stream, and run by the client's own helper.
const weather = { type: "function", function: { name: "get_weather", strict: true, parameters: { type: "object", properties: { days: { type: "integer", minimum: 1, maximum: 7 } }, required: ["days"], additionalProperties: false } } };
const call = { ...ask, max_tokens: 400, tools: [weather], tool_choice: "required", parallel_tool_calls: false };
const called = await client.chat.completions.create(call);
assert.equal(called.choices[0].finish_reason, "tool_calls");
const wanted = called.choices[0].message.tool_calls[0].function;
assert.ok(JSON.parse(wanted.arguments).days >= 1);
const accumulated = await client.chat.completions.stream(call).finalChatCompletion();
assert.deepEqual(accumulated.choices[0].message.tool_calls[0].function.arguments, wanted.arguments);
const answered = await client.chat.completions.create({ ...ask, messages: [...ask.messages, called.choices[0].message, { role: "tool", tool_call_id: called.choices[0].message.tool_calls[0].id, content: "sunny" }] });
assert.equal(answered.choices[0].message.tool_calls, undefined);

// Structured output through the client's parser.
const parsed = await client.chat.completions.parse({ ...ask, max_tokens: 400, response_format: { type: "json_schema", json_schema: { name: "copy", strict: true, schema: { type: "object", properties: { tone: { enum: ["plain", "warm"] } }, required: ["tone"], additionalProperties: false } } } });
assert.ok(["plain", "warm"].includes(parsed.choices[0].message.parsed.tone));

// The Responses API: a text, a turn that goes on from it, a stream through the client's accumulator, a call, a schema, and what is stored.
const turn = { model: "flywheel", input: "Write a tagline.", max_output_tokens: 24, seed: 3, temperature: 1.2 };
const response = await client.responses.create(turn);
assert.equal(response.object, "response");
assert.equal(response.output_text, response.output[0].content[0].text);
assert.equal(response.usage.total_tokens, response.usage.input_tokens + response.usage.output_tokens);
const next = await client.responses.create({ ...turn, input: "Shorter.", previous_response_id: response.id });
assert.ok(next.usage.input_tokens > response.usage.input_tokens);
const growing = client.responses.stream(turn);
let grown = "";
growing.on("response.output_text.delta", (event) => { grown += event.delta; });
const whole = await growing.finalResponse();
assert.equal(grown, response.output_text);
assert.equal(whole.output_text, response.output_text);
const wanting = await client.responses.create({ ...turn, max_output_tokens: 400, tools: [{ type: "function", ...weather.function }], tool_choice: "required", parallel_tool_calls: false });
const item = wanting.output.find((one) => one.type === "function_call");
assert.ok(JSON.parse(item.arguments).days >= 1);
const told = await client.responses.create({ ...turn, input: [{ type: "function_call_output", call_id: item.call_id, output: "sunny" }], previous_response_id: wanting.id });
assert.ok(told.usage.output_tokens > 0);
const shaped = await client.responses.parse({ ...turn, max_output_tokens: 400, text: { format: { type: "json_schema", name: "copy", strict: true, schema: { type: "object", properties: { tone: { enum: ["plain", "warm"] } }, required: ["tone"], additionalProperties: false } } } });
assert.ok(["plain", "warm"].includes(shaped.output_parsed.tone));
assert.deepEqual((await client.responses.retrieve(next.id)).output, next.output);
const items = [];
for await (const one of client.responses.inputItems.list(next.id)) items.push(one.content[0].text);
assert.deepEqual(items, ["Shorter."]);
await client.responses.delete(next.id);
await assert.rejects(client.responses.retrieve(next.id), (e) => e instanceof OpenAI.NotFoundError);

const vectors = await client.embeddings.create({ model: "flywheel", input: ["The wheel", "turns"] });
assert.equal(vectors.data.length, 2);
assert.ok(Math.abs(vectors.data[0].embedding.reduce((sum, value) => sum + value * value, 0) - 1) < 1e-4);

// Speech, where the server's machine has an engine.
if ((await client.get("/voices")).data.some((voice) => voice.id === "espeak:en-us")) {
  const spoken = await client.audio.speech.create({ model: "tts-1", voice: "espeak:en-us", input: "The wheel turns.", response_format: "wav" });
  assert.equal(spoken.headers.get("content-type"), "audio/wav");
  const wav = Buffer.from(await spoken.arrayBuffer());
  assert.equal(wav.toString("latin1", 0, 4), "RIFF");
  assert.ok(wav.length > 24000);
  const raw = await client.audio.speech.create({ model: "espeak", voice: "en-us", input: "The wheel turns.", response_format: "pcm" });
  let bytes = 0;
  for await (const piece of raw.body) bytes += piece.length;
  assert.equal(bytes, wav.length - 44);
  await assert.rejects(client.audio.speech.create({ model: "tts-1", voice: "nobody", input: "Hello" }), (e) => e instanceof OpenAI.BadRequestError && e.param === "voice");
}

assert.deepEqual((await client.models.list()).data.map((model) => model.id)[0], "flywheel");

await assert.rejects(client.chat.completions.create({ ...ask, model: "gpt-9" }), (e) => e instanceof OpenAI.NotFoundError && e.code === "model_not_found");
await assert.rejects(client.chat.completions.create({ ...ask, temperature: 9 }), (e) => e instanceof OpenAI.BadRequestError && e.param === "temperature");
console.log("all checks passed");

// Files and fine-tuning: upload, list, begin, cancel, delete.
const lines = Array.from({ length: 12 }, (_, i) => JSON.stringify({ messages: [{ role: "user", content: `Say hello ${i}.` }, { role: "assistant", content: "hello there" }] })).join("\n");
const uploaded = await client.files.create({ file: await OpenAI.toFile(Buffer.from(lines), "examples.jsonl"), purpose: "fine-tune" });
assert.equal(uploaded.bytes, Buffer.byteLength(lines));
assert.equal(await (await client.files.content(uploaded.id)).text(), lines);
const tuning = await client.fineTuning.jobs.create({ model: "flywheel", training_file: uploaded.id, suffix: "npm", method: { type: "supervised", supervised: { hyperparameters: { n_epochs: "auto" } } } });
assert.equal(tuning.object, "fine_tuning.job");
assert.deepEqual((await client.fineTuning.jobs.list()).data.map((job) => job.id), [tuning.id]);
assert.ok((await client.fineTuning.jobs.listEvents(tuning.id)).data.some((event) => event.message.includes(tuning.id)));
assert.match((await client.fineTuning.jobs.cancel(tuning.id)).status, /cancelled|running|validating_files/);
assert.ok((await client.files.delete(uploaded.id)).deleted);
await assert.rejects(client.files.retrieve(uploaded.id), OpenAI.NotFoundError);
