/// <reference lib="webworker" />
// The engine on a GPU; the worker's name is the device, `gpu` or `gpu:0`.

import init, { Engine } from "maoocr-wasm-gpu";

import { serve } from "./serve.ts";

declare const self: DedicatedWorkerGlobalScope;

serve(init().then(() => Engine.create({ device: self.name })));
