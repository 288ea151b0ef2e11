// Pictures of this visit: waiting, being read, read.

import {
  cancelled,
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
import { explain, tellFallback } from "./errors.ts";
import * as kept from "./history.ts";
import { t } from "./i18n.svelte.ts";
import { notify } from "./notices.svelte.ts";
import { newId, pagesOf, thumbnail, type Page } from "./pictures.ts";
import { go, screen } from "./route.svelte.ts";
import { settings } from "./settings.svelte.ts";

export type Status = "waiting" | "reading" | "done" | "failed" | "cancelled";

/** What there was before a picture is read again: it holds until that is done. */
type Before = Pick<Job, "picture" | "original" | "extra" | "document" | "decision" | "edited">;

/** A picture and what becomes of it. */
export class Job {
  readonly id: string;
  readonly name: string;
  readonly file: string;
  readonly page: Page["page"];
  readonly created: number;
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
  /** Whether a person corrected the document. */
  edited = $state(false);
  error = $state.raw<OcrError | null>(null);
  thumbnail = $state.raw<Blob | null>(null);
  /** What is asked for this picture beyond the settings. */
  extra: Requirements = {};
  /** Before it was cropped or turned. */
  original: Blob | null = null;
  before: Before | null = null;
  /** Whether its picture is in the history. */
  kept = false;
  /** Deleted by the person. */
  discarded = false;
  /** What is written to the history, one after another: what came last holds. */
  #writing: Promise<void> = Promise.resolve();
  controller = new AbortController();
  readonly source: Page["picture"];
  /** The file that its pages couldn't be had of. */
  readonly unopened: File | null;

  constructor({ name, file, page, picture }: Page, created: number, id = newId(), unopened: File | null = null) {
    this.id = id;
    this.name = name;
    this.file = file;
    this.page = page;
    this.created = created;
    this.source = picture;
    this.unopened = unopened;
  }

  write(work: () => Promise<void>): Promise<void> {
    this.#writing = this.#writing.then(work);
    return this.#writing;
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

/** Whether there is anything that would end with the page. */
export function unfinished(): boolean {
  return queue.preparing > 0 || queue.jobs.some(({ status }) => status === "waiting" || status === "reading");
}

const opened = new Map<string, Job>();

/** Reads these files; shows the only one, or the list. */
export async function read(files: File[], from: "here" | "camera" = "here"): Promise<void> {
  if (files.length === 0) return;
  queue.preparing += files.length;
  const several = files.length > 1;
  if (several) go({ name: "queue" });
  for (const file of files) {
    const jobs = await jobsOf(file);
    queue.preparing -= 1;
    queue.jobs.push(...jobs);
    if (!several) show(jobs, from === "camera");
    pump();
  }
}

/** One for each page of the file; one that says why, where there are none. */
async function jobsOf(file: File): Promise<Job[]> {
  try {
    const pages = await pagesOf(file);
    const first = stamp(pages.length);
    return pages.map((page, i) => new Job(page, first - i));
  } catch (thrown) {
    const id = newId();
    const none: Page = { name: file.name, file: id, page: null, picture: () => Promise.reject(thrown) };
    const job = new Job(none, stamp(1), id, file);
    fail(job, OcrError.from(thrown));
    return [job];
  }
}

let latest = 0;

/** When a file's first page is said to have come, ms since 1970; each page after it came 1 ms earlier. No two pages are of
 * the same time, and lists that begin with what came last have the pages in order. */
function stamp(pages: number): number {
  latest = Math.max(Date.now(), latest + pages);
  return latest;
}

function show(jobs: Job[], replace: boolean): void {
  const [first] = jobs;
  if (first) go(jobs.length === 1 ? { name: "read", id: first.id } : { name: "queue" }, replace);
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
    Object.assign(job, { document, edited: false, before: null, boxes: [], lines: [], status: "done" });
    await job.write(() => save(job));
    release(job);
  } catch (thrown) {
    fail(job, OcrError.from(thrown));
  }
}

/** A hundred pages aren't held in memory: a picture that can be had again is let go of while nobody looks at it. */
export function release(job: Job): void {
  void job.write(async () => {
    const now = screen();
    const looked = now.name === "read" && now.id === job.id;
    if (job.status !== "waiting" && job.status !== "reading" && !looked && (job.kept || !job.original))
      job.picture = null;
  });
}

/** A picture that was read before keeps what was read then. */
function fail(job: Job, error: OcrError): void {
  const stopped = isCancelled(error);
  const { before } = job;
  if (!before) {
    Object.assign(job, { error, status: stopped ? "cancelled" : "failed" });
    release(job);
    return;
  }
  Object.assign(job, { ...before, before: null, boxes: [], lines: [], status: "done" });
  release(job);
  if (queue.jobs.includes(job)) notify(stopped ? t().read.keptStopped : t().read.keptFailed(explain(error)));
}

/** Writes what the job is by then: a person may correct, crop or delete it meanwhile. */
async function save(job: Job): Promise<void> {
  job.kept = false;
  const { picture } = job.before ?? job;
  if (!picture) return;
  job.thumbnail = await thumbnail(picture);
  const { document, decision, edited, picture: latest } = job.before ?? job;
  // Another one in its place is kept when its turn comes.
  if (job.discarded || !settings.keepHistory || !document || !decision || latest !== picture) return;
  const { id, name, file, page, created } = job;
  const { text, lines } = document;
  const entry = { id, name, file, page, created, text, lines: lines.length, thumbnail: job.thumbnail };
  try {
    await kept.keep(entry, { id, document, decision, edited }, picture);
    job.kept = true;
  } catch (thrown) {
    const full = thrown instanceof DOMException && thrown.name === "QuotaExceededError";
    notify(full ? t().history.full : t().history.blocked);
  }
}

export function cancel(job: Job): void {
  if (job.status === "waiting") fail(job, cancelled());
  job.controller.abort();
}

export function retry(job: Job): void {
  if (job.unopened) {
    void reopen(job, job.unopened);
    return;
  }
  if (!queue.jobs.includes(job)) queue.jobs.push(job);
  job.status = "waiting";
  pump();
}

/** Puts the file's pages in the place of the job that had none. */
async function reopen(job: Job, file: File): Promise<void> {
  Object.assign(job, { status: "reading", error: null, boxes: [], lines: [], models: null });
  job.controller = new AbortController();
  const { signal } = job.controller;
  const jobs = await jobsOf(file);
  const at = queue.jobs.indexOf(job);
  if (signal.aborted) fail(job, cancelled());
  else if (at >= 0) {
    queue.jobs.splice(at, 1, ...jobs);
    const now = screen();
    if (now.name === "read" && now.id === job.id) show(jobs, true);
  }
  pump();
}

/** Reads it again with larger models. */
export function improve(job: Job): void {
  again(job, { extra: { accuracy_requirement: "high", real_time: false } });
}

/** Reads another picture in its place: the same one, cropped or turned. */
export function reread(job: Job, picture: Blob): void {
  again(job, { original: job.original ?? job.picture, picture });
}

function again(job: Job, change: Partial<Before>): void {
  const { picture, original, extra, document, decision, edited } = job;
  job.before ??= document && { picture, original, extra, document, decision, edited };
  Object.assign(job, change, { document: null });
  retry(job);
}

/** A job of this visit, or one from the history; null for one that is in neither. */
export async function open(id: string): Promise<Job | null> {
  const here = queue.jobs.find((job) => job.id === id) ?? opened.get(id);
  if (here) {
    if (here.status !== "waiting" && here.status !== "reading") here.picture ??= await regained(here);
    return here;
  }
  const found = await kept.find(id).catch(() => null);
  if (!found) return null;
  const { name, file = id, page, created } = found.entry;
  const job = new Job({ name, file, page, picture: async () => found.picture }, created, id);
  job.status = "done";
  job.kept = true;
  job.picture = found.picture;
  job.document = found.document;
  job.decision = found.decision;
  job.edited = found.edited ?? false;
  opened.set(id, job);
  return job;
}

async function regained(job: Job): Promise<Blob | null> {
  const picture = job.kept ? kept.find(job.id).then((found) => found?.picture) : job.source();
  return (await picture.catch(() => null)) ?? null;
}

export async function edit(job: Job, index: number, text: string): Promise<void> {
  const corrected = job.document && withLine(job.document, index, text);
  if (corrected && corrected !== job.document) await keepEdited(job, corrected);
}

/** The whole text, corrected by hand. */
export async function editText(job: Job, text: string): Promise<void> {
  if (!job.document || job.document.text === text) return;
  await keepEdited(job, withText(job.document, text));
}

function keepEdited(job: Job, document: Document): Promise<void> {
  Object.assign(job, { document, edited: true });
  return job.write(() => kept.update(job.id, document).catch(() => notify(t().history.blocked)));
}

/** Takes it off the list and out of the history. */
export async function discard(id: string): Promise<void> {
  // What is being written is out of the way first.
  await forget(id)?.write(async () => undefined);
  const whole = await kept.find(id).catch(() => null);
  await kept.remove(id).catch(() => undefined);
  const undo = { label: t().history.undo, run: () => void (whole && restore(whole)) };
  notify(t().history.removed, whole ? undo : undefined);
}

async function restore({ entry, picture, ...document }: kept.Whole): Promise<void> {
  await kept.keep(entry, document, picture);
  dispatchEvent(new Event("history"));
}

export function forget(id: string): Job | undefined {
  const job = queue.jobs.find((other) => other.id === id) ?? opened.get(id);
  queue.jobs = queue.jobs.filter((other) => other !== job);
  opened.delete(id);
  if (job) job.discarded = true;
  job?.controller.abort();
  return job;
}

/** Takes everything off the list; the history stays. */
export function clear(): void {
  for (const job of queue.jobs) cancel(job);
  queue.jobs = [];
}

/** What was read, file by file, the pages of each in their order. */
function filesRead(): { name: string; pages: Document[] }[] {
  const files = new Map<string, { job: Job; document: Document }[]>();
  for (const job of queue.jobs) {
    const document = job.document ?? job.before?.document;
    if (document) files.set(job.file, [...(files.get(job.file) ?? []), { job, document }]);
  }
  const number = ({ page }: Job) => page?.number ?? 0;
  return [...files.values()].map((read) => {
    const pages = read.sort((a, b) => number(a.job) - number(b.job)).map(({ document }) => document);
    return { name: read[0]?.job.name ?? "", pages };
  });
}

/** The text of everything that was read. */
export function textOfAll(): string {
  const texts = filesRead().flatMap(({ pages }) => pages.map(({ text }) => text.trim()));
  return texts.filter(Boolean).join("\n\n");
}

/** Text, Markdown and JSON of every file that was read. */
export async function zipAll(): Promise<Blob> {
  const { zipSync, strToU8 } = await import("fflate");
  const read = filesRead();
  const names = uniqueNames(read.map(({ name }) => fileStem(name)));
  const files: Record<string, Uint8Array> = {};
  read.forEach(({ name, pages }, i) => {
    for (const [extension, { make }] of Object.entries(FORMATS)) {
      files[`${names[i]}.${extension}`] = strToU8(make(pages, name));
    }
  });
  return new Blob([zipSync(files) as Uint8Array<ArrayBuffer>], { type: "application/zip" });
}
