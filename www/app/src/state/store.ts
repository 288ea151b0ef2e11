// What the app keeps in IndexedDB: files as they came, entries for lists and searches, documents, and what waits to be
// read. Bytes are kept as ArrayBuffers: a private window of WebKit can't keep blobs.

import type { Decision, Document, Requirements } from "@maoocr/lib";
import { openDB, type DBSchema, type IDBPDatabase, type IDBPTransaction, type StoreNames } from "idb";

import type { Edit } from "./pictures.ts";

export interface Entry {
  id: string;
  name: string;
  /** The same for all pages of a file. */
  file: string;
  /** Of several that belong together: which page, of how many. */
  page: { number: number; of: number } | null;
  /** ms since 1970 */
  created: number;
  text: string;
  lines: number;
  thumbnail: Blob | null;
  /** Where the picture is, for entries of the first version, which kept one for each page. */
  picture?: string;
}

/** What was asked for one picture beyond the settings. */
export interface Wish {
  edit: Edit | null;
  extra: Requirements;
}

export interface Kept {
  id: string;
  document: Document;
  decision: Decision;
  /** Whether a person corrected it. */
  edited?: boolean;
  wish?: Wish;
}

/** A picture that waits to be read, or whose reading was broken off. */
export interface Waiting {
  id: string;
  name: string;
  file: string;
  page: Entry["page"];
  created: number;
  /** The page that reads it. */
  tab: string;
  /** How often its reading was begun. */
  tries: number;
}

interface Bytes {
  bytes: ArrayBuffer;
  type: string;
}

/** A blob where it was kept by the first version. */
type Content = Bytes | { blob: Blob };

type StoredFile = Content & { id: string; name: string };
type StoredEntry = Omit<Entry, "thumbnail"> & { thumbnail: Bytes | Blob | null };

interface Schema extends DBSchema {
  entries: { key: string; value: StoredEntry; indexes: { created: number; file: string } };
  documents: { key: string; value: Kept };
  files: { key: string; value: StoredFile };
  waiting: { key: string; value: Waiting; indexes: { file: string } };
}

type Store = StoreNames<Schema>;

/** A request that isn't answered for so long never will be, ms. */
const PATIENCE = 15_000;

let opened: Promise<IDBPDatabase<Schema>> | null = null;

function database(): Promise<IDBPDatabase<Schema>> {
  opened ??= openDB<Schema>("maoocr", 2, { upgrade, terminated: () => (opened = null) }).catch((thrown: unknown) => {
    opened = null;
    throw thrown;
  });
  return opened;
}

async function upgrade(
  db: IDBPDatabase<Schema>,
  from: number,
  _to: number | null,
  change: IDBPTransaction<Schema, Store[], "versionchange">,
): Promise<void> {
  if (from < 1) {
    db.createObjectStore("entries", { keyPath: "id" }).createIndex("created", "created");
    db.createObjectStore("documents", { keyPath: "id" });
  }
  const entries = change.objectStore("entries");
  entries.createIndex("file", "file");
  const files = db.createObjectStore("files", { keyPath: "id" });
  db.createObjectStore("waiting", { keyPath: "id" }).createIndex("file", "file");
  if (from !== 1) return;
  // The first version kept a picture for each page.
  const old = change as unknown as IDBPTransaction<{ pictures: { key: string; value: { id: string; blob: Blob } } }, ["pictures"], "versionchange">; // prettier-ignore
  for (let at = await old.objectStore("pictures").openCursor(); at; at = await at.continue()) {
    const entry = await entries.get(at.value.id);
    if (!entry) continue;
    await files.put({ id: entry.id, name: entry.name, blob: at.value.blob });
    await entries.put({ ...entry, file: entry.file ?? entry.id, picture: entry.id });
  }
  (db as unknown as IDBPDatabase).deleteObjectStore("pictures");
}

