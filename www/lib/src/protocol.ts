// What goes between the page and an engine's worker.

import type { Document, Frame, LineEvent, Plan, Quad, Requirements } from "./types.ts";

export type Request =
  | { kind: "plan"; requirements: Requirements; available: string[] }
  | { kind: "load"; name: string; bytes: ArrayBuffer }
  | { kind: "recognize"; picture: ArrayBuffer | Frame; requirements: Requirements; models: string[] }
  | { kind: "pages"; file: ArrayBuffer };

export interface Replies {
  plan: Plan;
  load: undefined;
  recognize: Document[];
  pages: Frame[];
}

export type ToWorker = { id: number; request: Request } | { id: number; cancel: true };

export type FromWorker =
  | { ready: true }
  | { id: number; value: Replies[keyof Replies] }
  | { id: number; failure: { code: string; message: string } }
  | { id: number; detected: Quad[] }
  | { id: number; line: LineEvent };
