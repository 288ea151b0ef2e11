// Pictures of this visit: waiting, being read, read.

import {
  FORMATS,
  fileStem,
  isCancelled,
  OcrError,
  uniqueNames,
  withLine,
  withText,
  type Decision,
  type Document,
  type LineEvent,
  type Quad,
  type Requirements,
} from "@maoocr/lib";

import { ocr } from "./client.ts";
import { tellFallback } from "./errors.ts";
import * as kept from "./history.ts";
import { t } from "./i18n.svelte.ts";
import { notify } from "./notices.svelte.ts";
import { pagesOf, thumbnail, type Page } from "./pictures.ts";
import { go, screen } from "./route.svelte.ts";
import { settings } from "./settings.svelte.ts";

export type Status = "waiting" | "reading" | "done" | "failed" | "cancelled";

/** A picture and what becomes of it. */
export class Job {
  readonly id: string = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random().toString(36).slice(2)}`;
  readonly name: string;
  readonly page: Page["page"];
  readonly created: number = Date.now();
  status = $state<Status>("waiting");
  picture = $state.raw<Blob | null>(null);
  /** Bytes of models that are being fetched. */
  models = $state.raw<{ received: number; total: number } | null>(null);
  /** Whether the engine has begun with it. */
  started = $state(false);
  boxes = $state.raw<Quad[]>([]);
  /** As they are read, in no order. */
  lines = $state.raw<LineEvent[]>([]);
  document = $state.raw<Document | null>(null);
  decision = $state.raw<Decision | null>(null);
  error = $state.raw<OcrError | null>(null);
  thumbnail = $state.raw<Blob | null>(null);
  /** What is asked for this picture beyond the settings. */
  extra: Requirements = {};
  /** Before it was cropped or turned. */
  original: Blob | null = null;
  controller = new AbortController();
  source: Page["picture"];

  constructor({ name, page, picture }: Page, id?: string) {
    this.name = name;
    this.page = page;
    this.source = picture;
    if (id) this.id = id;
  }

  get title(): string {
    return this.page ? `${this.name} · ${this.page.number}` : this.name;
  }
}

/** Newest last. Those opened from the history aren't in it. */
export const queue = $state<{ jobs: Job[]; paused: boolean; preparing: number }>({
  jobs: [],
  paused: false,
  preparing: 0,
});

const opened = new Map<string, Job>();

/** Reads these files; shows the only one, or the list. */
export async function read(files: File[], from: "here" | "camera" = "here"): Promise<void> {
  if (files.length === 0) return;
  queue.preparing += files.length;
  const several = files.length > 1;
  if (several) go({ name: "queue" });
  for (const file of files) {
    try {
      const pages = await pagesOf(file);
      const jobs = pages.map((page) => new Job(page));
      queue.jobs.push(...jobs);
      const [first] = jobs;
      if (!several && first) {
        go(jobs.length === 1 ? { name: "read", id: first.id } : { name: "queue" }, from === "camera");
      }
    } catch (thrown) {
      const job = new Job({ name: file.name, page: null, picture: async () => file });
      job.error = OcrError.from(thrown);
      job.status = "failed";
      queue.jobs.push(job);
      if (!several) go({ name: "read", id: job.id }, from === "camera");
    } finally {
      queue.preparing -= 1;
    }
    pump();
  }
}

export function pump(): void {
  if (queue.paused) return;
  const free = ocr().workers - queue.jobs.filter((job) => job.status === "reading").length;
  for (const job of queue.jobs.filter(({ status }) => status === "waiting").slice(0, Math.max(0, free))) {
    void run(job).finally(pump);
  }
}

async function run(job: Job): Promise<void> {
  job.status = "reading";
  Object.assign(job, { error: null, boxes: [], lines: [], models: null, started: false });
  job.controller = new AbortController();
  const { signal } = job.controller;
  try {
    job.picture ??= await job.source();
    signal.throwIfAborted();
    const answer = await ocr().recognize(job.picture, {
      requirements: { ...$state.snapshot(settings.requirements), ...job.extra },
      place: settings.place,
      runOn: settings.runOn,
      alone: queue.jobs.every((other) => other === job || (other.status !== "waiting" && other.status !== "reading")),
      signal,
      onModels: (progress) => (job.models = progress),
      // Anew, where the CPU goes on instead of the GPU.
      onStarted: () => Object.assign(job, { started: true, boxes: [], lines: [] }),
      onDetected: (boxes) => (job.boxes = boxes),
      onLine: (line) => (job.lines = [...job.lines, line]),
      onFallback: tellFallback,
    });
    const [document] = answer.documents;
    if (!document) throw new OcrError("server", "there is no page in the answer");
    job.decision = answer.decision;
    // What it showed while it was read is in the document.
    Object.assign(job, { document, boxes: [], lines: [], status: "done" });
    await save(job, document, answer.decision);
  } catch (thrown) {
    job.error = OcrError.from(thrown);
    job.status = isCancelled(thrown) ? "cancelled" : "failed";
  }
}

async function save(job: Job, document: Document, decision: Decision): Promise<void> {
  if (!job.picture) return;
  job.thumbnail = await thumbnail(job.picture);
  if (!settings.keepHistory) return;
  const { id, name, page, created, picture } = job;
  const entry = { id, name, page, created, text: document.text, lines: document.lines.length };
  try {
    await kept.keep({ ...entry, thumbnail: job.thumbnail }, { id, document, decision }, picture);
    // A hundred pages are on disk now, not in memory: whoever opens one gets its picture back.
    const now = screen();
    if (now.name !== "read" || now.id !== id) job.picture = null;
  } catch (thrown) {
    const full = thrown instanceof DOMException && thrown.name === "QuotaExceededError";
    notify(full ? t().history.full : t().history.blocked);
  }
}

export function cancel(job: Job): void {
  if (job.status === "waiting") job.status = "cancelled";
  job.controller.abort();
}

export function retry(job: Job): void {
  if (!queue.jobs.includes(job)) queue.jobs.push(job);
  job.status = "waiting";
  pump();
}

/** Reads it again with larger models. */
export function improve(job: Job): void {
  job.extra = { accuracy_requirement: "high" };
  job.document = null;
  retry(job);
}

/** Reads another picture in its place: the same one, cropped or turned. */
export function reread(job: Job, picture: Blob): void {
  job.original ??= job.picture;
  job.picture = picture;
  job.document = null;
  retry(job);
}

/** A job of this visit, or one from the history; null for one that is in neither. */
export async function open(id: string): Promise<Job | null> {
  const here = queue.jobs.find((job) => job.id === id) ?? opened.get(id);
  if (here) {
    if (here.status === "done") here.picture ??= (await kept.find(id).catch(() => null))?.picture ?? null;
    return here;
  }
  const found = await kept.find(id).catch(() => null);
  if (!found) return null;
  const job = new Job({ name: found.entry.name, page: found.entry.page, picture: async () => found.picture }, id);
  job.status = "done";
  job.picture = found.picture;
  job.document = found.document;
  job.decision = found.decision;
  opened.set(id, job);
  return job;
}

export async function edit(job: Job, index: number, text: string): Promise<void> {
  if (!job.document) return;
  job.document = withLine(job.document, index, text);
  await keepEdited(job);
}

/** The whole text, corrected by hand. */
export async function editText(job: Job, text: string): Promise<void> {
  if (!job.document || job.document.text === text) return;
  job.document = withText(job.document, text);
  await keepEdited(job);
}

async function keepEdited(job: Job): Promise<void> {
  if (job.document) await kept.update(job.id, job.document).catch(() => notify(t().history.blocked));
}

/** Takes it off the list and out of the history. */
export async function discard(id: string): Promise<void> {
  const whole = await kept.find(id).catch(() => null);
  forget(id);
  await kept.remove(id).catch(() => undefined);
  const undo = { label: t().history.undo, run: () => void (whole && restore(whole)) };
  notify(t().history.removed, whole ? undo : undefined);
}

async function restore({ entry, document, decision, picture }: kept.Whole): Promise<void> {
  await kept.keep(entry, { id: entry.id, document, decision }, picture);
  dispatchEvent(new Event("history"));
}

export function forget(id: string): void {
  const at = queue.jobs.findIndex((job) => job.id === id);
  if (at >= 0) {
    const [job] = queue.jobs.splice(at, 1);
    job?.controller.abort();
  }
  opened.delete(id);
}

/** Takes everything off the list; the history stays. */
export function clear(): void {
  for (const job of queue.jobs) cancel(job);
  queue.jobs = [];
}

/** Text, Markdown and JSON of everything that was read. */
export async function zipAll(): Promise<Blob> {
  const { zipSync, strToU8 } = await import("fflate");
  const done = queue.jobs.flatMap((job) => (job.document ? [{ job, document: job.document }] : []));
  const names = uniqueNames(
    done.map(({ job }) => (job.page ? `${fileStem(job.name)}-${job.page.number}` : fileStem(job.name))),
  );
  const files: Record<string, Uint8Array> = {};
  done.forEach(({ job, document }, i) => {
    for (const [extension, { make }] of Object.entries(FORMATS)) {
      files[`${names[i]}.${extension}`] = strToU8(make([document], job.title));
    }
  });
  return new Blob([zipSync(files) as Uint8Array<ArrayBuffer>], { type: "application/zip" });
}
