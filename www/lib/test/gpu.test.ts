import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { OcrClient } from "../src/client.ts";
import { judge, type Adapter, type GpuOptions, type Trial } from "../src/gpu.ts";
import type { Document, Frame, GpuState, RunOn } from "../src/types.ts";
import { FakeWorker, FILE, reads, type Behaviour } from "./fakes.ts";

const CARD: Adapter = { name: "a card", software: false };
const RASTERISER: Adapter = { name: "SwiftShader", software: true };
const FRAME: Frame = { data: new Uint8ClampedArray(4), width: 1, height: 1 };

const says =
  (text: string, ms: number): Behaviour =>
  (worker, id) =>
    void setTimeout(() => worker.say({ id, value: [{ text } as Document] }), ms);
const fails =
  (code: string): Behaviour =>
  (worker, id) =>
    worker.say({ id, failure: { code, message: code } });

/** Lets so many ms pass, and what isn't on the clock go on meanwhile. */
async function pass(ms: number, until = () => false): Promise<void> {
  for (let at = 0; at < ms && !until(); at += 20) {
    await vi.advanceTimersByTimeAsync(20);
    await turn();
  }
}

function turn(): Promise<void> {
  const { port1, port2 } = new MessageChannel();
  return new Promise((next) => {
    port1.onmessage = () => {
      port1.close();
      next();
    };
    port2.postMessage(null);
  });
}

/** What both start with each time, and what is kept between visits. */
interface Device {
  adapter?: Adapter | null;
  cpu?: Behaviour;
  gpu?: Behaviour;
  version?: string;
  notes?: Map<string, string>;
}

/** A visit of the app; `made` counts the workers that were started on the GPU. */
function visit({ adapter = CARD, cpu = says("read", 100), gpu = says("read", 10), version = "1", notes }: Device) {
  const kept = notes ?? new Map<string, string>();
  const made: string[] = [];
  const told: string[] = [];
  const options: GpuOptions = {
    createWorker: (device) => {
      made.push(device);
      return new FakeWorker((...asked) => gpu(...asked)) as unknown as Worker;
    },
    version,
    specimen: async () => FRAME,
    find: async () => adapter,
    notes: { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => void kept.set(key, value) },
  };
  const client = new OcrClient({
    base: new URL("https://example.org/"),
    createWorker: () => new FakeWorker(cpu) as unknown as Worker,
    gpu: options,
  });
  const read = async (runOn: RunOn = "auto") => {
    let settled = false;
    const reading = client.recognize(FRAME, { runOn, onFallback: ({ code }) => told.push(code) });
    reading.catch(() => undefined).finally(() => (settled = true));
    await pass(60_000, () => settled);
    return reading.then(({ documents, decision }) => [documents[0]?.text, decision.runner]);
  };
  const leisure = () => pass(5000);
  const state = async (runOn: RunOn = "auto") => (await client.gpu(runOn)).state;
  return { client, kept, made, told, read, leisure, state };
}

// A busy machine takes its time for what isn't on the clock.
vi.setConfig({ testTimeout: 30_000 });

beforeEach(() => {
  FakeWorker.made = [];
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "performance"] });
  vi.stubGlobal("navigator", { hardwareConcurrency: 2 });
  // Hashes are made in a thread that no clock of ours holds up.
  vi.stubGlobal("crypto", {});
  vi.stubGlobal("fetch", async (url: URL) =>
    url.pathname === "/models.json" ? Response.json({ models: [FILE] }) : new Response(new Uint8Array([1, 2, 3, 4])),
  );
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("judge", () => {
  const trial = (cpu: number, gpu: number): Trial => ({ outcome: "same", took: { cpu, gpu } });
  const texts: Trial = { outcome: "same", took: null };
  const cases: [RunOn, Adapter | null, Trial | null, GpuState][] = [
    ["cpu", CARD, trial(100, 1), "unchosen"],
    ["auto", null, null, "missing"],
    ["gpu", null, null, "missing"],
    ["auto", RASTERISER, trial(100, 1), "software"],
    ["gpu", RASTERISER, texts, "used"],
    ["auto", CARD, null, "unchecked"],
    ["auto", CARD, texts, "unchecked"],
    ["auto", CARD, trial(100, 50), "used"],
    ["auto", CARD, trial(100, 95), "slower"],
    ["gpu", CARD, trial(100, 500), "used"],
    ["auto", CARD, { outcome: "other_text", took: { cpu: 100, gpu: 1 } }, "other_text"],
    ["gpu", CARD, { outcome: "other_text", took: null }, "other_text"],
    ["auto", CARD, { outcome: "failed", took: null }, "failed"],
    ["gpu", CARD, { outcome: "failed", took: null }, "unchecked"],
  ];
  test.each(cases)("%s on %o after %o: %s", (choice, adapter, seen, state) => {
    expect(judge(choice, adapter, seen)).toBe(state);
  });
});

