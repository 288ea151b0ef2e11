// Which of the engine's modules a worker takes: the one with relaxed SIMD where that is known, which is faster.

import type { Opened } from "./serve.ts";
import { relaxedSimd } from "./simd.ts";

type Glue = typeof import("maoocr-wasm");

/** A module as the build left it. */
export interface Build {
  /** Its JavaScript. */
  glue: () => Promise<Glue>;
  compile: () => Promise<WebAssembly.Module>;
}

/** Of another build than the page's, a compiled module has other imports: then it is compiled anew. */
export function opener(plain: Build, relaxed: Build): (compiled: WebAssembly.Module | null) => Promise<Opened> {
  return async (compiled) => {
    if (relaxedSimd()) {
      try {
        return await started(relaxed, compiled);
      } catch {
        // A browser that learned it by an update, offline: what is kept is the other one.
      }
    }
    return started(plain, compiled);
  };
}

async function started({ glue, compile }: Build, compiled: WebAssembly.Module | null): Promise<Opened> {
  const [{ default: init, Engine }, module] = await Promise.all([glue(), compiled ?? compile()]);
  const { memory } = await init({ module_or_path: module });
  return { engine: new Engine(), module, memory };
}

/** While it arrives, where its server says what it is. */
export async function compileFrom(url: string | URL): Promise<WebAssembly.Module> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: HTTP ${response.status}`);
  const wasm = response.headers.get("content-type")?.startsWith("application/wasm");
  return wasm ? WebAssembly.compileStreaming(response) : WebAssembly.compile(await response.arrayBuffer());
}

/** The same of a module that is packed with gzip. */
export async function compilePacked(url: string | URL): Promise<WebAssembly.Module> {
  const response = await fetch(url);
  if (!response.ok || !response.body) throw new Error(`${url}: HTTP ${response.status}`);
  const unpacked = response.body.pipeThrough(new DecompressionStream("gzip"));
  return WebAssembly.compileStreaming(new Response(unpacked, { headers: { "content-type": "application/wasm" } }));
}
