// MaoOCR in a browser.

import { catalogue } from "./dist/catalogue.js";
import { OcrError } from "./dist/errors.js";
import { Reader } from "./dist/maoocr.js";
import { ModelStore } from "./dist/models.js";
import { poolSize } from "./dist/pool.js";
import { bundled } from "./models.js";

export { OcrError };

/** The pixels of what can be drawn. */
function pixels(drawable, width, height) {
  if (!(width > 0 && height > 0)) throw new OcrError("invalid_argument", "the picture has no pixels yet");
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  if (!context) throw new OcrError("out_of_memory", "no canvas of this size");
  try {
    context.drawImage(drawable, 0, 0, width, height);
    return context.getImageData(0, 0, width, height);
  } catch (thrown) {
    // The browser keeps pixels of other origins to itself.
    if (thrown instanceof DOMException && thrown.name === "SecurityError")
      throw new OcrError("unreadable", thrown.message);
    throw thrown;
  } finally {
    context.canvas.width = context.canvas.height = 0;
  }
}

const is = (name, input) => typeof globalThis[name] === "function" && input instanceof globalThis[name];

async function draw(input) {
  if (is("HTMLImageElement", input)) {
    await input.decode();
    // Chromium caches, up to 512 MB, what it decodes to draw an image on a canvas. Not every SVG makes a bitmap.
    const bitmap = await createImageBitmap(input).catch(() => null);
    try {
      return pixels(bitmap ?? input, input.naturalWidth, input.naturalHeight);
    } finally {
      bitmap?.close();
    }
  }
  if (is("HTMLVideoElement", input)) return pixels(input, input.videoWidth, input.videoHeight);
  if (is("VideoFrame", input)) return pixels(input, input.displayWidth, input.displayHeight);
  for (const name of ["HTMLCanvasElement", "OffscreenCanvas", "ImageBitmap"]) {
    if (is(name, input)) return pixels(input, input.width, input.height);
  }
  return null;
}

/** What the browser shows and the engine doesn't know, such as AVIF. */
async function decode(file) {
  const bitmap = await createImageBitmap(file).catch(() => null);
  return bitmap && pixels(bitmap, bitmap.width, bitmap.height);
}

async function read(where, signal) {
  let response;
  try {
    response = await fetch(where, { signal });
  } catch (thrown) {
    if (signal?.aborted) throw OcrError.from(thrown);
    throw new OcrError("network", `${where}: ${thrown}`);
  }
  if (!response.ok) throw new OcrError("network", `${where}: HTTP ${response.status}`);
  return response.arrayBuffer();
}

const platform = () => ({
  createWorker: () => new Worker(new URL("./worker.js", import.meta.url), { type: "module", name: "maoocr" }),
  workers: poolSize(navigator.hardwareConcurrency, navigator.deviceMemory ?? null),
  models: bundled,
  catalogue,
  collection: (where) => new ModelStore(new URL(where, document.baseURI)),
  read,
  draw,
  decode,
});

export class MaoOCR extends Reader {
  constructor(options = {}) {
    super(options, platform());
  }
}