describe("automatic", () => {
  test("compares at leisure, goes over to a GPU that reads the same and faster, and remembers it", async () => {
    const first = visit({});
    expect(await first.read()).toEqual(["read", "cpu"]);
    expect(first.made).toEqual([]);
    await first.leisure();
    expect(first.made).toEqual(["gpu"]);
    expect(await first.read()).toEqual(["read", "gpu"]);
    const second = visit({ notes: first.kept });
    expect(await second.read()).toEqual(["read", "gpu"]);
    const updated = visit({ notes: first.kept, version: "2" });
    expect(await updated.read()).toEqual(["read", "cpu"]);
    expect(first.told).toEqual([]);
  });

  const refused: [string, Behaviour, GpuState][] = [
    ["reads another text", says("raed", 10), "other_text"],
    ["reads nothing", says("", 10), "other_text"],
    ["is slower", says("read", 120), "slower"],
    ["is hardly faster", says("read", 95), "slower"],
    ["fails", fails("model_failed"), "failed"],
  ];
  test.each(refused)("refuses a GPU that %s, and doesn't try it again", async (_, gpu, state) => {
    const first = visit({ gpu });
    await first.read();
    await first.leisure();
    expect(await first.state()).toBe(state);
    expect(await first.read()).toEqual(["read", "cpu"]);
    const second = visit({ gpu, notes: first.kept });
    await second.read();
    await second.leisure();
    expect(await second.state()).toBe(state);
    expect(second.made).toEqual([]);
    expect(second.told).toEqual([]);
  });

  test("takes no software, and asks nothing where there is no GPU", async () => {
    for (const adapter of [RASTERISER, null]) {
      const { read, leisure, made, told } = visit({ adapter });
      expect(await read()).toEqual(["read", "cpu"]);
      await leisure();
      expect(await read()).toEqual(["read", "cpu"]);
      expect([made, told]).toEqual([[], []]);
    }
  });

  test("compares nothing while data are to be saved, or while something is read", async () => {
    vi.stubGlobal("navigator", { hardwareConcurrency: 2, connection: { saveData: true } });
    const saving = visit({});
    await saving.read();
    await saving.leisure();
    expect(saving.made).toEqual([]);

    vi.stubGlobal("navigator", { hardwareConcurrency: 2 });
    const busy = visit({ cpu: says("read", 200) });
    for (let i = 0; i < 20; i++) await busy.read();
    expect(busy.made).toEqual([]);
  });

  test("is put off by a picture that comes meanwhile", async () => {
    const { read, leisure, state } = visit({ gpu: says("read", 50) });
    await read();
    await pass(3100);
    expect(await read()).toEqual(["read", "cpu"]);
    expect(await state()).toBe("unchecked");
    await leisure();
    expect(await state()).toBe("used");
  });
});

describe("the GPU", () => {
  test("is used where it is asked for, software and slow as it may be, if it reads the same", async () => {
    const { read, made, told, state } = visit({ adapter: RASTERISER, gpu: says("read", 120) });
    expect(await read("gpu")).toEqual(["read", "gpu"]);
    expect(made).toEqual(["gpu:0"]);
    expect(await state("gpu")).toBe("used");
    expect(told).toEqual([]);
  });

  test("isn't where it reads another text, or isn't there: which is told once", async () => {
    const wrong = visit({ gpu: says("raed", 10) });
    expect(await wrong.read("gpu")).toEqual(["read", "cpu"]);
    expect(await wrong.read("gpu")).toEqual(["read", "cpu"]);
    expect(wrong.told).toEqual(["gpu_other_text"]);
    const none = visit({ adapter: null });
    expect(await none.read("gpu")).toEqual(["read", "cpu"]);
    expect(await none.read("gpu")).toEqual(["read", "cpu"]);
    expect(none.told).toEqual(["gpu_missing"]);
  });

  test.each(["device_lost", "device_out_of_memory", "internal", "worker_lost"])(
    "that fails (%s) leaves the picture to the CPU, and the rest of the visit",
    async (code) => {
      let calls = 0;
      // The first is the comparison.
      const gpu: Behaviour = (...asked) => (calls++ === 0 ? reads : fails(code))(...asked);
      const { read, told, state } = visit({ gpu });
      expect(await read("gpu")).toEqual(["read", "cpu"]);
      expect(told).toEqual([code]);
      expect(await state("gpu")).toBe("lost");
      expect(await read("gpu")).toEqual(["read", "cpu"]);
      expect(told).toEqual([code]);
    },
  );

  test("that is lost leaves the pictures that wait for it to the CPU too", async () => {
    let calls = 0;
    const lost: Behaviour = (worker, id) => void setTimeout(() => fails("device_lost")(worker, id, {} as never), 50);
    const gpu: Behaviour = (...asked) => (calls++ === 0 ? reads : lost)(...asked);
    const { read } = visit({ gpu });
    const all = await Promise.all([read("gpu"), read("gpu"), read("gpu")]);
    expect(all).toEqual(Array.from({ length: 3 }, () => ["read", "cpu"]));
    expect(calls).toBe(2);
  });

  test("that hangs is lost", async () => {
    let calls = 0;
    const gpu: Behaviour = (worker, id, request) => {
      if (calls++ === 0) reads(worker, id, request);
      else setInterval(() => worker.say({ alive: true }), 1000);
    };
    const { client } = visit({ gpu });
    const reading = client.recognize(FRAME, { runOn: "gpu" });
    await pass(130_000);
    expect((await reading).decision.runner).toBe("cpu");
  });

  test("isn't blamed for a picture that is broken", async () => {
    let calls = 0;
    const gpu: Behaviour = (...asked) => (calls++ === 0 ? reads : fails("malformed"))(...asked);
    const { read, told, state } = visit({ gpu });
    await expect(read("gpu")).rejects.toMatchObject({ code: "malformed" });
    expect([told, await state("gpu")]).toEqual([[], "used"]);
  });
});
