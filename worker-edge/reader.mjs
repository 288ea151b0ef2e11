// Makes what the Worker reads with: instances of a module of its own, each with its own memory. `cargo xtask edge` puts it
// beside the module.

import bindings from "./maoocr_edge_reader.js";
import module from "./maoocr_edge_reader_bg.wasm";

let memory;

/** A reader without models, and what says why its last PDF ended in a trap. */
export function open() {
  const made = bindings();
  ({ memory } = made.initSync({ module }));
  return { reader: new made.Reader(), stopped: made.stopped };
}

/** Bytes of memory that the last one has. */
export const size = () => memory?.buffer.byteLength ?? 0;
