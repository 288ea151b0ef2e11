// Batches: stored at the edge until a server takes them.

import assert from "node:assert/strict";
import { test } from "node:test";

import { a, before_both, begin, over, pictures } from "./both.mjs";
import { edge, gate, origin, origins, sample, until } from "./stand.mjs";

/** A batch as one buffer, and its type. */
async function bytes(form) {
  const made = new Response(form);
  return [Buffer.from(await made.arrayBuffer()), made.headers.get("content-type")];
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
