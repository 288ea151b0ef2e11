// A picture and what becomes of it.

import { OcrError, type Decision, type Document, type LineEvent, type Quad } from "@maoocr/lib";

import { newId, type Page } from "./pictures.ts";
import type { Waiting, Wish } from "./store.ts";
import { tab } from "./tab.ts";

/** While it is read. */
export interface Reading {
  status: "reading";
  /** Whether the engine has begun with it. */
  started: boolean;
  /** Bytes of models that are being fetched. */
  models: { received: number; total: number } | null;
  boxes: Quad[];
  /** As they are read, in no order. */
  lines: LineEvent[];
}

export type JobState =
  | { status: "waiting" }
  | Reading
  | { status: "done" }
  | { status: "failed"; error: OcrError }
  | { status: "cancelled" };

/** What was read. It stays while the picture is read again, and if that fails. */
export interface Result {
  document: Document;
  decision: Decision;
  /** Whether a person corrected the document. */
  edited: boolean;
  /** What it was read with. */
  wish: Wish;
}

export const READING: Reading = { status: "reading", started: false, models: null, boxes: [], lines: [] };

const PLAIN: Wish = { edit: null, extra: {} };

/** Where a page's picture comes from, and its PDF where it is of one. */
export type Source = Pick<Page, "picture" | "pdf">;

interface Origin extends Omit<Page, "picture" | "pdf"> {
  created: number;
  source: () => Promise<Source>;
  id?: string;
  /** Where the picture is, for pictures that the first version kept. */
  kept?: string;
}

export class Job {
  readonly id: string;
  readonly file: string;
  readonly page: Page["page"];
  readonly created: number;
  name = $state("");
  state = $state.raw<JobState>({ status: "waiting" });
  result = $state.raw<Result | null>(null);
  /** What is asked for this picture beyond the settings. */
  wish = $state.raw<Wish>(PLAIN);
  /** As it is read and shown, while it is. */
  picture = $state.raw<Blob | null>(null);
  thumbnail = $state.raw<Blob | null>(null);
  /** Documents before and after corrections. */
  past = $state.raw<Document[]>([]);
  future = $state.raw<Document[]>([]);
  /** What the page is from. */
  readonly source: () => Promise<Source>;
  /** Whether its file is in the browser's storage. */
  stored = false;
  /** Deleted by the person. */
  discarded = false;
  /** How often its reading was begun. */
  tries = 0;
  /** Of the wait or of the reading. */
  controller = new AbortController();
  /** Where the picture is, for pictures that the first version kept. */
  readonly keptPicture: string | undefined;
  /** The file that its pages couldn't be had of. */
  unopened: File | null = null;
  /** What is written to the history, one after another: what came last holds. */
  #writing: Promise<unknown> = Promise.resolve();

  constructor({ id = newId(), name, file, page, source, created, kept }: Origin) {
    this.id = id;
    this.name = name;
    this.file = file;
    this.page = page;
    this.source = source;
    this.created = created;
    this.keptPicture = kept;
  }

  /** The page's picture as it came. */
  readonly original = async (): Promise<Blob> => (await this.source()).picture();

  get status(): JobState["status"] {
    return this.state.status;
  }

  /** Whether it waits or is being read. */
  get open(): boolean {
    return this.status === "waiting" || this.status === "reading";
  }

  get reading(): Reading | null {
    return this.state.status === "reading" ? this.state : null;
  }

  /** What is to be shown: nothing while it is read again. */
  get document(): Document | null {
    return this.status === "done" ? (this.result?.document ?? null) : null;
  }

  get title(): string {
    return this.page ? `${this.name} · ${this.page.number}` : this.name;
  }

  /** Something happened while it is read. */
  tell(news: Partial<Reading>): void {
    if (this.state.status === "reading") this.state = { ...this.state, ...news };
  }

  write<T>(work: () => Promise<T>): Promise<T> {
    const written = this.#writing.then(work);
    this.#writing = written.catch(() => undefined);
    return written;
  }

  get asWaiting(): Waiting {
    const { id, name, file, page, created, tries } = this;
    return { id, name, file, page, created, tries, tab };
  }
}
