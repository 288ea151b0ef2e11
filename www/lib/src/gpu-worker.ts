/// <reference lib="webworker" />
// The engine on a GPU; the worker's name is the device, `gpu` or `gpu:0`.

import init, { Engine } from "maoocr-wasm-gpu";

import { serve } from "./serve.ts";

declare const self: DedicatedWorkerGlobalScope;

// One worker at a time has it: there is nobody to share the module with.
serve(async () => {
  await init();
  return { engine: await Engine.create({ device: self.name }), module: null };
});
