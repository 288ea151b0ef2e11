/// <reference lib="webworker" />
// The module for documents in a thread of its own.

import { Export, Pdf, SearchablePdf, structure } from "maoocr-wasm-documents";

import type { Content, DocumentReplies, DocumentRequest, FromDocuments, ToDocuments } from "./documents-protocol.ts";
import { helper } from "./helpers.ts";
import type { Document, Frame } from "./types.ts";

declare const self: DedicatedWorkerGlobalScope;

/** How well a page is kept that a browser shows: text stays crisp. */
const SHOWN = { type: "image/jpeg", quality: 0.92 };

const pdfs = new Map<number, Pdf>();
const writers = new Map<number, Export | SearchablePdf>();
const asked = new Map<number, { resolve: (document: Document) => void; reject: (thrown: Error) => void }>();
let next = 1;

const tell = (message: FromDocuments, transfer: Transferable[] = []) => self.postMessage(message, transfer);

/** Answers the page once the module is `loaded`. */
export function serveDocuments(loaded: Promise<unknown>): void {
  const started = loaded.catch((thrown: unknown) => {
    throw Object.assign(new Error(String(thrown)), { code: "network" });
  });
  // Heard by every request; this keeps it from being reported a second time.
  started.catch(() => undefined);
  self.onmessage = async ({ data }: MessageEvent<ToDocuments>) => {
    if ("asked" in data) {
      const waiting = asked.get(data.asked);
      asked.delete(data.asked);
      if ("document" in data) waiting?.resolve(data.document);
      else waiting?.reject(Object.assign(new Error(data.failure.message), { code: data.failure.code }));
      return;
    }
    const { id, request } = data;
    try {
      await started;
      const value = await answer(id, request);
      tell({ id, value }, value instanceof ArrayBuffer ? [value] : []);
    } catch (thrown) {
      const { code, message } = thrown as { code?: string; message?: string };
      tell({ id, failure: { code: code ?? "internal", message: message ?? String(thrown) } });
    }
  };
}

function pdfOf(number: number): Pdf {
  const pdf = pdfs.get(number);
  if (!pdf) throw Object.assign(new Error("the PDF isn't open any more"), { code: "worker_lost" });
  return pdf;
}

async function answer(id: number, request: DocumentRequest): Promise<DocumentReplies[keyof DocumentReplies]> {
  switch (request.kind) {
    case "open": {
      const pdf = Pdf.open(new Uint8Array(request.file), request.password);
      pdfs.set(next, pdf);
      return { pdf: next++, pages: pdf.count };
    }
    case "warm":
      return undefined;
    case "close":
      pdfs.get(request.pdf)?.free();
      pdfs.delete(request.pdf);
      return undefined;
    case "draw":
      return drawn(pdfOf(request.pdf).draw(request.index));
    case "read": {
      const { lines } = request;
      try {
        return await pdfOf(request.pdf).read(request.index, {
          layer: request.layer,
          ...(lines && { lines: { ...lines, readLines: helper(lines.port) } }),
          readPicture: (frame, whole) => ask(id, frame, whole),
        });
      } finally {
        lines?.port.close();
      }
    }
    case "structure": {
      const { of, lines, turn } = request;
      if ("pdf" in of) return pdfOf(of.pdf).structure(of.index, { lines, turn, worth: of.worth });
      return structure(of.picture, { lines, turn, index: of.index });
    }
    case "export":
      return kept(new Export(request.form, request.meta));
    case "extend":
      return kept(SearchablePdf.extend(pdfOf(request.pdf)));
    case "compose":
      return kept(SearchablePdf.compose(request.meta));
    case "add":
      add(writerOf(request.writer), request.content, request.worth);
      return undefined;
    case "finish": {
      const writer = writerOf(request.writer);
      writers.delete(request.writer);
      try {
        return writer.finish().buffer as ArrayBuffer;
      } finally {
        writer.free();
      }
    }
  }
}

function kept(writer: Export | SearchablePdf): number {
  writers.set(next, writer);
  return next++;
}

function writerOf(number: number): Export | SearchablePdf {
  const writer = writers.get(number);
  if (!writer) throw Object.assign(new Error("it was finished before"), { code: "internal" });
  return writer;
}

function add(writer: Export | SearchablePdf, content: Content, worth: unknown): void {
  const { page } = content;
  if (writer instanceof Export) {
    if ("pdf" in content) writer.addPage(pdfOf(content.pdf), page);
    else writer.add(page, content.picture ?? undefined);
  } else if ("pdf" in content) writer.addText(page, worth as never);
  else writer.addPicture(content.picture as ArrayBuffer, page);
}

function ask(id: number, frame: Frame, whole: boolean): Promise<Document> {
  const number = next++;
  return new Promise((resolve, reject) => {
    asked.set(number, { resolve, reject });
    tell({ id, asked: number, frame, whole }, [frame.data.buffer as ArrayBuffer]);
  });
}

async function drawn({ data, width, height }: Frame): Promise<Blob> {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { alpha: false });
  if (!context) throw Object.assign(new Error("no canvas of this size"), { code: "out_of_memory" });
  const pixels = new Uint8ClampedArray(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
  context.putImageData(new ImageData(pixels, width, height), 0, 0);
  const blob = await canvas.convertToBlob(SHOWN);
  // Frees the pixels at once.
  canvas.width = canvas.height = 0;
  return blob;
}
