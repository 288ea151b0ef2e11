// The part of tesseract.js's API that this package implements.

import type { Input } from "./index.js";

/** px: left, top, right, bottom. */
export interface Bbox {
  x0: number;
  y0: number;
  x1: number;
  y1: number;
}

export interface Word {
  text: string;
  /** 0 to 100. */
  confidence: number;
  bbox: Bbox;
}

export interface Line extends Word {
  words: Word[];
}

export interface Paragraph extends Word {
  lines: Line[];
}

export interface Block extends Word {
  paragraphs: Paragraph[];
}

export interface Page {
  text: string;
  /** 0 to 100. */
  confidence: number;
  /** Null unless requested in the output formats. */
  blocks: Block[] | null;
}

export interface LoggerMessage {
  workerId: string;
  jobId: string;
  status: string;
  /** 0 to 1. */
  progress: number;
}

export interface WorkerOptions {
  logger?: (message: LoggerMessage) => void;
  errorHandler?: (error: unknown) => void;
}

export interface OutputFormats {
  text?: boolean;
  blocks?: boolean;
}

export interface RecognizeResult {
  jobId: string;
  data: Page;
}

export interface Worker {
  readonly id: string;
  /** Tesseract options that have no meaning here are rejected with the code `unsupported`, never ignored. */
  recognize(
    image: Input,
    options?: Record<string, never>,
    output?: OutputFormats,
    jobId?: string,
  ): Promise<RecognizeResult>;
  reinitialize(languages?: string | string[]): Promise<void>;
  setParameters(parameters: Record<string, never>): Promise<void>;
  terminate(): Promise<void>;
}

export interface Scheduler {
  addWorker(worker: Worker): string;
  addJob(
    action: "recognize",
    image: Input,
    options?: Record<string, never>,
    output?: OutputFormats,
  ): Promise<RecognizeResult>;
  getQueueLen(): number;
  getNumWorkers(): number;
  terminate(): Promise<void>;
}

/** `languages` use Tesseract's names: `eng`, `chi_sim`, `eng+deu`. The engine is the same for every `oem`. */
export function createWorker(languages?: string | string[], oem?: number, options?: WorkerOptions): Promise<Worker>;
/** Reads one image with its own worker. */
export function recognize(
  image: Input,
  languages?: string | string[],
  options?: WorkerOptions,
): Promise<RecognizeResult>;
export function createScheduler(): Scheduler;

declare const tesseract: {
  createWorker: typeof createWorker;
  recognize: typeof recognize;
  createScheduler: typeof createScheduler;
};
export default tesseract;
