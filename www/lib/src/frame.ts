// Pixels as a file that browsers show and servers take.

import { OcrError } from "./errors.ts";
import type { Frame } from "./types.ts";

export async function encoded({ data, width, height }: Frame): Promise<Blob> {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  if (!context) throw new OcrError("out_of_memory", "no canvas of this size");
  const pixels = new Uint8ClampedArray(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
  context.putImageData(new ImageData(pixels, width, height), 0, 0);
  return canvas.convertToBlob({ type: "image/png" });
}
