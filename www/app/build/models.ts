import { createReadStream, existsSync, readFileSync } from "node:fs";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, join, resolve } from "node:path";
import { promisify } from "node:util";
import { brotliCompress } from "node:zlib";
import { parse } from "smol-toml";
import type { Plugin } from "vite";

import type { ModelFile } from "@maoocr/lib";

interface Entry {
  name: string;
  task: string;
  family: string;
  tier?: ModelFile["tier"];
  bytes: number;
  sha256: string;
  compact?: { bytes: number; sha256: string };
  languages?: string[];
  dictionary?: string;
}

/** What `maoocr models pull` filled. */
function folder(): string {
  return process.env["MAOOCR_MODELS"] ?? join(homedir(), ".cache/maoocr/models");
}

/** A model and where its file is. */
interface Source extends ModelFile {
  path: string;
}

/** The file of a model: one of half the size, where `maoocr models compact` made it. */
function file(entry: Entry, name: string): Pick<Source, "path" | "bytes" | "sha256"> {
  const compact = process.env["MAOOCR_COMPACT_MODELS"];
  if (entry.compact && compact && existsSync(join(compact, name)))
    return { path: join(compact, name), ...entry.compact };
  return { path: join(folder(), name), bytes: entry.bytes, sha256: entry.sha256 };
}

/** Whether a browser has use for it: no layout, no medium models, of PP-OCRv5 the scripts that PP-OCRv6 lacks. */
function useful(entry: Entry): boolean {
  if (entry.task === "layout" || entry.tier === "medium") return false;
  return !/^ppocrv5-(mobile|dict)/.test(entry.name);
}

function entries(manifest: string): Source[] {
  const { model } = parse(readFileSync(manifest, "utf8")) as unknown as { model: Entry[] };
  return model.filter(useful).map((entry) => {
    const name = `${entry.name}.${entry.task === "dictionary" ? "txt" : "onnx"}`;
    return {
      name: entry.name,
      file: name,
      task: entry.task,
      tier: entry.tier ?? null,
      ...file(entry, name),
      languages: entry.languages ?? [],
      dictionary: entry.dictionary ?? null,
    };
  });
}

/** Those that are on this machine, with what the app needs to know of them. */
function available(manifest: string): Source[] {
  const found = entries(manifest).filter(({ path }) => existsSync(path));
  if (!found.some(({ task, tier }) => task === "recognition" && tier === "tiny")) {
    throw new Error(`${folder()} has no models: run \`maoocr models pull ppocrv6-tiny-det ppocrv6-tiny-rec\``);
  }
  return found;
}

/** `models.json` and `models/` with those that are wanted, as they are: for what is packed as a whole. */
export function modelsFor(manifest: string, wanted: (model: ModelFile) => boolean): Plugin {
  const chosen = () => available(manifest).filter(wanted);
  return {
    name: "models-for",
    generateBundle() {
      const models = chosen().map(({ path: _, ...model }) => model);
      this.emitFile({ type: "asset", fileName: "models.json", source: JSON.stringify({ models }) });
      for (const { file, path } of chosen()) {
        this.emitFile({ type: "asset", fileName: `models/${file}`, source: readFileSync(path) });
      }
    },
  };
}

/** `models.json` and, beside the built app, the models themselves. */
export function models(manifest: string): Plugin {
  const json = () => JSON.stringify({ models: available(manifest).map(({ path: _, ...model }) => model) });
  let out = "";
  return {
    name: "models",
    configResolved: (config) => {
      out = resolve(config.root, config.build.outDir);
    },
    configureServer(server) {
      server.middlewares.use((request, response, next) => {
        const { pathname } = new URL(request.url ?? "/", "http://localhost");
        if (pathname === "/models.json") {
          response.setHeader("content-type", "application/json");
          response.end(json());
        } else if (pathname.startsWith("/models/")) {
          const wanted = available(manifest).find(({ file }) => file === basename(pathname));
          if (!wanted) return next();
          createReadStream(wanted.path).pipe(response);
        } else next();
      });
    },
    generateBundle() {
      this.emitFile({ type: "asset", fileName: "models.json", source: json() });
    },
    async writeBundle() {
      await mkdir(join(out, "models"), { recursive: true });
      for (const { file, path, tier } of available(manifest)) {
        const to = join(out, "models", file);
        await copyFile(path, to);
        // What a first visit waits for, as small as can be: MaoOCR's server, and others, send this where it lies beside.
        if (tier === "tiny") await writeFile(`${to}.br`, await promisify(brotliCompress)(await readFile(path)));
      }
    },
  };
}
