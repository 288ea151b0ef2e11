// What else passes through the Worker or comes from it: sockets, pages, files, its description.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

import WebSocket from "ws";

import { a, before_both } from "./both.mjs";
import { build, edge, origins, root, sample, until } from "./stand.mjs";

const run = promisify(execFile);

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
