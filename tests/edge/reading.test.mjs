// Pictures in real workerd, before two real servers: which are read in the isolate, and what is said of them.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

import sharp from "sharp";

import { FAST, before_both, recognize } from "./both.mjs";
import { build, maoocr, origin, sample } from "./stand.mjs";

const run = promisify(execFile);

test("a light picture is read in the isolate, another by a server", async (t) => {
  const worker = await before_both();
  t.after(worker.stop);
  const light = await recognize(worker.url, sample("receipt.jpg"), FAST);
  assert.equal(light.status, 200, JSON.stringify(light.body));
  assert.equal(light.route, "edge: a light picture");
  assert.equal(light.body.device, "edge");
  assert.match(light.body.text, /CORNER BAKERY/u);
  assert.deepEqual(light.body.selected_models, ["ppocrv6-tiny-det", "ppocrv6-tiny-rec"]);
  assert.match(light.body.id, /^[0-9a-f-]{36}$/u);

  const usual = await recognize(worker.url, sample("receipt.jpg"));
  assert.equal(usual.status, 200, JSON.stringify(usual.body));
  assert.match(usual.route, /^[ab]: better models than the edge has$/u);
  assert.match(usual.body.device, /^cpu/u);
  assert.ok(usual.body.selected_models.includes("ppocrv6-small-rec"));

  for (const [requirements, name, reason] of [
    [{ accuracy_requirement: "high" }, "receipt.jpg", "high accuracy"],
    [{ ...FAST, document_type: "complex_layout" }, "receipt.jpg", "a complex layout"],
    [{ ...FAST, language: "japanese" }, "receipt.jpg", "characters that tiny models lack"],
    [FAST, "columns.png", "a large picture"],
  ]) {
    const heavy = await recognize(worker.url, sample(name), requirements);
    assert.equal(heavy.status, 200, JSON.stringify(heavy.body));
    assert.match(heavy.route, new RegExp(`^[ab]: ${reason}$`, "u"));
  }
  assert.deepEqual(worker.errors, []);
});

test("the bodies that a server takes are taken", async (t) => {
  const worker = await before_both({ ORIGINS: "[]" });
  t.after(worker.stop);
  const url = `${worker.url}/api/ocr/recognize`;
  const picture = sample("photo.png");
  const ways = {
    bare: [`${url}?speed_requirement=high`, { headers: { "content-type": "image/png" }, body: picture }],
    json: [
      url,
      {
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ image_base64: picture.toString("base64"), requirements: FAST }),
      },
    ],
    chunked: [`${url}?speed_requirement=high`, { duplex: "half", body: new Blob([picture]).stream() }],
  };
  for (const [name, [address, options]] of Object.entries(ways)) {
    const response = await fetch(address, { method: "POST", ...options });
    const body = await response.json();
    assert.equal(response.status, 200, `${name}: ${JSON.stringify(body)}`);
    assert.equal(body.device, "edge", name);
    assert.match(body.text, /segmentation/u, name);
  }
});

