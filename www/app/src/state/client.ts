// The app's one client, made when it is first needed.

import { OcrClient } from "@maoocr/lib";

/** Of the module for GPUs; empty where the app was built without it. */
declare const GPU_VERSION: string;

const TOKEN = "maoocr-server-key";

let client: OcrClient | null = null;

export function ocr(): OcrClient {
  const base = new URL("./", location.href);
  const key = token();
  client ??= new OcrClient({
    base,
    createWorker: () => new Worker(new URL("../worker.ts", import.meta.url), { type: "module", name: "engine" }),
    createDocuments: () =>
      new Worker(new URL("../documents-worker.ts", import.meta.url), { type: "module", name: "documents" }),
    remote: { base, ...(key && { token: key }) },
    // Larger than all the rest: fetched when it is used, or compared with the CPU.
    ...(GPU_VERSION && { gpu: { version: GPU_VERSION, createWorker: gpuWorker } }),
  });
  return client;
}

function gpuWorker(device: string): Worker {
  return new Worker(new URL("../gpu-worker.ts", import.meta.url), { type: "module", name: device });
}

/** Where the browser keeps nothing for this site: until the page is left. */
let unkept = "";

/** The server's key, until the tab is closed. */
export function token(): string {
  try {
    return sessionStorage.getItem(TOKEN) ?? unkept;
  } catch {
    return unkept;
  }
}

export function setToken(value: string): void {
  unkept = value;
  try {
    sessionStorage.setItem(TOKEN, value);
  } catch {
    // It holds all the same.
  }
  client?.reset();
  client = null;
}
