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

/** Gives back the memory of pixels or of a file that are done with: workers that mostly run WebAssembly, and hidden
 * documents, collect theirs late. They are empty afterwards. A port that nobody listens at takes the bytes and drops them;
 * `ArrayBuffer.transfer` would empty the buffer, but a browser keeps a second hold on bytes that came in a message. */
export function emptied(picture: ArrayBuffer | Frame): void {
  const bytes = picture instanceof ArrayBuffer ? picture : picture.data.buffer;
  // None that are shared, nor what is empty already.
  if (!(bytes instanceof ArrayBuffer) || bytes.byteLength === 0) return;
  const { port1 } = new MessageChannel();
  port1.close();
  port1.postMessage(null, [bytes]);
}
