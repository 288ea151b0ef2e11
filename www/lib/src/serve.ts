/// <reference lib="webworker" />
// An engine in a thread of its own: hears the page's requests, answers them one by one.

import type { Engine } from "maoocr-wasm";

import { emptied, encoded } from "./frame.ts";
import { help, helper } from "./helpers.ts";
import type { FromWorker, Replies, Request, ToWorker } from "./protocol.ts";
import type { Frame } from "./types.ts";

declare const self: DedicatedWorkerGlobalScope;

/** The worker's end of the channel to the page: a browser's `self`, or what stands for it elsewhere. */
export interface Scope {
  postMessage(message: unknown, transfer: Transferable[]): void;
  onmessage: ((event: MessageEvent) => unknown) | null;
}

type Tell = (message: FromWorker, transfer?: Transferable[]) => void;

const running = new Map<number, AbortController>();

/** An engine, and the module it came of. */
export interface Opened {
  engine: Engine;
  module: WebAssembly.Module | null;
  memory?: WebAssembly.Memory;
}

/** Answers the page once the engine is there; `open` may be given the module compiled. */
export function serve(
  open: (compiled: WebAssembly.Module | null) => Promise<Opened>,
  scope: Scope = self as unknown as Scope,
): void {
  const tell: Tell = (message, transfer = []) => scope.postMessage(message, transfer);
  let opened: Promise<Opened> | null = null;
  const start = (compiled: WebAssembly.Module | null): Promise<Opened> => {
    if (opened) return opened;
    opened = open(compiled);
    // A module that can't be loaded is heard by every call; this keeps it from being reported a second time.
    opened.then(
      ({ module }) => module && !compiled && tell({ compiled: module }),
      () => undefined,
    );
    return opened;
  };
  scope.onmessage = async ({ data }: MessageEvent<ToWorker>) => {
    if ("module" in data) return void start(data.module);
    if ("ping" in data) return tell({ alive: true });
    if ("cancel" in data) {
      running.get(data.id)?.abort();
      return;
    }
    const controller = new AbortController();
    running.set(data.id, controller);
    try {
      const { engine, memory } = await start(null);
      const value = await answer(engine, tell, data.id, data.request, controller.signal);
      tell({ id: data.id, value, ...(memory && { memory: memory.buffer.byteLength }) });
    } catch (thrown) {
      const { code, message } = thrown as { code?: string; message?: string };
      tell({ id: data.id, failure: { code: code ?? "internal", message: message ?? String(thrown) } });
    } finally {
      running.delete(data.id);
    }
  };
}

async function answer(
  engine: Engine,
  tell: Tell,
  id: number,
  request: Request,
  signal: AbortSignal,
): Promise<Replies[keyof Replies]> {
  switch (request.kind) {
    case "plan":
      return engine.plan(request.requirements, request.available);
    case "load":
      try {
        await engine.load(request.name, new Uint8Array(request.bytes));
      } finally {
        emptied(request.bytes);
      }
      return undefined;
    case "recognize":
      try {
        return await engine.recognize(request.picture, request.requirements, {
          onDetected: (boxes) => tell({ id, detected: boxes }),
          onLine: (line) => tell({ id, line }),
          onWithdrawn: (withdrawn) => tell({ id, withdrawn }),
          signal,
          models: request.models,
          helpers: request.helpers.map(helper),
        });
      } finally {
        for (const port of request.helpers) port.close();
        emptied(request.picture);
      }
    case "help":
      help(request.port, (...asked) => engine.readLines(...asked));
      return undefined;
    case "pages":
      try {
        return await pictures(await engine.pages(request.file));
      } finally {
        emptied(request.file);
      }
  }
}

/** One after another: the pixels of a page are let go of before the next one is encoded. */
async function pictures(frames: Frame[]): Promise<Blob[]> {
  const made: Blob[] = [];
  for (let frame = frames.shift(); frame; frame = frames.shift()) made.push(await encoded(frame));
  return made;
}
