// Figures for docs/edge.md: node tests/edge/measure.mjs, after `cargo xtask edge build`.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";

import { report, sheets } from "./pdfs.mjs";
import { build, edge, form, origin, origins, sample } from "./stand.mjs";

const FAST = { speed_requirement: "high" };
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(2)} MB`;
const median = (list) => list.toSorted((x, y) => x - y)[list.length >> 1];
const quantile = (list, q) => list.toSorted((x, y) => x - y)[Math.floor((list.length - 1) * q)];

const worker = join(build, "worker");
const parts = ["worker.mjs", "maoocr_edge.js", "maoocr_edge_bg.wasm"];
const reader = ["reader.mjs", "maoocr_edge_reader.js", "maoocr_edge_reader_bg.wasm"];
for (const [what, names] of Object.entries({ bundle: [...parts, ...reader], "what routes": parts, "what reads": reader })) {
  const whole = Buffer.concat(names.map((name) => readFileSync(join(worker, name))));
  console.log(
    `${what}: ${megabytes(whole.length)}, gzip ${megabytes(gzipSync(whole, { level: 9 }).length)}, ` +
      `brotli ${megabytes(brotliCompressSync(whole).length)}`,
  );
}

const starts = [];
for (let i = 0; i < 9; i++) {
  const measured = await edge({ measured: true, vars: { AUTH: "open", RATE: "0", CACHE_TIME: "0" } });
  const began = performance.now();
  await (await fetch(`${measured.url}/health`)).arrayBuffer();
  starts.push(performance.now() - began);
  if (i === 8) {
    for (const name of ["receipt.jpg", "photo.png", "chinese.jpg", "palette.png", "dark.png", "vertical.jpg", "rotated.jpg", "receipt.jpg"]) {
      const began = performance.now();
      const answer = await fetch(`${measured.url}/api/ocr/recognize`, { method: "POST", body: form(sample(name), FAST) });
      await answer.arrayBuffer();
      const ms = Math.round(performance.now() - began);
      const isolate = Object.entries(await measured.isolate()).map(([what, bytes]) => `${what} ${megabytes(bytes)}`);
      console.log(`${name}: ${answer.headers.get("x-maoocr-route")}, ${ms} ms; ${isolate.join(", ")}`);
    }
    for (const pages of [1, 1, 3, 1]) {
      const file = sheets(Array.from({ length: pages }, (_, i) => report(i + 1)));
      const began = performance.now();
      const answer = await fetch(`${measured.url}/api/ocr/recognize`, { method: "POST", body: form(file) });
      await answer.arrayBuffer();
      const ms = Math.round(performance.now() - began);
      const isolate = Object.entries(await measured.isolate()).map(([what, bytes]) => `${what} ${megabytes(bytes)}`);
      console.log(`PDF of ${pages}: ${answer.headers.get("x-maoocr-route")}, ${ms} ms; ${isolate.join(", ")}`);
    }
  }
  await measured.stop();
}
console.log(`start: first answer after ${median(starts).toFixed(0)} ms (median of ${starts.length})`);

// What the edge adds to a request that a server answers, on this machine. The same server, open for comparison.
const server = await origin(["--rate", "0"]);
const signed = await origin();
for (const [what, vars] of [
  ["open", { AUTH: "open", RATE: "0" }],
  ["with keys and quotas", { RATE: "1000000" }],
]) {
  const measured = await edge({ vars: { CACHE_TIME: "0", ORIGINS: origins(["a", signed.base]), ...vars } });
  const headers = { "x-api-key": await measured.key(["recognize", "jobs"]) };
  const picture = sample("photo.png");
  for (const [name, ask] of [
    ["GET /api/models", (base) => fetch(`${base}/api/models`, { headers })],
    ["POST, refused by the server", (base) =>
      fetch(`${base}/v1/ocr`, { method: "POST", headers: { ...headers, "content-type": "application/json" }, body: "{}" })],
    // Strangers share no cache.
    ...(vars.AUTH === "open" ? [] : [["POST, a picture it has read before", (base) =>
      fetch(`${base}/api/ocr/recognize`, { method: "POST", headers, body: form(picture) })]]),
  ]) {
    const times = { edge: [], origin: [] };
    for (let i = 0; i < 330; i++) {
      for (const [place, base] of [["origin", server.base], ["edge", measured.url]]) {
        const began = performance.now();
        const response = await ask(base);
        await response.arrayBuffer();
        if (i >= 30) times[place].push(performance.now() - began);
        if (response.status >= 500) throw new Error(`${place}: ${response.status}`);
      }
    }
    const show = (list) => `p50 ${quantile(list, 0.5).toFixed(2)} ms, p95 ${quantile(list, 0.95).toFixed(2)} ms`;
    const added = median(times.edge) - median(times.origin);
    console.log(`${what}, ${name}: server ${show(times.origin)}; edge ${show(times.edge)}; added p50 ${added.toFixed(2)} ms`);
  }
  await measured.stop();
}
await Promise.all([server.kill(), signed.kill()]);
