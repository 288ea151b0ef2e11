// The pages of the file that is looked at: of this visit, or from the history.

import { findLines, folded, OcrError } from "@maoocr/lib";

import type { Job } from "./job.svelte.ts";
import { open, queue } from "./queue.svelte.ts";
import * as store from "./store.ts";

export interface PageOfFile {
  id: string;
  number: number;
  thumbnail: Blob | null;
  /** Null until it was read. */
  text: string | null;
  /** Still to be read. */
  open: boolean;
}

/** What is searched for in a file: it stays from page to page. */
export const search = $state<{ file: string; query: string; open: boolean }>({ file: "", query: "", open: false });

/** How pages are shown, once a person chose it. */
export const shape = $state<{ formatted: boolean | null }>({ formatted: null });

/** In their order; one for a file of one page. */
export async function pagesOfFile(job: Job): Promise<PageOfFile[]> {
  if (!job.page) return [];
  const kept = await store.entriesOf(job.file).catch(() => []);
  const pages = new Map<number, PageOfFile>();
  for (const { id, page, thumbnail, text } of kept)
    if (page) pages.set(page.number, { id, number: page.number, thumbnail, text, open: false });
  for (const other of jobsOf(job.file)) {
    const { id, page, thumbnail, result } = other;
    if (page) {
      const text = result?.document.text ?? pages.get(page.number)?.text ?? null;
      pages.set(page.number, { id, number: page.number, thumbnail, text, open: other.open });
    }
  }
  return [...pages.values()].sort((a, b) => a.number - b.number);
}

function jobsOf(file: string): Job[] {
  return queue.jobs.filter((job) => job.file === file);
}

/** The pages of the job's file that were read, in their order. */
export async function readPages(job: Job): Promise<Job[]> {
  if (!job.page) return [job];
  const pages = await pagesOfFile(job);
  const jobs: Job[] = [];
  for (const { id, text } of pages) {
    if (text === null) continue;
    const page = id === job.id ? job : await open(id, false);
    if (page?.result) jobs.push(page);
  }
  if (jobs.length === 0) throw new OcrError("empty", "no page was read");
  return jobs;
}

/** How often a text has the words, as lines of it. */
export function countIn(text: string, query: string): number {
  if (!folded(query.trim())) return 0;
  return findLines({ lines: text.split("\n").map((line) => ({ text: line })) as never }, query).length;
}
