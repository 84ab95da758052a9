// Fills in the ids of cases.json as an implementation other than ours finds them: the JavaScript one of Hugging Face
// (Apache-2.0). The texts are our own; tokenizer.json was learnt from them by Tokenizer.Train, 700 ids.
//   npm install @huggingface/tokenizers@0.2.0 && node make.mjs
import { readFileSync, writeFileSync } from "node:fs";
import { Tokenizer } from "@huggingface/tokenizers";

const read = (name) => JSON.parse(readFileSync(name, "utf8"));
const tokenizer = new Tokenizer(read("tokenizer.json"), {});
const cases = read("cases.json").map(({ text }) => ({ text, ids: Array.from(tokenizer.encode(text).ids) }));
writeFileSync("cases.json", "[\n" + cases.map((item) => JSON.stringify(item)).join(",\n") + "\n]\n");
