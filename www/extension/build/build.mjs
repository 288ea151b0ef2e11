// The extension for both stores: dist/chrome, dist/firefox and an archive of each, the same bytes every time. Another
// folder than dist may be named.

import { svelte } from "@sveltejs/vite-plugin-svelte";
import { gzipSync, zipSync } from "fflate";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { build, runnerImport } from "vite";

import { manifest } from "./manifest.mjs";

const root = resolve(import.meta.dirname, "..");
const repository = resolve(root, "../..");
/** TypeScript, which Node.js 20 doesn't load itself. */
const { modelsFor } = (await runnerImport(resolve(root, "../app/build/models.ts"))).module;
const dist = resolve(process.argv[2] ?? join(root, "dist"));
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

/** The stores take no larger file, bytes. */
const LARGEST = 5_000_000;

const plain = resolve(repository, "pkg/web/maoocr.js");
const faster = resolve(repository, "pkg/web-relaxed/maoocr_relaxed.js");
const relaxed = existsSync(faster) ? faster : plain;
const documents = resolve(repository, "pkg/web-documents/maoocr_documents.js");
const alias = [
  { find: /^maoocr-wasm$/, replacement: plain },
  { find: /^maoocr-wasm-module$/, replacement: `${plain.replace(".js", "_bg.wasm")}?url` },
  { find: /^maoocr-wasm-relaxed$/, replacement: relaxed },
  { find: /^maoocr-wasm-relaxed-module$/, replacement: `${relaxed.replace(".js", "_bg.wasm")}?url` },
  { find: /^maoocr-wasm-documents$/, replacement: documents },
  { find: /^maoocr-wasm-documents-module$/, replacement: `${documents.replace(".js", "_bg.wasm")}?url` },
];
const names = {
  entryFileNames: "[name].js",
  chunkFileNames: "parts/[name]-[hash].js",
  assetFileNames: "parts/[name]-[hash][extname]",
};
const common = { root: join(root, "src"), base: "./", configFile: false, logLevel: "warn", resolve: { alias } };
const target = "es2022";

/** Pages, the background and the engine's worker. */
async function pages(outDir) {
  const input = Object.fromEntries(
    ["popup.html", "panel.html", "options.html", "reader.html", "offscreen.html", "background.ts"].map((file) => [
      file.replace(/\.\w+$/, ""),
      join(root, "src", file),
    ]),
  );
  await build({
    ...common,
    publicDir: join(root, "public"),
    plugins: [
      // As trees of elements: no markup is parsed, whatever the stores think of `innerHTML`.
      svelte({
        configFile: false,
        compilerOptions: {
          fragments: "tree",
          // Else names of components and styles depend on the folder that the build was started in.
          ...{ rootDir: root, cssHash: ({ hash, css }) => `svelte-${hash(css)}` },
        },
      }),
      modelsFor(
        resolve(repository, "models/manifest.toml"),
        ({ tier, name }) => tier === "tiny" || name === "ppocrv6-tiny-dict",
      ),
    ],
    worker: { format: "es", rollupOptions: { output: names } },
    build: {
      ...{ outDir, target, emptyOutDir: true, assetsInlineLimit: 0, modulePreload: { polyfill: false } },
      license: { fileName: "licences.md" },
      rollupOptions: { input, output: names },
    },
  });
}

/** What runs in pages: one script that can be injected. */
async function content(outDir) {
  await build({
    ...common,
    publicDir: false,
    build: {
      ...{ outDir, target, emptyOutDir: false },
      lib: {
        entry: join(root, "src/content/main.ts"),
        formats: ["iife"],
        name: "maoocr",
        fileName: () => "content.js",
      },
    },
  });
}

function filesOf(folder, under = "") {
  return readdirSync(join(folder, under), { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => (entry.isDirectory() ? filesOf(folder, join(under, entry.name)) : [join(under, entry.name)]));
}

/** The module for documents is larger than a file may be: `documents-worker.ts` unpacks it. */
function pack(path) {
  if (!/maoocr_documents_bg-[^/\\]*\.wasm$/.test(path)) return;
  writeFileSync(`${path}.gz`, gzipSync(readFileSync(path), { level: 9, mtime: 0 }));
  rmSync(path);
}

/** With one date for all, in one order: the same files are the same archive. */
function archive(folder, path) {
  const entries = filesOf(folder).map((name) => [
    name.replaceAll("\\", "/"),
    [readFileSync(join(folder, name)), { mtime: new Date(1980, 0, 1), level: 9 }],
  ]);
  writeFileSync(path, zipSync(Object.fromEntries(entries)));
}

rmSync(dist, { recursive: true, force: true });
const shared = join(dist, "shared");
await pages(shared);
await content(shared);
for (const file of ["LICENSE", "NOTICE"]) cpSync(join(repository, file), join(shared, file));
for (const name of filesOf(shared)) pack(join(shared, name));
for (const name of filesOf(shared)) {
  const { size } = statSync(join(shared, name));
  if (size > LARGEST) throw new Error(`${name} has ${size} bytes: the stores take ${LARGEST}`);
}
for (const browser of ["chrome", "firefox"]) {
  const folder = join(dist, browser);
  mkdirSync(folder);
  cpSync(shared, folder, { recursive: true });
  writeFileSync(join(folder, "manifest.json"), `${JSON.stringify(manifest(browser, version), null, 2)}\n`);
  // Firefox has no offscreen documents: its background has the engine.
  if (browser === "firefox") rmSync(join(folder, "offscreen.html"));
  archive(folder, join(dist, `maoocr-${browser}-${version}.zip`));
}
rmSync(shared, { recursive: true });
for (const name of readdirSync(dist)) {
  if (name.endsWith(".zip")) console.log(`${name}: ${(statSync(join(dist, name)).size / 1e6).toFixed(2)} MB`);
}
