// An engine in a thread of Node.js.

import { readFile } from "node:fs/promises";
import { parentPort } from "node:worker_threads";

import { opener } from "./dist/open.js";
import { serve } from "./dist/serve.js";

const compile = (path) => async () => WebAssembly.compile(await readFile(new URL(path, import.meta.url)));

serve(
  opener(
    { glue: () => import("./web/maoocr.js"), compile: compile("./web/maoocr_bg.wasm") },
    { glue: () => import("./web-relaxed/maoocr_relaxed.js"), compile: compile("./web-relaxed/maoocr_relaxed_bg.wasm") },
  ),
  {
    postMessage: (message, transfer) => parentPort.postMessage(message, transfer),
    set onmessage(hear) {
      parentPort.on("message", (data) => hear({ data }));
    },
  },
);
