// Engines in as many workers as the device has room for: pictures that come together are read side by side.

import { WorkerEngine, type Compiled } from "./engine.ts";
import { OcrError, cancelled, isCancelled } from "./errors.ts";
import { withDictionaries, type ModelStore, type StoredModel } from "./models.ts";
import type { Document, Picture, RecognizeCall, Requirements } from "./types.ts";

/** Where engines get their models. */
export type Models = Pick<ModelStore, "list" | "ensure" | "bytes" | "remove">;

export interface PoolOptions {
  models: Models;
  createWorker: () => Worker;
  /** Most workers at once. */
  size: number;
  /** Names of the models that the engine may choose from for such a picture. */
  offer: (models: StoredModel[], requirements: Requirements) => string[];
}

/** An engine that has nothing to do ends after this long, and gives back its memory; the last one, which the next picture
 * would wait for, later. ms */
const IDLE = 10_000;
const LAST_IDLE = 60_000;

/** How many engines fit: a core is left for the page, and each engine takes about 200 MB with small models. */
export function poolSize(cores: number | undefined, memory: number | null): number {
  const byCores = Math.max(1, (cores ?? 2) - 1);
  const byMemory = memory === null ? 2 : Math.max(1, Math.floor(memory / 2));
  return Math.min(4, byCores, byMemory);
}

export class EnginePool {
  readonly #options: PoolOptions;
  #engines: WorkerEngine[] = [];
  readonly #idle: WorkerEngine[] = [];
  readonly #waiting: ((engine: WorkerEngine | OcrError) => void)[] = [];
  /** Why it is of no more use; null while it is. */
  #ended: OcrError | null = null;
  readonly #compiled: Compiled = { module: null };

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  /** What the engines' modules take, bytes. */
  get memory(): number {
    return this.#engines.reduce((sum, { memory }) => sum + memory, 0);
  }

  /** Starts one engine, so that the first picture needn't wait for it. */
  async warm(): Promise<void> {
    const engine = await this.#take();
    this.#give(engine);
  }

  /** Reads a specimen on one engine: a browser makes code that ran fast. */
  async rehearse(specimen: Picture, call: RecognizeCall): Promise<void> {
    await this.#recognize(specimen, { ...call, alone: false });
  }

  /** Fetches the models that such a picture will need. */
  async stock(requirements: Requirements): Promise<void> {
    const { names } = await this.#with(undefined, (engine) => this.#plan(engine, requirements));
    await this.#options.models.ensure(names);
  }

  /** Reads a picture; a worker that is lost meanwhile is replaced and the picture read once more. */
  async recognize(picture: Picture, call: RecognizeCall): Promise<Document[]> {
    try {
      return await this.#recognize(picture, call);
    } catch (thrown) {
      if (OcrError.from(thrown).code !== "worker_lost" || call.signal?.aborted) throw thrown;
      return this.#recognize(picture, call);
    }
  }

