// The history as screens show it: read again whenever something in it changed, in this tab or another.

import { folded } from "@maoocr/lib";

import * as store from "./store.ts";
import type { Entry } from "./store.ts";

interface History {
  /** Newest first; null until they are there. */
  entries: Entry[] | null;
  /** The browser keeps nothing for this site. */
  blocked: boolean;
}

const state = $state<History>({ entries: null, blocked: false });
const channel = "BroadcastChannel" in globalThis ? new BroadcastChannel("maoocr-history") : null;
let watchers = 0;
let reading: Promise<void> | null = null;
/** Something changed while it was read. */
let stale = false;

export const history: Readonly<History> = {
  get entries() {
    return state.entries;
  },
  get blocked() {
    return state.blocked;
  },
};

/** Something in the history is another now; done once screens show it. */
export function changed(): Promise<void> {
  channel?.postMessage(null);
  return load();
}

if (channel) channel.onmessage = () => void load();

/** Keeps `history` up to date until the function it returns is called. */
export function watch(): () => void {
  watchers += 1;
  void load();
  return () => {
    watchers -= 1;
    // Texts and thumbnails of a large history aren't held while nobody looks.
    if (watchers === 0) state.entries = null;
  };
}

function load(): Promise<void> {
  if (watchers === 0) return Promise.resolve();
  if (reading) {
    stale = true;
    return reading;
  }
  reading = readOn().finally(() => (reading = null));
  return reading;
}

/** Until nothing changed meanwhile. */
async function readOn(): Promise<void> {
  do {
    stale = false;
    await read();
  } while (stale);
}

/** Thumbnails of the newest entries, so that one read again is the same picture. */
let thumbnails = new Map<string, Blob>();
const NEWEST = 60;

function withSameThumbnails(found: Entry[]): Entry[] {
  const before = thumbnails;
  thumbnails = new Map();
  return found.map((entry, n) => {
    if (n >= NEWEST || !entry.thumbnail) return entry;
    const known = before.get(entry.id);
    const thumbnail = known?.size === entry.thumbnail.size ? known : entry.thumbnail;
    thumbnails.set(entry.id, thumbnail);
    return { ...entry, thumbnail };
  });
}

async function read(): Promise<void> {
  try {
    const found = withSameThumbnails(await store.entries());
    if (watchers > 0) Object.assign(state, { entries: found, blocked: false });
  } catch {
    Object.assign(state, { entries: [], blocked: true });
  }
}

/** The pages of one file that are in the history. */
export interface Group {
  file: string;
  name: string;
  /** In the order of their pages. */
  entries: Entry[];
}

/** File by file, the newest first. */
export function grouped(all: Entry[]): Group[] {
  const groups = new Map<string, Group>();
  for (const entry of all) {
    const group = groups.get(entry.file) ?? { file: entry.file, name: entry.name, entries: [] };
    group.entries.push(entry);
    groups.set(entry.file, group);
  }
  for (const group of groups.values())
    group.entries.sort((a, b) => (a.page?.number ?? 0) - (b.page?.number ?? 0) || b.created - a.created);
  return [...groups.values()];
}

function wordsIn(query: string): string[] {
  return folded(query).split(/\s+/).filter(Boolean);
}

/** Those whose name or text contains every word of the query. */
export function matching(all: Entry[], query: string): Entry[] {
  const words = wordsIn(query);
  return all.filter((entry) => {
    const text = folded(`${entry.name} ${entry.text}`);
    return words.every((word) => text.includes(word));
  });
}

/** A part of a text, and whether the query asks for it. */
export interface Piece {
  text: string;
  found: boolean;
}

/** Characters of a text shown around what was found. */
const AROUND = 40;
const LONGEST = 200;

/** The text from a little before the first match, with its matches marked. */
export function excerpt(text: string, query: string): Piece[] {
  const plain = text.replace(/\s+/g, " ").trim();
  const words = wordsIn(query);
  // Folding may change lengths (ﬁ, ｆｕｌｌ): places are then only right for what stays the same.
  const low = folded(plain).length === plain.length ? folded(plain) : plain.toLowerCase();
  const spans = words
    .flatMap((word) => {
      const found: [number, number][] = [];
      for (let at = low.indexOf(word); at >= 0; at = low.indexOf(word, at + word.length))
        found.push([at, at + word.length]);
      return found;
    })
    .sort((a, b) => a[0] - b[0]);
  const first = spans[0]?.[0] ?? 0;
  const from = first > AROUND ? Math.max(0, plain.lastIndexOf(" ", first - AROUND / 2) + 1, first - AROUND) : 0;
  const to = Math.min(plain.length, from + LONGEST);
  const pieces: Piece[] = from > 0 ? [{ text: "…", found: false }] : [];
  let at = from;
  for (const [begin, end] of spans) {
    if (begin < at || begin >= to) continue;
    if (begin > at) pieces.push({ text: plain.slice(at, begin), found: false });
    pieces.push({ text: plain.slice(begin, end), found: true });
    at = end;
  }
  if (at < to) pieces.push({ text: plain.slice(at, to), found: false });
  return pieces;
}
