// The page's side of one worker: typed calls, events, and what happens when the worker dies.

import { OcrError, cancelled } from "./errors.ts";
import type { FromWorker, Replies, Request, ToWorker } from "./protocol.ts";
import type { Events } from "./types.ts";

interface Call {
  resolve: (value: Replies[keyof Replies]) => void;
  reject: (error: OcrError) => void;
  events: Events;
}

/** After this long without an answer to a cancel, the worker is ended instead, ms. */
const PATIENCE = 2000;
/** How often a worker with work to do is asked whether it lives, ms. */
const PING = 5000;
/** After these a fresh worker is safer: a module that trapped or whose memory ran out has leaked what it was working on,
 * a GPU that is gone doesn't come back to it. */
const FATAL = new Set(["internal", "out_of_memory", "device_lost", "device_out_of_memory"]);
/** A worker that was silent for so long is taken for lost, ms. The longest run of a network on a slow phone takes less. */
const SILENCE = 45_000;

/** The module as one worker compiled it, for those that come after. */
export interface Compiled {
  module: WebAssembly.Module | null;
}

export class WorkerEngine {
  readonly #worker: Worker;
  readonly #compiled: Compiled;
  readonly #calls = new Map<number, Call>();
  readonly #loaded = new Set<string>();
  #next = 1;

  /** Calls so far. */
  get uses(): number {
    return this.#next - 1;
  }

  /** Of its module when it last answered, bytes. */
  #memory = 0;
  /** Why it is of no more use; null while it lives. */
  #dead: OcrError | null = null;
  /** When it last said something, ms. */
  #heard = 0;
  #watch: ReturnType<typeof setInterval> | undefined;

  constructor(create: () => Worker, compiled: Compiled = { module: null }) {
    this.#compiled = compiled;
    this.#worker = create();
    this.#worker.onmessage = ({ data }: MessageEvent<FromWorker>) => this.#hear(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.end(new OcrError("worker_lost", event.message || "the engine's thread could not be started"));
    };
    this.#worker.onmessageerror = () => this.end(new OcrError("worker_lost", "a message could not be read"));
    this.#post({ module: compiled.module });
  }

  /** What its module takes, bytes. */
  get memory(): number {
    return this.dead ? 0 : this.#memory;
  }

  get dead(): boolean {
    return this.#dead !== null;
  }

  /** Whether it was given this file. */
  has(name: string): boolean {
    return this.#loaded.has(name);
  }

  async load(name: string, bytes: ArrayBuffer): Promise<void> {
    await this.call({ kind: "load", name, bytes }, {}, undefined, [bytes]);
    this.#loaded.add(name);
  }

  call<R extends Request>(
    request: R,
    events: Events = {},
    signal?: AbortSignal,
    transfer: Transferable[] = [],
  ): Promise<Replies[R["kind"]]> {
    if (this.#dead) return Promise.reject(this.#dead);
    if (signal?.aborted) return Promise.reject(cancelled());
    const id = this.#next++;
    if (this.#calls.size === 0) this.#guard();
    return new Promise<Replies[keyof Replies]>((resolve, reject) => {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const stop = () => {
        this.#post({ id, cancel: true });
        timer = setTimeout(() => this.end(cancelled()), PATIENCE);
      };
      signal?.addEventListener("abort", stop, { once: true });
      const settled = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", stop);
        this.#calls.delete(id);
        if (this.#calls.size === 0) clearInterval(this.#watch);
      };
      this.#calls.set(id, {
        events,
        resolve: (value) => {
          settled();
          resolve(value);
        },
        reject: (error) => {
          settled();
          reject(error);
        },
      });
      this.#post({ id, request }, transfer);
    }) as Promise<Replies[R["kind"]]>;
  }

  /** Ends the thread; calls under way fail with `error`. */
  end(error: OcrError = cancelled()): void {
    this.#dead ??= error;
    this.#worker.terminate();
    for (const call of [...this.#calls.values()]) call.reject(error);
  }

  /** Browsers don't tell of a worker that they ended for its memory. */
  #guard(): void {
    this.#heard = Date.now();
    this.#watch = setInterval(() => {
      if (Date.now() - this.#heard > SILENCE) this.end(new OcrError("worker_lost", "the engine's thread is silent"));
      else this.#post({ ping: true });
    }, PING);
  }

  #post(message: ToWorker, transfer: Transferable[] = []): void {
    this.#worker.postMessage(message, transfer);
  }

  #hear(message: FromWorker): void {
    this.#heard = Date.now();
    if ("alive" in message) return;
    if ("compiled" in message) {
      this.#compiled.module = message.compiled;
      return;
    }
    const call = this.#calls.get(message.id);
    if (!call) return;
    if ("value" in message) {
      this.#memory = message.memory ?? 0;
      call.resolve(message.value);
    } else if ("failure" in message) {
      const { code, message: text } = message.failure;
      call.reject(new OcrError(code, text));
      if (FATAL.has(code)) this.end(new OcrError("worker_lost", text));
    } else if ("detected" in message) call.events.onDetected?.(message.detected);
    else if ("withdrawn" in message) call.events.onWithdrawn?.(message.withdrawn);
    else call.events.onLine?.(message.line);
  }
}
