// What tests put in place of workers and of a site with one model.

import type { ModelFile } from "../src/models.ts";
import type { FromWorker, Request, ToWorker } from "../src/protocol.ts";
import type { Document, Plan } from "../src/types.ts";

export const SHA = "9f64a747e1b97f131fabb6b447296c9b6f0201e79fb3c5356e6c77e89b6a806a";
export const FILE: ModelFile = {
  name: "det",
  file: "det.onnx",
  task: "detection",
  tier: "tiny",
  bytes: 4,
  sha256: SHA,
  languages: [],
  dictionary: null,
};
const PLAN = { detector: "det", recogniser: "det", page_orientation: null, line_orientation: null } as Plan;
export const DOCUMENT = { text: "read" } as Document;

export type Behaviour = (worker: FakeWorker, id: number, request: Request) => void;

/** A worker whose answers a test decides. */
export class FakeWorker {
  static made: FakeWorker[] = [];
  onmessage: ((event: { data: FromWorker }) => void) | null = null;
  onerror: ((event: { message: string; preventDefault(): void }) => void) | null = null;
  onmessageerror: (() => void) | null = null;
  terminated = false;
  cancelled: number[] = [];
  pings = 0;
  seen: string[] = [];
  /** What it was started with. */
  modules: (WebAssembly.Module | null)[] = [];

  constructor(readonly behaviour: Behaviour) {
    FakeWorker.made.push(this);
  }

  postMessage(message: ToWorker): void {
    if (this.terminated) return;
    if ("module" in message) this.modules.push(message.module);
    else if ("ping" in message) this.pings += 1;
    else if ("cancel" in message) this.cancelled.push(message.id);
    else if (message.request.kind === "plan") this.say({ id: message.id, value: PLAN });
    else if (message.request.kind === "load" || message.request.kind === "help") {
      this.seen.push(message.request.kind);
      this.say({ id: message.id, value: undefined });
    } else this.behaviour(this, message.id, message.request);
  }

  say(data: FromWorker): void {
    queueMicrotask(() => this.onmessage?.({ data }));
  }

  crash(): void {
    this.onerror?.({ message: "gone", preventDefault: () => undefined });
  }

  terminate(): void {
    this.terminated = true;
  }
}

export const reads: Behaviour = (worker, id) => worker.say({ id, value: [DOCUMENT] });