  /** The recogniser for these requirements at the other end of a port, and its dictionary; null where it has none of its
   * own. An engine that ends is heard of as one that is silent. */
  async offerLines(
    requirements: Requirements,
    signal?: AbortSignal,
  ): Promise<{ recogniser: string; dictionary: string; port: MessagePort } | null> {
    const { models } = this.#options;
    return this.#with(signal, async (engine) => {
      const { recogniser } = await this.#plan(engine, requirements, signal);
      const list = await models.list();
      const dictionary = list.find(({ name }) => name === recogniser)?.dictionary;
      if (!dictionary) return null;
      await models.ensure([recogniser, dictionary], undefined, signal);
      if (!engine.has(recogniser)) await this.#load(engine, recogniser);
      const text = new TextDecoder().decode(await models.bytes(dictionary));
      const { port1, port2 } = new MessageChannel();
      await engine.call({ kind: "help", port: port1 }, {}, signal, [port1]);
      return { recogniser, dictionary: text, port: port2 };
    });
  }

  /** The pages of a file as pictures, for what the browser itself can't show. */
  async pages(file: Blob): Promise<Blob[]> {
    return this.#with(undefined, async (engine) => {
      const bytes = await file.arrayBuffer();
      return engine.call({ kind: "pages", file: bytes }, {}, undefined, [bytes]);
    });
  }

  /** Ends all workers; the next call starts fresh ones. */
  reset(): void {
    for (const engine of this.#engines) engine.end(new OcrError("worker_lost", "the engines were restarted"));
    this.#engines = [];
    this.#idle.length = 0;
  }

  /** Ends the workers that have nothing to do. */
  rest(): void {
    for (const engine of this.#idle.splice(0)) {
      engine.end();
      this.#engines = this.#engines.filter((other) => other !== engine);
    }
  }

  /** Ends all workers for good: calls under way and later ones fail with the error. */
  end(error: OcrError): void {
    this.#ended = error;
    for (const engine of this.#engines) engine.end(error);
    this.#engines = [];
    this.#idle.length = 0;
    for (const next of this.#waiting.splice(0)) next(error);
  }

  async #recognize(picture: Picture, call: RecognizeCall): Promise<Document[]> {
    const requirements = call.requirements ?? {};
    return this.#with(call.signal, async (engine) => {
      const { names, recogniser } = await this.#prepare(engine, call);
      const helping = call.alone ? await this.#lend(recogniser) : [];
      call.onStarted?.();
      try {
        const pixels = picture instanceof Blob ? await picture.arrayBuffer() : picture;
        const helpers = helping.map(({ port }) => port);
        const request = { kind: "recognize", picture: pixels, requirements, models: names, helpers } as const;
        const transfer = pixels instanceof ArrayBuffer ? [pixels, ...helpers] : helpers;
        return await engine.call(request, call, call.signal, transfer);
      } finally {
        for (const { helper } of helping) this.#give(helper);
      }
    });
  }

  /** Idle engines with the recogniser, each with the end of a channel to it. The page itself reads nothing meanwhile. */
  async #lend(recogniser: string): Promise<{ helper: WorkerEngine; port: MessagePort }[]> {
    const { size } = this.#options;
    const idle = this.#idle.splice(0);
    while (this.#engines.length < size) idle.push(this.#start());
    const lent = idle.map(async (helper) => {
      try {
        if (!helper.has(recogniser)) await this.#load(helper, recogniser);
        const { port1, port2 } = new MessageChannel();
        await helper.call({ kind: "help", port: port1 }, {}, undefined, [port1]);
        return [{ helper, port: port2 }];
      } catch {
        // It is faster with helpers, no more.
        this.#give(helper);
        return [];
      }
    });
    return (await Promise.all(lent)).flat();
  }

  /** The models that the requirements ask for, with what these need. */
  async #plan(
    engine: WorkerEngine,
    requirements: Requirements,
    signal?: AbortSignal,
  ): Promise<{ names: string[]; recogniser: string }> {
    const { models, offer } = this.#options;
    const list = await models.list();
    const available = offer(list, requirements);
    const plan = await engine.call({ kind: "plan", requirements, available }, {}, signal);
    const chosen = [plan.page_orientation, plan.detector, plan.line_orientation, plan.recogniser];
    const names = withDictionaries(
      chosen.filter((name) => name !== null),
      list,
    );
    return { names, recogniser: plan.recogniser };
  }

  /** Brings them into the engine. */
  async #prepare(engine: WorkerEngine, call: RecognizeCall): Promise<{ names: string[]; recogniser: string }> {
    const { names, recogniser } = await this.#plan(engine, call.requirements ?? {}, call.signal);
    const missing = names.filter((name) => !engine.has(name));
    await this.#options.models.ensure(missing, call.onModels, call.signal);
    for (const name of missing) await this.#load(engine, name);
    return { names, recogniser };
  }

  async #load(engine: WorkerEngine, name: string): Promise<void> {
    const { models } = this.#options;
    try {
      await engine.load(name, await models.bytes(name));
    } catch (thrown) {
      if (OcrError.from(thrown).code !== "wrong_bytes") throw thrown;
      // What was kept is damaged: fetched again, once.
      await models.remove([name]);
      await models.ensure([name]);
      await engine.load(name, await models.bytes(name));
    }
  }

  async #with<T>(signal: AbortSignal | undefined, work: (engine: WorkerEngine) => Promise<T>): Promise<T> {
    const engine = await this.#take(signal);
    try {
      return await work(engine);
    } catch (thrown) {
      // Whatever was cancelled by ending the worker is a cancelled call, not a lost worker.
      if (signal?.aborted && !isCancelled(thrown)) throw cancelled();
      throw thrown;
    } finally {
      this.#give(engine);
    }
  }

  #take(signal?: AbortSignal): Promise<WorkerEngine> {
    if (signal?.aborted) return Promise.reject(cancelled());
    if (this.#ended) return Promise.reject(this.#ended);
    const idle = this.#idle.pop();
    if (idle) return Promise.resolve(idle);
    if (this.#engines.length < this.#options.size) return Promise.resolve(this.#start());
    return new Promise((resolve, reject) => {
      const next = (engine: WorkerEngine | OcrError) => {
        signal?.removeEventListener("abort", stop);
        if (engine instanceof OcrError) reject(engine);
        else resolve(engine);
      };
      const stop = () => {
        this.#waiting.splice(this.#waiting.indexOf(next), 1);
        reject(cancelled());
      };
      signal?.addEventListener("abort", stop, { once: true });
      this.#waiting.push(next);
    });
  }

  #start(): WorkerEngine {
    const engine = new WorkerEngine(this.#options.createWorker, this.#compiled);
    this.#engines.push(engine);
    return engine;
  }

  #give(engine: WorkerEngine): void {
    if (this.#ended) return;
    let next: WorkerEngine | undefined = engine;
    if (engine.dead) {
      this.#engines = this.#engines.filter((other) => other !== engine);
      next = undefined;
    } else if (!this.#engines.includes(engine)) return;
    const waiting = this.#waiting.shift();
    if (waiting) waiting(next ?? this.#start());
    else if (next) {
      this.#idle.push(next);
      this.#endLater(next, IDLE);
    }
  }

  /** Ends it unless it was of use meanwhile. */
  #endLater(engine: WorkerEngine, wait: number): void {
    const { uses } = engine;
    const timer: unknown = setTimeout(() => {
      if (engine.uses !== uses || !this.#idle.includes(engine)) return;
      if (wait === IDLE && this.#engines.length === 1) return this.#endLater(engine, LAST_IDLE - IDLE);
      this.#idle.splice(this.#idle.indexOf(engine), 1);
      this.#engines = this.#engines.filter((other) => other !== engine);
      engine.end();
    }, wait);
    // Node.js doesn't wait for it before it exits.
    (timer as { unref?: () => void }).unref?.();
  }
}
