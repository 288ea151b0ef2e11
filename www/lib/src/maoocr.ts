// The class of the npm package: pictures of any kind in, text out. What differs between browsers and Node.js is a
// `Platform`.

import { OcrError, cancelled } from "./errors.ts";
import type { ModelStore } from "./models.ts";
import { EnginePool, type Models } from "./pool.ts";
import { ModelFiles, type Known, type ModelSource, type Reads } from "./sources.ts";
import type { Document, Events, Picture, Requirements } from "./types.ts";

/** What a browser, or Node.js, does in its own way. */
export interface Platform {
  createWorker: () => Worker;
  /** Engines at once, where the caller names no number. */
  workers: number;
  /** The models that come with the package. */
  models: Record<string, ModelSource>;
  /** Every model that the engine knows. */
  catalogue: readonly Known[];
  /** The models of a folder or a site. */
  collection: (where: string | URL) => Models | Promise<Models>;
  read: Reads;
  /** Objects that only the platform knows, such as a canvas; null for anything else. */
  draw: (input: object) => Promise<Picture | null>;
  /** Pixels of a format that the engine doesn't know; null where the platform doesn't know it either. */
  decode: (file: Blob) => Promise<Picture | null>;
}

/** Where models come from: each by its name; or a folder (in Node.js) or a site that has them. */
export type ModelsFrom = string | URL | Record<string, ModelSource> | ModelStore;

export interface Options {
  models?: ModelsFrom;
  /** Engines at once, each in a worker: pictures that come together are read side by side. */
  workers?: number;
}

export interface Call extends Omit<Events, "onFallback">, Requirements {
  signal?: AbortSignal;
}

/** A file of one or more pages, read. */
export interface Result {
  /** Of all pages, a form feed between two. */
  text: string;
  /** Mean of its characters, 0 to 1; 0 without text. */
  confidence: number;
  /** s */
  processing_time: number;
  selected_models: string[];
  pages: Document[];
}

type Heard = Pick<Events, "onModels" | "onStarted" | "onDetected" | "onLine" | "onWithdrawn">;

/** The caller's functions: what one of them throws ends the call that it belongs to, and no more than that. */
class Listeners {
  readonly #stop = new AbortController();
  readonly #unlink: () => void;
  failure: { thrown: unknown } | null = null;

  /** The caller's signal ends it, too. */
  constructor(signal?: AbortSignal) {
    const stop = (): void => this.#stop.abort();
    signal?.addEventListener("abort", stop, { once: true });
    this.#unlink = () => signal?.removeEventListener("abort", stop);
    if (signal?.aborted) stop();
  }

  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** Signals outlive calls. */
  end(): void {
    this.#unlink();
  }

