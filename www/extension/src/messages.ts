// What the parts of the extension say to each other. Pixels of the tab never pass through a page: they go from the
// browser to the engine.

import type { Document } from "@maoocr/lib";

import type { Settings } from "./settings.ts";

/** px of the window's viewport. */
export interface Rect {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** Where a picture is to be found. */
export type Source =
  /** The file or the pixels of an element, as a `data:` address: runtime messages are JSON. */
  | { pixels: string }
  /** A part of what the tab shows; `viewport` is its size in the same px. */
  | { part: Rect; viewport: { width: number; height: number } }
  /** All of what a tab shows; from the extension's own pages only. */
  | { tab: number; window: number };

/** The port over which something is read. Its other end going away stops the work. */
export const READ = "read";

export interface Ask {
  source: Source;
  /** Of the page, for the history. */
  title: string;
  /** The part is a strip of something that is scrolled: how far its upper edge is from the start, px of the viewport.
   * More strips follow over the same port, and then `Finish`. */
  strip?: number;
}

/** All strips were asked for: now their text is wanted. */
export interface Finish {
  finish: true;
}

export type Told =
  | { started: true }
  | { lines: number; of: number }
  /** So many strips were read. */
  | { strips: number }
  | { document: Document }
  | { failed: { code: string; message: string } };

/** To the background. */
export type ToBackground =
  /** An engine is about to be needed. */
  | { kind: "wake" }
  /** From the engine. */
  | { kind: "capture"; tab: number; window: number }
  | { kind: "settings" }
  /** From the popup. */
  | { kind: "start"; action: Action; tab: number };

/** What a person may want of a page. */
export type Action = "pick" | "visible" | "page";

/** What a page's script is told to do. */
export type Command =
  | { action: Action; settings: Settings }
  /** A picture that was clicked with the right button: its address, in Firefox also its identifier. */
  | { action: "image"; address: string; element: number | null; settings: Settings };

export function isAsk(value: unknown): value is Ask {
  if (typeof value !== "object" || value === null) return false;
  const { source, title, strip = 0 } = value as Partial<Ask>;
  if (!Number.isFinite(strip) || strip < 0) return false;
  if (typeof title !== "string" || typeof source !== "object" || source === null) return false;
  if ("pixels" in source) return typeof source.pixels === "string" && source.pixels.startsWith("data:image/");
  if ("tab" in source) return Number.isInteger(source.tab) && Number.isInteger(source.window);
  if (!("part" in source)) return false;
  const { part, viewport } = source;
  const numbers = [part?.x, part?.y, part?.width, part?.height, viewport?.width, viewport?.height];
  return numbers.every((n) => typeof n === "number" && Number.isFinite(n));
}

export function isFinish(value: unknown): value is Finish {
  return typeof value === "object" && value !== null && (value as Partial<Finish>).finish === true;
}
