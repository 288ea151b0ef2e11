// What was read, in IndexedDB: a small entry for lists and searches, and apart from it the picture and the document.

import { folded, type Decision, type Document } from "@maoocr/lib";
import { openDB, type DBSchema, type IDBPDatabase } from "idb";

export interface Entry {
  id: string;
  name: string;
  /** The same for all pages of a file; entries of earlier versions have none. */
  file?: string;
  /** Of several that belong together: which page, of how many. */
  page: { number: number; of: number } | null;
  /** ms since 1970 */
  created: number;
  text: string;
  lines: number;
  thumbnail: Blob | null;
}

export interface Kept {
  id: string;
  document: Document;
  decision: Decision;
  /** Whether a person corrected it. */
  edited?: boolean;
}

interface Schema extends DBSchema {
  entries: { key: string; value: Entry; indexes: { created: number } };
  documents: { key: string; value: Kept };
  pictures: { key: string; value: { id: string; blob: Blob } };
}

const STORES = ["entries", "documents", "pictures"] as const;

let opened: Promise<IDBPDatabase<Schema>> | null = null;

function database(): Promise<IDBPDatabase<Schema>> {
  opened ??= openDB<Schema>("maoocr", 1, {
    upgrade(db) {
      db.createObjectStore("entries", { keyPath: "id" }).createIndex("created", "created");
      db.createObjectStore("documents", { keyPath: "id" });
      db.createObjectStore("pictures", { keyPath: "id" });
    },
    terminated() {
      opened = null;
    },
  }).catch((thrown: unknown) => {
    opened = null;
    throw thrown;
  });
  return opened;
}

export async function keep(entry: Entry, kept: Kept, picture: Blob): Promise<void> {
  const db = await database();
  const change = db.transaction(STORES, "readwrite");
  await Promise.all([
    change.objectStore("entries").put(entry),
    change.objectStore("documents").put(kept),
    change.objectStore("pictures").put({ id: entry.id, blob: picture }),
    change.done,
  ]);
}

/** After a correction. */
export async function update(id: string, document: Document): Promise<void> {
  const db = await database();
  const change = db.transaction(["entries", "documents"], "readwrite");
  const [entry, kept] = await Promise.all([
    change.objectStore("entries").get(id),
    change.objectStore("documents").get(id),
  ]);
  if (entry && kept) {
    await change.objectStore("entries").put({ ...entry, text: document.text, lines: document.lines.length });
    await change.objectStore("documents").put({ ...kept, document, edited: true });
  }
  await change.done;
}

/** Newest first. */
export async function entries(limit = Infinity): Promise<Entry[]> {
  const db = await database();
  const found: Entry[] = [];
  let cursor = await db.transaction("entries").store.index("created").openCursor(null, "prev");
  while (cursor && found.length < limit) {
    found.push(cursor.value);
    cursor = await cursor.continue();
  }
  return found;
}

/** Those whose name or text contains every word of the query. */
export function matching(all: Entry[], query: string): Entry[] {
  const words = folded(query).split(/\s+/).filter(Boolean);
  return all.filter((entry) => {
    const text = folded(`${entry.name} ${entry.text}`);
    return words.every((word) => text.includes(word));
  });
}

export interface Whole extends Kept {
  entry: Entry;
  picture: Blob;
}

export async function find(id: string): Promise<Whole | null> {
  const db = await database();
  const read = db.transaction(STORES);
  const [entry, kept, picture] = await Promise.all([
    read.objectStore("entries").get(id),
    read.objectStore("documents").get(id),
    read.objectStore("pictures").get(id),
  ]);
  return entry && kept && picture ? { ...kept, entry, picture: picture.blob } : null;
}

export async function remove(id: string): Promise<void> {
  const db = await database();
  const change = db.transaction(STORES, "readwrite");
  await Promise.all([...STORES.map((store) => change.objectStore(store).delete(id)), change.done]);
}

export async function removeAll(): Promise<void> {
  const db = await database();
  const change = db.transaction(STORES, "readwrite");
  await Promise.all([...STORES.map((store) => change.objectStore(store).clear()), change.done]);
}
