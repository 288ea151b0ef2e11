// Models on this device: fetched once from the app's own origin, verified, kept under their SHA-256.

import { OcrError, cancelled, isCancelled, unless } from "./errors.ts";

/** A file that the origin offers: an entry of its `models.json`. */
export interface ModelFile {
  name: string;
  /** File name under the origin's `models/`. */
  file: string;
  task: string;
  tier: "tiny" | "small" | "medium" | null;
  bytes: number;
  /** Lower-case hex. */
  sha256: string;
  languages: string[];
  /** Name of the dictionary that a recogniser needs. */
  dictionary: string | null;
}

export interface StoredModel extends ModelFile {
  stored: boolean;
}

/** Files that another site offers: what its `models.json` said. */
export interface MoreModels {
  base: URL;
  files: ModelFile[];
}

/** Bytes. */
export interface Usage {
  models: number;
  /** Of everything this origin keeps; null where the browser doesn't say. */
  used: number | null;
  quota: number | null;
  /** Whether the browser promised not to clear it by itself; null where it makes no promises. */
  persisted: boolean | null;
}

export type OnBytes = (received: number) => void;

/** Where verified files are kept. */
export interface Shelf {
  get(sha256: string): Promise<ArrayBuffer | null>;
  put(sha256: string, bytes: ArrayBuffer): Promise<void>;
  delete(sha256: string): Promise<void>;
  keys(): Promise<string[]>;
}

const CACHE = "maoocr-models";

/** Cache Storage: the files are addressed by their hash, so a new version of a model is a new file. Where the browser
 * keeps nothing for this site there is nothing to be found, and only `put` fails. */
export function cacheShelf(base: URL): Shelf {
  // Caches take no other keys than http: an extension's own addresses are none.
  const site = /^https?:$/.test(base.protocol) ? base : new URL("https://models.maoocr.invalid/");
  const key = (sha256: string) => new URL(`models/sha256/${sha256}`, site).href;
  const open = async () => caches.open(CACHE);
  const found = () => open().catch(() => null);
  return {
    async get(sha256) {
      const response = await (await found())?.match(key(sha256));
      return response ? response.arrayBuffer() : null;
    },
    async put(sha256, bytes) {
      const headers = { "content-type": "application/octet-stream", "content-length": `${bytes.byteLength}` };
      await (await open()).put(key(sha256), new Response(bytes, { headers }));
    },
    async delete(sha256) {
      await (await found())?.delete(key(sha256));
    },
    async keys() {
      const requests = (await (await found())?.keys()) ?? [];
      return requests.map((request) => request.url.slice(request.url.lastIndexOf("/") + 1));
    },
  };
}

/** For pages without Cache Storage, such as those of an insecure origin: as long as the page is open. */
export function memoryShelf(): Shelf {
  const kept = new Map<string, ArrayBuffer>();
  return {
    get: async (sha256) => kept.get(sha256)?.slice(0) ?? null,
    put: async (sha256, bytes) => void kept.set(sha256, bytes.slice(0)),
    delete: async (sha256) => void kept.delete(sha256),
    keys: async () => [...kept.keys()],
  };
}

async function sha256Hex(bytes: ArrayBuffer): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", bytes);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function download(url: URL, size: number, onBytes: OnBytes, signal?: AbortSignal): Promise<ArrayBuffer> {
  let response: Response;
  try {
    response = await fetch(url, { cache: "no-store", ...(signal && { signal }) });
  } catch (thrown) {
    if (signal?.aborted) throw cancelled();
    throw new OcrError("network", `${url.pathname}: ${String(thrown)}`);
  }
  if (!response.ok || !response.body) {
    throw new OcrError("models_unavailable", `${url.pathname}: HTTP ${response.status}`);
  }
  const bytes = new Uint8Array(size);
  let received = 0;
  const reader = response.body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      received += value.length;
      if (received > size) break;
      bytes.set(value, received - value.length);
      onBytes(received);
    }
  } catch (thrown) {
    if (signal?.aborted) throw cancelled();
    throw new OcrError("network", `${url.pathname}: ${String(thrown)}`);
  } finally {
    reader.cancel().catch(() => undefined);
  }
  if (received !== size) {
    throw new OcrError(
      "models_unavailable",
      `${url.pathname}: ${received > size ? "more" : "fewer"} than the ${size} bytes of the manifest`,
    );
  }
  return bytes.buffer;
}

interface Fetching {
  done: Promise<void>;
  listeners: Set<OnBytes>;
  received: number;
}

export class ModelStore {
  readonly #base: URL;
  readonly #shelf: Shelf;
  readonly #more: MoreModels | null;
  /** Names of those that are fetched from there. */
  #others = new Set<string>();
  readonly #fetching = new Map<string, Fetching>();
  #files: Promise<ModelFile[]> | null = null;
  /** Where the shelf has no room: for this page only. */
  readonly #unshelved = memoryShelf();
  /** Whether a model couldn't be kept because storage is full. */
  full = false;

  /** `base` is the address of the app; `models.json` and `models/` lie beneath it. `more` are offered, too, where the
   * app has none of the name. */
  constructor(
    base: URL,
    shelf: Shelf = "caches" in globalThis ? cacheShelf(base) : memoryShelf(),
    more: MoreModels | null = null,
  ) {
    this.#base = base;
    this.#shelf = shelf;
    this.#more = more;
  }

