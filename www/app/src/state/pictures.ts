// Files → pictures that both the browser can show and the engine can read, one a page; and what is done to them.

import { bounds, OcrError, type Document, type PdfFile } from "@maoocr/lib";

import { ocr } from "./client.ts";
import { passwordOf } from "./passwords.ts";

export interface Page {
  name: string;
  /** The same for all pages of a file. */
  file: string;
  /** Of several in one file. */
  page: { number: number; of: number } | null;
  /** Drawn when its turn comes: a hundred pages aren't held in memory. */
  picture: () => Promise<Blob>;
  /** Of a PDF: the open file, and the page's position from 0. */
  pdf?: { file: PdfFile; index: number };
}

type Kind = "both" | "engine" | "pdf" | "heic" | "other";

/** By a file's first bytes: extensions and types lie. */
export async function kindOf(file: Blob): Promise<Kind> {
  const head = new Uint8Array(await file.slice(0, 1024).arrayBuffer());
  const ascii = String.fromCharCode(...head.subarray(0, 32));
  if (/^\xff\xd8\xff|^\x89PNG|^GIF8|^BM|^RIFF....WEBP/s.test(ascii)) return "both";
  if (/^II\*\0|^MM\0\*|^P[1-6]\s/s.test(ascii)) return "engine";
  if (/^....ftyp(hei[cfmsx]|hev[cmsx]|mif1|msf1)/s.test(ascii)) return "heic";
  if (String.fromCharCode(...head).includes("%PDF-")) return "pdf";
  return "other";
}

export function newId(): string {
  return crypto.randomUUID?.() ?? `${Date.now()}-${Math.random().toString(36).slice(2)}`;
}

/** The pages of a file; an error where it can be seen already that there are none. */
export async function pagesOf(file: File, id: string): Promise<Page[]> {
  const { name } = file;
  const page = (i: number, of: number, picture: Page["picture"]): Page => ({
    name,
    file: id,
    page: of === 1 ? null : { number: i + 1, of },
    picture,
  });
  const one = (picture: Page["picture"]): Page[] => [page(0, 1, picture)];
  if (file.size === 0) throw new OcrError("empty", `${file.name} is empty`);
  const kind = await kindOf(file);
  switch (kind) {
    case "both":
      return one(async () => file);
    case "pdf": {
      const pdf = await ocr().documents.open(file, passwordOf(id));
      return Array.from({ length: pdf.pages }, (_, index) => ({
        ...page(index, pdf.pages, () => pdf.draw(index)),
        pdf: { file: pdf, index },
      }));
    }
    case "engine": {
      const pictures = await ocr().pages(file);
      return pictures.map((picture, i) => page(i, pictures.length, async () => picture));
    }
    case "heic":
    case "other":
      // AVIF, HEIC, SVG, what else this browser knows: what it draws is read.
      return one(async () => {
        try {
          return await redraw(file);
        } catch {
          throw new OcrError(kind === "heic" ? "heic" : "unknown_format", `${file.name} can't be decoded`);
        }
      });
  }
}

function canvas(width: number, height: number): [OffscreenCanvas, OffscreenCanvasRenderingContext2D] {
  const surface = new OffscreenCanvas(Math.max(1, Math.round(width)), Math.max(1, Math.round(height)));
  const context = surface.getContext("2d");
  if (!context) throw new OcrError("out_of_memory", "no canvas of this size");
  return [surface, context];
}

/** Frees the pixels at once, not when memory is short. */
async function written(surface: OffscreenCanvas, options: ImageEncodeOptions): Promise<Blob> {
  const blob = await surface.convertToBlob(options);
  surface.width = surface.height = 0;
  return blob;
}

