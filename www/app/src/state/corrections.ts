// What a person corrects in a text, to be undone step by step.

import { withText, type Document } from "@maoocr/lib";

import type { Job } from "./job.svelte.ts";
import { corrected } from "./queue.svelte.ts";

/** Steps that can be undone. */
const STEPS = 100;

/** The whole text, corrected by hand. */
export function editText(job: Job, text: string): void {
  const document = job.result?.document;
  if (!document || document.text === text) return;
  job.past = [...job.past, document].slice(-STEPS);
  job.future = [];
  void corrected(job, withText(document, text));
}

export function undo(job: Job): void {
  const [now, before] = [job.result?.document, job.past.at(-1)];
  if (!now || !before) return;
  job.past = job.past.slice(0, -1);
  job.future = [...job.future, now];
  restore(job, before);
}

export function redo(job: Job): void {
  const [now, after] = [job.result?.document, job.future.at(-1)];
  if (!now || !after) return;
  job.future = job.future.slice(0, -1);
  job.past = [...job.past, now];
  restore(job, after);
}

function restore(job: Job, document: Document): void {
  void corrected(job, document);
}
