// What goes between the page and an engine's worker.

import type { BestPath, Document, Frame, LineEvent, Plan, Quad, Requirements } from "./types.ts";

export type Request =
  | { kind: "plan"; requirements: Requirements; available: string[] }
  | { kind: "load"; name: string; bytes: ArrayBuffer }
  | {
      kind: "recognize";
      picture: ArrayBuffer | Frame;
      requirements: Requirements;
      models: string[];
      /** Each leads to a worker that reads a share of the lines. */
      helpers: MessagePort[];
    }
  | { kind: "help"; port: MessagePort }
  | { kind: "pages"; file: ArrayBuffer };

export interface Replies {
  plan: Plan;
  load: undefined;
  recognize: Document[];
  help: undefined;
  pages: Blob[];
}

/** A ping is answered between two runs of a network: a worker that doesn't answer for long is gone. */
export type ToWorker =
  /** First of all: the compiled module, where another worker had it compiled. */
  | { module: WebAssembly.Module | null }
  | { id: number; request: Request }
  | { id: number; cancel: true }
  | { ping: true };

export type FromWorker =
  | { alive: true }
  | { compiled: WebAssembly.Module }
  /** `memory`: of the module, bytes. */
  | { id: number; value: Replies[keyof Replies]; memory?: number }
  | { id: number; failure: { code: string; message: string } }
  | { id: number; detected: Quad[] }
  | { id: number; withdrawn: number }
  | { id: number; line: LineEvent };

/** Between a worker and its helper. */
export interface LinesAsked {
  id: number;
  recogniser: string;
  input: Float32Array<ArrayBuffer>;
  shape: number[];
}

/** `best` is null where it couldn't be done. */
export interface LinesRead {
  id: number;
  best: BestPath | null;
}
