// Where the tests find the module, the models and the pictures.

import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));

/** The module as `cargo xtask wasm` leaves it. */
export const maoocr = createRequire(import.meta.url)(join(here, "../../pkg/nodejs/maoocr.js"));

/** The bytes of a file in tests/samples. */
export const sample = (name) => readFileSync(join(here, "../samples", name));

/** The folder of that name in tests/samples. */
export const samples = (name = "") => join(here, "../samples", name);

/** The folder that `maoocr models pull` fills: $MAOOCR_MODELS, else what $MAOOCR_BIN, or maoocr, says. */
export function models() {
  const folder =
    process.env.MAOOCR_MODELS ??
    execFileSync(process.env.MAOOCR_BIN ?? "maoocr", ["models", "path"], { encoding: "utf8" }).trim();
  if (!existsSync(folder)) throw new Error(`${folder} is not there: maoocr models pull`);
  return folder;
}

/** The bytes of a model or a dictionary. */
export function model(name) {
  const extension = name.endsWith("-dict") ? "txt" : "onnx";
  return readFileSync(join(models(), `${name}.${extension}`));
}
