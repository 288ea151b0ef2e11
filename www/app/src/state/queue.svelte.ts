// Pictures of this visit: waiting, being read, read.

import {
  cancelled,
  isCancelled,
  legibility,
  looksSideways,
  OcrError,
  type Answer,
  type ClientCall,
  type Document,
  type LineEvent,
  type Requirements,
} from "@maoocr/lib";

import { ocr } from "./client.ts";
import { explain, tellFallback } from "./errors.ts";
import { changed } from "./history.svelte.ts";
import { t } from "./i18n.svelte.ts";
import { Job, READING, type Result, type Source } from "./job.svelte.ts";
import { notify } from "./notices.svelte.ts";
import { givePassword } from "./passwords.ts";
import { applied, newId, pagesOf, thumbnail, WHOLE, type Edit } from "./pictures.ts";
import { go, screen } from "./route.svelte.ts";
import { requirements, settings } from "./settings.svelte.ts";
import { storedPage } from "./sources.ts";
import * as store from "./store.ts";
import { openTabs } from "./tab.ts";

/** Newest last. Those opened from the history aren't in it. */
export const queue = $state<{ jobs: Job[]; paused: boolean; preparing: number }>({
  jobs: [],
  paused: false,
  preparing: 0,
});

/** A picture that broke off the page so often isn't tried again by itself. */
const TRIES = 3;

/** Whether there is anything that would end with the page. */
export function unfinished(): boolean {
  return queue.preparing > 0 || queue.jobs.some((job) => job.open && !job.stored);
}

const opened = new Map<string, Job>();

/** Reads these files, or what is left of them; shows the only one, or the list. */
export async function read(files: File[], from: "here" | "camera" = "here", edit: Edit | null = null): Promise<void> {
  if (files.length === 0) return;
  beginAnew();
  queue.preparing += files.length;
  const several = files.length > 1;
  if (several) go({ name: "queue" });
  for (const file of files) {
    const jobs = await jobsOf(file);
    if (edit) for (const job of jobs) job.wish = { ...job.wish, edit };
    const keeping = keepWaiting(file, jobs);
    // What is read of it is kept after it.
    for (const job of jobs) void job.write(() => keeping);
    queue.preparing -= 1;
    queue.jobs.push(...jobs);
    if (!several) show(jobs, from === "camera");
    pump();
    // One after another: a hundred photos aren't held in memory to be written.
    await keeping;
  }
}

/** What was read before and is in the history isn't listed, copied or exported with what comes now. */
function beginAnew(): void {
  if (queue.preparing > 0 || queue.jobs.some((job) => job.open)) return;
  const [over, left] = [[] as Job[], [] as Job[]];
  for (const job of queue.jobs) (job.stored && job.status === "done" ? over : left).push(job);
  for (const job of over) opened.set(job.id, job);
  queue.jobs = left;
}

/** One for each page of the file; one that says why, where there are none. */
async function jobsOf(file: File, password = ""): Promise<Job[]> {
  const id = newId();
  if (password) givePassword(id, password);
  try {
    const pages = await pagesOf(file, id);
    const first = stamp(pages.length);
    return pages.map(({ name, file: of, page, ...source }, i) => new Job({ name, file: of, page, created: first - i, source: async () => source })); // prettier-ignore
  } catch (thrown) {
    const job = new Job({ name: file.name, file: id, page: null, source: () => Promise.reject(thrown), created: stamp(1) }); // prettier-ignore
    job.unopened = file;
    fail(job, OcrError.from(thrown));
    return [job];
  }
}

/** So that a page that is closed, or that its browser ends, loses nothing. */
async function keepWaiting(file: File, jobs: Job[]): Promise<void> {
  if (!settings.keepHistory || jobs.some(({ unopened }) => unopened)) return;
  const waiting = jobs.filter(({ discarded, status }) => !discarded && status !== "cancelled");
  const [first] = waiting;
  if (!first) return;
  try {
    const pages = waiting.filter(({ open }) => open).map((job) => job.asWaiting);
    await store.keepWaiting({ id: first.file, name: file.name, content: file }, pages);
    for (const job of jobs) job.stored = true;
    // What became of them meanwhile. Those that were read are kept after this, in their file's place.
    await store.stopWaiting(waiting.filter(({ discarded }) => discarded));
    await store.setAside(waiting.filter(({ status }) => status === "cancelled").map(({ id }) => id));
  } catch (thrown) {
    tellUnkept(thrown);
  }
}

