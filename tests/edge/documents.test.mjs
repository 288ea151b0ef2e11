// PDFs, forms of answers and bodies that are too much: what is answered at the edge as a server answers it, and what is not.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";

import sharp from "sharp";

import { illustrated, lying, nested, pdf, report, scan, sheets, stream } from "./pdfs.mjs";
import { edge, maoocr, origin, origins, sample } from "./stand.mjs";

const run = promisify(execFile);
const FAST = { speed_requirement: "high" };
/** Forms that are made of an answer alone. */
const FORMS = ["txt", "md", "html", "hocr", "alto", "tsv", "csv"];

let behind, direct;
before(async () => {
  [behind, direct] = await Promise.all([origin(), origin([])]);
});
after(() => Promise.all([behind, direct].map((server) => server?.kill())));

const worker = (vars = {}, more = {}) =>
  edge({ vars: { AUTH: "open", RATE: "0", CACHE_TIME: "0", ORIGINS: origins(["a", behind.base]), ...vars }, ...more });

/** Sends a file in a form with these fields. */
async function send(base, file, fields = {}, headers = {}) {
  const body = new FormData();
  for (const [name, value] of Object.entries(fields)) body.append(name, value);
  body.append("image", new Blob([file]), "report.pdf");
  const response = await fetch(`${base}/api/ocr/recognize`, { method: "POST", body, headers });
  const text = await response.text();
  const type = response.headers.get("content-type") ?? "";
  return {
    status: response.status,
    text,
    type,
    body: /^application\/(problem\+)?json/u.test(type) ? JSON.parse(text) : undefined,
    route: response.headers.get("x-maoocr-route"),
    cache: response.headers.get("x-maoocr-cache"),
    id: response.headers.get("x-maoocr-id"),
  };
}

