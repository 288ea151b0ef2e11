// Pages of a PDF as pictures. PDF.js is large: this module is loaded with the first PDF. Its usual build needs what only
// the newest browsers have; this one brings it along.

import { OcrError } from "@maoocr/lib";
import {
  getDocument,
  GlobalWorkerOptions,
  type PDFDocumentProxy,
  type PDFPageProxy,
} from "pdfjs-dist/legacy/build/pdf.mjs";
import worker from "pdfjs-dist/legacy/build/pdf.worker.min.mjs?url";

GlobalWorkerOptions.workerSrc = worker;

/** Small print needs about 200 dots an inch; a PDF's unit is 1/72 inch. */
const SCALE = 200 / 72;
/** Longest side of a drawn page, px. */
const LONGEST = 2600;

/** What PDF.js holds of a file is large: without a page to draw for so long it is closed, ms. */
const LEISURE = 10_000;

export interface Pdf {
  pages: number;
  /** From 1. */
  draw(page: number): Promise<Blob>;
}

export async function openPdf(file: Blob): Promise<Pdf> {
  let opened: Promise<PDFDocumentProxy> | null = null;
  let users = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const close = () => {
    void opened?.then((pdf) => pdf.loadingTask.destroy());
    opened = null;
  };
  const use = async <T>(work: (pdf: PDFDocumentProxy) => Promise<T>): Promise<T> => {
    clearTimeout(timer);
    users += 1;
    try {
      opened ??= load(file).catch((thrown: unknown) => {
        opened = null;
        throw thrown;
      });
      return await work(await opened);
    } finally {
      users -= 1;
      if (users === 0) timer = setTimeout(close, LEISURE);
    }
  };
  return {
    pages: await use(async ({ numPages }) => numPages),
    draw: (number) =>
      use(async (pdf) => {
        const picture = await draw(await pdf.getPage(number));
        // What is kept for more pages than one, above all pictures. It fails while another page is drawn.
        if (users === 1) await pdf.cleanup(true).catch(() => undefined);
        return picture;
      }),
  };
}

async function load(file: Blob): Promise<PDFDocumentProxy> {
  const assets = (name: string) => new URL(`./pdf/${name}/`, location.href.replace(/#.*/, "")).href;
  const loading = getDocument({
    data: new Uint8Array(await file.arrayBuffer()),
    cMapUrl: assets("cmaps"),
    standardFontDataUrl: assets("standard_fonts"),
    wasmUrl: assets("wasm"),
  });
  try {
    return await loading.promise;
  } catch (thrown) {
    void loading.destroy();
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
