// The browser's GPU: whether there is a real one, whether it reads the same and faster on this device, and what is done
// when it is lost.

import { OcrError, unless } from "./errors.ts";
import type { EnginePool } from "./pool.ts";
import type { Document, GpuState, Picture, RecognizeCall, RunOn } from "./types.ts";

/** What a browser tells of its GPU. */
export interface Adapter {
  name: string;
  /** A processor that poses as one. */
  software: boolean;
}

/** What reading the same picture on both showed. */
export interface Trial {
  /** `failed`: the GPU read nothing. */
  outcome: "same" | "other_text" | "failed";
  /** ms each took; null where only the texts were compared. */
  took: { cpu: number; gpu: number } | null;
}

/** Keeps what was found from visit to visit. */
export type Notes = Pick<Storage, "getItem" | "setItem">;

export interface GpuOptions {
  /** Starts the module for GPUs; `gpu` takes no software, `gpu:0` whatever the browser has. */
  createWorker: (device: "gpu" | "gpu:0") => Worker;
  /** Of that module: another one is compared anew. */
  version: string;
  /** The picture that both are compared on, of so many lines. */
  specimen?: (lines: number) => Promise<Picture>;
  find?: () => Promise<Adapter | null>;
  notes?: Notes;
}

const KEY = "maoocr-gpu";
/** The GPU must take less than this share of the CPU's time: it costs memory and power. */
const FASTER = 0.9;
/** A GPU at work that says nothing for so long is taken for lost, ms. */
const SILENCE = 120_000;
/** What may be the GPU's fault. Anything else is the picture's, the network's or the person's doing. */
const FAULTS = new Set([
  "device_lost",
  "device_out_of_memory",
  "no_such_device",
  "internal",
  "worker_lost",
  "out_of_memory",
  "model_failed",
  "model_unusable",
]);
/** Names of software, some of which browsers don't mark as such. */
const SOFTWARE = /swiftshader|llvmpipe|lavapipe|softpipe|\bwarp\b|basic render/i;

/** The parts of WebGPU's interface that are used here. */
interface GpuNavigator {
  gpu?: { requestAdapter(options: { powerPreference: string }): Promise<GpuAdapter | null> };
}

interface GpuAdapter {
  info?: Partial<Record<"vendor" | "architecture" | "device" | "description", string>> & {
    isFallbackAdapter?: boolean;
  };
  isFallbackAdapter?: boolean;
}

export async function findAdapter(): Promise<Adapter | null> {
  const { gpu } = navigator as GpuNavigator;
  const adapter = await gpu?.requestAdapter({ powerPreference: "high-performance" }).catch(() => null);
  if (!adapter) return null;
  const { vendor, architecture, device, description, isFallbackAdapter } = adapter.info ?? {};
  const parts = [vendor, architecture, device].filter(Boolean).join(" ");
  return {
    name: description || parts || "unnamed",
    software: Boolean(isFallbackAdapter || adapter.isFallbackAdapter) || SOFTWARE.test(`${parts} ${description ?? ""}`),
  };
}

/** How it stands with a GPU, after the trial, if there was one. */
export function judge(choice: RunOn, adapter: Adapter | null, trial: Trial | null): GpuState {
  if (choice === "cpu") return "unchosen";
  if (!adapter) return "missing";
  if (choice === "auto" && adapter.software) return "software";
  if (!trial) return "unchecked";
  if (trial.outcome === "other_text") return "other_text";
  // Whoever asks for it may have it tried again.
  if (trial.outcome === "failed") return choice === "gpu" ? "unchecked" : "failed";
  if (choice === "gpu") return "used";
  if (!trial.took) return "unchecked";
  return trial.took.gpu < FASTER * trial.took.cpu ? "used" : "slower";
}

export class Gpu {
  readonly #options: Required<GpuOptions>;
  readonly #cpu: EnginePool;
  readonly #createPool: (createWorker: () => Worker) => EnginePool;
  #adapter: Promise<Adapter | null> | null = null;
  #engines: EnginePool | null = null;
  /** Not in this visit any more. */
  #lost = false;
  #comparing: Promise<void> | null = null;
  #busy = 0;
  #watch: ReturnType<typeof setTimeout> | undefined;

  constructor(options: GpuOptions, cpu: EnginePool, createPool: (createWorker: () => Worker) => EnginePool) {
    this.#options = { specimen: drawSpecimen, find: findAdapter, notes: localNotes(), ...options };
    this.#cpu = cpu;
    this.#createPool = createPool;
  }

  adapter(): Promise<Adapter | null> {
    this.#adapter ??= this.#options.find();
    return this.#adapter;
  }

  async state(choice: RunOn): Promise<GpuState> {
    if (choice === "cpu") return "unchosen";
    const adapter = await this.adapter();
    const state = judge(choice, adapter, this.#trial(adapter));
    return this.#lost && (state === "used" || state === "unchecked") ? "lost" : state;
  }

  /** Its engines, where they are used. */
  async engines(choice: RunOn): Promise<EnginePool | null> {
    return (await this.state(choice)) === "used" ? this.#start() : null;
  }

  /** The pages, read on the GPU; or why the CPU has to. */
  async recognize(picture: Picture, call: RecognizeCall, choice: RunOn): Promise<Document[] | GpuState | OcrError> {
    let state = await this.state(choice);
    if (choice === "gpu" && state === "unchecked") {
      this.#comparing ??= this.#compare(false).finally(() => (this.#comparing = null));
      await unless(call.signal, this.#comparing);
      state = await this.state(choice);
    }
    if (state !== "used") return state;
    try {
      return await this.#read(await this.#start(), picture, call);
    } catch (thrown) {
      const error = OcrError.from(thrown);
      if (!FAULTS.has(error.code)) throw error;
      this.#lose(error);
      return error;
    }
  }

  /** Compares GPU and CPU, where that is worth knowing and isn't known. Nothing else should be read meanwhile. */
  async check(signal: AbortSignal): Promise<void> {
    if ((await this.state("auto")) === "unchecked") await this.#compare(true, signal);
  }

  /** Ends the engine and frees its memory. */
  reset(): void {
    this.#engines?.reset();
  }

  async #start(): Promise<EnginePool> {
    const adapter = await this.adapter();
    const device = adapter?.software ? "gpu:0" : "gpu";
    this.#engines ??= this.#createPool(() => this.#options.createWorker(device));
    return this.#engines;
  }

  #lose(error: OcrError): void {
    this.#lost = true;
    this.#engines?.end(error);
    this.#engines = null;
  }