/** Whatever a browser does with a transaction that fails, who waits for it hears of it. */
async function within<S extends Store[], M extends IDBTransactionMode, T>(
  stores: [...S],
  mode: M,
  work: (change: IDBPTransaction<Schema, S, M>) => Promise<T>,
): Promise<T> {
  const db = await timely(database());
  const change = db.transaction(stores, mode);
  const settled = change.done.catch((thrown: unknown) => {
    throw thrown ?? new DOMException("the transaction was aborted", "AbortError");
  });
  const [value] = await timely(Promise.all([work(change), settled]));
  return value;
}

function timely<T>(work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new DOMException("no answer", "TimeoutError")), PATIENCE);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

async function packed(blob: Blob): Promise<Bytes> {
  return { bytes: await blob.arrayBuffer(), type: blob.type };
}

function unpacked(content: Content): Blob {
  return "blob" in content ? content.blob : new Blob([content.bytes], { type: content.type });
}

/** Keeps a file and what of it waits to be read. */
export async function keepWaiting(file: { id: string; name: string; content: Blob }, pages: Waiting[]): Promise<void> {
  const content = await packed(file.content);
  await within(["files", "waiting"], "readwrite", async (change) => {
    await Promise.all([
      change.objectStore("files").put({ id: file.id, name: file.name, ...content }),
      ...pages.map((page) => change.objectStore("waiting").put(page)),
    ]);
  });
}

export function updateWaiting(pages: Waiting[]): Promise<void> {
  return within(["waiting"], "readwrite", async (change) => {
    await Promise.all(pages.map((page) => change.objectStore("waiting").put(page)));
  });
}

export function allWaiting(): Promise<Waiting[]> {
  return within(["waiting"], "readonly", (change) => change.objectStore("waiting").getAll());
}

/** They aren't read by themselves any more. Their files stay for as long as the page: they may be tried again. */
export function setAside(ids: string[]): Promise<void> {
  return within(["waiting"], "readwrite", async (change) => {
    await Promise.all(ids.map((id) => change.objectStore("waiting").delete(id)));
  });
}

/** They aren't wanted any more, nor are files that nothing else needs. */
export function stopWaiting(pages: Pick<Waiting, "id" | "file">[]): Promise<void> {
  return within(["waiting", "entries", "files"], "readwrite", async (change) => {
    await Promise.all(pages.map(({ id }) => change.objectStore("waiting").delete(id)));
    await removeUnused(change, pages.map(({ file }) => file)); // prettier-ignore
  });
}

/** Keeps what was read, with its file where that isn't kept yet; it doesn't wait any more. */
export async function keep(entry: Entry, kept: Kept, file: Blob | null): Promise<void> {
  const [thumbnail, content] = await Promise.all([entry.thumbnail && packed(entry.thumbnail), file && packed(file)]);
  await within(["entries", "documents", "files", "waiting"], "readwrite", async (change) => {
    const files = change.objectStore("files");
    const there = await files.getKey(entry.picture ?? entry.file);
    if (!there && !content) throw new DOMException("the file is gone", "NotFoundError");
    if (!there && content) await files.put({ id: entry.picture ?? entry.file, name: entry.name, ...content });
    await Promise.all([
      change.objectStore("entries").put({ ...entry, thumbnail }),
      change.objectStore("documents").put(kept),
      change.objectStore("waiting").delete(entry.id),
    ]);
  });
}

/** After a correction. */
export function update(id: string, document: Document): Promise<void> {
  return within(["entries", "documents"], "readwrite", async (change) => {
    const [entry, kept] = await Promise.all([
      change.objectStore("entries").get(id),
      change.objectStore("documents").get(id),
    ]);
    if (!entry || !kept) return;
    await change.objectStore("entries").put({ ...entry, text: document.text, lines: document.lines.length });
    await change.objectStore("documents").put({ ...kept, document, edited: true });
  });
}

/** All pages of its file get the name. */
export function rename(file: string, name: string): Promise<void> {
  return within(["entries"], "readwrite", async (change) => {
    const store = change.objectStore("entries");
    for (const entry of await store.index("file").getAll(file)) await store.put({ ...entry, name });
  });
}

