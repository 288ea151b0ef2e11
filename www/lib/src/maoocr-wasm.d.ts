// The engine's module, which `cargo xtask wasm` builds: the part of its interface that the worker calls, so that types
// can be checked without a build.

import type {
  BestPath,
  Document,
  Frame,
  Plan,
  RecognizeOptions,
  Requirements,
} from "../../../crates/wasm/src/types.d.ts";

export class Engine {
  load(name: string, bytes: Uint8Array): Promise<void>;
  plan(requirements?: Requirements, available?: string[]): Plan;
  recognize(
    picture: Uint8Array | ArrayBuffer | Frame,
    requirements?: Requirements,
    options?: RecognizeOptions,
  ): Promise<Document[]>;
  readLines(recogniser: string, input: Float32Array, shape: ArrayLike<number>): Promise<BestPath>;
  pages(file: Uint8Array | ArrayBuffer): Promise<Frame[]>;
}

export default function init(): Promise<unknown>;
