// Models that the caller names, each with where its bytes come from.

import { OcrError, cancelled } from "./errors.ts";
import type { StoredModel } from "./models.ts";

/** Bytes, a file of them, or what leads to them: an address, in Node.js also a path. */
export type ModelSource = string | URL | Blob | ArrayBuffer | ArrayBufferView | (() => Promise<Blob | ArrayBuffer>);

/** What the package knows of a model: an entry of the manifest. */
export type Known = Pick<StoredModel, "name" | "task" | "tier" | "languages" | "dictionary">;

/** Reads what an address or a path leads to. */
export type Reads = (where: string | URL, signal?: AbortSignal) => Promise<ArrayBuffer>;

/** The files of one table: the engine itself compares their SHA-256 with its manifest's. */
export class ModelFiles {
  readonly #sources: ReadonlyMap<string, ModelSource>;
  readonly #models: StoredModel[];
  readonly #read: Reads;
  /** Fetched, and not yet given to an engine. A second engine asks for the bytes again. */
  readonly #fetched = new Map<string, ArrayBuffer>();

  /** @throws OcrError `unknown_model`: the catalogue has no model of that name. */
  constructor(sources: Record<string, ModelSource>, catalogue: readonly Known[], read: Reads) {
    this.#sources = new Map(Object.entries(sources));
    this.#read = read;
    this.#models = [...this.#sources.keys()].map((name) => {
      const known = catalogue.find((entry) => entry.name === name);
      if (!known) throw new OcrError("unknown_model", `there is no model ${name} in the manifest`);
      return { ...known, file: name, bytes: 0, sha256: name, stored: true };
    });
  }

  async list(): Promise<StoredModel[]> {
    return this.#models;
  }

  /** Nothing is told of bytes: sources don't say how many they will be. */
  async ensure(names: string[], _onProgress?: unknown, signal?: AbortSignal): Promise<void> {
    const missing = names.filter((name) => !this.#fetched.has(name));
    await Promise.all(missing.map(async (name) => this.#fetched.set(name, await this.#bytesOf(name, signal))));
    if (signal?.aborted) throw cancelled();
  }

  async bytes(name: string): Promise<ArrayBuffer> {
    const fetched = this.#fetched.get(name);
    // The engine's thread takes them away.
    this.#fetched.delete(name);
    return fetched ?? this.#bytesOf(name);
  }

  async remove(names: string[] = [...this.#sources.keys()]): Promise<void> {
    for (const name of names) this.#fetched.delete(name);
  }

  async #bytesOf(name: string, signal?: AbortSignal): Promise<ArrayBuffer> {
    const source = this.#sources.get(name);
    if (source === undefined) throw new OcrError("models_unavailable", `${name} isn't among the given models`);
    if (typeof source === "string" || source instanceof URL) return this.#read(source, signal);
    const given = typeof source === "function" ? await source() : source;
    if (given instanceof Blob) return given.arrayBuffer();
    if (ArrayBuffer.isView(given)) {
      const { buffer, byteOffset, byteLength } = given;
      return new Uint8Array(buffer, byteOffset, byteLength).slice().buffer;
    }
    return given.slice(0);
  }
}