/** Newest first. */
export function entries(limit = Infinity): Promise<Entry[]> {
  return within(["entries"], "readonly", async (change) => {
    const found: StoredEntry[] = [];
    let cursor = await change.objectStore("entries").index("created").openCursor(null, "prev");
    while (cursor && found.length < limit) {
      found.push(cursor.value);
      cursor = await cursor.continue();
    }
    return found.map(shown);
  });
}

function shown({ thumbnail, ...entry }: StoredEntry): Entry {
  const blob = !thumbnail || thumbnail instanceof Blob ? thumbnail : unpacked(thumbnail);
  return { ...entry, file: entry.file ?? entry.id, thumbnail: blob };
}

/** The pages of a file. */
export function entriesOf(file: string): Promise<Entry[]> {
  return within(["entries"], "readonly", async (change) => {
    const found = await change.objectStore("entries").index("file").getAll(file);
    return found.map(shown);
  });
}

export interface Whole extends Kept {
  entry: Entry;
}

export function find(id: string): Promise<Whole | null> {
  return within(["entries", "documents"], "readonly", async (change) => {
    const [entry, kept] = await Promise.all([
      change.objectStore("entries").get(id),
      change.objectStore("documents").get(id),
    ]);
    return entry && kept ? { ...kept, entry: shown(entry) } : null;
  });
}

/** A file as it came. */
export function fileOf(id: string): Promise<File | null> {
  return within(["files"], "readonly", async (change) => {
    const found = await change.objectStore("files").get(id);
    if (!found) return null;
    const content = unpacked(found);
    return new File([content], found.name, { type: content.type });
  });
}

/** What was removed, to put it back. */
export interface Removed {
  wholes: Whole[];
  files: { id: string; content: Blob }[];
}

/** Takes entries away, and the files that nothing else needs. */
export async function remove(ids: string[]): Promise<Removed> {
  const gone = await within(["entries", "documents", "waiting", "files"], "readwrite", async (change) => {
    const wholes: Whole[] = [];
    const sources: string[] = [];
    for (const id of ids) {
      const [entry, kept, waiting] = await Promise.all([
        change.objectStore("entries").get(id),
        change.objectStore("documents").get(id),
        change.objectStore("waiting").get(id),
      ]);
      sources.push(...[entry?.picture ?? entry?.file, waiting?.file].filter((source) => source !== undefined));
      if (entry && kept) wholes.push({ ...kept, entry: shown(entry) });
      await Promise.all([
        change.objectStore("entries").delete(id),
        change.objectStore("documents").delete(id),
        change.objectStore("waiting").delete(id),
      ]);
    }
    const files = await removeUnused(change, sources);
    return { wholes, files };
  });
  return { wholes: gone.wholes, files: gone.files.map((file) => ({ id: file.id, content: unpacked(file) })) };
}

/** Deletes those of the files that neither an entry nor a waiting picture is of. */
async function removeUnused(
  change: Pick<IDBPTransaction<Schema, ("entries" | "waiting" | "files")[], "readwrite">, "objectStore">,
  candidates: string[],
): Promise<StoredFile[]> {
  const gone: StoredFile[] = [];
  for (const id of new Set(candidates)) {
    const users = await Promise.all([
      change.objectStore("entries").index("file").count(id),
      change.objectStore("waiting").index("file").count(id),
    ]);
    const own = await change.objectStore("entries").get(id);
    if (users.some((count) => count > 0) || own?.picture === id) continue;
    const file = await change.objectStore("files").get(id);
    if (file) gone.push(file);
    await change.objectStore("files").delete(id);
  }
  return gone;
}

/** Files that nothing is of: of a page that ended at the wrong moment. */
export function removeOrphans(): Promise<void> {
  return within(["entries", "waiting", "files"], "readwrite", async (change) => {
    await removeUnused(change, await change.objectStore("files").getAllKeys());
  });
}

export async function restore({ wholes, files }: Removed): Promise<void> {
  for (const { entry, ...kept } of wholes) {
    const file = files.find(({ id }) => id === (entry.picture ?? entry.file));
    await keep(entry, kept, file?.content ?? null);
  }
}
