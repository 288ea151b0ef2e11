import { svelte } from "@sveltejs/vite-plugin-svelte";
import { resolve } from "node:path";
import { defineConfig } from "vite";
import { VitePWA } from "vite-plugin-pwa";

import { contentSecurityPolicy } from "./build/csp.ts";
import { manifest } from "./build/manifest.ts";
import { models } from "./build/models.ts";
import { pdfAssets } from "./build/pdf.ts";

const repository = resolve(import.meta.dirname, "../..");

export default defineConfig({
  // Relative, so that the app works under any path of any host.
  base: "./",
  resolve: { alias: { "maoocr-wasm": resolve(repository, "pkg/web/maoocr.js") } },
  worker: { format: "es" },
  build: {
    target: "es2022",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    license: { fileName: "licences.md" },
  },
  server: { fs: { allow: [repository] } },
  plugins: [
    svelte(),
    contentSecurityPolicy(),
    models(resolve(repository, "models/manifest.toml")),
    pdfAssets(),
    VitePWA({
      strategies: "injectManifest",
      srcDir: "src",
      filename: "sw.ts",
      // The person decides when an update takes over.
      registerType: "prompt",
      injectRegister: false,
      manifest,
      injectManifest: {
        // Models are kept by their hash; a PDF's rare character maps and fonts when they are first used.
        globPatterns: ["**/*.{js,css,html,svg,png,wasm,webmanifest}", "models.json"],
        globIgnores: ["models/**", "pdf/cmaps/**", "pdf/standard_fonts/**", "pdf/wasm/*fallback.js"],
        maximumFileSizeToCacheInBytes: 6_000_000,
        minify: true,
        sourcemap: false,
      },
    }),
  ],
});
