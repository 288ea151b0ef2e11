/** A corner, px: to the right, down. */
export type Point = [x: number, y: number];
/** Four corners in the picture as a person sees it, clockwise from the text's top left. */
export type Quad = [Point, Point, Point, Point];

export interface Word {
  text: string;
  /** 0 to 1. */
  confidence: number;
  box: Quad;
}

export interface Line {
  text: string;
  /** Mean of its characters, 0 to 1. */
  confidence: number;
  box: Quad;
  words: Word[];
  /** Whether it runs from top to bottom with upright characters. */
  vertical: boolean;
}

/** Lines that belong together. */
export interface Block {
  kind: string;
  box: Quad;
  /** Indices of its lines. */
  lines: number[];
}

/** Which models run, with which stages, and why. */
export interface Plan {
  detector: string;
  recogniser: string;
  /** Recognisers of single scripts, for lines that the recogniser can't read. */
  script_recognisers?: string[];
  line_orientation: string | null;
  page_orientation: string | null;
  /** Longest side of the detector's input, px. */
  max_side: number;
  /** BCP 47 tag, or `auto`. */
  language: string;
  /** One sentence a choice. */
  reasons: string[];
}

/** Something that looked like a line and is not in the text. */
export interface Dropped {
  text: string;
  /** 0 to 1 */
  confidence: number;
  box: Quad;
  reason: "unsure" | "unread" | "ruby";
}

/** A page that was read; the same as the command's `--json`. */
export interface Document {
  text: string;
  /** Mean of its characters, 0 to 1; 0 without text. */
  confidence: number;
  /** s */
  processing_time: number;
  selected_models: string[];
  id: string;
  /** px */
  width: number;
  /** px */
  height: number;
  /** Clockwise turn that makes the text upright, degrees. */
  turn: 0 | 90 | 180 | 270;
  /** What executed the models. */
  device: string;
  language: string;
  /** In reading order. */
  lines: Line[];
  /** In reading order. */
  blocks: Block[];
  /** What looked like a line and is not in the text. */
  dropped?: Dropped[];
  plan: Plan;
  /** Time of each stage, s. */
  timings: Record<string, number>;
}

export type Level = "low" | "medium" | "high";

/** What the caller needs; everything is optional. */
export interface Requirements {
  document_type?: "auto" | "simple_text" | "complex_layout";
  /** `auto`, an English name (`chinese`) or a BCP 47 tag (`zh-Hant`). */
  language?: string;
  accuracy_requirement?: Level;
  speed_requirement?: Level;
  /** A person waits for each picture, as with a live camera. */
  real_time?: boolean;
  batch_processing?: boolean;
}

/** What a picture may cost. */
export interface Limits {
  /** Size of the file. */
  max_bytes?: number;
  /** Pixels of one page. */
  max_pixels?: number;
  /** Pages of one file. */
  max_pages?: number;
  /** Working memory of decoding, bytes. */
  max_memory?: number;
}

export interface EngineOptions {
  /**
   * `auto` (default), `cpu`, `cpu:int8` (8-bit weights: faster, not quite as exact), `gpu` (no software), `gpu:0` (the
   * browser's adapter, whatever it is), `tract`. GPUs need the module that was built for them, and `Engine.create`.
   */
  device?: string;
  /** So little memory that only tiny models will do. */
  constrained?: boolean;
  limits?: Limits;
}

/** Pixels, as a canvas's `ImageData` has them: 8-bit RGBA, row after row. */
export interface Frame {
  data: Uint8ClampedArray | Uint8Array;
  /** px */
  width: number;
  /** px */
  height: number;
}

/** A line as soon as it is read, before lines are put in order. */
export interface LineEvent {
  /** Of its box among the detected ones. */
  index: number;
  text: string;
  /** 0 to 1. */
  confidence: number;
  box: Quad;
}

export interface RecognizeOptions {
  /** Lines were found. */
  onDetected?: (boxes: Quad[]) => void;
  /** A line was read; lines come in no particular order. Another line with the same index replaces it. */
  onLine?: (line: LineEvent) => void;
  /** The line with this index is not in the answer. */
  onWithdrawn?: (index: number) => void;
  /** Stops the work between two runs of a network: the promise is rejected with the code `cancelled`. */
  signal?: AbortSignal;
  /** Chooses among these of the loaded models only, by name. */
  models?: string[];
  /**
   * Engines of other threads that read a share of the lines: each function passes its arguments on to `readLines` of
   * one, and its answer back. What one fails to do is done here.
   */
  helpers?: ((recogniser: string, input: Float32Array, shape: number[]) => Promise<BestPath>)[];
}

/** What decoding needs of a recogniser's output, for a batch of lines, line after line. */
export interface BestPath {
  /** Lines. */
  batch: number;
  /** Steps of each line. */
  steps: number;
  /** The most probable class of each step. */
  classes: Uint32Array;
  /** Its probability. */
  probabilities: Float32Array;
  /** Probability of the last class, the space. */
  lastClass: Float32Array;
}

/** What was launched on a GPU. */
export interface Launches {
  /** Launches of all kernels. */
  count: number;
  /** Pipelines they need. */
  pipelines: number;
  /** Launches of each kernel. */
  kernels: Record<string, number>;
}

/** An entry of the manifest. */
export interface ModelInfo {
  name: string;
  task: "detection" | "recognition" | "line-orientation" | "page-orientation" | "layout" | "dictionary";
  family: string;
  tier: "tiny" | "small" | "medium" | null;
  /** Of its file. */
  bytes: number;
  /** Of its file, lower-case hex. */
  sha256: string;
  /** SPDX identifier. */
  licence: string;
  languages: string[];
  /** Name of the dictionary a recogniser needs. */
  dictionary: string | null;
  loaded: boolean;
}

/** Row-major values. */
export interface Tensor {
  data: Float32Array;
  shape: number[];
}

/**
 * What every failing call throws, or rejects with. Codes of pictures: `empty`, `unknown_format`, `unsupported`,
 * `truncated`, `malformed`, `too_large`, `too_many_pixels`, `too_many_pages`, `out_of_memory`, `invalid_frame`; of
 * models: `unknown_model`, `wrong_bytes`, `model_not_installed`, `model_failed`, `model_unusable`; of devices:
 * `no_such_device`, `device_lost`, `device_out_of_memory` (the module's other engines on it are of no more use either);
 * of calls: `invalid_requirements`, `invalid_argument`, `cancelled`; a fault of the module: `internal`.
 */
export interface MaoOcrError extends Error {
  name: "MaoOcrError";
  code: string;
  /** The requirement at fault. */
  field?: string;
  /** What may stand there. */
  allowed?: string[];
}
