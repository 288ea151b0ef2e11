// Pages of a PDF as pictures. PDF.js is large: this module is loaded with the first PDF. Its usual build needs what only
// the newest browsers have; this one brings it along.

import { OcrError } from "@maoocr/lib";
import { getDocument, GlobalWorkerOptions, type PDFPageProxy } from "pdfjs-dist/legacy/build/pdf.mjs";
import worker from "pdfjs-dist/legacy/build/pdf.worker.min.mjs?url";

GlobalWorkerOptions.workerSrc = worker;

/** Small print needs about 200 dots an inch; a PDF's unit is 1/72 inch. */
const SCALE = 200 / 72;
/** Longest side of a drawn page, px. */
const LONGEST = 2600;

export interface Pdf {
  pages: number;
  /** From 1; each page once. */
  draw(page: number): Promise<Blob>;
}

export async function openPdf(file: Blob): Promise<Pdf> {
  const assets = (name: string) => new URL(`./pdf/${name}/`, location.href.replace(/#.*/, "")).href;
  try {
    const pdf = await getDocument({
      data: new Uint8Array(await file.arrayBuffer()),
      cMapUrl: assets("cmaps"),
      standardFontDataUrl: assets("standard_fonts"),
      wasmUrl: assets("wasm"),
    }).promise;
    const left = new Set(Array.from({ length: pdf.numPages }, (_, i) => i + 1));
    let drawing = 0;
    return {
      pages: pdf.numPages,
      draw: async (number) => {
        drawing += 1;
        try {
          const picture = await draw(await pdf.getPage(number));
          left.delete(number);
          return picture;
        } finally {
          drawing -= 1;
          // Every page is a picture now: the file and what was decoded of it give their memory back.
          if (left.size === 0) void pdf.loadingTask.destroy();
          // What is kept for more pages than one, above all pictures. It fails while another page is drawn.
          else if (drawing === 0) await pdf.cleanup(true).catch(() => undefined);
        }
      },
    };
  } catch (thrown) {
    const encrypted = thrown instanceof Error && thrown.name === "PasswordException";
    throw new OcrError(encrypted ? "encrypted" : "pdf", String(thrown));
  }
}

async function draw(page: PDFPageProxy): Promise<Blob> {
  const plain = page.getViewport({ scale: 1 });
  const scale = Math.min(SCALE, LONGEST / Math.max(plain.width, plain.height));
  const viewport = page.getViewport({ scale });
  const canvas = document.createElement("canvas");
  canvas.width = Math.ceil(viewport.width);
  canvas.height = Math.ceil(viewport.height);
  try {
    await page.render({ canvas, viewport }).promise;
    return await new Promise<Blob>((resolve, reject) =>
      canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new OcrError("out_of_memory", "the page is too large")))),
    );
  } finally {
    page.cleanup();
    // Frees its memory at once.
    canvas.width = 0;
  }
}
