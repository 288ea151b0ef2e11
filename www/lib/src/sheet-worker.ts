/// <reference lib="webworker" />
// Finds sheets and makes them flat in a thread of its own: a photo has millions of pixels.

import { cleaned, flattened, turnedQuad } from "./flatten.ts";
import { grey } from "./motion.ts";
import { findSheet, ordered, proportion, refined, SOUGHT } from "./sheet.ts";
import type { FlatSheet, FromSheets, SheetRequest, ToSheets } from "./sheets.ts";
import type { Frame, Quad } from "./types.ts";

declare const self: DedicatedWorkerGlobalScope;

/** Longest side of the picture that corners are refined in, px. */
const FINE = 1280;
/** How far the first look may be off, px of that picture. */
const REACH = 12;

self.onmessage = async ({ data: { id, request } }: MessageEvent<ToSheets>) => {
  const tell = (message: FromSheets) => self.postMessage(message);
  try {
    tell({ id, value: await answer(request) });
  } catch (thrown) {
    tell({ id, failure: thrown instanceof Error ? thrown.message : String(thrown) });
  }
};

async function answer(request: SheetRequest): Promise<Quad | FlatSheet | null> {
  if (request.kind === "look") {
    const { data, width, height } = request.frame;
    return findSheet(grey(data as Uint8ClampedArray, width, height));
  }
  const bitmap = await createImageBitmap(request.photo);
  try {
    return request.kind === "find" ? find(bitmap) : await flatten(bitmap, request);
  } finally {
    bitmap.close();
  }
}

/** The corners in a photo, px of it. */
function find(bitmap: ImageBitmap): Quad | null {
  const { width, height } = bitmap;
  const rough = findSheet(greyOf(bitmap, SOUGHT / Math.max(width, height)));
  if (!rough) return null;
  const coarse = Math.min(1, SOUGHT / Math.max(width, height));
  const fine = Math.min(1, FINE / Math.max(width, height));
  const scaled = (quad: Quad, by: number) => quad.map(([x, y]) => [x * by, y * by]) as Quad;
  const quad = refined(greyOf(bitmap, fine), scaled(rough, fine / coarse), REACH);
  return ordered(scaled(quad, 1 / fine));
}

function greyOf(bitmap: ImageBitmap, scale: number) {
  const { data, width, height } = pixels(bitmap, Math.min(1, scale));
  return grey(data as Uint8ClampedArray, width, height);
}

function pixels(bitmap: ImageBitmap, scale: number): Frame {
  const [width, height] = [Math.round(bitmap.width * scale), Math.round(bitmap.height * scale)];
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("no canvas of this size");
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}

/** The very edge of a sheet shows what it lies on. */
const TRIMMED = 0.006;

function trimmed(quad: Quad): Quad {
  const [cx, cy] = [quad.reduce((sum, [x]) => sum + x, 0) / 4, quad.reduce((sum, [, y]) => sum + y, 0) / 4];
  return quad.map(([x, y]) => [x + (cx - x) * TRIMMED, y + (cy - y) * TRIMMED]) as Quad;
}

async function flatten(
  bitmap: ImageBitmap,
  { quad, quarters, look }: Extract<SheetRequest, { kind: "flatten" }>,
): Promise<FlatSheet> {
  const { width, height } = bitmap;
  const corners: Quad = quad ?? [
    [0, 0],
    [width, 0],
    [width, height],
    [0, height],
  ];
  const edges = quad ? trimmed(corners) : corners;
  const upright = quad ? proportion(corners, bitmap) : width / height;
  const ratio = quarters % 2 === 0 ? upright : 1 / upright;
  const flat = cleaned(flattened(pixels(bitmap, 1), turnedQuad(edges, quarters), ratio), look);
  const canvas = new OffscreenCanvas(flat.width, flat.height);
  const context = canvas.getContext("2d", { alpha: false });
  if (!context) throw new Error("no canvas of this size");
  context.putImageData(new ImageData(flat.data as Uint8ClampedArray<ArrayBuffer>, flat.width, flat.height), 0, 0);
  // Black and white is smaller, and stays sharp, without loss.
  const picture = await canvas.convertToBlob(
    look === "ink" ? { type: "image/png" } : { type: "image/jpeg", quality: 0.88 },
  );
  canvas.width = canvas.height = 0;
  return { picture, width: flat.width, height: flat.height };
}
