// The Worker in real workerd, before two real servers: what is read where, what happens when servers fail, who may
// call, what is kept.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHmac, randomBytes } from "node:crypto";
import { cpSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";

import sharp from "sharp";
import WebSocket from "ws";

import { SECRET, blank, build, edge, form, gate, maoocr, origin, origins, root, sample, until } from "./stand.mjs";

const run = promisify(execFile);
const FAST = { speed_requirement: "high" };

let a, b;
before(async () => {
  [a, b] = await Promise.all([origin(), origin()]);
});
after(() => Promise.all([a, b].map((server) => server?.kill())));

/** Both servers behind an edge without keys. */
async function before_both(vars = {}, more = {}) {
  return edge({
    vars: { AUTH: "open", RATE: "0", CACHE_TIME: "0", ORIGINS: origins(["a", a.base], ["b", b.base]), ...vars },
    ...more,
  });
}

async function recognize(base, picture, requirements = undefined, options = {}) {
  const response = await fetch(`${base}/api/ocr/recognize`, {
    method: "POST",
    body: form(picture, requirements),
    ...options,
  });
  const body = await response.json();
  const { headers, status } = response;
  return { status, body, headers, route: headers.get("x-maoocr-route"), cache: headers.get("x-maoocr-cache") };
}

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

test("a server that is killed in the middle costs nobody an answer", async (t) => {
  const own = await origin();
  const way = await gate(own.port);
  const worker = await edge({
    vars: {
      AUTH: "open",
      RATE: "0",
      CACHE_TIME: "0",
      // The one that dies is always asked first.
      ORIGINS: origins(["dying", way.base, { region: "EU" }], ["b", b.base, { region: "NA" }]),
    },
  });
  t.after(() => Promise.all([worker.stop(), way.stop(), own.kill()]));
  const first = await recognize(worker.url, sample("photo.png"));
  assert.match(first.route, /^dying: /u);
  const before = way.requests.length;
  const asked = recognize(worker.url, sample("chinese.jpg"));
  await until(() => way.requests.length > before, "the request to arrive");
  await own.kill();
  const answer = await asked;
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  assert.match(answer.route, /^b: /u);
  // After three failures it isn't asked any more.
  for (let i = 0; i < 3; i++) assert.match((await recognize(worker.url, sample("photo.png"))).route, /^b: /u);
  const connections = way.requests.length;
  for (let i = 0; i < 3; i++) assert.match((await recognize(worker.url, sample("photo.png"))).route, /^b: /u);
  assert.equal(way.requests.length, connections);
});

test("what may not be done twice is not", async (t) => {
  const own = await origin();
  const way = await gate(own.port);
  const worker = await edge({
    vars: {
      AUTH: "open",
      RATE: "0",
      ORIGINS: origins(["dying", way.base, { region: "EU" }], ["b", b.base, { region: "NA" }]),
    },
  });
  t.after(() => Promise.all([worker.stop(), way.stop(), own.kill()]));
  way.stalled = true;
  const asked = fetch(`${worker.url}/v1/ocr`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "maoocr", document: { type: "image_url", image_url: "data:," } }),
  });
  await until(() => way.requests.some((r) => r.startsWith("POST /v1/ocr")), "the request to arrive");
  way.stop();
  const answer = await asked;
  assert.equal(answer.status, 502);
  assert.equal((await answer.json()).code, "origin_failed");
  const deleted = await fetch(`${worker.url}/api/history/${crypto.randomUUID()}`, { method: "DELETE" });
  assert.equal(deleted.status, 502);
  // What only looks is asked for again.
  const models = await fetch(`${worker.url}/api/models`);
  assert.equal(models.status, 200);
  assert.match(models.headers.get("x-maoocr-route"), /^b: /u);
});

test("without servers light pictures are read all the same, and others are refused with a time", async (t) => {
  const own = await origin();
  const worker = await before_both({ ORIGINS: origins(["gone", own.base]) });
  t.after(worker.stop);
  await own.kill();
  const heavy = () => recognize(worker.url, sample("columns.png"), { accuracy_requirement: "high" });
  const failed = await heavy();
  assert.equal(failed.status, 502);
  assert.equal(failed.body.code, "origin_failed");
  assert.ok(Number(failed.headers.get("retry-after")) >= 1);
  await heavy();
  await heavy();
  const open = await heavy();
  assert.equal(open.status, 503);
  assert.equal(open.body.code, "no_origin");
  assert.ok(Number(open.headers.get("retry-after")) >= 1);
  const light = await recognize(worker.url, sample("photo.png"));
  assert.equal(light.status, 200, JSON.stringify(light.body));
  assert.equal(light.route, "edge: no server answers; tiny models instead");
  // It comes back by itself.
  const again = await origin(undefined, own.port);
  t.after(again.kill);
  const back = await until(async () => (await recognize(worker.url, sample("photo.png"))).route?.startsWith("gone"), "the server to be asked again", 20_000);
  assert.ok(back);
});

