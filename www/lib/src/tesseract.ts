// The calls of tesseract.js (https://github.com/naptha/tesseract.js, its docs/api.md) on this engine, so that whoever
// uses them changes one import.

import { OcrError } from "./errors.ts";
import type { Call, Reader, Result } from "./maoocr.ts";
import type { Block, Document, Line, Quad } from "./types.ts";

/** Tesseract's names (ISO 639-2, with a script where there are two) → BCP 47. */
const LANGUAGES: Record<string, string> = {
  ...{ afr: "af", aze: "az", bos: "bs", cat: "ca", ces: "cs", chi_sim: "zh-Hans", chi_tra: "zh-Hant", dan: "da" },
  ...{ deu: "de", ell: "el", eng: "en", est: "et", eus: "eu", fin: "fi", fra: "fr", gle: "ga", glg: "gl", hrv: "hr" },
  ...{ hun: "hu", ind: "id", isl: "is", ita: "it", jpn: "ja", kor: "ko", lat: "la", lit: "lt", lav: "lv", msa: "ms" },
  ...{ mlt: "mt", nld: "nl", nor: "no", oci: "oc", pol: "pl", por: "pt", ron: "ro", rus: "ru", slk: "sk", slv: "sl" },
  ...{ spa: "es", sqi: "sq", srp_latn: "sr-Latn", swa: "sw", swe: "sv", tgl: "tl", tha: "th", tur: "tr", ukr: "uk" },
  ...{ ara: "ar", hin: "hi", tam: "ta", tel: "te", bul: "bg", bel: "be" },
};

/** Chosen by the engine from the picture where there are several: `eng+chi_sim`. */
function languageOf(names: string | string[]): string {
  const all = (Array.isArray(names) ? names : names.split("+")).map((name) => name.trim()).filter(Boolean);
  const tags = all.map((name) => {
    const tag = LANGUAGES[name];
    if (!tag) throw new OcrError("invalid_argument", `there is no language ${name} here`);
    return tag;
  });
  const [only] = tags;
  return tags.length === 1 && only ? only : "auto";
}

/** px: left, top, right, bottom. */
export interface Bbox {
  x0: number;
  y0: number;
  x1: number;
  y1: number;
}

interface Part {
  text: string;
  /** 0 to 100. */
  confidence: number;
  bbox: Bbox;
}

export interface TesseractPage {
  text: string;
  /** 0 to 100. */
  confidence: number;
  /** Where the output `blocks` is asked for. */
  blocks: (Part & { paragraphs: (Part & { lines: (Part & { words: Part[] })[] })[] })[] | null;
}

export interface Logged {
  workerId: string;
  jobId: string;
  status: string;
  /** 0 to 1. */
  progress: number;
}

export interface WorkerOptions {
  logger?: (message: Logged) => void;
  errorHandler?: (error: unknown) => void;
}

export interface Output {
  text?: boolean;
  blocks?: boolean;
}

function bboxOf(boxes: Quad[]): Bbox {
  const [xs, ys] = [0, 1].map((axis) => boxes.flatMap((box) => box.map((corner) => corner[axis] ?? 0)));
  const least = (values: number[] = []) => Math.round(Math.min(...values));
  const most = (values: number[] = []) => Math.round(Math.max(...values));
  return { x0: least(xs), y0: least(ys), x1: most(xs), y1: most(ys) };
}

const mean = (values: number[]) => (values.length > 0 ? values.reduce((a, b) => a + b, 0) / values.length : 0);

function lineOf(line: Line): Part & { words: Part[] } {
  const part = ({ text, confidence, box }: Pick<Line, "text" | "confidence" | "box">): Part => ({
    text,
    confidence: confidence * 100,
    bbox: bboxOf([box]),
  });
  return { ...part(line), text: `${line.text}\n`, words: line.words.map(part) };
}

/** A block of the document is one paragraph of one block. */
function blockOf(block: Block, document: Document): NonNullable<TesseractPage["blocks"]>[number] {
  const lines = block.lines.flatMap((index) => document.lines[index] ?? []).map(lineOf);
  const part = {
    text: lines.map(({ text }) => text).join(""),
    confidence: mean(lines.map(({ confidence }) => confidence)),
    bbox: bboxOf([block.box]),
  };
  return { ...part, paragraphs: [{ ...part, lines }] };
}

