import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { memoryShelf, ModelStore } from "../src/models.ts";
import { EnginePool, poolSize } from "../src/pool.ts";
import { DOCUMENT, FakeWorker, FILE, reads, SHA, type Behaviour } from "./fakes.ts";

/** Every model that is there may be chosen. */
const everything = (models: { name: string }[]) => models.map(({ name }) => name);

function pool(size: number, ...behaviours: Behaviour[]): EnginePool {
  const queue = [...behaviours];
  const createWorker = () => new FakeWorker(queue.shift() ?? reads) as unknown as Worker;
  const shelf = memoryShelf();
  void shelf.put(SHA, new ArrayBuffer(4));
  const models = new ModelStore(new URL("https://example.org/"), shelf);
  return new EnginePool({ models, createWorker, size, offer: everything });
}

const picture = new Blob(["x"]);
const settle = () => vi.advanceTimersByTimeAsync(1);

beforeEach(() => {
  FakeWorker.made = [];
  vi.useFakeTimers();
  vi.stubGlobal("fetch", async () => Response.json({ models: [FILE] }));
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("a pool of engines", () => {
  test("reads, and passes on what happens", async () => {
    const seen: string[] = [];
    const told: Behaviour = (worker, id) => {
      worker.say({ id, detected: [] });
      worker.say({
        id,
        line: {
          index: 0,
          text: "a",
          confidence: 1,
          box: [
            [0, 0],
            [1, 0],
            [1, 1],
            [0, 1],
          ],
        },
      });
      worker.say({ id, value: [DOCUMENT] });
    };
    const documents = await pool(1, told).recognize(picture, {
      onStarted: () => seen.push("started"),
      onDetected: () => seen.push("detected"),
      onLine: ({ text }) => seen.push(text),
    });
    expect(documents).toEqual([DOCUMENT]);
    expect(seen).toEqual(["started", "detected", "a"]);
  });

  test("spreads pictures over its workers, and lets others wait", async () => {
    let busy = 0;
    let most = 0;
    const slow: Behaviour = (worker, id) => {
      most = Math.max(most, ++busy);
      setTimeout(() => {
        busy -= 1;
        worker.say({ id, value: [DOCUMENT] });
      }, 100);
    };
    const engines = pool(2, slow, slow);
    const all = Promise.all(Array.from({ length: 5 }, () => engines.recognize(picture, {})));
    await vi.advanceTimersByTimeAsync(1000);
    await all;
    expect(most).toBe(2);
    expect(FakeWorker.made).toHaveLength(2);
  });

  test("has idle workers help with a picture that is alone, and takes them back", async () => {
    let helpers = -1;
    const counts: Behaviour = (worker, id, request) => {
      if (request.kind === "recognize") {
        helpers = request.helpers.length;
        for (const port of request.helpers) port.close();
      }
      worker.say({ id, value: [DOCUMENT] });
    };
    const engines = pool(3, counts, reads, reads);
    await engines.recognize(picture, { alone: true });
    expect(helpers).toBe(2);
    expect(FakeWorker.made.slice(1).map(({ seen }) => seen)).toEqual([
      ["load", "help"],
      ["load", "help"],
    ]);
    helpers = -1;
    await Promise.all(Array.from({ length: 3 }, () => engines.recognize(picture, {})));
    expect(FakeWorker.made).toHaveLength(3);
    expect(helpers).toBe(0);
  });

  test("replaces a worker that crashed, and reads the picture again", async () => {
    const crashes: Behaviour = (worker) => worker.crash();
    await expect(pool(1, crashes, reads).recognize(picture, {})).resolves.toEqual([DOCUMENT]);
    expect(FakeWorker.made.map(({ terminated }) => terminated)).toEqual([true, false]);
  });

  test("gives up on a picture that crashes every worker; the next one is read", async () => {
    const crashes: Behaviour = (worker) => worker.crash();
    const engines = pool(1, crashes, crashes, reads);
    await expect(engines.recognize(picture, {})).rejects.toMatchObject({ code: "worker_lost" });
    await expect(engines.recognize(picture, {})).resolves.toEqual([DOCUMENT]);
  });

  test("takes a fresh worker after a fault of the module, but not after a broken picture", async () => {
    const fails =
      (code: string): Behaviour =>
      (worker, id) =>
        worker.say({ id, failure: { code, message: "" } });
    const engines = pool(1, fails("malformed"));
    await expect(engines.recognize(picture, {})).rejects.toMatchObject({ code: "malformed" });
    expect(FakeWorker.made[0]?.terminated).toBe(false);
    const others = pool(1, fails("internal"), reads);
    await expect(others.recognize(picture, {})).rejects.toMatchObject({ code: "internal" });
    expect(FakeWorker.made[1]?.terminated).toBe(true);
    await expect(others.recognize(picture, {})).resolves.toEqual([DOCUMENT]);
  });

  test("a worker that falls silent is lost; one that answers pings isn't", async () => {
    const silent: Behaviour = () => undefined;
    const lost = pool(1, silent, reads).recognize(picture, {});
    await vi.advanceTimersByTimeAsync(60_000);
    await expect(lost).resolves.toEqual([DOCUMENT]);

    let answer: () => void = () => undefined;
    const busy: Behaviour = (worker, id) => {
      const alive = setInterval(() => worker.say({ alive: true }), 20_000);
      answer = () => {
        clearInterval(alive);
        worker.say({ id, value: [DOCUMENT] });
      };
    };
    const slow = pool(1, busy).recognize(picture, {});
    await vi.advanceTimersByTimeAsync(200_000);
    const worker = FakeWorker.made.at(-1);
    expect(worker?.terminated).toBe(false);
    expect(worker?.pings).toBeGreaterThan(10);
    answer();
    await settle();
    await expect(slow).resolves.toEqual([DOCUMENT]);
  });

  test("fetches the models of pictures to come, without reading anything", async () => {
    const bytes = new Uint8Array([1, 2, 3, 4]);
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    const sha256 = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
    vi.stubGlobal("fetch", async (url: URL) =>
      url.pathname.endsWith("models.json") ? Response.json({ models: [{ ...FILE, sha256 }] }) : new Response(bytes),
    );
    const models = new ModelStore(new URL("https://example.org/"), memoryShelf());
    const createWorker = () => new FakeWorker(reads) as unknown as Worker;
    const engines = new EnginePool({ models, createWorker, size: 1, offer: everything });
    await engines.stock({});
    expect((await models.list()).map(({ stored }) => stored)).toEqual([true]);
    expect(FakeWorker.made.map(({ seen }) => seen)).toEqual([[]]);
  });

  test("cancels work that is under way: by asking, then by ending the worker", async () => {
    const obeys: Behaviour = () => undefined;
    const stop = new AbortController();
    const engines = pool(1, obeys, reads);
    const read = engines.recognize(picture, { signal: stop.signal });
    const failed = expect(read).rejects.toMatchObject({ code: "cancelled" });
    await settle();
    stop.abort();
    await settle();
    const [worker] = FakeWorker.made;
    expect(worker?.cancelled).toHaveLength(1);
    expect(worker?.terminated).toBe(false);
    await vi.advanceTimersByTimeAsync(3000);
    expect(worker?.terminated).toBe(true);
    await failed;
    await expect(engines.recognize(picture, {})).resolves.toEqual([DOCUMENT]);
  });

  test("cancels work that waits for a worker", async () => {
    const stop = new AbortController();
    let answer: () => void = () => undefined;
    const busy: Behaviour = (worker, id) => (answer = () => worker.say({ id, value: [DOCUMENT] }));
    const engines = pool(1, busy);
    const first = engines.recognize(picture, {});
    const second = engines.recognize(picture, { signal: stop.signal });
    const failed = expect(second).rejects.toMatchObject({ code: "cancelled" });
    await settle();
    stop.abort();
    await failed;
    answer();
    await expect(first).resolves.toEqual([DOCUMENT]);
  });
});

describe("engines that have nothing to do", () => {
  test("end after some seconds, the last one later, and those that follow get the compiled module", async () => {
    const module = new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]));
    const compiles: Behaviour = (worker, id) => {
      worker.say({ compiled: module });
      worker.say({ id, value: [DOCUMENT] });
    };
    const engines = pool(2, compiles, compiles);
    const both = [engines.recognize(picture, {}), engines.recognize(picture, {})];
    await settle();
    await Promise.all(both);
    await vi.advanceTimersByTimeAsync(11_000);
    expect(FakeWorker.made.map(({ terminated }) => terminated).sort()).toEqual([false, true]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(FakeWorker.made.map(({ terminated }) => terminated)).toEqual([true, true]);
    const after = engines.recognize(picture, {});
    await settle();
    await after;
    expect(FakeWorker.made.map(({ modules }) => modules)).toEqual([[null], [null], [module]]);
  });

  test("tell what memory they take, until they end", async () => {
    const of =
      (memory: number): Behaviour =>
      (worker, id) =>
        worker.say({ id, value: [DOCUMENT], memory });
    const engines = pool(2, of(70), of(30));
    expect(engines.memory).toBe(0);
    await Promise.all([engines.recognize(picture, {}), engines.recognize(picture, {})]);
    expect(engines.memory).toBe(100);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(engines.memory).toBe(0);
  });

  test("stay while they are used", async () => {
    const engines = pool(1);
    for (let n = 0; n < 8; n++) {
      const reading = engines.recognize(picture, {});
      await settle();
      await reading;
      await vi.advanceTimersByTimeAsync(20_000);
    }
    expect(FakeWorker.made.map(({ terminated }) => terminated)).toEqual([false]);
  });
});

test("a core is left for the page, and memory bounds the rest", () => {
  expect(poolSize(8, 8)).toBe(4);
  expect(poolSize(8, 4)).toBe(2);
  expect(poolSize(3, 8)).toBe(2);
  expect(poolSize(1, 0.5)).toBe(1);
  expect(poolSize(undefined, null)).toBe(1);
  expect(poolSize(8, null)).toBe(2);
});
