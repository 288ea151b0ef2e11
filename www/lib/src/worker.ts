// The engine on the CPU, from the modules that the bundler placed.

import { compileFrom, opener } from "./open.ts";
import { serve } from "./serve.ts";

serve(
  opener(
    {
      glue: () => import("maoocr-wasm"),
      compile: async () => compileFrom((await import("maoocr-wasm-module")).default),
    },
    {
      glue: () => import("maoocr-wasm-relaxed"),
      compile: async () => compileFrom((await import("maoocr-wasm-relaxed-module")).default),
    },
  ),
);