function pageOf({ text, confidence, pages }: Result, output: Output): TesseractPage {
  const blocks = output.blocks ? pages.flatMap((page) => page.blocks.map((block) => blockOf(block, page))) : null;
  return { text: output.text === false ? "" : `${text}\n`, confidence: confidence * 100, blocks };
}

let workers = 0;
let jobs = 0;

export class TesseractWorker {
  readonly id = `Worker-${++workers}`;
  readonly #reader: Reader;
  readonly #options: WorkerOptions;
  #language: string;

  constructor(reader: Reader, languages: string | string[], options: WorkerOptions) {
    this.#reader = reader;
    this.#language = languageOf(languages);
    this.#options = options;
  }

  async recognize(
    image: unknown,
    options: Record<string, unknown> = {},
    output: Output = {},
    jobId = `Job-${++jobs}`,
  ): Promise<{ jobId: string; data: TesseractPage }> {
    refuse(options, "recognize's options");
    let found = 0;
    let read = 0;
    const tell = (status: string, progress: number) =>
      this.#options.logger?.({ workerId: this.id, jobId, status, progress });
    const call: Call = {
      language: this.#language,
      onDetected: (boxes) => {
        found = boxes.length;
        tell("recognizing text", 0);
      },
      onLine: () => tell("recognizing text", found > 0 ? Math.min(1, ++read / found) : 0),
    };
    try {
      const data = pageOf(await this.#reader.recognize(image, call), output);
      tell("recognizing text", 1);
      return { jobId, data };
    } catch (thrown) {
      this.#options.errorHandler?.(thrown);
      throw thrown;
    }
  }

  /** Other languages from now on. */
  async reinitialize(languages: string | string[] = "eng"): Promise<void> {
    this.#language = languageOf(languages);
  }

  /** None of Tesseract's parameters has a meaning here. @throws OcrError `unsupported` where there are any. */
  async setParameters(parameters: Record<string, unknown>): Promise<void> {
    refuse(parameters, "setParameters");
  }

  async terminate(): Promise<void> {
    await this.#reader.terminate();
  }
}

function refuse(given: Record<string, unknown>, where: string): void {
  const names = Object.keys(given);
  if (names.length > 0) throw new OcrError("unsupported", `${where}: MaoOCR has no ${names.join(", ")}`);
}

/** Jobs over several workers: whichever is free takes the next one. */
class Scheduler {
  readonly #free: TesseractWorker[] = [];
  readonly #workers: TesseractWorker[] = [];
  readonly #waiting: ((worker: TesseractWorker) => void)[] = [];

  addWorker(worker: TesseractWorker): string {
    this.#workers.push(worker);
    this.#give(worker);
    return worker.id;
  }

  async addJob(
    action: string,
    ...job: Parameters<TesseractWorker["recognize"]>
  ): Promise<Awaited<ReturnType<TesseractWorker["recognize"]>>> {
    if (action !== "recognize") throw new OcrError("unsupported", `there is no job ${action}`);
    if (this.#workers.length === 0) throw new OcrError("invalid_argument", "the scheduler has no workers");
    const worker = this.#free.shift() ?? (await new Promise<TesseractWorker>((next) => this.#waiting.push(next)));
    try {
      return await worker.recognize(...job);
    } finally {
      this.#give(worker);
    }
  }

  getQueueLen(): number {
    return this.#waiting.length;
  }

  getNumWorkers(): number {
    return this.#workers.length;
  }

  async terminate(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  #give(worker: TesseractWorker): void {
    const next = this.#waiting.shift();
    if (next) next(worker);
    else this.#free.push(worker);
  }
}

/** tesseract.js' functions over engines that `create` makes. */
export function calls(create: () => Reader) {
  /** `_oem`, which of Tesseract's engines: there is one here. */
  const createWorker = async (languages: string | string[] = "eng", _oem?: number, options: WorkerOptions = {}) =>
    new TesseractWorker(create(), languages, options);
  const recognize = async (image: unknown, languages: string | string[] = "eng", options: WorkerOptions = {}) => {
    const worker = await createWorker(languages, undefined, options);
    try {
      return await worker.recognize(image);
    } finally {
      await worker.terminate();
    }
  };
  return { createWorker, recognize, createScheduler: () => new Scheduler() };
}