  /** What the origin offers. */
  files(): Promise<ModelFile[]> {
    this.#files ??= this.#fetchFiles().catch((thrown: unknown) => {
      this.#files = null;
      throw thrown;
    });
    return this.#files;
  }

  async #fetchFiles(): Promise<ModelFile[]> {
    const url = new URL("models.json", this.#base);
    let response: Response;
    try {
      response = await fetch(url);
    } catch (thrown) {
      throw new OcrError("network", `${url.pathname}: ${String(thrown)}`);
    }
    if (!response.ok) throw new OcrError("models_unavailable", `${url.pathname}: HTTP ${response.status}`);
    const { models } = (await response.json()) as { models: ModelFile[] };
    const own = new Set(models.map(({ name }) => name));
    const others = this.#more?.files.filter(({ name }) => !own.has(name)) ?? [];
    this.#others = new Set(others.map(({ name }) => name));
    return [...models, ...others];
  }

  /** What the origin offers, and which of it is here. */
  async list(): Promise<StoredModel[]> {
    const [files, keys, others] = await Promise.all([this.files(), this.#shelf.keys(), this.#unshelved.keys()]);
    const here = new Set([...keys, ...others]);
    return files.map((file) => ({ ...file, stored: here.has(file.sha256) }));
  }

  /** Fetches what isn't here, one file after another's start; `onProgress` hears of bytes in all, if any are fetched. */
  async ensure(
    names: string[],
    onProgress: (progress: { received: number; total: number }) => void = () => undefined,
    signal?: AbortSignal,
  ): Promise<void> {
    const list = await this.list();
    const missing = names.map((name) => named(list, name)).filter((file) => !file.stored);
    if (missing.length === 0) return;
    const total = missing.reduce((sum, file) => sum + file.bytes, 0);
    const received = new Map<string, number>();
    const tell = (name: string, bytes: number) => {
      received.set(name, bytes);
      let sum = 0;
      for (const value of received.values()) sum += value;
      onProgress({ received: sum, total });
    };
    onProgress({ received: 0, total });
    await Promise.all(missing.map((file) => this.#fetchOnce(file, (bytes) => tell(file.name, bytes), signal)));
  }

  /** The bytes of a file that `ensure` brought here. */
  async bytes(name: string): Promise<ArrayBuffer> {
    const file = named(await this.files(), name);
    const bytes = (await this.#shelf.get(file.sha256)) ?? (await this.#unshelved.get(file.sha256));
    if (!bytes) throw new OcrError("models_unavailable", `${name} isn't on this device`);
    return bytes;
  }

  /** Callers who want the same file share one download; the first one's signal stops it for all, and the others
   * begin it anew. */
  async #fetchOnce(file: ModelFile, onBytes: OnBytes, signal?: AbortSignal): Promise<void> {
    for (;;) {
      const running = this.#fetching.get(file.sha256);
      if (running) {
        running.listeners.add(onBytes);
        onBytes(running.received);
        try {
          await unless(signal, running.done);
          return;
        } catch (thrown) {
          if (!isCancelled(thrown)) throw thrown;
          if (signal?.aborted) throw cancelled();
          continue;
        } finally {
          running.listeners.delete(onBytes);
        }
      }
      const fetching: Fetching = { done: Promise.resolve(), listeners: new Set([onBytes]), received: 0 };
      const told = (bytes: number) => {
        fetching.received = bytes;
        for (const listener of fetching.listeners) listener(bytes);
      };
      fetching.done = this.#fetch(file, told, signal).finally(() => this.#fetching.delete(file.sha256));
      this.#fetching.set(file.sha256, fetching);
      return fetching.done;
    }
  }

  async #fetch(file: ModelFile, onBytes: OnBytes, signal?: AbortSignal): Promise<void> {
    const base = this.#more && this.#others.has(file.name) ? this.#more.base : this.#base;
    const bytes = await download(new URL(`models/${file.file}`, base), file.bytes, onBytes, signal);
    // Without it, on an insecure origin, the engine compares the hash as it does anyway.
    if (globalThis.crypto?.subtle && (await sha256Hex(bytes)) !== file.sha256) {
      throw new OcrError("models_unavailable", `${file.name}: the bytes are others than the manifest's`);
    }
    try {
      await this.#shelf.put(file.sha256, bytes);
      this.full = false;
    } catch {
      this.full = true;
      await this.#unshelved.put(file.sha256, bytes);
      return;
    }
  }

  /** Frees the room of these files, by name; all when none are named. */
  async remove(names?: string[]): Promise<void> {
    const files = await this.files();
    const hashes = names ? names.map((name) => named(files, name).sha256) : await this.#shelf.keys();
    for (const sha256 of hashes) {
      await this.#shelf.delete(sha256);
      await this.#unshelved.delete(sha256);
    }
  }

  /** Frees what no entry of the manifest names any more: models of an earlier version. */
  async removeOutdated(): Promise<void> {
    const current = new Set((await this.files()).map((file) => file.sha256));
    for (const sha256 of await this.#shelf.keys()) {
      if (!current.has(sha256)) await this.#shelf.delete(sha256);
    }
  }

  async usage(): Promise<Usage> {
    const list = await this.list();
    const models = list.filter((file) => file.stored).reduce((sum, file) => sum + file.bytes, 0);
    const storage = globalThis.navigator?.storage;
    const estimate = await storage?.estimate?.().catch(() => null);
    const persisted = await storage?.persisted?.().catch(() => null);
    return { models, used: estimate?.usage ?? null, quota: estimate?.quota ?? null, persisted: persisted ?? null };
  }
}

function named<T extends ModelFile>(files: T[], name: string): T {
  const file = files.find((entry) => entry.name === name);
  if (!file) throw new OcrError("models_unavailable", `this site doesn't offer the model ${name}`);
  return file;
}

/** The models of a plan and the dictionaries they need. */
export function withDictionaries(names: string[], files: ModelFile[]): string[] {
  const all = new Set(names);
  for (const name of names) {
    const dictionary = files.find((file) => file.name === name)?.dictionary;
    if (dictionary) all.add(dictionary);
  }
  return [...all];
}
