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

/** Gives back the memory of pixels or of a file that are done with, where the browser can: workers that mostly run
 * WebAssembly, and hidden documents, collect theirs late. They are empty afterwards. */
export function emptied(picture: ArrayBuffer | Frame): void {
  const bytes: ArrayBufferLike & { transfer?: (length: number) => ArrayBuffer } =
    picture instanceof ArrayBuffer ? picture : picture.data.buffer;
  bytes.transfer?.(0);
}
