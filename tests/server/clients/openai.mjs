// Reads with OpenAI's own client for JavaScript: node openai.mjs BASE PICTURE PDF. PDF has two scanned pages.

import assert from "node:assert/strict";
import { createReadStream, readFileSync } from "node:fs";

import OpenAI from "openai";

const [base, picture, pdf] = process.argv.slice(2);
const data = (path, type) => `data:${type};base64,${readFileSync(path).toString("base64")}`;

const client = new OpenAI({ baseURL: `${base}/v1`, apiKey: "none", maxRetries: 0 });
const image = { type: "image_url", image_url: { url: data(picture, "image/jpeg"), detail: "high" } };
const file = { type: "file", file: { filename: "two.pdf", file_data: data(pdf, "application/pdf") } };
const messages = (...content) => [
  { role: "developer", content: "You read documents." },
  { role: "user", content: [{ type: "text", text: "Transcribe this." }, ...content] },
];

const answer = await client.chat.completions.create({ model: "gpt-5", messages: messages(image) });
assert.match(answer.choices[0].message.content, /CORNER BAKERY/u);
assert.equal(answer.choices[0].finish_reason, "stop");

const both = await client.chat.completions.create({ model: "m", messages: messages(file, image) });
assert.equal(both.usage.prompt_tokens, 3);
let streamed = "";
for await (const { choices } of await client.chat.completions.create({
  model: "m",
  messages: messages(file, image),
  stream: true,
})) {
  streamed += choices[0]?.delta.content ?? "";
}
assert.equal(streamed, both.choices[0].message.content);

const uploaded = await client.files.create({ file: createReadStream(pdf), purpose: "user_data" });
const byId = await client.chat.completions.create({
  model: "m",
  messages: messages({ type: "file", file: { file_id: uploaded.id } }),
});
assert.match(byId.choices[0].message.content, /Compiling serde/u);
await client.files.delete(uploaded.id);

await assert.rejects(
  client.chat.completions.create({ model: "m", messages: [{ role: "user", content: "Hello" }] }),
  ({ status, error }) => status === 422 && error.code === "document_missing",
);
console.log("OpenAI's client for JavaScript: ok");
