// What is made of a picture: smaller ones to look at, and what a person cut and turned. In a worker, where there is one:
// twelve megapixels take a phone's page longer than a press may wait.

import { bounds, OcrError, type Quad } from "@maoocr/lib";

export interface Area {
  x: number;
  y: number;
  width: number;
  height: number;
}

export type Drawing =
  | { kind: "edited"; picture: Blob; edit: Edit }
  | { kind: "preview"; picture: Blob; longest: number; part: Area | null }
  | { kind: "thumbnail"; picture: Blob; boxes: Quad[] };

export interface Drawn {
  edited: Blob;
  preview: Preview;
  thumbnail: Blob;
}

type Decode = (picture: Blob) => Promise<ImageBitmap>;

export function drawn(drawing: Drawing, decode: Decode = createImageBitmap): Promise<Drawn[Drawing["kind"]]> {
  switch (drawing.kind) {
    case "edited":
      return edited(drawing, decode);
    case "preview":
      return preview(drawing, decode);
    case "thumbnail":
      return thumbnail(drawing, decode);
  }
}

export function canvas(width: number, height: number): [OffscreenCanvas, OffscreenCanvasRenderingContext2D] {
  const surface = new OffscreenCanvas(Math.max(1, Math.round(width)), Math.max(1, Math.round(height)));
  const context = surface.getContext("2d");
  if (!context) throw new OcrError("out_of_memory", "no canvas of this size");
  return [surface, context];
}

/** Frees the pixels at once, not when memory is short. */
export async function written(surface: OffscreenCanvas, options: ImageEncodeOptions): Promise<Blob> {
  const blob = await surface.convertToBlob(options);
  surface.width = surface.height = 0;
  return blob;
}

/** A photo as a PNG would be several times its size. */
export function photo(yes: boolean): ImageEncodeOptions {
  return yes ? { type: "image/jpeg", quality: 0.95 } : { type: "image/png" };
}

type Of<Kind extends Drawing["kind"]> = Extract<Drawing, { kind: Kind }>;

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

async function edited({ picture, edit: { quarters, cut } }: Of<"edited">, decode: Decode): Promise<Blob> {
  const bitmap = await decode(picture);
  const [width, height] = quarters % 2 === 0 ? [bitmap.width, bitmap.height] : [bitmap.height, bitmap.width];
  const [surface, context] = canvas((cut.right - cut.left) * width, (cut.bottom - cut.top) * height);
  context.translate(width / 2 - cut.left * width, height / 2 - cut.top * height);
  context.rotate((quarters * Math.PI) / 2);
  context.drawImage(bitmap, -bitmap.width / 2, -bitmap.height / 2);
  bitmap.close();
  const [a, b] = new Uint8Array(await picture.slice(0, 2).arrayBuffer());
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
async function preview({ picture, longest, part }: Of<"preview">, decode: Decode): Promise<Preview> {
  const whole = await decode(picture);
  const { width, height } = whole;
  const area = part ?? { x: 0, y: 0, width, height };
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
async function thumbnail({ picture, boxes }: Of<"thumbnail">, decode: Decode): Promise<Blob> {
  const whole = await decode(picture);
  const area = telling(whole, boxes);
  const scale = Math.min(1, THUMBNAIL.width / area.width);
  const [surface, context] = canvas(area.width * scale, area.height * scale);
  context.imageSmoothingQuality = "high";
  context.drawImage(whole, area.x, area.y, area.width, area.height, 0, 0, surface.width, surface.height);
  whole.close();
  return written(surface, { type: "image/webp", quality: 0.8 });
}

/** The upper part of the text, as wide as the text, in the shape of a thumbnail. */
function telling({ width, height }: { width: number; height: number }, quads: Quad[]): Area {
  const shape = THUMBNAIL.height / THUMBNAIL.width;
  const boxes = quads.map(bounds);
  if (boxes.length === 0) return { x: 0, y: 0, width, height: Math.min(height, width) };
  const margin = 0.03 * width;
  const left = Math.max(0, Math.min(...boxes.map(([x]) => x)) - margin);
  const top = Math.max(0, Math.min(...boxes.map(([, y]) => y)) - margin);
  const right = Math.min(width, Math.max(...boxes.map(([, , x]) => x)) + margin);
  // A single word isn't blown up.
  const wide = Math.min(width, Math.max(right - left, 0.4 * width));
  const high = Math.min(height, wide * shape);
  return { x: Math.min(left, width - wide), y: Math.min(top, height - high), width: wide, height: high };
}