/** Pictures that a page before this one didn't come to read. */
export async function resume(): Promise<void> {
  const [waiting, tabs] = await Promise.all([store.allWaiting().catch(() => []), openTabs()]);
  if (tabs.size === 1 && queue.jobs.length === 0) await store.removeOrphans().catch(() => undefined);
  const mine = waiting.filter(({ tab: owner }) => !tabs.has(owner)).sort((a, b) => b.created - a.created);
  if (mine.length === 0) return;
  const jobs = mine.map(({ id, name, file, page, created, tries }) => {
    const job = new Job({ id, name, file, page, created, source: () => storedPage(file, page) });
    Object.assign(job, { tries, stored: true });
    if (tries >= TRIES) job.state = { status: "failed", error: new OcrError("worker_lost", "given up") };
    return job;
  });
  await store.updateWaiting(jobs.map((job) => job.asWaiting)).catch(() => undefined);
  queue.jobs.push(...jobs);
  notify(t().queue.resumed(jobs.length), { label: t().queue.show, run: () => go({ name: "queue" }) }, 8000);
  pump();
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
  const free = ocr().workers - queue.jobs.filter(({ status }) => status === "reading").length;
  for (const job of queue.jobs.filter(({ status }) => status === "waiting").slice(0, Math.max(0, free))) {
    void run(job).finally(pump);
  }
}

async function run(job: Job): Promise<void> {
  job.state = READING;
  job.controller = new AbortController();
  job.tries += 1;
  if (job.stored && !job.result) void store.updateWaiting([job.asWaiting]).catch(() => undefined);
  const { signal } = job.controller;
  const { wish } = job;
  try {
    const source = await job.source();
    signal.throwIfAborted();
    const { document, decision, edit, upright } = await readOf(job, source);
    job.wish = { ...wish, edit };
    job.result = { document, decision, edited: false, wish: job.wish };
    Object.assign(job, { past: [], future: [], state: { status: "done" } });
    if (upright) notify(t().read.turned);
    await job.write(() => save(job)).catch(tellUnkept);
    release(job);
  } catch (thrown) {
    fail(job, OcrError.from(thrown));
  }
}

function only({ documents: [document] }: Answer): Document {
  if (!document) throw new OcrError("server", "there is no page in the answer");
  return document;
}

/** What the page says, and how it was turned for that. */
async function readOf(job: Job, { picture, pdf }: Source) {
  const { edit, extra } = job.wish;
  let original: Blob | null = null;
  let answer: Answer;
  if (pdf && !edit) {
    // Drawn for who looks at it; it is read from the file itself.
    if (looked(job)) void picture().then((seen) => job.open && (job.picture ??= seen), () => undefined); // prettier-ignore
    answer = await ocr().readPage(pdf.file, pdf.index, calling(job, extra));
    job.picture ??= original = await picture();
  } else {
    original = await picture();
    job.picture = await applied(edit, original);
    answer = await recognize(job, job.picture, extra);
  }
  const layer = only(answer).worth?.verdict === "sound";
  const upright = !edit && !layer && (await turned(job, original ?? job.picture, answer));
  const { documents, decision } = upright ? upright.answer : answer;
  return { document: only({ documents, decision }), decision, edit: upright ? upright.edit : edit, upright };
}

function recognize(job: Job, picture: Blob, extra: Requirements): Promise<Answer> {
  return ocr().recognize(picture, calling(job, extra));
}

function calling(job: Job, extra: Requirements): ClientCall {
  return {
    requirements: { ...requirements(), ...extra },
    place: settings.place,
    runOn: settings.runOn,
    alone: queue.jobs.every((other) => other === job || !other.open),
    signal: job.controller.signal,
    onModels: (models) => job.tell({ models }),
    // Anew, where the CPU goes on instead of the GPU.
    onStarted: () => job.tell({ started: true, boxes: [], lines: [] }),
    onDetected: (boxes) => job.tell({ boxes }),
    onLine: (line) => job.tell({ lines: [...without(job, line.index), line] }),
    onWithdrawn: (index) => job.tell({ lines: without(job, index) }),
    onFallback: tellFallback,
  };
}

