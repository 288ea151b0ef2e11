// Reads with Mistral's own client for JavaScript: node mistral.mjs BASE PICTURE PDF. PDF has two scanned pages.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { basename } from "node:path";

import { Mistral } from "@mistralai/mistralai";

const [base, picture, pdf] = process.argv.slice(2);
const data = (path, type) => `data:${type};base64,${readFileSync(path).toString("base64")}`;

const client = new Mistral({ apiKey: "none", serverURL: base });
const read = await client.ocr.process({
  model: "mistral-ocr-latest",
  document: { type: "image_url", imageUrl: data(picture, "image/jpeg") },
  includeImageBase64: true,
});
assert.equal(read.usageInfo.pagesProcessed, 1);
assert.match(read.pages[0].markdown, /CORNER BAKERY/u);
assert.ok(read.pages[0].dimensions.width > 0);

const content = readFileSync(pdf);
const file = await client.files.upload({ file: { fileName: basename(pdf), content }, purpose: "ocr" });
assert.equal(file.sizeBytes, content.length);
assert.deepEqual(
  (await client.files.list()).data.map(({ id }) => id),
  [file.id],
);
const { url } = await client.files.getSignedUrl({ fileId: file.id });
assert.deepEqual(Buffer.from(await (await fetch(url)).arrayBuffer()), content);
const whole = await client.ocr.process({ model: "m", document: { type: "file", fileId: file.id } });
assert.deepEqual(
  whole.pages.map(({ index }) => index),
  [0, 1],
);
const linked = await client.ocr.process({
  model: "m",
  document: { type: "document_url", documentUrl: url },
  pages: [1],
  tableFormat: "html",
});
assert.equal(linked.pages.length, 1);
assert.match(linked.pages[0].markdown, /Compiling serde/u);
await assert.rejects(
  client.ocr.process({ model: "m", document: { type: "file", fileId: file.id }, pages: [0, 7] }),
  (error) => JSON.parse(error.body).code === "no_such_page",
);
assert.equal((await client.files.delete({ fileId: file.id })).deleted, true);
console.log("Mistral's client for JavaScript: ok");
