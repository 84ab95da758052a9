// Ajv's verdicts: reads lines of {"schema", "text"}, writes a line for each: "valid", or why not.
import readline from "node:readline";
import Ajv2020 from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

const validators = new Map();
for await (const line of readline.createInterface({ input: process.stdin })) {
  const { schema, text } = JSON.parse(line);
  let verdict;
  try {
    const key = JSON.stringify(schema);
    if (!validators.has(key)) {
      const ajv = new Ajv2020({ strict: false, allowUnionTypes: true, logger: false });
      addFormats(ajv);
      validators.set(key, ajv.compile(schema));
    }
    const validate = validators.get(key);
    verdict = validate(JSON.parse(text)) ? "valid" : JSON.stringify(validate.errors);
  } catch (error) {
    verdict = `${error.name}: ${error.message}`.replaceAll("\n", " ");
  }
  console.log(verdict);
}