async function redraw(file: Blob): Promise<Blob> {
  const bitmap = await createImageBitmap(file).catch(() => asImage(file));
  const [surface, context] = canvas(bitmap.width, bitmap.height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return written(surface, photo(file.type !== "image/svg+xml"));
}

/** Browsers show formats that they make no bitmaps of: HEIC in Safari, SVG everywhere. */
async function asImage(file: Blob): Promise<ImageBitmap> {
  const url = URL.createObjectURL(file);
  try {
    const image = new Image();
    image.src = url;
    await image.decode();
    return await createImageBitmap(image);
  } finally {
    URL.revokeObjectURL(url);
  }
}

/** A photo as a PNG would be several times its size. */
function photo(yes: boolean): ImageEncodeOptions {
  return yes ? { type: "image/jpeg", quality: 0.95 } : { type: "image/png" };
}

/** What a person did to a picture; the picture itself stays. */
export interface Edit {
  /** Clockwise, of 90° each. */
  quarters: 0 | 1 | 2 | 3;
  /** What is left of the turned picture, as shares of its sides. */
  cut: { left: number; top: number; right: number; bottom: number };
}

export const WHOLE: Edit["cut"] = { left: 0, top: 0, right: 1, bottom: 1 };

export function changesNothing({ quarters, cut }: Edit): boolean {
  return quarters === 0 && cut.left <= 0 && cut.top <= 0 && cut.right >= 1 && cut.bottom >= 1;
}

export async function applied(edit: Edit | null, original: Blob): Promise<Blob> {
  if (!edit || changesNothing(edit)) return original;
  const { quarters, cut } = edit;
  const bitmap = await createImageBitmap(original);
  const [width, height] = quarters % 2 === 0 ? [bitmap.width, bitmap.height] : [bitmap.height, bitmap.width];
  const [surface, context] = canvas((cut.right - cut.left) * width, (cut.bottom - cut.top) * height);
  context.translate(width / 2 - cut.left * width, height / 2 - cut.top * height);
  context.rotate((quarters * Math.PI) / 2);
  context.drawImage(bitmap, -bitmap.width / 2, -bitmap.height / 2);
  bitmap.close();
  const [a, b] = new Uint8Array(await original.slice(0, 2).arrayBuffer());
  return written(surface, photo(a === 0xff && b === 0xd8));
}

/** A picture at the size at which it is shown: one of 12 megapixels takes 48 MB, a screen has two. */
export interface Preview {
  bitmap: ImageBitmap;
  /** Of the picture itself, px. */
  width: number;
  height: number;
}

/** The part of it within (left, top, width, height), px of the picture, at most `longest` px wide and high. */
export async function preview(picture: Blob, longest: number, part?: DOMRectReadOnly): Promise<Preview> {
  const whole = await createImageBitmap(picture).catch(() => asImage(picture));
  const { width, height } = whole;
  const area = part ?? new DOMRectReadOnly(0, 0, width, height);
  const scale = Math.min(1, longest / Math.max(area.width, area.height));
  if (scale === 1 && !part) return { bitmap: whole, width, height };
  const [surface, context] = canvas(area.width * scale, area.height * scale);
  context.imageSmoothingQuality = "high";
  context.drawImage(whole, area.x, area.y, area.width, area.height, 0, 0, surface.width, surface.height);
  whole.close();
  return { bitmap: surface.transferToImageBitmap(), width, height };
}

/** Sides of a thumbnail, px. */
const THUMBNAIL = { width: 320, height: 240 };

/** What makes one recognise a page in a list is its first lines, not its margins. */
export async function thumbnail(picture: Blob, document: Document | null): Promise<Blob | null> {
  try {
    const whole = await createImageBitmap(picture);
    const area = telling(whole, document);
    const scale = Math.min(1, THUMBNAIL.width / area.width);
    const [surface, context] = canvas(area.width * scale, area.height * scale);
    context.imageSmoothingQuality = "high";
    context.drawImage(whole, area.x, area.y, area.width, area.height, 0, 0, surface.width, surface.height);
    whole.close();
    return await written(surface, { type: "image/webp", quality: 0.8 });
  } catch {
    return null;
  }
}

/** The upper part of the text, as wide as the text, in the shape of a thumbnail. */
function telling({ width, height }: { width: number; height: number }, document: Document | null): DOMRectReadOnly {
  const shape = THUMBNAIL.height / THUMBNAIL.width;
  const boxes = (document?.lines ?? []).filter(({ text }) => text).map(({ box }) => bounds(box));
  if (boxes.length === 0) return new DOMRectReadOnly(0, 0, width, Math.min(height, width));
  const margin = 0.03 * width;
  const left = Math.max(0, Math.min(...boxes.map(([x]) => x)) - margin);
  const top = Math.max(0, Math.min(...boxes.map(([, y]) => y)) - margin);
  const right = Math.min(width, Math.max(...boxes.map(([, , x]) => x)) + margin);
  // A single word isn't blown up.
  const wide = Math.min(width, Math.max(right - left, 0.4 * width));
  const high = Math.min(height, wide * shape);
  return new DOMRectReadOnly(Math.min(left, width - wide), Math.min(top, height - high), wide, high);
}
