// The API of MaoOCR.

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

/** A file's bytes, its URL (in Node.js also a path), or pixels. */
export type Input = string | URL | Blob | ArrayBuffer | ArrayBufferView | Frame | Drawable;

/** A model file: its bytes, its URL, in Node.js also a path. */
export type ModelSource = string | URL | Blob | ArrayBuffer | ArrayBufferView | (() => Promise<Blob | ArrayBuffer>);

export interface Options {
  /**
   * Default: the tiny models of this package. Otherwise, models and dictionaries of the manifest by name
   * (`{"ppocrv6-small-rec": "/models/rec.onnx", …}`), each checked against the manifest's SHA-256; or a site that serves
   * them as MaoOCR's web app does (`models.json` beside `models/`), from which the browser caches them; or, in Node.js, a
   * folder filled by `maoocr models pull`.
   */
  models?: string | URL | Record<string, ModelSource>;
  /** Images read at the same time, each by a worker with its own engine. Default: depends on the device. */
  workers?: number;
}

/** How an image is read, and callbacks for progress. All are optional. */
export interface RecognizeOptions extends Requirements {
  /** Stops the work: the promise is rejected with the code `cancelled`. */
  signal?: AbortSignal;
  /** Progress of downloading models from a site: bytes so far, and in total. */
  onModels?: (progress: { received: number; total: number }) => void;
  /** The models are loaded and reading has started. */
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
  /** Text of all pages, separated by form feeds. */
  text: string;
  /** Mean of its characters, 0 to 1; 0 without text. */
  confidence: number;
  /** s */
  processing_time: number;
  selected_models: string[];
  /** One, except for multi-page TIFFs. Each has its lines, words, blocks and boxes. */
  pages: Document[];
}

/**
 * The error of every failing call. Codes for images: `empty`, `unknown_format`, `unsupported`, `truncated`,
 * `malformed`, `too_large`, `too_many_pixels`, `too_many_pages`, `out_of_memory`, `unreadable`; for models:
 * `unknown_model`, `wrong_bytes`, `models_unavailable`, `model_not_installed`; for calls: `invalid_requirements`,
 * `invalid_argument`, `cancelled`, `terminated`; for downloads: `network`; faults: `worker_lost`, `internal`.
 */
export class OcrError extends Error {
  readonly name: "OcrError";
  readonly code: string;
}

/**
 * Reads images in workers, which start with the first image and end after a minute without work.
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
  /** Starts an engine and loads the models for these requirements, so that the first image needn't wait. */
  warm(requirements?: Requirements): Promise<void>;
  /** Ends the workers for good; pending calls are rejected with the code `terminated`. */
  terminate(): Promise<void>;
}
