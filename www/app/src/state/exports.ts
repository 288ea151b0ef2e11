// What was read, as files to be taken along; all of them are made on the device.

import { FORMATS, fileStem, uniqueNames, type Document, type Form, type Format, type Written } from "@maoocr/lib";

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

/** The forms that are offered, with the extension and type of their files. */
export const EXPORTS = {
  pdf: { extension: "pdf", type: "application/pdf" },
  docx: {
    extension: "docx",
    type: "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
  },
  xlsx: { extension: "xlsx", type: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" },
  md: { extension: "md", type: "text/markdown" },
  html: { extension: "html", type: "text/html" },
  txt: { extension: "txt", type: "text/plain" },
  json: { extension: "json", type: "application/json" },
  hocr: { extension: "hocr", type: "text/html" },
  alto: { extension: "xml", type: "application/xml" },
} as const satisfies Record<string, { extension: string; type: string }>;

export type ExportName = keyof typeof EXPORTS;

/** Written by the page itself, from the text as it is shown. */
const PLAIN = new Set<ExportName>(["txt", "json"]);

/** These pages as one file; `told` hears how many were written. */
export async function exported(jobs: Job[], name: ExportName, told: (done: number) => void): Promise<Blob> {
  const read = jobs.filter(({ result }) => result);
  const title = read[0]?.name ?? "";
  const { type } = EXPORTS[name];
  if (PLAIN.has(name)) {
    const pages = read.flatMap(({ result }) => result?.document ?? []);
    return new Blob([FORMATS[name as Format].make(pages, title)], { type });
  }
  const bytes = name === "pdf" ? await searchable(read, told) : await form(read, name as Form, title, told);
  return new Blob([bytes], { type });
}

function form(jobs: Job[], name: Form, source: string, told: (done: number) => void): Promise<ArrayBuffer> {
  const { language = "auto" } = jobs[0]?.result?.document ?? {};
  const meta = { source, language: language === "auto" ? null : language, date: now() };
  return ocr().documents.write(name, meta, pagesOf(jobs, told));
}

/** A PDF with its text to be searched: the PDF that the pages are of, where they are all of one and as they came, else a
 * new one of their pictures. */
async function searchable(jobs: Job[], told: (done: number) => void): Promise<ArrayBuffer> {
  const [first] = jobs;
  const own = first && (await first.source().catch(() => null))?.pdf;
  const whole = jobs.length === (first?.page?.of ?? 1) && jobs.every(({ file }) => file === first?.file);
  const asCame = jobs.every(({ wish: { edit }, result }) => !edit && result?.document.worth);
  if (own && whole && asCame) {
    try {
      return await ocr().documents.extend(own.file, pagesOf(jobs, told));
    } catch (thrown) {
      // Drawn, but too damaged to be added to.
      if ((thrown as { code?: string }).code !== "unwritable") throw thrown;
    }
  }
  const { language = "auto" } = first?.result?.document ?? {};
  const meta = { title: fileStem(first?.name ?? ""), language: language === "auto" ? null : language, date: now() };
  return ocr().documents.compose(meta, pagesOf(jobs, told));
}

async function* pagesOf(jobs: Job[], told: (done: number) => void): AsyncGenerator<Written> {
  for (const [index, job] of jobs.entries()) {
    yield await written(job, index);
    told(index + 1);
  }
}

/** To the second, as files state it. */
function now(): string {
  return new Date().toISOString().replace(/\.\d+/, "");
}
