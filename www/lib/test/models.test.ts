import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { cacheShelf, memoryShelf, ModelStore, withDictionaries, type ModelFile, type Shelf } from "../src/models.ts";

const BYTES: Record<string, Uint8Array> = {
  det: new Uint8Array(5000).fill(1),
  rec: new Uint8Array(7000).fill(2),
};

async function sha256(bytes: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const files = Object.entries(BYTES).map(async ([name, bytes]) => ({
  name,
  file: `${name}.onnx`,
  task: "detection",
  tier: "tiny" as const,
  bytes: bytes.length,
  sha256: await sha256(bytes),
  languages: [],
  dictionary: name === "rec" ? "dict" : null,
}));
const FILES: ModelFile[] = await Promise.all(files);

let served: Record<string, Uint8Array>;
let requests: string[];

/** In pieces, as a network delivers them. */
function pieces(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new ReadableStream({
    async start(controller) {
      for (let at = 0; at < bytes.length; at += 1000) {
        controller.enqueue(bytes.slice(at, at + 1000));
        await new Promise((next) => setTimeout(next, 0));
      }
      controller.close();
    },
  });
}

beforeEach(() => {
  served = { ...BYTES };
  requests = [];
  vi.stubGlobal("fetch", async (input: URL | string, { signal }: RequestInit = {}) => {
    signal?.throwIfAborted();
    const { pathname } = new URL(input);
    requests.push(pathname);
    if (pathname === "/app/models.json") return Response.json({ models: FILES });
    const bytes = served[pathname.slice("/app/models/".length, -".onnx".length)];
    return bytes ? new Response(pieces(bytes)) : new Response(null, { status: 404 });
  });
});

afterEach(() => vi.unstubAllGlobals());

const store = (shelf: Shelf = memoryShelf()) => new ModelStore(new URL("https://example.org/app/"), shelf);

test("models of another site are fetched from there, and the app's own from the app", async () => {
  const other = FILES.map((file) => (file.name === "rec" ? { ...file, name: "other", file: "other.onnx" } : file));
  const more = { base: new URL("https://models.example.com/ocr/"), files: other };
  const asked: string[] = [];
  const own = globalThis.fetch;
  vi.stubGlobal("fetch", async (input: URL | string, init?: RequestInit) => {
    asked.push(String(input));
    return new URL(input).pathname === "/ocr/models/other.onnx"
      ? new Response(pieces(served["rec"] ?? new Uint8Array()))
      : own(input, init);
  });
  const models = new ModelStore(new URL("https://example.org/app/"), memoryShelf(), more);
  await models.ensure(["det", "other"]);
  expect((await models.list()).filter(({ stored }) => stored).map(({ name }) => name)).toEqual(["det", "rec", "other"]);
  expect(asked).toEqual([
    "https://example.org/app/models.json",
    "https://example.org/app/models/det.onnx",
    "https://models.example.com/ocr/models/other.onnx",
  ]);
});

describe("a model store", () => {
  test("fetches what is missing, tells of its progress, and fetches it once", async () => {
    const models = store();
    const progress: { received: number; total: number }[] = [];
    await models.ensure(["det", "rec"], (at) => progress.push(at));
    expect(progress[0]).toEqual({ received: 0, total: 12_000 });
    expect(progress.at(-1)).toEqual({ received: 12_000, total: 12_000 });
    expect(progress.map(({ received }) => received)).toEqual(
      progress.map(({ received }) => received).sort((a, b) => a - b),
    );
    expect(new Uint8Array(await models.bytes("rec"))).toEqual(BYTES["rec"]);
    requests.length = 0;
    await models.ensure(["det", "rec"], () => expect.unreachable("nothing is fetched"));
    expect(requests).toEqual([]);
  });

  test("shares a download between those who want it at the same time", async () => {
    const models = store();
    await Promise.all([models.ensure(["det"]), models.ensure(["det"])]);
    expect(requests.filter((path) => path.endsWith("det.onnx"))).toHaveLength(1);
  });

  test("a cancelled download doesn't take others with it", async () => {
    const models = store();
    const stop = new AbortController();
    const first = models.ensure(["det"], () => undefined, stop.signal);
    const second = models.ensure(["det"]);
    vi.stubGlobal("fetch", wrap(fetch));
    stop.abort();
    await expect(first).rejects.toMatchObject({ code: "cancelled" });
    await expect(second).resolves.toBeUndefined();
    expect((await models.list()).find(({ name }) => name === "det")?.stored).toBe(true);

    function wrap(inner: typeof fetch): typeof fetch {
      return (input, options) => inner(input, options);
    }
  });

  test("whoever shares a download may stop waiting for it", async () => {
    const models = store();
    const stop = new AbortController();
    const first = models.ensure(["det"]);
    const second = models.ensure(["det"], () => undefined, stop.signal);
    let landed = false;
    void first.then(() => (landed = true));
    stop.abort();
    await expect(second).rejects.toMatchObject({ code: "cancelled" });
    expect(landed).toBe(false);
    await first;
  });

  test("refuses bytes of another hash and of another length, and keeps nothing", async () => {
    const models = store();
    served["det"] = new Uint8Array(5000).fill(9);
    await expect(models.ensure(["det"])).rejects.toMatchObject({ code: "models_unavailable" });
    served["det"] = new Uint8Array(4999).fill(1);
    await expect(models.ensure(["det"])).rejects.toMatchObject({ code: "models_unavailable" });
    served["det"] = new Uint8Array(9999).fill(1);
    await expect(models.ensure(["det"])).rejects.toMatchObject({ code: "models_unavailable" });
    delete served["det"];
    await expect(models.ensure(["det"])).rejects.toMatchObject({ code: "models_unavailable" });
    expect((await models.list()).some(({ stored }) => stored)).toBe(false);
    served["det"] = BYTES["det"] as Uint8Array;
    await models.ensure(["det"]);
    expect((await models.list()).filter(({ stored }) => stored)).toHaveLength(1);
  });

  test("goes on without room: the model is there as long as the page is", async () => {
    const full: Shelf = { ...memoryShelf(), put: () => Promise.reject(new DOMException("", "QuotaExceededError")) };
    const models = store(full);
    await models.ensure(["det"]);
    expect(models.full).toBe(true);
    expect((await models.bytes("det")).byteLength).toBe(5000);
  });

  test("goes on where the browser keeps nothing for the site", async () => {
    const refuse = () => Promise.reject(new DOMException("denied", "SecurityError"));
    vi.stubGlobal("caches", { open: refuse });
    const models = new ModelStore(new URL("https://example.org/app/"));
    await models.ensure(["det"]);
    expect((await models.bytes("det")).byteLength).toBe(5000);
    await models.remove(["det"]);
    expect((await models.list()).some(({ stored }) => stored)).toBe(false);
  });

  test("frees by name, and what an older version left", async () => {
    const shelf = memoryShelf();
    const models = store(shelf);
    await models.ensure(["det", "rec"]);
    await shelf.put("0".repeat(64), new ArrayBuffer(3));
    await models.removeOutdated();
    expect(await shelf.keys()).toHaveLength(2);
    await models.remove(["det"]);
    expect((await models.list()).map(({ stored }) => stored)).toEqual([false, true]);
    await models.remove();
    expect(await shelf.keys()).toEqual([]);
  });

  test("names what this site doesn't have", async () => {
    await expect(store().ensure(["huge"])).rejects.toMatchObject({ code: "models_unavailable" });
  });
});

test("recognisers bring their dictionaries", () => {
  expect(withDictionaries(["det", "rec"], FILES)).toEqual(["det", "rec", "dict"]);
});

test("keys of caches are http, also in an extension", async () => {
  const keys: string[] = [];
  const cache = {
    put: async (key: string) => void keys.push(key),
    match: async () => undefined,
    delete: async () => true,
    keys: async () => keys.map((url) => ({ url })),
  };
  vi.stubGlobal("caches", { open: async () => cache });
  for (const base of ["https://example.org/app/", "chrome-extension://abc/", "moz-extension://def/"]) {
    const shelf = cacheShelf(new URL(base));
    await shelf.put("00ff", new ArrayBuffer(1));
    expect(await shelf.keys()).toContain("00ff");
  }
  vi.unstubAllGlobals();
  expect(keys).toEqual([
    "https://example.org/app/models/sha256/00ff",
    "https://models.maoocr.invalid/models/sha256/00ff",
    "https://models.maoocr.invalid/models/sha256/00ff",
  ]);
});
