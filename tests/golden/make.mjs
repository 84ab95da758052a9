// Writes golden outputs: what llama.cpp (node-llama-cpp) and Hugging Face's tokenizers (@huggingface/tokenizers) make of
// models and tokenizers that our tests generate from seeds. See README.md.
import fs from "node:fs";
import path from "node:path";
import { getLlama } from "node-llama-cpp";
import { Tokenizer } from "@huggingface/tokenizers";

const [input, output] = process.argv.slice(2);
const order = JSON.parse(fs.readFileSync(path.join(input, "order.json"), "utf8"));
const llama = await getLlama({ gpu: false, build: "never", logLevel: "error" });

for (const { name, model, prompts, numTop, numGreedy } of order.models) {
  const loaded = await llama.loadModel({ modelPath: path.join(input, `${name}.gguf`), gpuLayers: 0 });
  const context = await loaded.createContext({ contextSize: 256, batchSize: 256, threads: 1, flashAttention: false, experimentalKvCacheKeyType: "F32", experimentalKvCacheValueType: "F32" });
  const sequence = context.getSequence();
  const results = [];
  for (const prompt of prompts) {
    const next = async (tokens) => {
      await sequence.clearHistory();
      const items = tokens.map((token, i) => (i < tokens.length - 1 ? token : [token, { generateNext: { probabilities: true, token: true, options: { temperature: 1, topK: 0, topP: 1, minP: 0 } } }]));
      const answer = await sequence.controlledEvaluate(items);
      return [...answer[tokens.length - 1].next.probabilities].sort((a, b) => b[1] - a[1] || a[0] - b[0]);
    };
    const top = (await next(prompt)).slice(0, numTop).map(([id, p]) => [id, Math.log(p)]);
    const tokens = [...prompt];
    for (let i = 0; i < numGreedy; i++) tokens.push((await next(tokens))[0][0]);
    results.push({ prompt, top, greedy: tokens.slice(prompt.length) });
  }
  write(`llama.cpp-${name}.json`, { model, by: `llama.cpp ${llama.llamaCppRelease.release}`, results });
  await context.dispose();
  await loaded.dispose();
}

const { version } = JSON.parse(fs.readFileSync(new URL("node_modules/@huggingface/tokenizers/package.json", import.meta.url), "utf8"));
for (const { name, hash, texts } of order.tokenizers) {
  const json = JSON.parse(fs.readFileSync(path.join(input, `${name}.json`), "utf8"));
  const tokenizer = new Tokenizer(json, {});
  const results = texts.map((text) => {
    const { ids } = tokenizer.encode(text, { add_special_tokens: false });
    return { text, ids: [...ids].map(Number) };
  });
  write(`tokenizers-${name}.json`, { tokenizer: hash, by: `@huggingface/tokenizers ${version}`, results });
}

function write(name, value) {
  const { results, ...head } = value;
  fs.writeFileSync(path.join(output, name), `{${JSON.stringify(head).slice(1, -1)},"results":[\n${results.map((row) => JSON.stringify(row)).join(",\n")}\n]}\n`);
}
process.exit(0);
