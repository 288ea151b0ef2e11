// Real servers and the Worker in workerd before them, with its storage simulated by miniflare.

import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { Log, LogLevel, Miniflare } from "miniflare";
import { parse } from "smol-toml";
import WebSocket from "ws";

export const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
export const build = join(root, "worker-edge/build");
export const maoocr = process.env.MAOOCR_BIN ?? join(root, "target/start/maoocr");
export const SECRET = randomBytes(24).toString("hex");

export const sample = (name) => readFileSync(join(root, "tests/samples", name));

/** A white picture (BMP) of 24 bits a pixel; `width` is a multiple of four. */
export function blank(width, height) {
  const bmp = Buffer.alloc(54 + width * height * 3, 255);
  bmp.fill(0, 0, 54);
  bmp.write("BM", "latin1");
  bmp.writeUInt32LE(bmp.length, 2);
  bmp.writeUInt32LE(54, 10);
  bmp.writeUInt32LE(40, 14);
  bmp.writeInt32LE(width, 18);
  bmp.writeInt32LE(-height, 22);
  bmp.writeUInt16LE(1, 26);
  bmp.writeUInt16LE(24, 28);
  return bmp;
}

/** A real `maoocr serve`, by default one that believes the edge alone; `data` is another one's folder. */
export async function origin(options = ["--edge-secret", SECRET], port = 0, data = undefined) {
  data ??= mkdtempSync(join(tmpdir(), "maoocr-origin-"));
  const child = spawn(
    maoocr,
    ["serve", "--listen", `127.0.0.1:${port}`, "--data", data, "--offline", "--device", "cpu", ...options],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  const log = [];
  const base = await new Promise((resolve, reject) => {
    createInterface({ input: child.stderr }).on("line", (line) => {
      log.push(line);
      const found = /listening on (http:\S+?),/u.exec(line);
      if (found) resolve(found[1]);
    });
    child.on("error", reject);
    child.on("exit", () => reject(new Error(`maoocr serve ended:\n${log.join("\n")}`)));
  });
  await until(async () => (await fetch(`${base}/ready`)).ok, `${base} to be ready`);
  const ended = new Promise((resolve) => child.on("exit", resolve));
  return {
    base,
    data,
    log,
    port: Number(new URL(base).port),
    /** Ends it; with what it has in its folder, if that isn't for another one. */
    async kill({ keep = false } = {}) {
      child.kill("SIGKILL");
      await ended;
      if (!keep) rmSync(data, { recursive: true, force: true });
    },
  };
}

/** A Worker around the Worker that tells how much memory its modules have. */
const MEASURED = `import worker from "./worker.mjs";
import { initSync } from "./maoocr_edge.js";
import { size } from "./reader.mjs";
export { Batch, Quota } from "./worker.mjs";
export default {
  ...worker,
  fetch(request, env, context) {
    if (new URL(request.url).pathname === "/measure") {
      return new Response(String(initSync({}).memory.buffer.byteLength + size()));
    }
    return worker.fetch(request, env, context);
  },
};
`;

/**
 * The Worker as `wrangler.toml` has it, with these variables; `measured`, so that `isolate` works. `main` may be another
 * module's text, `assets` another folder.
 */
export async function edge({
  vars = {},
  port = 0,
  cf = { continent: "EU" },
  measured = false,
  main = measured && MEASURED,
  assets = join(build, "assets"),
}) {
  const file = parse(readFileSync(join(root, "worker-edge/wrangler.toml"), "utf8"));
  const worker = join(build, "worker");
  const all = modules(worker);
  const first = join(worker, "worker.mjs");
  const entry = main
    ? { type: "ESModule", path: join(worker, "main.mjs"), contents: main }
    : all.find((m) => m.path === first);
  const errors = [];
  class Listening extends Log {
    logWithLevel(level, message) {
      if (level <= LogLevel.ERROR) errors.push(message);
      if (process.env.EDGE_LOG) console.error(message);
    }
  }
  const runtime = new Miniflare({
    name: file.name,
    host: "127.0.0.1",
    port,
    ...(measured && { inspectorPort: 0 }),
    cf,
    log: new Listening(LogLevel.INFO),
    logRequests: Boolean(process.env.EDGE_LOG),
    handleRuntimeStdio(stdout, stderr) {
      for (const stream of [stdout, stderr]) {
        createInterface({ input: stream }).on("line", (line) => {
          errors.push(line);
          if (process.env.EDGE_LOG) console.error(line);
        });
      }
    },
    compatibilityDate: file.compatibility_date,
    modulesRoot: worker,
    modules: [entry, ...all.filter((m) => m !== entry)],
    bindings: { ...file.vars, EDGE_SECRET: SECRET, ...vars },
    kvNamespaces: file.kv_namespaces.map((n) => n.binding),
    r2Buckets: file.r2_buckets.map((b) => b.binding),
    durableObjects: Object.fromEntries(
      file.durable_objects.bindings.map((b) => [b.name, { className: b.class_name, useSQLite: true }]),
    ),
    queueProducers: Object.fromEntries(file.queues.producers.map((q) => [q.binding, { queueName: q.queue }])),
    queueConsumers: Object.fromEntries(
      file.queues.consumers.map((q) => [
        q.queue,
        { maxBatchSize: q.max_batch_size, maxBatchTimeout: q.max_batch_timeout, maxRetries: q.max_retries },
      ]),
    ),
    analyticsEngineDatasets: Object.fromEntries(
      file.analytics_engine_datasets.map((d) => [d.binding, { dataset: d.dataset }]),
    ),
    assets: {
      directory: assets,
      binding: file.assets.binding,
      routerConfig: { has_user_worker: true },
      assetConfig: { html_handling: file.assets.html_handling, not_found_handling: file.assets.not_found_handling },
    },
  });
  const url = String(await runtime.ready).replace(/\/$/u, "");
  return {
    url,
    errors,
    runtime,
    /** Bytes of memory that workerd has now, and has had at most. */
    memory: () => memory(workerd()),
    /** Bytes that the isolate has: the modules' memory, the heap, buffers outside of it. */
    async isolate() {
      const module = Number(await (await fetch(`${url}/measure`)).text());
      const { totalSize, embedderHeapUsedSize, backingStorageSize } = await heap(await runtime.getInspectorURL(), file.name);
      return { module, heap: totalSize + embedderHeapUsedSize, buffers: backingStorageSize };
    },
    async key(rights, more = {}) {
      const key = `mao_${randomBytes(32).toString("base64url")}`;
      const hash = createHash("sha256").update(key).digest("hex");
      const store = await runtime.getKVNamespace("STORE");
      const id = randomBytes(8).toString("hex");
      await store.put(`key:${hash}`, JSON.stringify({ id, scopes: rights, ...more }));
      return key;
    },
    async cron() {
      const worker = await runtime.getWorker();
      await worker.scheduled({ cron: "* * * * *" });
    },
    stop: () => runtime.dispose(),
  };
}

/** What V8 says of a Worker's heap. */
async function heap(inspector, name) {
  const socket = new WebSocket(new URL(`/core:user:${name}`, inspector));
  await new Promise((resolve, reject) => socket.on("open", resolve).on("error", reject));
  const said = new Promise((resolve) => {
    socket.on("message", (data) => {
      const { id, result } = JSON.parse(data);
      if (id === 1) resolve(result);
    });
  });
  socket.send(JSON.stringify({ id: 1, method: "Runtime.getHeapUsage" }));
  const usage = await said;
  socket.terminate();
  return usage;
}

/** The Worker's modules. */
function modules(folder) {
  return readdirSync(folder, { recursive: true })
    .filter((name) => /\.(m?js|wasm)$/u.test(name))
    .map((name) => ({ type: name.endsWith(".wasm") ? "CompiledWasm" : "ESModule", path: join(folder, name) }));
}

/** Those of this process's children that are workerd; the newest. */
function workerd() {
  const found = readdirSync("/proc")
    .filter((name) => /^\d+$/u.test(name))
    .filter((pid) => {
      try {
        const [, , state, parent] = readFileSync(`/proc/${pid}/stat`, "utf8").replace(/\(.*\)/u, "x").split(" ");
        return state !== "Z" && Number(parent) === process.pid && /workerd/u.test(readFileSync(`/proc/${pid}/cmdline`, "utf8"));
      } catch {
        return false;
      }
    })
    .map(Number);
  return Math.max(...found);
}

function memory(pid) {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const bytes = (name) => Number(new RegExp(`${name}:\\s+(\\d+) kB`, "u").exec(status)?.[1]) * 1024;
  return { now: bytes("VmRSS"), most: bytes("VmHWM") };
}

/** Origins as the variable `ORIGINS` lists them. */
export const origins = (...list) =>
  JSON.stringify(list.map(([name, base, more = {}]) => ({ name, url: base, ...more })));

/** A form with a picture. */
export function form(picture, requirements = undefined) {
  const body = new FormData();
  if (requirements) body.append("requirements", JSON.stringify(requirements));
  body.append("image", new Blob([picture]), "picture");
  return body;
}

/** Waits until something is so. */
export async function until(done, what, patience = 60_000) {
  const end = Date.now() + patience;
  for (;;) {
    const result = await Promise.resolve(done()).catch(() => false);
    if (result) return result;
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/**
 * Passes connections on to a port. What goes there is lost while it is `stalled`, and after `most` bytes in all; what
 * comes back waits while it is `deaf`.
 */
export async function gate(port) {
  const sockets = new Set();
  const state = { stalled: false, deaf: false, most: Infinity, bytes: 0, requests: [], sockets };
  const server = net.createServer((near) => {
    const far = net.connect(port, "127.0.0.1");
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("error", () => {}).on("close", () => sockets.delete(socket));
    }
    near.on("data", (data) => {
      state.bytes += data.length;
      const text = data.toString("latin1");
      if (/^(GET|POST|DELETE) /u.test(text)) state.requests.push(text.slice(0, 4000));
      const left = state.most - (state.bytes - data.length);
      if (!state.stalled && left > 0) far.write(data.subarray(0, left));
    });
    far.on("data", async (data) => {
      far.pause();
      while (state.deaf) await new Promise((resolve) => setTimeout(resolve, 20));
      near.write(data);
      far.resume();
    });
    near.on("close", () => far.destroy());
    far.on("close", () => near.destroy());
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return Object.assign(state, {
    base: `http://127.0.0.1:${server.address().port}`,
    stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  });
}