  async #compare(timed: boolean, signal?: AbortSignal): Promise<void> {
    try {
      const trial = await this.#tried(timed, signal);
      await this.#note(trial);
      const used = judge(timed ? "auto" : "gpu", await this.adapter(), trial) === "used";
      // Two sets of engines at once are more than needed.
      (used ? this.#cpu : this.#engines)?.rest();
    } catch (thrown) {
      const error = OcrError.from(thrown);
      // A module that couldn't be fetched is worth another try; whatever else it was would be the same again.
      if (FAULTS.has(error.code)) {
        if (error.code !== "worker_lost") await this.#note({ outcome: "failed", took: null });
        this.#lose(error);
      } else if (error.code !== "cancelled") throw error;
    }
  }

  async #tried(timed: boolean, signal?: AbortSignal): Promise<Trial> {
    const specimen = await this.#options.specimen(timed ? 18 : 4);
    const call: RecognizeCall = { alone: true, ...(signal && { signal }) };
    const cpu = (): Promise<Document[]> => this.#cpu.recognize(specimen, call);
    const engines = await this.#start();
    const gpu = (): Promise<Document[]> => this.#read(engines, specimen, call);
    // The first ones load models and compile shaders.
    const texts = [await read(cpu), await read(gpu)];
    let took: Trial["took"] = null;
    if (timed) {
      const [a, b] = [await read(cpu), await read(gpu)];
      texts.push(a, b);
      took = { cpu: a.ms, gpu: b.ms };
    }
    const [first] = texts;
    const same = texts.every(({ text }) => text !== "" && text === first?.text);
    return { outcome: same ? "same" : "other_text", took };
  }

  /** Reads, and hears whether the GPU still lives: it may hang, and its thread doesn't know. */
  async #read(engines: EnginePool, picture: Picture, call: RecognizeCall): Promise<Document[]> {
    const alive = (): void => {
      clearTimeout(this.#watch);
      const silent = new OcrError("device_lost", "the GPU doesn't answer");
      this.#watch = setTimeout(() => engines.end(silent), SILENCE);
    };
    const heard =
      <E extends unknown[]>(listener?: (...event: E) => void) =>
      (...event: E) => {
        alive();
        listener?.(...event);
      };
    this.#busy += 1;
    alive();
    try {
      return await engines.recognize(picture, {
        ...call,
        onModels: heard(call.onModels),
        onStarted: heard(call.onStarted),
        onDetected: heard(call.onDetected),
        onLine: heard(call.onLine),
        onWithdrawn: heard(call.onWithdrawn),
      });
    } finally {
      this.#busy -= 1;
      if (this.#busy === 0) clearTimeout(this.#watch);
      else alive();
    }
  }

  #of(adapter: Adapter | null): string {
    return `${adapter?.name} ${this.#options.version}`;
  }

  #trial(adapter: Adapter | null): Trial | null {
    try {
      const kept = JSON.parse(this.#options.notes.getItem(KEY) ?? "null") as (Trial & { of: string }) | null;
      return kept?.of === this.#of(adapter) ? kept : null;
    } catch {
      return null;
    }
  }

  async #note(trial: Trial): Promise<void> {
    const of = this.#of(await this.adapter());
    this.#options.notes.setItem(KEY, JSON.stringify({ of, ...trial }));
  }
}

async function read(reading: () => Promise<Document[]>): Promise<{ text: string; ms: number }> {
  const began = performance.now();
  const documents = await reading();
  return { text: documents.map(({ text }) => text).join("\n"), ms: performance.now() - began };
}

/** The browser's, or this page's only where it keeps none. */
function localNotes(): Notes {
  const here = new Map<string, string>();
  const storage = (): Storage | null => {
    try {
      return globalThis.localStorage ?? null;
    } catch {
      return null;
    }
  };
  return {
    getItem: (key) => here.get(key) ?? storage()?.getItem(key) ?? null,
    setItem: (key, value) => {
      here.set(key, value);
      try {
        storage()?.setItem(key, value);
      } catch {
        // Full: it is compared again next time.
      }
    },
  };
}

const WORDS = [
  "The quick brown fox jumps over the lazy dog",
  "Invoice 2041-77   Total due: 1,284.50 EUR",
  "Reading needs light, paper, and some patience.",
  "Pack my box with five dozen liquor jugs!",
];

/** Print as it comes by often. */
export async function drawSpecimen(lines: number): Promise<Picture> {
  const [width, line] = [640, 34];
  const height = (lines + 1) * line;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  if (!context) throw new OcrError("out_of_memory", "no canvas for a specimen");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, width, height);
  context.fillStyle = "#111";
  for (let i = 0; i < lines; i++) {
    context.font = `${20 + (i % 3)}px sans-serif`;
    context.fillText(WORDS[i % WORDS.length] ?? "", 24, (i + 1) * line);
  }
  const { data } = context.getImageData(0, 0, width, height);
  return { data, width, height };
}
