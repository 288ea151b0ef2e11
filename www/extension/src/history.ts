// Results on this device, in the extension's own database.

import type { Document } from "@maoocr/lib";
import { openDB, type DBSchema, type IDBPDatabase } from "idb";

export interface Entry {
  id: string;
  /** ms since 1970. */
  at: number;
  /** Of the page. */
  title: string;
  document: Document;
  /** A small picture of what was read. */
  thumbnail: Blob;
}

interface Kept extends DBSchema {
  entries: { key: string; value: Entry; indexes: { at: number } };
}

/** Older ones go. */
const MOST = 200;

/** Tells the extension's other pages. */
const changes = new BroadcastChannel("history");

/** Hears of what other pages keep and forget. */
export function onChange(heard: () => void): () => void {
  changes.addEventListener("message", heard);
  return () => changes.removeEventListener("message", heard);
}

let opened: Promise<IDBPDatabase<Kept>> | null = null;

function database(): Promise<IDBPDatabase<Kept>> {
  opened ??= openDB<Kept>("maoocr", 1, {
    upgrade: (db) => void db.createObjectStore("entries", { keyPath: "id" }).createIndex("at", "at"),
    terminated: () => (opened = null),
  });
  return opened;
}

export async function keep(entry: Entry): Promise<void> {
  const transaction = (await database()).transaction("entries", "readwrite");
  await transaction.store.put(entry);
  const surplus = (await transaction.store.count()) - MOST;
  let oldest = surplus > 0 ? await transaction.store.index("at").openCursor() : null;
  for (let n = 0; n < surplus && oldest; n++) {
    await oldest.delete();
    oldest = await oldest.continue();
  }
  await transaction.done;
  changes.postMessage(null);
}

/** The newest first. */
export async function entries(): Promise<Entry[]> {
  const all = (await (await database()).getAllFromIndex("entries", "at")).reverse();
  // One that can't be shown must not hide the others.
  return all.filter(({ document }) => typeof document?.text === "string");
}

export async function forget(id?: string): Promise<void> {
  const db = await database();
  if (id === undefined) await db.clear("entries");
  else await db.delete("entries", id);
  changes.postMessage(null);
}
