// Who may call the Worker, and whose answers are kept for whom.

import assert from "node:assert/strict";
import { test } from "node:test";

import { FAST, a, before_both, pictures, recognize } from "./both.mjs";
import { blank, edge, form, origin, origins, sample, until } from "./stand.mjs";

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
