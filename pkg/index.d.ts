// What MaoOCR takes and answers.

import type { Document, LineEvent, Quad, Requirements } from "./dist/types.js";

export type {
  Block,
  Document,
  Dropped,
  Level,
  Line,
  LineEvent,
  Plan,
  Point,
  Quad,
  Requirements,
  Word,
} from "./dist/types.js";

/** Pixels, as a canvas's `ImageData` has them: 8-bit RGBA, row after row. */
export interface Frame {
  readonly data: Uint8ClampedArray | Uint8Array;
  /** px */
  readonly width: number;
  /** px */
  readonly height: number;
}

/** In browsers: an `ImageBitmap`, an `OffscreenCanvas`, a `VideoFrame`, an `img`, `canvas` or `video` element. */
export type Drawable =
  | { readonly width: number; readonly height: number }
  | { readonly displayWidth: number; readonly displayHeight: number };

/** A file's bytes, an address that leads to it (in Node.js also a path), or pixels. */
export type Input = string | URL | Blob | ArrayBuffer | ArrayBufferView | Frame | Drawable;

/** Bytes of a model's file, or what leads to them: an address, in Node.js also a path. */
export type ModelSource = string | URL | Blob | ArrayBuffer | ArrayBufferView | (() => Promise<Blob | ArrayBuffer>);

export interface Options {
  /**
   * Default: the tiny models of this package. Else models and dictionaries of the manifest by name
   * (`{"ppocrv6-small-rec": "/models/rec.onnx", …}`), each compared with the manifest's SHA-256; or a site that offers
   * them as MaoOCR's web app does (`models.json` beside `models/`), which are kept in the browser; or, in Node.js, a
   * folder that `maoocr models pull` filled.
   */
  models?: string | URL | Record<string, ModelSource>;
  /** Pictures that are read at the same time, each by a worker with an engine of its own. Default: as the device allows. */
  workers?: number;
}

/** How a picture is read, and what is told meanwhile. All of it is optional. */
export interface RecognizeOptions extends Requirements {
  /** Stops the work: the promise is rejected with the code `cancelled`. */
  signal?: AbortSignal;
  /** Bytes of models that are being fetched from a site: so far, and in all. */
  onModels?: (progress: { received: number; total: number }) => void;
  /** The models are there, the picture is being read. */
  onStarted?: () => void;
  /** Lines were found. */
  onDetected?: (boxes: Quad[]) => void;
  /** A line was read; lines come in no particular order. Another line with the same index replaces it. */
  onLine?: (line: LineEvent) => void;
  /** The line with this index is not in the answer. */
  onWithdrawn?: (index: number) => void;
}

/** A file, read. */
export interface Result {
  /** Of all pages, a form feed between two. */
  text: string;
  /** Mean of its characters, 0 to 1; 0 without text. */
  confidence: number;
  /** s */
  processing_time: number;
  selected_models: string[];
  /** One but for a TIFF of several. Each has its lines, words, blocks and boxes. */
  pages: Document[];
}

/**
 * What every failing call is rejected with. Codes of pictures: `empty`, `unknown_format`, `unsupported`, `truncated`,
 * `malformed`, `too_large`, `too_many_pixels`, `too_many_pages`, `out_of_memory`, `unreadable`; of models:
 * `unknown_model`, `wrong_bytes`, `models_unavailable`, `model_not_installed`; of calls: `invalid_requirements`,
 * `invalid_argument`, `cancelled`, `terminated`; of what is fetched: `network`; faults: `worker_lost`, `internal`.
 */
export class OcrError extends Error {
  readonly name: "OcrError";
  readonly code: string;
}

/**
 * Reads pictures in workers, which start with the first one and end when they have had nothing to do for a minute.
 *
 * ```js
 * const ocr = new MaoOCR();
 * const { text } = await ocr.recognize("receipt.jpg");
 * ```
 */
export class MaoOCR {
  /** @throws {@link OcrError} `invalid_argument` */
  constructor(options?: Options);
  recognize(input: Input, options?: RecognizeOptions): Promise<Result>;
  /** Starts an engine and gets the models that such pictures need, so that the first one needn't wait. */
  warm(requirements?: Requirements): Promise<void>;
  /** Ends the workers for good; calls under way are rejected with the code `terminated`. */
  terminate(): Promise<void>;
}
