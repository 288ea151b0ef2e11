// The regions of pages that were read: headings, lists, tables.

import type { Document, PageText, Source, Written } from "@maoocr/lib";

import { ocr } from "./client.ts";
import type { Job } from "./job.svelte.ts";
import { applied } from "./pictures.ts";

/** Of documents as they are: a corrected one is another one. */
const known = new WeakMap<Document, Promise<PageText>>();

/** What each part of the page is. Its text is what was read or corrected. */
export function structureOf(job: Job): Promise<PageText> {
  const document = job.result?.document;
  if (!document) return Promise.reject(new Error("nothing was read"));
  const there = known.get(document);
  if (there) return there;
  const made = structured(job, document);
  known.set(document, made);
  made.catch(() => known.delete(document));
  return made;
}

async function structured(job: Job, document: Document): Promise<PageText> {
  const { lines, turn, worth } = document;
  const { pdf } = await job.source();
  const { edit } = job.wish;
  if (pdf && worth && !edit) return pdf.file.structure(pdf.index, lines, turn, worth);
  return ocr().documents.structure(await applied(edit, await job.original()), lines, turn);
}

/** The page with what it is from, to be written. */
export async function written(job: Job, index: number): Promise<Written> {
  const page = { ...(await structureOf(job)), index };
  const { pdf, picture } = await job.source();
  const { worth } = job.result?.document ?? {};
  const { edit } = job.wish;
  const source: Source =
    pdf && worth && !edit
      ? { pdf: pdf.file, index: pdf.index }
      : { picture: async () => applied(edit, await picture()) };
  return { source, page, worth: worth ?? null };
}