test("ten pictures read as the command reads them with the same models", async (t) => {
  const worker = await before_both({ ORIGINS: "[]", LIGHT_PIXELS: "4000000" }, { measured: true });
  const folder = mkdtempSync(join(tmpdir(), "maoocr-ten-"));
  t.after(() => Promise.all([worker.stop(), rmSync(folder, { recursive: true, force: true })]));
  const pictures = {};
  for (const name of [
    ...["chinese.jpg", "dark.png", "palette.png", "photo.png", "receipt.jpg"],
    ...["rotated.jpg", "transparent.png", "vertical.jpg"],
  ]) {
    pictures[name] = sample(name);
  }
  pictures["smaller.webp"] = await sharp(sample("chinese.jpg")).resize(700).webp({ quality: 80 }).toBuffer();
  pictures["columns.png"] = await sharp(sample("columns.png")).resize(1200).grayscale().png().toBuffer();
  assert.equal(Object.keys(pictures).length, 10);
  for (const [name, bytes] of Object.entries(pictures)) {
    writeFileSync(join(folder, name), bytes);
    const { stdout } = await run(
      maoocr,
      ["recognize", "--json", "--offline", "--device", "cpu", "--low-memory", "--speed", "high", join(folder, name)],
      { env: { ...process.env, MAOOCR_MODELS: join(build, "assets/edge-models") }, maxBuffer: 1 << 26 },
    );
    const expected = JSON.parse(stdout);
    const here = await recognize(worker.url, bytes, FAST);
    assert.equal(here.status, 200, `${name}: ${JSON.stringify(here.body)}`);
    assert.equal(here.body.device, "edge", name);
    assert.equal(here.body.text, expected.text, name);
    assert.equal(here.body.lines.length, expected.lines.length, name);
    here.body.lines.forEach((line, i) => {
      const corners = [line.box.flat(), expected.lines[i].box.flat()];
      corners[0].forEach((x, k) => assert.ok(Math.abs(x - corners[1][k]) <= 2, `${name}: line ${i} lies elsewhere`));
    });
  }
  const isolate = await worker.isolate();
  const megabytes = Object.entries(isolate).map(([what, bytes]) => `${what} ${(bytes / 1e6).toFixed(1)} MB`);
  t.diagnostic(`the isolate has ${megabytes.join(", ")}`);
  // A module's memory never shrinks: this is the most it had.
  assert.ok(isolate.module + isolate.heap + isolate.buffers < 110e6, megabytes.join(", "));
});

test("what can't be read is refused as the server refuses it", async (t) => {
  const worker = await before_both();
  t.after(worker.stop);
  const direct = await origin([]);
  t.after(direct.kill);
  for (const name of ["a text", "", "\x89PNG\r\n\x1a\n cut off"]) {
    const body = Buffer.from(name, "latin1");
    const here = await recognize(worker.url, body, FAST);
    const there = await recognize(direct.base, body, FAST);
    assert.equal(here.status, there.status, name);
    assert.equal(here.body.code, there.body.code, name);
    assert.match(here.headers.get("content-type"), /^application\/problem\+json/u);
  }
  const wrong = await recognize(worker.url, sample("photo.png"), { language: "klingon" });
  assert.equal(wrong.status, 422);
  assert.equal(wrong.body.field, "language");
  const deadline = await recognize(worker.url, sample("photo.png"), FAST, {
    headers: { "x-maoocr-deadline-ms": "soon" },
  });
  assert.equal(deadline.body.code, "invalid_deadline");
  const small = await before_both({ MAX_FILE: "1" });
  t.after(small.stop);
  const large = await recognize(small.url, Buffer.alloc(2 << 20, 1), FAST);
  assert.equal(large.status, 413);
  assert.equal(large.body.code, "too_large");
});

test("a deadline too short to read a picture in the isolate is a server's matter", async (t) => {
  const headers = { "x-maoocr-deadline-ms": "1000" };
  const worker = await before_both();
  const alone = await before_both({ ORIGINS: "[]" });
  t.after(() => Promise.all([worker.stop(), alone.stop()]));
  const forwarded = await recognize(worker.url, sample("photo.png"), FAST, { headers });
  assert.match(forwarded.route ?? "", /^[ab]: too little time for the edge$/u, JSON.stringify(forwarded.body));
  const late = await recognize(alone.url, sample("photo.png"), FAST, { headers });
  assert.equal(late.status, 504);
  assert.equal(late.body.code, "deadline_exceeded");
  const patient = { "x-maoocr-deadline-ms": "60000" };
  assert.equal((await recognize(alone.url, sample("photo.png"), FAST, { headers: patient })).status, 200);
});

test("what the isolate fails to read is read by a server", async (t) => {
  const assets = mkdtempSync(join(tmpdir(), "maoocr-assets-"));
  cpSync(join(build, "assets"), assets, { recursive: true });
  rmSync(join(assets, "edge-models"), { recursive: true });
  const worker = await before_both({ CACHE_TIME: "60" }, { assets });
  const alone = await before_both({ ORIGINS: "[]" }, { assets });
  t.after(() => Promise.all([worker.stop(), alone.stop(), rmSync(assets, { recursive: true })]));
  const answer = await recognize(worker.url, sample("photo.png"), FAST);
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  assert.match(answer.route, /^[ab]: the edge could not read it$/u);
  assert.equal((await recognize(alone.url, sample("photo.png"), FAST)).body.code, "model_unusable");
});