test("a small PDF says at the edge what it says elsewhere", async (t) => {
  const here = await worker({ ORIGINS: "[]" }, { measured: true });
  const folder = mkdtempSync(join(tmpdir(), "maoocr-small-"));
  t.after(() => Promise.all([here.stop(), rmSync(folder, { recursive: true, force: true })]));
  const file = sheets([report(1), report(2)]);
  const began = performance.now();
  const first = await send(here.url, file);
  const cold = performance.now() - began;
  assert.equal(first.status, 200, first.text);
  assert.equal(first.route, "edge: a small PDF");
  const again = performance.now();
  await send(here.url, file, { pages: "2" });
  const warm = performance.now() - again;
  const there = await send(direct.base, file);
  assert.equal(there.status, 200, there.text);
  assert.match(first.body.text, /Two vessels were diverted/u);
  assert.equal(first.body.text, there.body.text);
  assert.equal(first.body.pages.length, 2);
  for (const [i, page] of first.body.pages.entries()) {
    for (const field of ["width", "height", "dpi", "turn", "text", "lines", "blocks", "text_layer", "device"]) {
      assert.deepEqual(page[field], there.body.pages[i][field], `page ${i}: ${field}`);
    }
    assert.equal(page.text_layer.state, "sound");
  }
  for (const form of FORMS) {
    const [a, b] = await Promise.all([here.url, direct.base].map((base) => send(base, file, { format: form })));
    assert.equal(a.status, 200, a.text);
    assert.equal(a.route, "edge: a small PDF");
    assert.deepEqual([a.type, a.text], [b.type, b.text], form);
    assert.match(a.id, /^[0-9a-f-]{36}$/u);
  }
  const path = join(folder, "report.pdf");
  writeFileSync(path, file);
  const { stdout } = await run(maoocr, ["recognize", "--format", "md", "--offline", "--device", "cpu", path]);
  const markdown = await send(here.url, file, {}, { accept: "text/markdown" });
  assert.equal(markdown.text, stdout);
  assert.match(stdout, /^# Harbour report 1$/mu);
  assert.match(stdout, /\| Berth \| Depth \| Vessels \|/u);
  // The second page alone, as JSON in which its place is kept, and by itself in PAGE-XML.
  const second = await send(here.url, file, { pages: "2", format: "page" });
  assert.equal(second.text, (await send(direct.base, file, { pages: "2", format: "page" })).text);
  const json = JSON.stringify({ image_base64: file.toString("base64"), pages: "2" });
  const headers = { "content-type": "application/json" };
  const asked = await fetch(`${here.url}/api/ocr/recognize`, { method: "POST", body: json, headers });
  assert.equal((await asked.json()).index, 1);
  const bare = await fetch(`${here.url}/api/ocr/recognize?pages=1&format=txt`, {
    method: "POST",
    body: file,
    headers: { "content-type": "application/pdf" },
  });
  assert.match(await bare.text(), /^Harbour report 1/u);
  const isolate = await here.isolate();
  const megabytes = Object.entries(isolate).map(([what, bytes]) => `${what} ${(bytes / 1e6).toFixed(1)} MB`);
  t.diagnostic(`two pages ${cold.toFixed(0)} ms cold, one ${warm.toFixed(0)} ms warm; ${megabytes.join(", ")}`);
  assert.ok(isolate.module + isolate.heap + isolate.buffers < 120e6, megabytes.join(", "));
  assert.deepEqual(here.errors, []);
});

test("other PDFs are a server's, and the answer says why", async (t) => {
  const here = await worker();
  const never = await worker({ LIGHT_PAGES: "0" });
  t.after(() => Promise.all([here.stop(), never.stop()]));
  const small = sheets([report(1)]);
  const jpeg = await sharp(sample("photo.png")).flatten({ background: "#fff" }).jpeg().toBuffer();
  const { width, height } = await sharp(jpeg).metadata();
  const pattern = "/Pattern<</P 20 0 R>>";
  const tile = stream("0 0 1 1 re f", "/PatternType 1/PaintType 1/TilingType 1/BBox[0 0 1 1]/XStep 1/YStep 1/Resources<<>>");
  for (const [file, fields, reason] of [
    [scan(jpeg, width, height), {}, "a scan"],
    [lying(), {}, "a PDF whose text layer is wrong"],
    [illustrated(jpeg, width, height), {}, "a PDF with pictures to read"],
    [sheets([1, 2, 3, 4].map(report)), {}, "a PDF of many pages"],
    [sheets([report(1)], { resources: pattern, more: [tile] }), {}, "a PDF with patterns or shades"],
    [small, { text_layer: "never" }, "a text layer that is ignored"],
    [small, { format: "pdf" }, "a searchable PDF"],
    [small, { format: "ndjson" }, "an answer page by page"],
    [small, { password: "secret" }, "an encrypted PDF"],
    [small, { requirements: JSON.stringify({ accuracy_requirement: "high" }) }, "high accuracy"],
  ]) {
    const answer = await send(here.url, file, fields);
    assert.equal(answer.status, 200, `${reason}: ${answer.text}`);
    assert.equal(answer.route, `a: ${reason}`);
  }
  assert.equal((await send(never.url, small)).route, "a: a PDF");
  // Four pages of which few are chosen are a small PDF.
  const chosen = await send(here.url, sheets([1, 2, 3, 4].map(report)), { pages: "2-3" });
  assert.equal(chosen.route, "edge: a small PDF");
  for (const fields of [{ pages: "0" }, { pages: "9" }, { format: "doc" }, { text_layer: "perhaps" }]) {
    const [a, b] = await Promise.all([here.url, direct.base].map((base) => send(base, small, fields)));
    assert.ok(a.status === 422, a.text);
    for (const field of ["status", "code", "field", "detail", "allowed"]) assert.deepEqual(a.body[field], b.body[field]);
  }
});

test("hostile PDFs get an answer, and the isolate goes on", async (t) => {
  const here = await worker({}, { measured: true });
  const alone = await worker({ ORIGINS: "[]" });
  t.after(() => Promise.all([here.stop(), alone.stop()]));
  const text = report(1);
  const hostile = {
    nested: nested(40),
    "itself again": sheets([`${text}/X Do`], {
      resources: "/XObject<</X 20 0 R>>",
      more: [stream("/X Do /X Do", "/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</X 20 0 R>>>>")],
    }),
    unpacking: sheets([text + " ".repeat(64 << 20)]),
    "many steps": sheets([text + "0 0 1 1 re f\n".repeat(300_000)]),
    "much paint": sheets([text + "0 0 595 842 re f\n".repeat(5000)]),
    "a large page": pdf(
      ["<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Count 1/Kids[3 0 R]>>"].concat([
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 14400 14400]/Contents 4 0 R/Resources<</Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>/F2<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>",
        stream(text),
      ]),
    ),
    "a large picture": sheets([`${text}q 9 0 0 9 0 0 cm /I Do Q`], {
      resources: "/XObject<</I 20 0 R>>",
      more: [stream("", "/Type/XObject/Subtype/Image/Width 30000/Height 30000/ColorSpace/DeviceRGB/BitsPerComponent 8")],
    }),
    "deep arrays": Buffer.concat([Buffer.from(`%PDF-1.7\n1 0 obj\n${"[".repeat(200_000)}`), sheets([text])]),
    "a page tree without end": pdf(["<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Count 1/Kids[2 0 R 2 0 R]>>"]),
    "nothing but a head": Buffer.from("%PDF-1.7\n"),
    "half of one": sheets([text]).subarray(0, 400),
    noise: Buffer.from(sheets([text]).map((byte, i) => (i > 20 && i % 7 === 0 ? (byte * 31 + i) & 255 : byte))),
  };
  for (const [name, file] of Object.entries(hostile)) {
    const [a, b] = await Promise.all([here.url, direct.base].map((base) => send(base, file)));
    t.diagnostic(`${name}: ${a.status} ${a.route ?? a.body?.code}`);
    // A server answers what is none of the edge's, so that what comes is always what a server says.
    assert.deepEqual([a.status, a.body.code], [b.status, b.body.code], `${name}: ${a.text.slice(0, 500)}`);
    const left = await send(alone.url, file);
    assert.ok([200, 400, 413, 422, 503].includes(left.status), `${name}: ${left.text.slice(0, 500)}`);
    if (left.status === 503) assert.match(left.body.detail, /the edge can't read/u);
    const after = await send(alone.url, sheets([text]));
    assert.equal(after.route, "edge: a small PDF", `after ${name}`);
  }
  const picture = await send(here.url, sample("photo.png"), { requirements: JSON.stringify(FAST) });
  assert.equal(picture.route, "edge: a light picture");
  const isolate = await here.isolate();
  assert.ok(isolate.module + isolate.heap + isolate.buffers < 125e6, JSON.stringify(isolate));
});

test("other forms of an answer that is kept need no server", async (t) => {
  const own = await origin();
  const here = await worker({ CACHE_TIME: "600", ORIGINS: origins(["a", own.base]), LIGHT_PAGES: "0" });
  t.after(() => Promise.all([here.stop(), own.kill()]));
  const file = sheets([report(1), report(2)]);
  const json = await send(here.url, file);
  assert.deepEqual([json.status, json.route, json.cache], [200, "a: a PDF", "miss"]);
  const picture = sample("photo.png");
  // A picture's structure is found only for forms that show it.
  const markdown = await send(here.url, picture, { format: "md" });
  assert.deepEqual([markdown.status, markdown.cache], [200, "miss"]);
  const expected = {};
  for (const form of FORMS) expected[form] = await send(direct.base, file, { format: form });
  await own.kill();
  for (const form of FORMS) {
    const made = await send(here.url, file, { format: form });
    assert.equal(made.status, 200, `${form}: ${made.text}`);
    assert.deepEqual([made.route, made.cache], ["edge: made of a cached answer", "hit"]);
    assert.deepEqual([made.type, made.text], [expected[form].type, expected[form].text], form);
    assert.equal(made.id, json.body.id);
  }
  assert.deepEqual((await send(here.url, file)).body, json.body);
  const accepted = await send(here.url, file, {}, { accept: "application/vnd.hocr+html" });
  assert.equal(accepted.text, expected.hocr.text);
  const single = await send(here.url, file, { format: "page" });
  assert.deepEqual([single.status, single.body.code], [422, "single_page"]);
  assert.equal((await send(here.url, picture, { format: "md" })).text, markdown.text);
  // What isn't made of an answer alone has no one to make it.
  for (const fields of [{ format: "pdf" }, { format: "ndjson" }, { pages: "1" }]) {
    assert.ok((await send(here.url, file, fields)).status >= 502);
  }
});

test("an answer that lacks a page isn't kept, nor made into one that doesn't say so", async (t) => {
  const own = await origin();
  const here = await worker({ CACHE_TIME: "600", ORIGINS: origins(["a", own.base]), LIGHT_PAGES: "0" });
  t.after(() => Promise.all([here.stop(), own.kill()]));
  const file = sheets([report(1), report(2)], { boxes: [undefined, "0 0 100000 100000"] });
  for (let turn = 0; turn < 2; turn++) {
    const json = await send(here.url, file);
    assert.deepEqual([json.status, json.cache], [200, "miss"]);
    assert.equal(json.body.pages[1].error.code, "too_many_pixels");
  }
  const markdown = await send(here.url, file, { format: "md" });
  assert.deepEqual([markdown.status, markdown.body.code], [413, "too_many_pixels"]);
});

test("a light picture comes in every form", async (t) => {
  const here = await worker({ ORIGINS: "[]", CACHE_TIME: "600" });
  t.after(here.stop);
  const picture = sample("receipt.jpg");
  const requirements = JSON.stringify(FAST);
  const caches = [];
  for (const form of [...FORMS, "page"]) {
    const [a, b] = await Promise.all([here.url, direct.base].map((base) => send(base, picture, { format: form, requirements })));
    assert.equal(a.status, 200, a.text);
    // Both read with the same models, in WebAssembly and in a native program.
    const words = (text) => text.match(/[A-Za-z]{4,}/gu).slice(0, 40);
    assert.deepEqual([a.type, words(a.text)], [b.type, words(b.text)], form);
    caches.push(a.cache);
  }
  // One reading for text, one for the others.
  assert.deepEqual(caches, ["miss", "miss", ...Array(6).fill("hit")]);
});

test("JSON that is deep or wide is refused, and takes no memory", async (t) => {
  const here = await worker({ ORIGINS: "[]" }, { measured: true });
  t.after(here.stop);
  const size = 5_600_000;
  const post = (body) =>
    fetch(`${here.url}/api/ocr/recognize`, { method: "POST", body, headers: { "content-type": "application/json" } });
  const bodies = {
    wide: `{"requirements": [${"[],".repeat(size / 3)}[]]}`,
    deep: `{"requirements": ${"[".repeat(size)}`,
    "many fields": `{"requirements": {${'"a":1,'.repeat(size / 6)}"z":1}}`,
    "unknown field": `{"x": [${"{},".repeat(size / 3)}{}]}`,
    "a long name": `{"name": "${"\\u0041".repeat(size / 6)}", "image_base64": ""}`,
  };
  for (const [name, body] of Object.entries(bodies)) {
    for (let i = 0; i < 3; i++) {
      const response = await post(body);
      const problem = await response.json();
      assert.ok([400, 413, 422].includes(response.status), `${name}: ${JSON.stringify(problem).slice(0, 300)}`);
      assert.ok(problem.detail.length < 1000, name);
      const there = await fetch(`${direct.base}/api/ocr/recognize`, {
        method: "POST",
        body,
        headers: { "content-type": "application/json" },
      });
      if (i === 0) assert.deepEqual([response.status, problem.code], [there.status, (await there.json()).code], name);
    }
  }
  assert.deepEqual(here.errors, []);
  const picture = JSON.stringify({ image_base64: sample("photo.png").toString("base64"), requirements: FAST });
  assert.equal((await (await post(picture)).json()).device, "edge");
  const isolate = await here.isolate();
  assert.ok(isolate.module < 80e6, JSON.stringify(isolate));
});

test("a job's paging is checked as a server checks it", async (t) => {
  const here = await edge({ vars: { AUTH: "open", RATE: "0", ORIGINS: origins(["a", "http://127.0.0.1:9"]) } });
  t.after(here.stop);
  const job = async (base) => {
    const body = new FormData();
    body.append("image", new Blob([sample("photo.png")]), "photo.png");
    const accepted = await fetch(`${base}/api/ocr/batch`, { method: "POST", body });
    assert.equal(accepted.status, 202);
    return base + accepted.headers.get("location");
  };
  const urls = await Promise.all([here.url, direct.base].map(job));
  for (const query of [
    ...["first=0", "first=-1", "first=2147483648", "first=4294967296", "first=a", "first=", "first=1&first=2", "first=%2B1"],
    ...["limit=0", "limit=100", "limit=101", "limit=-1", "limit=1.5", "last=1", "first=1&last=1", "limit=01"],
  ]) {
    const [a, b] = await Promise.all(
      urls.map(async (url) => {
        const response = await fetch(`${url}?${query}`);
        const { code, field } = await response.json();
        return [response.status, code, field];
      }),
    );
    assert.deepEqual(a, b, query);
  }
});
