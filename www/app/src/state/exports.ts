// What was read, as files to be taken along; all of them are made on the device.

import {
  FORMATS,
  fileStem,
  uniqueNames,
  write,
  type Document,
  type ExportName,
  type PdfFile,
  type Written,
} from "@maoocr/lib";

import { ocr } from "./client.ts";
import type { Job } from "./job.svelte.ts";
import { written } from "./structure.ts";

export interface FileRead {
  name: string;
  pages: Document[];
}

/** What was read of these, file by file, the pages of each in their order. */
export function filesRead(jobs: Job[]): FileRead[] {
  const files = new Map<string, { name: string; pages: { number: number; document: Document }[] }>();
  for (const { file, name, page, result } of jobs) {
    if (!result) continue;
    const known = files.get(file) ?? { name, pages: [] };
    known.pages.push({ number: page?.number ?? 0, document: result.document });
    files.set(file, known);
  }
  return [...files.values()].map(({ name, pages }) => ({
    name,
    pages: pages.sort((a, b) => a.number - b.number).map(({ document }) => document),
  }));
}

export function textOfAll(files: FileRead[]): string {
  const texts = files.flatMap(({ pages }) => pages.map(({ text }) => text.trim()));
  return texts.filter(Boolean).join("\n\n");
}

/** Text, Markdown and JSON of every file. */
export async function zipOf(files: FileRead[]): Promise<Blob> {
  const { zipSync, strToU8 } = await import("fflate");
  const names = uniqueNames(files.map(({ name }) => fileStem(name)));
  const content: Record<string, Uint8Array> = {};
  files.forEach(({ name, pages }, i) => {
    for (const [extension, { make }] of Object.entries(FORMATS)) {
      content[`${names[i]}.${extension}`] = strToU8(make(pages, name));
    }
  });
  return new Blob([zipSync(content) as Uint8Array<ArrayBuffer>], { type: "application/zip" });
}

/** These pages as one file; `told` hears how many were written. */
export async function exported(jobs: Job[], form: ExportName, told: (done: number) => void): Promise<Blob> {
  const read = jobs.filter(({ result }) => result);
  return write(ocr().documents, form, {
    name: read[0]?.name ?? "",
    pages: read.flatMap(({ result }) => result?.document ?? []),
    own: form === "pdf" ? await ownPdf(read) : null,
    written: () => pagesOf(read, told),
  });
}

/** The PDF that the pages are of, where they are all of one and as they came. */
async function ownPdf(jobs: Job[]): Promise<PdfFile | null> {
  const [first] = jobs;
  const own = first && (await first.source().catch(() => null))?.pdf;
  const whole = jobs.length === (first?.page?.of ?? 1) && jobs.every(({ file }) => file === first?.file);
  const asCame = jobs.every(({ wish: { edit }, result }) => !edit && result?.document.worth);
  return own && whole && asCame ? own.file : null;
}

async function* pagesOf(jobs: Job[], told: (done: number) => void): AsyncGenerator<Written> {
  for (const [index, job] of jobs.entries()) {
    yield await written(job, index);
    told(index + 1);
  }
}
