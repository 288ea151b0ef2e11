// The engine on the CPU: the module with relaxed SIMD where the browser has it, which is faster.

import type { Engine } from "maoocr-wasm";

import { serve } from "./serve.ts";
import { relaxedSimd } from "./simd.ts";

async function open(): Promise<Engine> {
  if (relaxedSimd()) {
    try {
      return await started(import("maoocr-wasm-relaxed"));
    } catch {
      // A browser that learned it by an update, offline: what is kept is the other one.
    }
  }
  return started(import("maoocr-wasm"));
}

async function started(loading: Promise<typeof import("maoocr-wasm")>): Promise<Engine> {
  const module = await loading;
  await module.default();
  return new module.Engine();
}

serve(open());
