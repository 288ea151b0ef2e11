import { svelte } from "@sveltejs/vite-plugin-svelte";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { defineConfig } from "vite";
import { VitePWA } from "vite-plugin-pwa";

import { contentSecurityPolicy } from "./build/csp.ts";
import { manifest, translatedManifests } from "./build/manifest.ts";
import { models } from "./build/models.ts";

const repository = resolve(import.meta.dirname, "../..");
const cpu = resolve(repository, "pkg/web/maoocr.js");
/** The one with relaxed SIMD, where it was built. */
const faster = resolve(repository, "pkg/web-relaxed/maoocr_relaxed.js");
const relaxed = existsSync(faster) ? faster : cpu;
const documents = resolve(repository, "pkg/web-documents/maoocr_documents.js");
const gpu = resolve(repository, "pkg/web-gpu/maoocr_gpu.js");
/** Of the module for GPUs; empty where it wasn't built: the app is one without it then. */
const gpuVersion = existsSync(gpu)
  ? createHash("sha256")
      .update(readFileSync(gpu.replace(".js", "_bg.wasm")))
      .digest("hex")
      .slice(0, 16)
  : "";

export default defineConfig({
  // Relative, so that the app works under any path of any host.
  base: "./",
  resolve: {
    alias: [
      { find: /^maoocr-wasm$/, replacement: cpu },
      { find: /^maoocr-wasm-module$/, replacement: `${cpu.replace(".js", "_bg.wasm")}?url` },
      { find: /^maoocr-wasm-relaxed$/, replacement: relaxed },
      { find: /^maoocr-wasm-relaxed-module$/, replacement: `${relaxed.replace(".js", "_bg.wasm")}?url` },
      { find: /^maoocr-wasm-documents$/, replacement: documents },
      { find: /^maoocr-wasm-gpu$/, replacement: gpuVersion ? gpu : cpu },
    ],
  },
  define: { GPU_VERSION: JSON.stringify(gpuVersion) },
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
    translatedManifests(),
    VitePWA({
      strategies: "injectManifest",
      srcDir: "src",
      filename: "sw.ts",
      // The person decides when an update takes over.
      registerType: "prompt",
      injectRegister: false,
      manifest,
      injectManifest: {
        // Models are kept by their hash; the modules for documents and for GPUs when they are first used.
        globPatterns: ["**/*.{js,mjs,css,html,svg,png,wasm,webmanifest}", "models.json"],
        globIgnores: [
          "models/**",
          "assets/documents-worker-*",
          "assets/maoocr_documents_bg-*",
          "assets/gpu-worker-*",
          "assets/maoocr_gpu_bg-*",
          "assets/reader-*",
          "assets/zxing_reader-*",
        ],
        maximumFileSizeToCacheInBytes: 6_000_000,
        minify: true,
        sourcemap: false,
      },
    }),
  ],
});
