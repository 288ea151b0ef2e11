import { cp } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { createRequire } from "node:module";
import type { Plugin } from "vite";

/** What PDF.js fetches while it draws: image decoders, character maps, the fonts that a PDF may leave out. */
export function pdfAssets(): Plugin {
  const source = dirname(createRequire(import.meta.url).resolve("pdfjs-dist/package.json"));
  let out = "";
  return {
    name: "pdf-assets",
    apply: "build",
    configResolved: (config) => {
      out = resolve(config.root, config.build.outDir, "pdf");
    },
    async writeBundle() {
      for (const name of ["cmaps", "standard_fonts", "wasm"]) {
        await cp(join(source, name), join(out, name), { recursive: true });
      }
    },
  };
}