test("a server that is slow is given up, within the caller's time", async (t) => {
  const way = await gate(a.port);
  const worker = await edge({
    vars: {
      AUTH: "open",
      RATE: "0",
      CACHE_TIME: "0",
      TIMEOUT: "3",
      ORIGINS: origins(["slow", way.base, { region: "EU" }], ["b", b.base, { region: "NA" }]),
    },
  });
  t.after(() => Promise.all([worker.stop(), way.stop()]));
  const headers = { "x-maoocr-deadline-ms": "20000" };
  const first = await recognize(worker.url, sample("photo.png"), {}, { headers });
  assert.match(first.route, /^slow: /u);
  const passed = /x-maoocr-deadline-ms: (\d+)/iu.exec(way.requests.at(-1))?.[1];
  assert.ok(Number(passed) > 10_000 && Number(passed) <= 20_000, `${passed}`);
  way.stalled = true;
  const began = performance.now();
  const moved = await recognize(worker.url, sample("photo.png"), {}, { headers });
  assert.match(moved.route ?? "", /^b: /u, JSON.stringify(moved.body));
  assert.ok(performance.now() - began > 2900);
  const hurry = await recognize(worker.url, sample("photo.png"), {}, { headers: { "x-maoocr-deadline-ms": "700" } });
  assert.equal(hurry.status, 504);
  assert.equal(hurry.body.code, "deadline_exceeded");
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

/** Begins to send a large picture; `rest` sends the rest, and gives the answer. */
function begin(url, picture, path = "/api/ocr/recognize", headers = {}) {
  const sent = httpRequest(url + path, {
    method: "POST",
    headers: { "content-type": "image/png", "content-length": picture.length, ...headers },
  });
  const answered = new Promise((resolve, reject) => {
    sent.on("response", async (response) => {
      const chunks = [];
      for await (const chunk of response) chunks.push(chunk);
      const body = JSON.parse(String(Buffer.concat(chunks)));
      resolve({ status: response.statusCode, route: response.headers["x-maoocr-route"], body });
    });
    sent.on("error", reject);
  });
  answered.catch(() => {});
  const half = picture.length >> 1;
  sent.write(picture.subarray(0, half));
  return {
    rest() {
      sent.end(picture.subarray(half));
      return answered;
    },
    cut: () => sent.destroy(),
  };
}

test("slow callers, and those who break off, are not a server's fault", async (t) => {
  const way = await gate(a.port);
  const worker = await before_both({ TIMEOUT: "5", LIGHT_BYTES: "1024", ORIGINS: origins(["a", way.base]) });
  t.after(() => Promise.all([worker.stop(), way.stop()]));
  const slow = begin(worker.url, sample("receipt.jpg"));
  await new Promise((resolve) => setTimeout(resolve, 7000));
  const answer = await slow.rest();
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  assert.equal(answer.route, "a: a large file");
  for (let i = 0; i < 4; i++) {
    const before = way.requests.length;
    const cut = begin(worker.url, sample("receipt.jpg"));
    await until(() => way.requests.length > before, "the request to go through");
    cut.cut();
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  const models = await fetch(`${worker.url}/api/models`);
  assert.equal(models.status, 200, await models.text());
  // A server that has all of it and says nothing is too slow.
  way.stalled = true;
  const silent = await begin(worker.url, sample("receipt.jpg")).rest();
  assert.equal(silent.status, 504);
  assert.equal(silent.body.code, "origin_timeout");
});

test("where both of two servers are down, what can wait waits, and the rest hears when to come again", async (t) => {
  const [first, second] = await Promise.all([origin(), origin()]);
  const worker = await before_both({ ORIGINS: origins(["first", first.base], ["second", second.base]) });
  t.after(() => Promise.all([worker.stop(), first.kill(), second.kill()]));
  await Promise.all([first.kill({ keep: true }), second.kill()]);
  const heavy = { accuracy_requirement: "high" };
  for (const [status, code] of [[502, "origin_failed"], [502, "origin_failed"], [502, "origin_failed"], [503, "no_origin"]]) {
    const failed = await recognize(worker.url, sample("photo.png"), heavy);
    assert.equal(failed.status, status, JSON.stringify(failed.body));
    assert.equal(failed.body.code, code);
    assert.ok(Number(failed.headers.get("retry-after")) >= 1);
  }
  assert.equal((await fetch(`${worker.url}/api/models`)).status, 503);
  assert.equal((await recognize(worker.url, sample("photo.png"), FAST)).route, "edge: a light picture");
  const accepted = await fetch(`${worker.url}/api/ocr/batch`, { method: "POST", body: pictures("photo.png") });
  assert.equal(accepted.status, 202);
  const back = await origin(undefined, first.port, first.data);
  t.after(back.kill);
  const done = await over(worker.url + accepted.headers.get("location"));
  assert.equal(done.results[0].state, "done");
});

test("a server that doesn't believe the edge costs nobody an answer", async (t) => {
  const other = await origin(["--edge-secret", randomBytes(24).toString("hex")]);
  const worker = await edge({
    vars: {
      AUTH: "open",
      RATE: "0",
      CACHE_TIME: "0",
      ORIGINS: origins(["other", other.base, { region: "EU" }], ["b", b.base, { region: "NA" }]),
    },
  });
  t.after(() => Promise.all([worker.stop(), other.kill()]));
  const gone = await fetch(`${worker.url}/api/jobs/${crypto.randomUUID()}`, { method: "DELETE" });
  assert.equal(gone.status, 404);
  assert.match(gone.headers.get("x-maoocr-route"), /^b: /u);
  const read = await recognize(worker.url, sample("photo.png"));
  assert.equal(read.status, 200, JSON.stringify(read.body));
  assert.match(read.route, /^b: /u);
});

test("the cron sees a server that isn't ready", async (t) => {
  const way = await gate(a.port);
  const worker = await edge({
    vars: {
      AUTH: "open",
      RATE: "0",
      ORIGINS: origins(["a", way.base, { region: "EU" }], ["b", b.base, { region: "NA" }]),
    },
  });
  t.after(() => Promise.all([worker.stop(), way.stop()]));
  const route = async () => (await fetch(`${worker.url}/api/models`)).headers.get("x-maoocr-route");
  await worker.cron();
  assert.equal((await fetch(`${worker.url}/ready`)).status, 200);
  assert.match(await route(), /^a: /u);
  way.stop();
  await worker.cron();
  const store = await worker.runtime.getKVNamespace("STORE");
  const seen = await store.get("seen", "json");
  assert.equal(seen.a.ready, false);
  assert.equal(seen.b.ready, true);
  assert.equal((await fetch(`${worker.url}/ready`)).status, 200);
  assert.match(await route(), /^b: /u);
});

test("servers believe the edge alone, each request once", async (t) => {
  const way = await gate(a.port);
  const worker = await before_both({ ORIGINS: origins(["a", way.base]) });
  t.after(() => Promise.all([worker.stop(), way.stop()]));
  // What a caller says in the edge's name is dropped.
  const claimed = await fetch(`${worker.url}/api/models`, { headers: { "x-maoocr-edge": "t=1, n=x, c=root, r=admin, s=0" } });
  assert.equal(claimed.status, 200);
  const sent = way.requests.at(-1);
  const signature = /x-maoocr-edge: (.*)\r\n/iu.exec(sent)[1];
  assert.match(signature, /^t=\d+, n=[0-9a-f-]{36}, c=, r=recognize\+jobs, s=[0-9a-f]{64}$/u);
  const ask = (header, server = way.base) => fetch(`${server}/api/models`, { headers: { "x-maoocr-edge": header } });
  const code = async (answer) => (await (await answer).json()).code;
  assert.equal(await code(ask(signature)), "edge_signature_replayed");
  assert.equal(await code(ask(signature.replace("r=recognize", "r=admin+recognize"))), "edge_signature_invalid");
  assert.equal(await code(fetch(`${a.base}/api/models`)), "edge_signature_missing");
  const claim = [String(Math.floor(Date.now() / 1000)), randomBytes(16).toString("hex"), "x", "recognize"];
  const sign = (secret, [time, nonce, caller, rights]) => {
    const text = ["maoocr-edge-2", "GET", way.base, "/api/models", time, nonce, caller, rights].map((l) => `${l}\n`).join("");
    const tag = createHmac("sha256", secret).update(text).digest("hex");
    return `t=${time}, n=${nonce}, c=${caller}, r=${rights}, s=${tag}`;
  };
  assert.equal(await code(ask(sign(randomBytes(24).toString("hex"), claim))), "edge_signature_invalid");
  // It is for one server, and good once.
  assert.equal(await code(ask(sign(SECRET, claim), a.base)), "edge_signature_invalid");
  assert.equal((await ask(sign(SECRET, claim))).status, 200);
  // An edge that has another secret says whose fault it is.
  const wrong = await before_both({ EDGE_SECRET: randomBytes(24).toString("hex") });
  t.after(wrong.stop);
  const refused = await fetch(`${wrong.url}/api/models`);
  assert.equal(refused.status, 502);
  assert.equal((await refused.json()).code, "origin_refused");
});

test("keys, rights and quotas", async (t) => {
  const worker = await before_both({ AUTH: "keys", RATE: "120" });
  t.after(worker.stop);
  const url = worker.url;
  const read = (key, headers = {}) =>
    recognize(url, sample("photo.png"), FAST, { headers: { ...(key && { authorization: `Bearer ${key}` }), ...headers } });
  assert.equal((await read()).body.code, "key_missing");
  assert.equal((await read("mao_wrong")).body.code, "key_invalid");
  const ended = await worker.key(["recognize"], { expires_at: Date.now() - 1 });
  assert.equal((await read(ended)).body.code, "key_invalid");
  const jobs = await worker.key(["jobs"]);
  const lacking = await read(jobs);
  assert.equal(lacking.status, 403);
  assert.equal(lacking.body.code, "scope_missing");
  const good = await worker.key(["recognize"]);
  assert.equal((await read(good)).status, 200);
  assert.equal((await read(null, { "x-api-key": good })).status, 200);
  // A server gets the caller's name and rights from the edge.
  assert.equal((await recognize(url, sample("photo.png"), {}, { headers: { "x-api-key": good } })).status, 200);
  const batch = await fetch(`${url}/api/ocr/batch`, { method: "POST", headers: { "x-api-key": good }, body: form(sample("photo.png")) });
  assert.equal(batch.status, 403);
  // Twelve a minute, two at once.
  const few = await worker.key(["recognize"], { rate: 12 });
  const answers = [await read(few), await read(few), await read(few)];
  assert.deepEqual(answers.map((r) => r.status), [200, 200, 429]);
  assert.equal(answers[2].body.code, "rate_limited");
  const wait = Number(answers[2].headers.get("retry-after"));
  assert.ok(wait >= 1 && wait <= 5, `${wait}`);
  assert.equal((await read(good)).status, 200);
});

test("an answer is kept for its caller", async (t) => {
  const worker = await before_both({ AUTH: "keys", CACHE_TIME: "60" });
  t.after(worker.stop);
  const [mine, other] = [await worker.key(["recognize"]), await worker.key(["recognize"])];
  const read = (key, requirements, headers = {}) =>
    recognize(worker.url, sample("photo.png"), requirements, { headers: { "x-api-key": key, ...headers } });
  for (const requirements of [FAST, {}]) {
    const first = await read(mine, requirements);
    assert.equal(first.cache, "miss");
    const hit = await until(async () => {
      const again = await read(mine, requirements);
      return again.cache === "hit" && again;
    }, "the answer to be kept");
    assert.deepEqual(hit.body, first.body);
    assert.equal(hit.route, first.route);
    assert.equal(hit.headers.get("cache-control"), "private, no-store");
    assert.equal((await read(other, requirements)).cache, "miss");
    assert.equal((await read(mine, requirements, { "cache-control": "no-cache" })).cache, "miss");
  }
  assert.equal((await read(mine, { real_time: true })).cache, "miss");
});

test("a form that two readers take for different ones is not kept", async (t) => {
  const worker = await before_both({ CACHE_TIME: "60" });
  t.after(worker.stop);
  const part = (boundary, picture) =>
    Buffer.concat([
      Buffer.from(`--${boundary}\r\ncontent-disposition: form-data; name="image"; filename="x"\r\n\r\n`),
      picture,
      Buffer.from(`\r\n--${boundary}--\r\n`),
    ]);
  const send = async (type, body) => {
    const response = await fetch(`${worker.url}/api/ocr/recognize`, {
      method: "POST",
      headers: { "content-type": type },
      body,
    });
    return { status: response.status, body: await response.json() };
  };
  // By the first boundary it is an empty page, by the second, which is the server's, a receipt. The page is small: a
  // server skips only some kilobytes before a form's first part.
  const body = Buffer.concat([part("A", blank(32, 32)), part("B", sample("receipt.jpg"))]);
  const read = await send('multipart/form-data; x="; boundary=A; y="; boundary=B', body);
  assert.equal(read.status, 200, JSON.stringify(read.body));
  assert.match(read.body.text, /CORNER BAKERY/u);
  // Long enough for an answer to be kept.
  await new Promise((resolve) => setTimeout(resolve, 1000));
  const plain = await send("multipart/form-data; boundary=A", part("A", blank(32, 32)));
  assert.equal(plain.status, 200, JSON.stringify(plain.body));
  assert.equal(plain.body.text, "");
});

test("strangers share nothing", async (t) => {
  const own = await origin();
  const worker = await edge({ vars: { AUTH: "open", RATE: "0", ORIGINS: origins(["a", own.base]) } });
  t.after(() => Promise.all([worker.stop(), own.kill()]));
  const { body } = await recognize(worker.url, sample("photo.png"));
  for (const [method, path] of [["GET", ""], ["GET", `/${body.id}`], ["DELETE", ""]]) {
    assert.equal((await fetch(`${worker.url}/api/history${path}`, { method })).status, 404, `${method} ${path}`);
  }
  const send = async (address) => {
    const headers = { "idempotency-key": "1", "cf-connecting-ip": address };
    const answer = await fetch(`${worker.url}/api/ocr/batch`, { method: "POST", body: pictures("photo.png"), headers });
    return (await answer.json()).id;
  };
  const mine = await send("192.0.2.1");
  assert.notEqual(await send("192.0.2.2"), mine);
  assert.equal(await send("192.0.2.1"), mine);
});

test("twenty megabytes go through without being held", async (t) => {
  const way = await gate(a.port);
  const worker = await before_both({ ORIGINS: origins(["a", way.base]) });
  t.after(() => Promise.all([worker.stop(), way.stop()]));
  await recognize(worker.url, sample("photo.png"), {});
  const head = Buffer.from(
    '--B\r\ncontent-disposition: form-data; name="image"; filename="large.bmp"\r\ncontent-type: image/bmp\r\n\r\n',
  );
  const tail = Buffer.from("\r\n--B--\r\n");
  // And a piece of another picture on it.
  const bmp = blank(2400, 2780);
  assert.ok(bmp.length > 20_000_000);
  // Without a length it goes through JavaScript, whose heap grows once or in two steps, whatever the body's size.
  for (const [known, most] of [[true, 8], [false, 64], [false, 64], [false, 8]]) {
    const before = worker.memory();
    const already = way.bytes;
    const sent = httpRequest(`${worker.url}/api/ocr/recognize`, {
      method: "POST",
      headers: {
        "content-type": "multipart/form-data; boundary=B",
        ...(known && { "content-length": head.length + bmp.length + tail.length }),
      },
    });
    const answered = new Promise((resolve, reject) => {
      sent.on("response", async (response) => {
        const chunks = [];
        for await (const chunk of response) chunks.push(chunk);
        resolve({ status: response.statusCode, route: response.headers["x-maoocr-route"], body: String(Buffer.concat(chunks)) });
      });
      sent.on("error", reject);
    });
    sent.write(head);
    const half = bmp.length / 2;
    sent.write(bmp.subarray(0, half));
    // Half of it is at the server before the rest is sent.
    await until(() => way.bytes - already > half - (1 << 20), "half of the body to go through");
    const middle = worker.memory();
    sent.write(bmp.subarray(half));
    sent.end(tail);
    const answer = await answered;
    assert.equal(answer.status, 200, answer.body);
    assert.equal(answer.route, known ? "a: a large file" : "a: a large picture");
    const grown = (Math.max(middle.now, worker.memory().now) - before.now) / 1e6;
    t.diagnostic(`${known ? "with" : "without"} a length: workerd grew by ${grown.toFixed(1)} MB`);
    assert.ok(grown < most, `workerd grew by ${grown} MB`);
  }
});

test("a WebSocket goes through", async (t) => {
  const worker = await before_both({ AUTH: "keys", CORS: "https://app.example" });
  t.after(worker.stop);
  const key = await worker.key(["recognize"]);
  const address = `${worker.url.replace("http", "ws")}/api/ocr/ws`;
  const open = (options = {}, protocols = ["maoocr", `maoocr.key.${key}`]) => {
    const socket = new WebSocket(address, protocols, options);
    return new Promise((resolve, reject) => {
      socket.on("open", () => resolve(socket));
      socket.on("unexpected-response", (_, response) => reject(Object.assign(new Error(), { status: response.statusCode })));
      socket.on("error", reject);
    });
  };
  const socket = await open();
  assert.equal(socket.protocol, "maoocr");
  const events = [];
  socket.on("message", (data) => events.push(JSON.parse(data)));
  socket.send(sample("photo.png"));
  const done = await until(() => events.find((e) => e.event === "done"), "the picture to be read");
  assert.match(done.document.text, /segmentation/u);
  assert.ok(events.some((e) => e.event === "line"));
  socket.close();
  (await open({ origin: "https://app.example" })).close();
  (await open({ origin: worker.url })).close();
  await assert.rejects(open({ origin: "https://evil.example" }), { status: 403 });
  await assert.rejects(open({}, ["maoocr"]), { status: 401 });
  const plain = await fetch(`${worker.url}/api/ocr/ws`, { headers: { "x-api-key": key } });
  assert.equal(plain.status, 426);
});

test("pages of other origins, request ids, tags", async (t) => {
  const worker = await before_both({ CORS: "https://app.example", ORIGINS: origins(["a", a.base]) });
  t.after(worker.stop);
  const from = (origin, path = "/api/models", options = {}) =>
    fetch(worker.url + path, { ...options, headers: { origin, ...options.headers } });
  const allowed = await from("https://app.example");
  assert.equal(allowed.headers.get("access-control-allow-origin"), "https://app.example");
  assert.match(allowed.headers.get("access-control-expose-headers"), /x-maoocr-route/u);
  assert.equal((await from("https://evil.example")).headers.get("access-control-allow-origin"), null);
  const asked = { "access-control-request-method": "POST", "access-control-request-headers": "authorization" };
  const preflight = await from("https://app.example", "/api/ocr/recognize", { method: "OPTIONS", headers: asked });
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers.get("access-control-allow-headers"), "authorization");
  assert.match(preflight.headers.get("access-control-allow-methods"), /DELETE/u);

  const named = await from("https://app.example", "/health", { headers: { "x-request-id": "mine-1" } });
  assert.equal(named.headers.get("x-request-id"), "mine-1");
  assert.match((await fetch(`${worker.url}/health`)).headers.get("x-request-id"), /^[0-9a-f-]{36}$/u);
  const known = await before_both({ AUTH: "keys" });
  t.after(known.stop);
  const headers = { "x-api-key": await known.key(["recognize"]) };
  for (const address of [`${known.url}/api/history`, `${worker.url}/openapi.json`]) {
    const tag = (await fetch(address, { headers })).headers.get("etag");
    assert.ok(tag, address);
    const same = await fetch(address, { headers: { ...headers, "if-none-match": tag } });
    assert.equal(same.status, 304, address);
  }
});

test("what the edge has itself", async (t) => {
  const worker = await before_both({ ORIGINS: "[]" });
  t.after(worker.stop);
  const get = (path, options) => fetch(worker.url + path, options);
  assert.deepEqual(await (await get("/health")).json(), { device: "edge", status: "ok", version: "0.1.0" });
  const description = await (await get("/openapi.json")).json();
  assert.ok(description.paths["/api/ocr/recognize"].post);
  assert.equal(description.paths["/metrics"], undefined);
  assert.match(await (await get("/docs/")).text(), /swagger-ui/u);
  assert.match((await get("/docs/swagger-ui-bundle.js")).headers.get("content-type"), /javascript/u);
  const nothing = await get("/nothing");
  assert.equal(nothing.status, 404);
  assert.equal((await nothing.json()).code, "not_found");
  assert.equal((await get("/metrics")).status, 404);
  assert.equal((await get("/api/models/x/reload", { method: "POST" })).status, 404);
  assert.equal((await get("/api/models")).status, 503);
});

test("the web app comes from the edge", async (t) => {
  if (!existsSync(join(build, "assets/index.html"))) return t.skip("the web app isn't built");
  const worker = await before_both({ ORIGINS: "[]" });
  t.after(worker.stop);
  const get = (path, headers = {}) => fetch(worker.url + path, { headers });
  const page = await get("/");
  assert.equal(page.status, 200);
  assert.match(page.headers.get("content-security-policy"), /script-src 'self' 'wasm-unsafe-eval'/u);
  const html = await page.text();
  const script = /src="\.?\/?(assets\/[\w.-]+\.js)"/u.exec(html)[1];
  const file = await get(`/${script}`);
  assert.match(file.headers.get("content-type"), /javascript/u);
  assert.equal(file.headers.get("cache-control"), "public, max-age=31536000, immutable");
  assert.equal(await (await get("/history/anything", { accept: "text/html" })).text(), html);
  assert.equal((await get("/history/anything")).status, 404);
  assert.match((await get("/docs/")).headers.get("content-security-policy"), /'unsafe-inline'/u);
});

/** Everything of a job that is over. */
async function over(url, headers = {}) {
  return until(async () => {
    const job = await (await fetch(url, { headers })).json();
    return job.state === "done" && job;
  }, "the job to be done");
}

function pictures(...names) {
  const body = new FormData();
  body.append("requirements", JSON.stringify(FAST));
  for (const name of names) body.append("image", new Blob([sample(name)]), name);
  return body;
}

test("a batch waits for a server, and is its caller's", async (t) => {
  const own = await origin();
  const way = await gate(own.port);
  const worker = await edge({ vars: { RATE: "0", ORIGINS: origins(["a", way.base]) } });
  t.after(() => Promise.all([worker.stop(), way.stop(), own.kill()]));
  const headers = { "x-api-key": await worker.key(["recognize", "jobs"]) };
  const other = { "x-api-key": await worker.key(["jobs"]) };
  const send = (body, more = {}) =>
    fetch(`${worker.url}/api/ocr/batch`, { method: "POST", body, headers: { ...headers, ...more } });
  way.stalled = true;
  const accepted = await send(pictures("photo.png", "receipt.jpg"));
  assert.equal(accepted.status, 202);
  const queued = await accepted.json();
  assert.equal(queued.state, "queued");
  assert.equal(accepted.headers.get("location"), `/api/jobs/${queued.id}`);
  const url = `${worker.url}/api/jobs/${queued.id}`;
  const waiting = await (await fetch(url, { headers })).json();
  assert.equal(waiting.state, "queued");
  assert.deepEqual(waiting.results, []);
  assert.equal((await fetch(url, { headers: other })).status, 404);
  way.stalled = false;
  for (const socket of way.sockets) socket.destroy();
  const done = await over(url, headers);
  assert.equal(done.id, queued.id);
  assert.equal(done.total, 2);
  assert.deepEqual(done.results.map((r) => r.state), ["done", "done"]);
  assert.match(done.results[1].document.text, /CORNER BAKERY/u);
  const events = await (await fetch(`${url}/events`, { headers })).text();
  assert.match(events, /event: ?done/u);
  assert.equal(JSON.parse(/^data: ?(.*)$/mu.exec(events)[1]).id, queued.id);
  const bucket = await worker.runtime.getR2Bucket("BATCHES");
  await until(async () => (await bucket.list()).objects.length === 0, "the upload to be deleted");
  assert.equal((await fetch(url, { headers: other })).status, 404);

  // One job for one idempotency key; another caller's key is another.
  const twice = await Promise.all([1, 2].map(() => send(pictures("photo.png"), { "idempotency-key": "once" })));
  const [first, second] = await Promise.all(twice.map((r) => r.json()));
  assert.equal(first.id, second.id);
  const theirs = await (await send(pictures("photo.png"), { ...other, "idempotency-key": "once" })).json();
  assert.notEqual(theirs.id, first.id);
  await over(`${worker.url}/api/jobs/${first.id}`, headers);

  // What no server takes says so in the job.
  const empty = await (await send(pictures())).json();
  const failed = await over(`${worker.url}/api/jobs/${empty.id}`, headers);
  assert.equal(failed.failed, 1);
  assert.ok(failed.results[0].error.code, JSON.stringify(failed));

  way.stalled = true;
  const unwanted = await (await send(pictures("photo.png"))).json();
  const cancelled = await fetch(`${worker.url}/api/jobs/${unwanted.id}`, { method: "DELETE", headers });
  assert.equal((await cancelled.json()).state, "cancelled");
  way.stalled = false;
  for (const socket of way.sockets) socket.destroy();
  await until(async () => (await bucket.list()).objects.length === 0, "the cancelled upload to be deleted");
  assert.equal((await (await fetch(`${worker.url}/api/jobs/${unwanted.id}`, { headers })).json()).state, "cancelled");

  const nowhere = await fetch(`${worker.url}/api/ocr/batch`, {
    method: "POST",
    headers: { ...headers, "content-type": "multipart/form-data; boundary=B" },
    duplex: "half",
    body: new Blob(["--B--"]).stream(),
  });
  assert.equal(nowhere.status, 411);
});

/** A batch as one buffer, and its type. */
async function bytes(form) {
  const made = new Response(form);
  return [Buffer.from(await made.arrayBuffer()), made.headers.get("content-type")];
}

test("a server that dies while it receives a batch loses nothing of it", async (t) => {
  const own = await origin();
  const way = await gate(own.port);
  const worker = await edge({ vars: { AUTH: "open", RATE: "0", ORIGINS: origins(["a", way.base]) } });
  t.after(() => Promise.all([worker.stop(), way.stop(), own.kill()]));
  const [body, type] = await bytes(pictures("photo.png", "receipt.jpg"));
  // All but the end arrives: the job is begun there, and its pictures are not complete.
  way.most = way.bytes + body.length - 100;
  const accepted = await fetch(`${worker.url}/api/ocr/batch`, { method: "POST", body, headers: { "content-type": type } });
  assert.equal(accepted.status, 202);
  await until(() => way.bytes > way.most, "most of the batch to be sent");
  await new Promise((resolve) => setTimeout(resolve, 1000));
  await own.kill({ keep: true });
  way.most = Infinity;
  const again = await origin(undefined, own.port, own.data);
  t.after(again.kill);
  const done = await over(worker.url + accepted.headers.get("location"));
  assert.deepEqual(done.results.map((r) => r.state), ["done", "done"]);
  const bucket = await worker.runtime.getR2Bucket("BATCHES");
  await until(async () => (await bucket.list()).objects.length === 0, "the upload to be deleted");
});

test("two uploads of a batch don't meet", async (t) => {
  const own = await origin();
  const worker = await edge({ vars: { AUTH: "open", RATE: "0", ORIGINS: origins(["a", own.base]) } });
  t.after(() => Promise.all([worker.stop(), own.kill()]));
  const [body, type] = await bytes(pictures("photo.png", "receipt.jpg"));
  const bucket = await worker.runtime.getR2Bucket("BATCHES");
  const empty = () => until(async () => (await bucket.list()).objects.length === 0, "the uploads to be deleted");
  for (const [key, end] of [["cut", "cut"], ["late", "rest"]]) {
    const headers = { "content-type": type, "idempotency-key": key };
    const first = begin(worker.url, body, "/api/ocr/batch", headers);
    await new Promise((resolve) => setTimeout(resolve, 500));
    const second = await fetch(`${worker.url}/api/ocr/batch`, { method: "POST", body, headers });
    assert.equal(second.status, 202);
    const { id } = await second.json();
    const ended = await first[end]();
    if (end === "rest") assert.equal(ended.body.id, id);
    const done = await over(`${worker.url}/api/jobs/${id}`);
    assert.deepEqual(done.results.map((r) => r.state), ["done", "done"]);
    await empty();
    // Nothing of the first makes it wait again.
    assert.equal((await (await fetch(`${worker.url}/api/jobs/${id}`)).json()).state, "done");
  }
});

test("what is cancelled while a server takes it is cancelled there too", async (t) => {
  const own = await origin();
  const way = await gate(own.port);
  const worker = await edge({ vars: { AUTH: "open", RATE: "0", ORIGINS: origins(["a", way.base]) } });
  t.after(() => Promise.all([worker.stop(), way.stop(), own.kill()]));
  way.deaf = true;
  const names = Array(20).fill("receipt.jpg");
  const accepted = await fetch(`${worker.url}/api/ocr/batch`, { method: "POST", body: pictures(...names) });
  const url = worker.url + accepted.headers.get("location");
  const sent = (start) => way.requests.some((request) => request.startsWith(start));
  await until(() => sent("POST /api/ocr/batch"), "the batch to be sent");
  const cancelled = await fetch(url, { method: "DELETE" });
  assert.equal((await cancelled.json()).state, "cancelled");
  way.deaf = false;
  await until(() => sent("DELETE /api/jobs/"), "the server to be told");
  assert.equal((await (await fetch(url)).json()).state, "cancelled");
});

test("a batch is asked for elsewhere when the server that took it is gone", async (t) => {
  // One server under two addresses stands for two with one database.
  const [first, second] = await Promise.all([gate(a.port), gate(a.port)]);
  const worker = await before_both({
    ORIGINS: origins(["first", first.base, { region: "EU" }], ["second", second.base, { region: "NA" }]),
  });
  t.after(() => Promise.all([worker.stop(), first.stop(), second.stop()]));
  const accepted = await fetch(`${worker.url}/api/ocr/batch`, { method: "POST", body: pictures("photo.png") });
  const url = worker.url + accepted.headers.get("location");
  const done = await over(url);
  assert.equal((await fetch(url)).headers.get("x-maoocr-route"), "first: it has this job");
  first.stop();
  for (let i = 0; i < 5; i++) {
    const answer = await fetch(url);
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get("x-maoocr-route"), "second: it has this job");
    assert.equal((await answer.json()).id, done.id);
  }
});

test("a link to a file needs no key", async (t) => {
  const worker = await edge({ vars: { ORIGINS: origins(["a", a.base]) } });
  t.after(worker.stop);
  const headers = { authorization: `Bearer ${await worker.key(["recognize"])}` };
  const body = new FormData();
  body.append("purpose", "ocr");
  body.append("file", new Blob([sample("photo.png")]), "photo.png");
  const made = await fetch(`${worker.url}/v1/files`, { method: "POST", headers, body });
  assert.equal(made.status, 200, await made.clone().text());
  const { id } = await made.json();
  const { url } = await (await fetch(`${worker.url}/v1/files/${id}/url`, { headers })).json();
  const link = new URL(url);
  const place = worker.url + link.pathname;
  const file = await fetch(place + link.search);
  assert.equal(file.status, 200);
  assert.deepEqual(Buffer.from(await file.arrayBuffer()), sample("photo.png"));
  assert.equal((await fetch(place)).status, 401);
  const other = await worker.key(["recognize"]);
  const wrong = link.search.replace(/signature=../u, "signature=00");
  for (const [address, options] of [
    [place + wrong, {}],
    [place + link.search, { headers: { authorization: `Bearer ${other}` } }],
  ]) {
    assert.ok([401, 403, 404].includes((await fetch(address, options)).status), address);
  }
});

test("failed pictures of a batch are tried again through the edge", async (t) => {
  const worker = await edge({ vars: { AUTH: "open", RATE: "0", ORIGINS: origins(["a", a.base]) } });
  t.after(worker.stop);
  const body = new FormData();
  body.append("image", new Blob([sample("photo.png")]), "photo.png");
  body.append("image", new Blob([sample("photo.png").subarray(0, 3000)]), "cut.png");
  const accepted = await fetch(`${worker.url}/api/ocr/batch`, { method: "POST", body });
  const url = worker.url + accepted.headers.get("location");
  assert.equal((await over(url)).failed, 1);
  const again = await fetch(`${url}/retry`, { method: "POST" });
  assert.equal(again.status, 200, await again.clone().text());
  const { id, state, failed } = await again.json();
  assert.deepEqual([url.endsWith(id), state, failed], [true, "running", 0]);
  assert.equal((await over(url)).failed, 1);
  for (const [path, method, status, allow] of [
    ["", "PUT", 405, "GET, HEAD, DELETE"],
    ["/retry", "GET", 405, "POST"],
    ["/nothing", "GET", 404, null],
  ]) {
    const refused = await fetch(url + path, { method });
    assert.deepEqual([refused.status, refused.headers.get("allow")], [status, allow], `${method} ${path}`);
  }
  assert.equal((await fetch(url, { method: "DELETE" })).status, 200);
  assert.equal((await fetch(url)).status, 404);
});

test("nothing that the description allows gets an answer it lacks", { timeout: 240_000 }, async (t) => {
  // Files and jobs are in a database that servers behind one edge share.
  const worker = await edge({ vars: { AUTH: "open", RATE: "0", CACHE_TIME: "0", ORIGINS: origins(["a", a.base]) } });
  t.after(worker.stop);
  const python = process.env.MAOOCR_API_PYTHON ?? "python3";
  const here = join(root, "tests/server");
  const folder = mkdtempSync(join(tmpdir(), "maoocr-described-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const { stdout } = await run(
    python,
    [
      ...["-m", "schemathesis.cli", "--no-color", "--config-file", join(root, "tests/edge/schemathesis.toml"), "run"],
      ...[`${worker.url}/openapi.json`, "--url", worker.url, "--exclude-path", "/api/jobs/{id}/events"],
    ],
    {
      cwd: folder,
      env: {
        ...process.env,
        SCHEMATHESIS_HOOKS: "schemathesis_hooks",
        PYTHONPATH: here,
        PYTHONDONTWRITEBYTECODE: "1",
      },
      maxBuffer: 1 << 26,
    },
  ).catch((error) => assert.fail(`${error.stdout}${error.stderr}`));
  const described = await (await fetch(`${worker.url}/openapi.json`)).json();
  const operations = Object.values(described.paths).flatMap(Object.keys);
  // All but the events, which don't end.
  assert.ok(operations.length > 15, operations.join(" "));
  assert.ok(stdout.includes(`Tested: ${operations.length - 1}\n`), stdout);
  assert.equal((await fetch(`${worker.url}/ready`)).status, 200);
});
