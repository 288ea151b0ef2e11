// The engine's modules, which `cargo xtask wasm` builds: the part of their interface that the workers call, so that
// types can be checked without a build.

import type {
  BestPath,
  Document,
  EngineOptions,
  Frame,
  Plan,
  RecognizeOptions,
  Requirements,
} from "../../../crates/wasm/src/types.d.ts";

export class Engine {
  constructor(options?: EngineOptions);
  static create(options?: EngineOptions): Promise<Engine>;
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
