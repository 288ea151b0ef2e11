// Sheets of paper from the camera, made flat and clean, that become one PDF.

import { OcrError, Sheets, SOUGHT, type FlatSheet, type Frame, type Look, type PageText, type Quad } from "@maoocr/lib";

import { ocr } from "./client.ts";
import { timeStamp } from "./i18n.svelte.ts";
import { newId } from "./pictures.ts";
import { read } from "./queue.svelte.ts";

/** Turns clockwise. */
type Quarters = 0 | 1 | 2 | 3;

/** A long side of this many inches is taken for: A4's. Nothing says how large a sheet is. */
const LONG_SIDE = 11.69;

export class Sheet {
  readonly id = newId();
  photo = $state.raw<Blob>(new Blob());
  /** Its corners in the photo, px of it; null for the whole photo. */
  quad = $state.raw<Quad | null>(null);
  quarters = $state<Quarters>(0);
  flat = $state.raw<FlatSheet | null>(null);
  /** Being made flat. */
  working = $state(true);
  failed = $state.raw<OcrError | null>(null);
  /** Counts what was asked: only the last counts. */
  asked = 0;
}

interface Scan {
  sheets: Sheet[];
  look: Look;
  /** The sheet that the next photo takes the place of. */
  retake: string | null;
  /** Being put together. */
  saving: boolean;
}

export const scan = $state<Scan>({ sheets: [], look: "colour", retake: null, saving: false });

let worker: Sheets | null = null;

export function sheets(): Sheets {
  worker ??= new Sheets(() => new Worker(new URL("../sheet-worker.ts", import.meta.url), { type: "module", name: "sheets" })); // prettier-ignore
  return worker;
}

/** Finds the sheet in a photo and adds it, or puts it in the place of the one that is taken anew. */
export async function addPhoto(photo: Blob): Promise<void> {
  // It is needed in the end, when there may be no network.
  void ocr().documents.warm().catch(() => undefined); // prettier-ignore
  const again = scan.sheets.find(({ id }) => id === scan.retake);
  scan.retake = null;
  const sheet = again ?? new Sheet();
  Object.assign(sheet, { photo, quad: null, quarters: 0, working: true, failed: null });
  if (!again) scan.sheets.push(sheet);
  try {
    sheet.quad = await sheets().find(photo);
  } catch {
    // The whole photo then; what is wrong with it is told when it is made flat.
  }
  await flatten(sheet);
}

async function flatten(sheet: Sheet): Promise<void> {
  const turn = ++sheet.asked;
  sheet.working = true;
  try {
    const flat = await sheets().flatten(sheet.photo, sheet.quad, sheet.quarters, scan.look);
    if (turn === sheet.asked) Object.assign(sheet, { flat, failed: null });
  } catch (thrown) {
    if (turn === sheet.asked) sheet.failed = OcrError.from(thrown);
  } finally {
    if (turn === sheet.asked) sheet.working = false;
  }
}

export async function chooseLook(look: Look): Promise<void> {
  scan.look = look;
  // One after another: photos are large.
  for (const sheet of scan.sheets) await flatten(sheet);
}

export function turn(sheet: Sheet): Promise<void> {
  sheet.quarters = ((sheet.quarters + 1) % 4) as Quarters;
  return flatten(sheet);
}

export function cut(sheet: Sheet, quad: Quad | null): Promise<void> {
  sheet.quad = quad;
  return flatten(sheet);
}

export function move(sheet: Sheet, by: -1 | 1): void {
  const at = scan.sheets.indexOf(sheet);
  const to = at + by;
  if (at < 0 || to < 0 || to >= scan.sheets.length) return;
  scan.sheets.splice(at, 1);
  scan.sheets.splice(to, 0, sheet);
}

export function remove(sheet: Sheet): void {
  scan.sheets = scan.sheets.filter((other) => other !== sheet);
}

export function discardScan(): void {
  Object.assign(scan, { sheets: [], retake: null });
  worker?.end();
  worker = null;
}

/** One PDF of all sheets, which is read as any other. */
export async function finish(): Promise<void> {
  scan.saving = true;
  try {
    const bytes = await ocr().documents.compose({}, pages(scan.sheets));
    const file = new File([bytes], `${timeStamp()}.pdf`, { type: "application/pdf" });
    discardScan();
    await read([file], "camera");
  } finally {
    scan.saving = false;
  }
}

async function* pages(all: Sheet[]) {
  for (const [index, { flat }] of all.entries()) {
    if (!flat) continue;
    const { picture, width, height } = flat;
    const dpi = Math.max(width, height) / LONG_SIDE;
    const page: PageText = { index, width, height, dpi, turn: 0, text: "", confidence: 0, lines: [], blocks: [] };
    yield { source: { picture: async () => picture }, page, worth: null };
  }
}

/** Between two looks, ms. */
const PAUSE = 90;
/** A sheet that isn't seen for so long is gone, ms. */
const STAYS = 700;

/** Looks for a sheet in what the camera shows. */
export class Finder {
  /** px of the video. */
  quad = $state.raw<Quad | null>(null);
  readonly #video: HTMLVideoElement;
  #stopped = false;
  #seen = 0;

  constructor(video: HTMLVideoElement) {
    this.#video = video;
    void this.#look();
  }

  stop(): void {
    this.#stopped = true;
  }

  async #look(): Promise<void> {
    const canvas = new OffscreenCanvas(1, 1);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    while (!this.#stopped && context) {
      const { videoWidth, videoHeight } = this.#video;
      if (videoWidth > 0 && !this.#video.paused) {
        const scale = SOUGHT / Math.max(videoWidth, videoHeight);
        const [width, height] = [Math.round(videoWidth * scale), Math.round(videoHeight * scale)];
        if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
        context.drawImage(this.#video, 0, 0, width, height);
        const frame: Frame = context.getImageData(0, 0, width, height);
        const quad = await sheets()
          .look(frame)
          .catch(() => null);
        if (this.#stopped) return;
        this.#found(quad && (quad.map(([x, y]) => [x / scale, y / scale]) as Quad));
      }
      await new Promise((next) => setTimeout(next, PAUSE));
    }
  }

  /** Steadied: a frame doesn't jump with every look. */
  #found(quad: Quad | null): void {
    const now = performance.now();
    if (!quad) {
      if (now - this.#seen > STAYS) this.quad = null;
      return;
    }
    this.#seen = now;
    const before = this.quad;
    const far = 0.08 * Math.max(this.#video.videoWidth, this.#video.videoHeight);
    const near = before?.every(([x, y], i) => Math.hypot(x - (quad[i]?.[0] ?? 0), y - (quad[i]?.[1] ?? 0)) < far);
    this.quad =
      before && near
        ? (before.map(([x, y], i) => [(x + (quad[i]?.[0] ?? x)) / 2, (y + (quad[i]?.[1] ?? y)) / 2]) as Quad)
        : quad;
  }
}