  guarded(listeners: { [Name in keyof Heard]: Heard[Name] | undefined }): Heard {
    const given = Object.entries(listeners).filter(([, listener]) => listener !== undefined);
    return Object.fromEntries(given.map(([name, listener]) => [name, this.#guard(listener as () => void)]));
  }

  #guard<A extends unknown[]>(listener: (...args: A) => void): (...args: A) => void {
    return (...args) => {
      if (this.failure) return;
      try {
        listener(...args);
      } catch (thrown) {
        this.failure = { thrown };
        this.#stop.abort();
      }
    };
  }
}

/** More are of no use: a picture is spread over no more than four engines. */
const MOST_WORKERS = 64;

export class Reader {
  readonly #platform: Platform;
  readonly #options: Options;
  #pool: Promise<EnginePool> | null = null;
  #running = 0;
  #terminated = false;

  constructor(options: Options, platform: Platform) {
    const { workers } = options;
    if (workers !== undefined && !(Number.isInteger(workers) && workers >= 1 && workers <= MOST_WORKERS)) {
      throw new OcrError("invalid_argument", `workers: ${workers} is no whole number from 1 to ${MOST_WORKERS}`);
    }
    this.#options = options;
    this.#platform = platform;
  }

  async recognize(input: unknown, call: Call = {}): Promise<Result> {
    const { signal, onModels, onStarted, onDetected, onLine, onWithdrawn, ...requirements } = call;
    if (signal?.aborted) throw cancelled();
    const engines = await this.#engines();
    const picture = await this.#picture(input, signal);
    this.#running += 1;
    const listeners = new Listeners(signal);
    try {
      const events = listeners.guarded({ onModels, onStarted, onDetected, onLine, onWithdrawn });
      const all = { requirements, alone: this.#running === 1, ...events, signal: listeners.signal };
      return together(await this.#read(engines, picture, all));
    } catch (thrown) {
      throw listeners.failure ? listeners.failure.thrown : thrown;
    } finally {
      listeners.end();
      this.#running -= 1;
    }
  }

  /** Starts an engine and fetches the models that such pictures need, so that the first one needn't wait. */
  async warm(requirements: Requirements = {}): Promise<void> {
    await (await this.#engines()).stock(requirements);
  }

  /** Ends the engines for good; calls under way fail with the code `terminated`. */
  async terminate(): Promise<void> {
    this.#terminated = true;
    (await this.#pool?.catch(() => null))?.end(terminated());
  }

  async #read(engines: EnginePool, picture: Picture, call: Parameters<EnginePool["recognize"]>[1]) {
    try {
      return await engines.recognize(picture, call);
    } catch (thrown) {
      const { code } = OcrError.from(thrown);
      if (!(picture instanceof Blob) || (code !== "unknown_format" && code !== "unsupported")) throw thrown;
      const decoded = await this.#platform.decode(picture);
      if (!decoded) throw thrown;
      return engines.recognize(decoded, call);
    }
  }

  #engines(): Promise<EnginePool> {
    if (this.#terminated) return Promise.reject(terminated());
    this.#pool ??= this.#start().catch((thrown: unknown) => {
      this.#pool = null;
      throw thrown;
    });
    return this.#pool;
  }

  async #start(): Promise<EnginePool> {
    const { createWorker, workers } = this.#platform;
    const size = this.#options.workers ?? workers;
    const models = await this.#models();
    // Whoever names models wants them used.
    return new EnginePool({ models, createWorker, size, offer: (list) => list.map(({ name }) => name) });
  }

  async #models(): Promise<Models> {
    const { models, catalogue, read, collection } = this.#platform;
    const from = this.#options.models ?? models;
    if (typeof from === "string" || from instanceof URL) return collection(from);
    if ("list" in from && typeof from.list === "function") return from as Models;
    return new ModelFiles(from as Record<string, ModelSource>, catalogue, read);
  }

  async #picture(input: unknown, signal?: AbortSignal): Promise<Picture> {
    if (typeof input === "string" || input instanceof URL) {
      return new Blob([await this.#platform.read(input, signal)]);
    }
    if (input instanceof Blob) return input;
    if (input instanceof ArrayBuffer || ArrayBuffer.isView(input)) return new Blob([input as BlobPart]);
    if (typeof input === "object" && input !== null) {
      if ("data" in input && ArrayBuffer.isView(input.data)) return input as Picture;
      const drawn = await this.#platform.draw(input);
      if (drawn) return drawn;
    }
    throw new OcrError("invalid_argument", "the picture is no path, address, file, bytes or pixels");
  }
}

function terminated(): OcrError {
  return new OcrError("terminated", "this MaoOCR was terminated");
}

function together(pages: Document[]): Result {
  const letters = pages.map(({ text }) => text.length);
  const count = letters.reduce((sum, n) => sum + n, 0);
  const sum = pages.reduce((all, { confidence }, i) => all + confidence * (letters[i] ?? 0), 0);
  return {
    text: pages.map(({ text }) => text).join("\f"),
    confidence: count > 0 ? sum / count : 0,
    processing_time: pages.reduce((all, page) => all + page.processing_time, 0),
    selected_models: [...new Set(pages.flatMap((page) => page.selected_models))],
    pages,
  };
}
