// An engine in a browser's worker.

import { compileFrom, opener } from "./dist/open.js";
import { serve } from "./dist/serve.js";

serve(
  opener(
    {
      glue: () => import("./web/maoocr.js"),
      compile: () => compileFrom(new URL("./web/maoocr_bg.wasm", import.meta.url)),
    },
    {
      glue: () => import("./web-relaxed/maoocr_relaxed.js"),
      compile: () => compileFrom(new URL("./web-relaxed/maoocr_relaxed_bg.wasm", import.meta.url)),
    },
  ),
);