/** The lines read so far, but one. */
function without(job: Job, index: number): LineEvent[] {
  return (job.reading?.lines ?? []).filter((line) => line.index !== index);
}

/** A page that lies on its side is read upright, if that reads at least as well. */
async function turned(job: Job, original: Blob, answer: Answer): Promise<{ answer: Answer; edit: Edit } | null> {
  const document = only(answer);
  if (!looksSideways(document)) return null;
  const attempts: { answer: Answer; edit: Edit; picture: Blob; score: number }[] = [];
  for (const quarters of [1, 3] as const) {
    const edit: Edit = { quarters, cut: WHOLE };
    const picture = await applied(edit, original);
    job.tell({ boxes: [], lines: [] });
    job.picture = picture;
    const other = await recognize(job, picture, job.wish.extra);
    attempts.push({ answer: other, edit, picture, score: legibility(only(other)) });
  }
  const [best] = attempts.sort((a, b) => b.score - a.score);
  if (!best || best.score < 0.95 * legibility(document)) {
    job.picture = original;
    return null;
  }
  job.picture = best.picture;
  return best;
}

/** A hundred pages aren't held in memory: a picture that can be had again is let go of while nobody looks at it. */
export function release(job: Job): void {
  void job.write(async () => {
    if (!job.open && !looked(job)) job.picture = null;
  });
}

/** Whether a person looks at it. */
function looked(job: Job): boolean {
  const now = screen();
  return now.name === "read" && now.id === job.id;
}

/** A picture that was read before keeps what was read then. */
function fail(job: Job, error: OcrError): void {
  const stopped = isCancelled(error);
  const { result } = job;
  if (!result) {
    job.state = stopped ? { status: "cancelled" } : { status: "failed", error };
    if (job.stored && stopped) void store.setAside([job.id]).catch(() => undefined);
    release(job);
    return;
  }
  job.wish = result.wish;
  job.state = { status: "done" };
  void look(job);
  if (queue.jobs.includes(job)) notify(stopped ? t().read.keptStopped : t().read.keptFailed(explain(error)));
}

let asked = false;

/** Writes what the job is by then: a person may correct, crop or delete it meanwhile. */
async function save(job: Job): Promise<void> {
  if (!job.picture || !job.result) return;
  job.thumbnail = await thumbnail(job.picture, job.result.document);
  const { result } = job;
  if (job.discarded || !result) return;
  if (!settings.keepHistory) return unkeep(job);
  await keep(job, result);
  // Once there is something worth keeping; some browsers ask the person.
  if (!asked) void navigator.storage?.persist?.().catch(() => false);
  asked = true;
}

async function keep(job: Job, { document, decision, edited, wish }: Result): Promise<void> {
  const { id, name, file, page, created, keptPicture } = job;
  const { text, lines } = document;
  const entry = { id, name, file, page, created, text, lines: lines.length, thumbnail: job.thumbnail };
  // Pages are kept with their file, or not at all.
  if (!job.stored && page) return;
  const picture = job.stored ? null : await job.original();
  await store.keep({ ...entry, ...(keptPicture && { picture: keptPicture }) }, { id, document, decision, edited, wish }, picture); // prettier-ignore
  job.stored = true;
  void changed();
}

/** A person who doesn't want a history any more has none of what was read since. */
async function unkeep(job: Job): Promise<void> {
  if (!job.stored) return;
  await store.stopWaiting([job]);
  job.stored = false;
}

function tellUnkept(thrown: unknown): void {
  const full = thrown instanceof DOMException && thrown.name === "QuotaExceededError";
  notify(full ? t().history.full : t().history.blocked);
}

export function cancel(job: Job): void {
  if (job.status === "waiting") fail(job, cancelled());
  job.controller.abort();
}

