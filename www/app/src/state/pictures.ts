// Files → pictures that both the browser can show and the engine can read, one a page.

import { OcrError } from "@maoocr/lib";

import { ocr } from "./client.ts";

export interface Page {
  name: string;
  /** The same for all pages of a file. */
  file: string;
  /** Of several in one file. */
  page: { number: number; of: number } | null;
  /** Drawn when its turn comes: a hundred pages aren't held in memory. */
  picture: () => Promise<Blob>;
}

type Kind = "both" | "engine" | "pdf" | "other";

/** By a file's first bytes: extensions and types lie. */
export async function kindOf(file: Blob): Promise<Kind> {
  const head = new Uint8Array(await file.slice(0, 1024).arrayBuffer());
  const ascii = String.fromCharCode(...head.subarray(0, 16));
  if (/^\xff\xd8\xff|^\x89PNG|^GIF8|^BM|^RIFF....WEBP/s.test(ascii)) return "both";
  if (/^II\*\0|^MM\0\*|^P[1-6]\s/s.test(ascii)) return "engine";
  if (String.fromCharCode(...head).includes("%PDF-")) return "pdf";
  return "other";
}

export function newId(): string {
  return crypto.randomUUID?.() ?? `${Date.now()}-${Math.random().toString(36).slice(2)}`;
}

async function isJpeg(file: Blob): Promise<boolean> {
  const [a, b] = new Uint8Array(await file.slice(0, 2).arrayBuffer());
  return a === 0xff && b === 0xd8;
}

/** The pages of a file; an error where it can be seen already that there are none. */
export async function pagesOf(file: File): Promise<Page[]> {
  const { name } = file;
  const id = newId();
  const page = (i: number, of: number, picture: Page["picture"]): Page => ({
    name,
    file: id,
    page: of === 1 ? null : { number: i + 1, of },
    picture,
  });
  const one = (picture: Page["picture"]): Page[] => [page(0, 1, picture)];
  if (file.size === 0) throw new OcrError("empty", `${file.name} is empty`);
  switch (await kindOf(file)) {
    case "both":
      return one(async () => file);
    case "pdf": {
      const { openPdf } = await import("./pdf.ts").catch((thrown: unknown) => {
        throw new OcrError("network", String(thrown));
      });
      const pdf = await openPdf(file);
      return Array.from({ length: pdf.pages }, (_, i) => page(i, pdf.pages, () => pdf.draw(i + 1)));
    }
    case "engine": {
      const pictures = await ocr().pages(file);
      return pictures.map((picture, i) => page(i, pictures.length, async () => picture));
    }
    case "other":
      // AVIF, HEIC, SVG, what else this browser knows: what it draws is read.
      return one(async () => {
        try {
          return await redraw(file);
        } catch {
          throw new OcrError("unknown_format", `${file.name} can't be decoded`);
        }
      });
  }
}

function canvas(width: number, height: number): [OffscreenCanvas, OffscreenCanvasRenderingContext2D] {
  const surface = new OffscreenCanvas(width, height);
  const context = surface.getContext("2d");
  if (!context) throw new OcrError("out_of_memory", "no canvas of this size");
  return [surface, context];
}

async function redraw(file: Blob): Promise<Blob> {
  const bitmap = await createImageBitmap(file);
  const [surface, context] = canvas(bitmap.width, bitmap.height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return surface.convertToBlob({ type: "image/png" });
}

/** Of the picture as a person sees it, px. */
export interface Cut {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** The picture turned clockwise by quarter turns, and of that the part within `cut`. */
export async function turnAndCrop(file: Blob, quarters: number, cut: Cut): Promise<Blob> {
  const bitmap = await createImageBitmap(file);
  const [surface, context] = canvas(Math.round(cut.width), Math.round(cut.height));
  const [width, height] = quarters % 2 === 0 ? [bitmap.width, bitmap.height] : [bitmap.height, bitmap.width];
  context.translate(width / 2 - cut.left, height / 2 - cut.top);
  context.rotate((quarters * Math.PI) / 2);
  context.drawImage(bitmap, -bitmap.width / 2, -bitmap.height / 2);
  bitmap.close();
  // A photo as a PNG would be several times its size.
  return surface.convertToBlob((await isJpeg(file)) ? { type: "image/jpeg", quality: 0.95 } : { type: "image/png" });
}

/** Longest side of a thumbnail, px. */
const THUMBNAIL = 320;

export async function thumbnail(picture: Blob): Promise<Blob | null> {
  try {
    const whole = await createImageBitmap(picture);
    const scale = Math.min(1, THUMBNAIL / Math.max(whole.width, whole.height));
    const [surface, context] = canvas(
      Math.max(1, Math.round(whole.width * scale)),
      Math.max(1, Math.round(whole.height * scale)),
    );
    context.imageSmoothingQuality = "high";
    context.drawImage(whole, 0, 0, surface.width, surface.height);
    whole.close();
    return await surface.convertToBlob({ type: "image/webp", quality: 0.8 });
  } catch {
    return null;
  }
}
