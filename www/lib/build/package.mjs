// What of the npm package `maoocr` isn't in git: the client as JavaScript, the types of the engine, the models, the
// licences. The WebAssembly modules are there already (`cargo xtask wasm`).

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { parse } from "smol-toml";

const repository = resolve(import.meta.dirname, "../../..");
const target = join(repository, "pkg");
const store = process.env.MAOOCR_MODELS ?? join(homedir(), ".cache/maoocr/models");
const compact = process.env.MAOOCR_COMPACT_MODELS;

/** The models that come with it: those that read most, for the fewest bytes. */
const BUNDLED = ["ppocrv6-tiny-det", "ppocrv6-tiny-rec", "ppocrv6-tiny-dict"];

const { model: manifest } = parse(readFileSync(join(repository, "models/manifest.toml"), "utf8"));

for (const folder of ["dist", "models"]) {
  rmSync(join(target, folder), { recursive: true, force: true });
  mkdirSync(join(target, folder));
}
for (const module of ["web/maoocr", "web-relaxed/maoocr_relaxed"]) {
  const built = existsSync(join(target, `${module}.js`)) && existsSync(join(target, `${module}_bg.wasm`));
  if (!built) throw new Error(`pkg/${module}.js isn't there: cargo xtask wasm`);
}

const tsc = join(repository, "www/node_modules/typescript/bin/tsc");
const project = join(import.meta.dirname, "../tsconfig.package.json");
execFileSync(process.execPath, [tsc, "--project", project], { stdio: "inherit" });
copyFileSync(join(repository, "crates/wasm/src/types.d.ts"), join(target, "dist/types.d.ts"));

const catalogue = manifest
  .filter(({ task }) => task !== "layout")
  .map(({ name, task, tier = null, languages = [], dictionary = null }) => ({
    name,
    task,
    tier,
    languages,
    dictionary,
  }));
writeFileSync(
  join(target, "dist/catalogue.js"),
  `// Every model and dictionary that the engine knows.\n\nexport const catalogue = ${JSON.stringify(catalogue)};\n`,
);

for (const name of BUNDLED) {
  const entry = manifest.find((model) => model.name === name);
  const file = `${name}.${entry.task === "dictionary" ? "txt" : "onnx"}`;
  const smaller = entry.compact && compact && existsSync(join(compact, file));
  const from = join(smaller ? compact : store, file);
  const sha256 = createHash("sha256").update(readFileSync(from)).digest("hex");
  if (sha256 !== (smaller ? entry.compact : entry).sha256) throw new Error(`${from} isn't the manifest's`);
  copyFileSync(from, join(target, "models", file));
}
for (const file of ["LICENSE", "NOTICE"]) copyFileSync(join(repository, file), join(target, file));
