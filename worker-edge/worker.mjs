// The Worker's entry: what the runtime calls, passed to the module. `cargo xtask edge` puts it beside the module.

import module from "./maoocr_edge_bg.wasm";
import { fetch, initSync, queue, scheduled } from "./maoocr_edge.js";

initSync({ module });

// Loaded with the first picture or PDF that is read here.
globalThis.openReader = async () => (await import("./reader.mjs")).open();

export { Batch, Quota } from "./maoocr_edge.js";

export default {
  fetch: (request, env, context) => fetch(request, env, context),
  scheduled: (event, env, context) => scheduled(event, env, context),
  queue: (batch, env, context) => queue(batch, env, context),
};
