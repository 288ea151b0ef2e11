//! TypeScript's view of what crosses as plain objects.

use wasm_bindgen::prelude::wasm_bindgen;

/// From `pkg/`, where the module's types are written to.
#[wasm_bindgen(typescript_custom_section)]
const ENGINES: &str = "import type { BestPath, Block, Document, Frame, Line, Quad } from \"../../crates/wasm/src/types.d.ts\";";

/// Without its first line, an import that has another path there.
#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = include_str!("types.d.ts")
    .split_at("import type { BestPath, Block, Document, Frame, Line, Quad } from \"../../wasm/src/types.d.ts\";".len())
    .1;
