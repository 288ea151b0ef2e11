// What pdf.js, the viewer of Firefox, copies from a searchable PDF; `crates/pdf/tests/viewers.rs` makes the file.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { test } from "node:test";

import { getDocument } from "pdfjs-dist/legacy/build/pdf.mjs";

const file = (name) => readFileSync(resolve(import.meta.dirname, "../../../crates/pdf/tests/viewers", name));

test("words are copied from pdf.js in reading order", async () => {
  const expected = file("expected.txt").toString("utf8").trim().split("\n");
  const document = await getDocument({ data: new Uint8Array(file("layer.pdf")), verbosity: 0 }).promise;
  const copied = [];
  for (let number = 1; number <= document.numPages; number++) {
    const { items } = await (await document.getPage(number)).getTextContent();
    const text = items.map(({ str, hasEOL }) => str + (hasEOL ? "\n" : "")).join("");
    const lines = text.split("\n").map((line) => line.split(/\s+/).filter(Boolean).join(" "));
    copied.push(lines.filter(Boolean).join(" | "));
  }
  assert.deepEqual(copied, expected);
});
