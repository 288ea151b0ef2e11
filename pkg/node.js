// MaoOCR in Node.js, Deno and Bun.

import { access, readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";

import { catalogue } from "./dist/catalogue.js";
import { OcrError } from "./dist/errors.js";
import { Reader } from "./dist/maoocr.js";
import { ModelStore } from "./dist/models.js";
import { poolSize } from "./dist/pool.js";
import { ModelFiles } from "./dist/sources.js";
import { bundled } from "./models.js";

export { OcrError };

/** A thread behind the interface of a browser's worker. It doesn't keep the program running: what waits for an answer
 * from it does. */
function createWorker() {
  const thread = new Worker(new URL("./node-worker.js", import.meta.url));
  const worker = {
    onmessage: null,
    onerror: null,
    onmessageerror: null,
    postMessage: (message, transfer) => thread.postMessage(message, transfer),
    terminate: () => void thread.terminate(),
  };
  const failed = (message) => worker.onerror?.({ message, preventDefault() {} });
  thread.on("message", (data) => worker.onmessage?.({ data }));
  thread.on("messageerror", () => worker.onmessageerror?.());
  thread.on("error", (error) => failed(String(error)));
  thread.on("exit", (code) => failed(`the engine's thread ended with ${code}`));
  thread.unref();
  return worker;
}

const isAddress = (where) => where instanceof URL || /^(https?|data|file|blob):/i.test(where);

async function read(where, signal) {
  if (isAddress(where) && !URL.canParse(where)) throw new OcrError("invalid_argument", `${where} is no address`);
  const url = isAddress(where) ? new URL(where) : pathToFileURL(resolve(where));
  try {
    if (url.protocol === "file:") {
      const { buffer, byteOffset, byteLength } = await readFile(url, { signal });
      return buffer.slice(byteOffset, byteOffset + byteLength);
    }
    const response = await fetch(url, { signal });
    if (!response.ok) throw new OcrError("network", `${where}: HTTP ${response.status}`);
    return await response.arrayBuffer();
  } catch (thrown) {
    if (thrown instanceof OcrError || signal?.aborted) throw OcrError.from(thrown);
    // `fetch` tells why it failed in the cause.
    const why = thrown.cause?.message || thrown.cause?.code || thrown.message;
    throw new OcrError(url.protocol === "file:" ? "unreadable" : "network", `${where}: ${why}`);
  }
}

/** A folder as `maoocr models pull` fills it, or a site that offers models as MaoOCR's web app does. */
async function collection(where) {
  if (isAddress(where) && !/^file:/i.test(where)) return new ModelStore(new URL(where));
  const folder = isAddress(where) ? fileURLToPath(where) : where;
  const sources = {};
  for (const { name, task } of catalogue) {
    const path = resolve(folder, `${name}.${task === "dictionary" ? "txt" : "onnx"}`);
    const there = await access(path).then(() => true, () => false); // prettier-ignore
    if (there) sources[name] = path;
  }
  if (Object.keys(sources).length === 0) throw new OcrError("models_unavailable", `${folder} has no models`);
  return new ModelFiles(sources, catalogue, read);
}

const platform = () => ({
  createWorker,
  workers: poolSize(availableParallelism(), null),
  models: bundled,
  catalogue,
  collection,
  read,
  draw: async () => null,
  decode: async () => null,
});

export class MaoOCR extends Reader {
  constructor(options = {}) {
    super(options, platform());
  }
}
