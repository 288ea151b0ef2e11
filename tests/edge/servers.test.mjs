// What the Worker does when servers fail, are slow or refuse it.

import assert from "node:assert/strict";
import { createHmac, randomBytes } from "node:crypto";
import { request as httpRequest } from "node:http";
import { test } from "node:test";

import { FAST, a, b, before_both, begin, over, pictures, recognize } from "./both.mjs";
import { SECRET, blank, edge, gate, origin, origins, sample, until } from "./stand.mjs";

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
