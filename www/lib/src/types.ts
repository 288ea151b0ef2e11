// What the engine takes and answers, and what this client adds to it.

export type {
  BestPath,
  Block,
  Frame,
  Level,
  Limits,
  Line,
  LineEvent,
  Plan,
  Point,
  Quad,
  Requirements,
  Word,
} from "../../../crates/wasm/src/types.d.ts";

export type {
  Cell,
  Form,
  LayerUse,
  ListItem,
  Meta,
  PageRead,
  PageText,
  Region,
  RegionKind,
  Table,
  Worth,
} from "../../../crates/wasm-documents/src/types.d.ts";

import type { OcrError } from "./errors.ts";
import type { Document as Read, Frame, LineEvent, Quad, Requirements } from "../../../crates/wasm/src/types.d.ts";
import type { Worth } from "../../../crates/wasm-documents/src/types.d.ts";

/** A page that was read. */
export interface Document extends Read {
  /** What the text layer of a PDF's page is worth. */
  worth?: Worth;
  /** Pixels an inch of a PDF's page. */
  dpi?: number | null;
}

/** A picture to read: a file, or pixels. */
export type Picture = Blob | Frame;

/** Where a picture is read. */
export type Place = "device" | "server";

/** What a person may choose; `auto` decides by requirements, device and network. */
export type PlaceChoice = Place | "auto";

/** What reads a picture on the device. */
export type Runner = "cpu" | "gpu";

/** What a person may choose; `auto` takes the GPU where it was seen to read the same and faster. */
export type RunOn = Runner | "auto";

/** How it stands with the GPU: `used`, or why not. */
export type GpuState =
  "used" | "unchosen" | "missing" | "software" | "unchecked" | "slower" | "other_text" | "failed" | "lost";

/** What happens while a picture is read. */
export interface Events {
  /** Bytes of models that are being fetched: so far, and in all. */
  onModels?: (progress: { received: number; total: number }) => void;
  /** The pixels are being looked at: models are there. */
  onStarted?: () => void;
  onDetected?: (boxes: Quad[]) => void;
  /** A line was read. Another line with the same index replaces it. */
  onLine?: (line: LineEvent) => void;
  /** The line with this index is not in the answer. */
  onWithdrawn?: (index: number) => void;
  /** The CPU reads instead of the GPU, from the start of the picture. */
  onFallback?: (reason: OcrError) => void;
}

export interface RecognizeCall extends Events {
  requirements?: Requirements;
  signal?: AbortSignal;
  /** Nothing else waits to be read: engines that are idle take a share of its lines. */
  alone?: boolean;
}

/** A place, and why, as a code: the app puts it into words. */
export interface Decision {
  place: Place;
  reason: Reason;
  /** What read it there, where that is known. */
  runner?: Runner;
}

export type Reason =
  | "chosen"
  | "offline"
  | "no_server"
  | "server_down"
  | "server_failed"
  | "server_key"
  | "data_saver"
  | "slow_network"
  | "real_time"
  | "accuracy_needs_server"
  | "weak_device"
  | "low_battery"
  | "language_needs_server"
  | "private"
  /** The PDF's own text was taken. */
  | "text_layer";

export interface Answer {
  documents: Document[];
  decision: Decision;
}
