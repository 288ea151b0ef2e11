// Pages that were read, as one file; it is made on the device.

import type { Documents, PdfFile, Written } from "./documents.ts";
import { fileStem, FORMATS, type Format } from "./export.ts";
import type { Document, Form } from "./types.ts";

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

/** Need no module: text and lines as they were read. */
const PLAIN = new Set<ExportName>(["txt", "json"]);

/** What is to be written. */
export interface Contents {
  /** Of the file that the pages are from. */
  name: string;
  pages: Document[];
  /** The PDF that these are all pages of, as they came. */
  own: PdfFile | null;
  /** The pages, from the first; asked for again where the PDF itself can't be added to. */
  written: () => AsyncIterable<Written>;
}

export async function write(documents: Documents, form: ExportName, contents: Contents): Promise<Blob> {
  const { type } = EXPORTS[form];
  if (PLAIN.has(form)) return new Blob([FORMATS[form as Format].make(contents.pages, contents.name)], { type });
  const { name, pages, written } = contents;
  const { language = "auto" } = pages[0] ?? {};
  const meta = { language: language === "auto" ? null : language, date: now() };
  const bytes =
    form === "pdf"
      ? await searchable(documents, { ...meta, title: fileStem(name) }, contents)
      : await documents.write(form as Form, { ...meta, source: name }, written());
  return new Blob([bytes], { type });
}

/** A PDF with its text to be searched: the one that the pages are of, else a new one of their pictures. */
async function searchable(
  documents: Documents,
  meta: { title: string; language: string | null; date: string },
  { own, written }: Contents,
): Promise<ArrayBuffer> {
  if (own) {
    try {
      return await documents.extend(own, written());
    } catch (thrown) {
      // Drawn, but too damaged to be added to.
      if ((thrown as { code?: string }).code !== "unwritable") throw thrown;
    }
  }
  return documents.compose(meta, written());
}

/** To the second, as files state it. */
function now(): string {
  return new Date().toISOString().replace(/\.\d+/, "");
}