/** `password` opens its PDF. */
export function retry(job: Job, password = ""): void {
  if (job.unopened) {
    void reopen(job, job.unopened, password);
    return;
  }
  if (password) givePassword(job.file, password);
  if (!queue.jobs.includes(job)) queue.jobs.push(job);
  job.state = { status: "waiting" };
  job.tries = 0;
  pump();
}

/** Puts the file's pages in the place of the job that had none. */
async function reopen(job: Job, file: File, password: string): Promise<void> {
  job.state = READING;
  job.controller = new AbortController();
  const { signal } = job.controller;
  const jobs = await jobsOf(file, password);
  const at = queue.jobs.indexOf(job);
  if (signal.aborted) fail(job, cancelled());
  else if (at >= 0) {
    queue.jobs.splice(at, 1, ...jobs);
    const now = screen();
    if (now.name === "read" && now.id === job.id) show(jobs, true);
    const keeping = keepWaiting(file, jobs);
    for (const other of jobs) void other.write(() => keeping);
  }
  pump();
}

/** Reads it again, cropped, turned, or with other models. */
export function reread(job: Job, wish: Partial<store.Wish>): void {
  job.wish = { ...job.wish, ...wish };
  retry(job);
}

/** A job of this visit, or one from the history; null for one that is in neither. */
export async function open(id: string, shown = true): Promise<Job | null> {
  const job = queue.jobs.find((other) => other.id === id) ?? opened.get(id) ?? (await fromHistory(id));
  if (job && shown) void look(job);
  return job;
}

async function fromHistory(id: string): Promise<Job | null> {
  const found = await store.find(id).catch(() => null);
  if (!found) return null;
  const { name, file, page, created, thumbnail: small, picture } = found.entry;
  const source = () => (picture ? storedPage(picture, null) : storedPage(file, page));
  const job = new Job({ id, name, file, page, created, source, ...(picture && { kept: picture }) });
  const { document, decision, edited = false, wish = job.wish } = found;
  Object.assign(job, { stored: true, thumbnail: small, wish, result: { document, decision, edited, wish } });
  job.state = { status: "done" };
  opened.set(id, job);
  return job;
}

/** Brings the picture back that was let go of. */
async function look(job: Job): Promise<void> {
  if (job.open || job.status === "failed") return;
  const { edit } = job.wish;
  const picture = await job.original().then((original) => applied(edit, original), () => null); // prettier-ignore
  // Meanwhile it may be read again.
  if (!job.open && job.wish.edit === edit) job.picture = picture;
}

/** Takes them off the list and out of the history. */
export async function discard(ids: string[]): Promise<void> {
  // What is being written is out of the way first.
  const jobs = ids.flatMap((id) => forget(id) ?? []);
  await Promise.all(jobs.map((job) => job.write(async () => undefined)));
  const removed = await store.remove(ids).catch(() => null);
  await store.stopWaiting(jobs).catch(() => undefined);
  await changed();
  const putBack = async (gone: store.Removed) => {
    await store.restore(gone).catch(tellUnkept);
    await changed();
  };
  const some = removed && removed.wholes.length > 0;
  notify(t().history.removed(ids.length), some ? { label: t().undo, run: () => void putBack(removed) } : null);
}

function forget(id: string): Job | undefined {
  const job = queue.jobs.find((other) => other.id === id) ?? opened.get(id);
  queue.jobs = queue.jobs.filter((other) => other !== job);
  opened.delete(id);
  if (job) job.discarded = true;
  job?.controller.abort();
  return job;
}

/** All pages of the file get the name. */
export async function rename(file: string, name: string): Promise<void> {
  for (const job of [...queue.jobs, ...opened.values()]) if (job.file === file) job.name = name;
  await store.rename(file, name).catch(tellUnkept);
  await changed();
}

/** Takes everything off the list; the history stays. */
export function clear(): void {
  for (const job of queue.jobs) cancel(job);
  void store.stopWaiting(queue.jobs.filter(({ status }) => status !== "done")).catch(() => undefined);
  queue.jobs = [];
}

/** After a correction. */
export async function corrected(job: Job, document: Document): Promise<void> {
  if (!job.result) return;
  job.result = { ...job.result, document, edited: true };
  await job.write(() => store.update(job.id, document)).catch(tellUnkept);
  await changed();
}
