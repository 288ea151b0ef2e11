/// <reference lib="webworker" />
// An engine in a thread of its own: hears the page's requests, answers them one by one.

import type { Engine } from "maoocr-wasm";

import { encoded } from "./frame.ts";
import { help, helper } from "./helpers.ts";
import type { FromWorker, Replies, Request, ToWorker } from "./protocol.ts";
import type { Frame } from "./types.ts";

declare const self: DedicatedWorkerGlobalScope;

const running = new Map<number, AbortController>();

function tell(message: FromWorker, transfer: Transferable[] = []): void {
  self.postMessage(message, transfer);
}

/** Answers the page once the engine is there. */
export function serve(opened: Promise<Engine>): void {
  self.onmessage = async ({ data }: MessageEvent<ToWorker>) => {
    if ("ping" in data) return tell({ alive: true });
    if ("cancel" in data) {
      running.get(data.id)?.abort();
      return;
    }
    const controller = new AbortController();
    running.set(data.id, controller);
    try {
      const value = await answer(await opened, data.id, data.request, controller.signal);
      tell({ id: data.id, value });
    } catch (thrown) {
      const { code, message } = thrown as { code?: string; message?: string };
      tell({ id: data.id, failure: { code: code ?? "internal", message: message ?? String(thrown) } });
    } finally {
      running.delete(data.id);
    }
  };

  // A module that can't be loaded is heard by every call; this keeps it from being reported a second time.
  opened.catch(() => undefined);
}

async function answer(
  engine: Engine,
  id: number,
  request: Request,
  signal: AbortSignal,
): Promise<Replies[keyof Replies]> {
  switch (request.kind) {
    case "plan":
      return engine.plan(request.requirements, request.available);
    case "load":
      await engine.load(request.name, new Uint8Array(request.bytes));
      return undefined;
    case "recognize":
      try {
        return await engine.recognize(request.picture, request.requirements, {
          onDetected: (boxes) => tell({ id, detected: boxes }),
          onLine: (line) => tell({ id, line }),
          signal,
          models: request.models,
          helpers: request.helpers.map(helper),
        });
      } finally {
        for (const port of request.helpers) port.close();
      }
    case "help":
      help(request.port, (...asked) => engine.readLines(...asked));
      return undefined;
    case "pages":
      return pictures(await engine.pages(request.file));
  }
}

/** One after another: the pixels of a page are let go of before the next one is encoded. */
async function pictures(frames: Frame[]): Promise<Blob[]> {
  const made: Blob[] = [];
  for (let frame = frames.shift(); frame; frame = frames.shift()) made.push(await encoded(frame));
  return made;
}
