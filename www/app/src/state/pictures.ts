// Files → pictures that both the browser can show and the engine can read, one a page; and what is done to them.

import { OcrError, type Document, type PdfFile } from "@maoocr/lib";

import { ocr } from "./client.ts";
import { canvas, changesNothing, drawn, photo, written, type Area, type Drawing, type Drawn, type Edit, type Preview } from "./drawing.ts"; // prettier-ignore
import { passwordOf } from "./passwords.ts";
import type { FromPictures, ToPictures } from "../pictures-worker.ts";

export { changesNothing, WHOLE, type Edit } from "./drawing.ts";

export interface Page {
  name: string;
  /** The same for all pages of a file. */
  file: string;
  /** Of several in one file. */
  page: { number: number; of: number } | null;
  /** Drawn when its turn comes: a hundred pages aren't held in memory. */
  picture: () => Promise<Blob>;
  /** Of a PDF: the open file, and the page's position from 0. */
  pdf?: { file: PdfFile; index: number };
}

type Kind = "both" | "engine" | "pdf" | "heic" | "other";

/** By a file's first bytes: extensions and types lie. */
export async function kindOf(file: Blob): Promise<Kind> {
  const head = new Uint8Array(await file.slice(0, 1024).arrayBuffer());
  const ascii = String.fromCharCode(...head.subarray(0, 32));
  if (/^\xff\xd8\xff|^\x89PNG|^GIF8|^BM|^RIFF....WEBP/s.test(ascii)) return "both";
  if (/^II\*\0|^MM\0\*|^P[1-6]\s/s.test(ascii)) return "engine";
  if (/^....ftyp(hei[cfmsx]|hev[cmsx]|mif1|msf1)/s.test(ascii)) return "heic";
  if (String.fromCharCode(...head).includes("%PDF-")) return "pdf";
  return "other";
}

export function newId(): string {
  return crypto.randomUUID?.() ?? `${Date.now()}-${Math.random().toString(36).slice(2)}`;
}

/** The pages of a file; an error where it can be seen already that there are none. */
export async function pagesOf(file: File, id: string): Promise<Page[]> {
  const { name } = file;
  const page = (i: number, of: number, picture: Page["picture"]): Page => ({
    name,
    file: id,
    page: of === 1 ? null : { number: i + 1, of },
    picture,
  });
  const one = (picture: Page["picture"]): Page[] => [page(0, 1, picture)];
  if (file.size === 0) throw new OcrError("empty", `${file.name} is empty`);
  const kind = await kindOf(file);
  switch (kind) {
    case "both":
      return one(async () => file);
    case "pdf": {
      const pdf = await ocr().documents.open(file, passwordOf(id));
      return Array.from({ length: pdf.pages }, (_, index) => ({
        ...page(index, pdf.pages, () => pdf.draw(index)),
        pdf: { file: pdf, index },
      }));
    }
    case "engine": {
      const pictures = await ocr().pages(file);
      return pictures.map((picture, i) => page(i, pictures.length, async () => picture));
    }
    case "heic":
    case "other":
      // AVIF, HEIC, SVG, what else this browser knows: what it draws is read.
      return one(async () => {
        try {
          return await redraw(file);
        } catch {
          throw new OcrError(kind === "heic" ? "heic" : "unknown_format", `${file.name} can't be decoded`);
        }
      });
  }
}

async function redraw(file: Blob): Promise<Blob> {
  const bitmap = await createImageBitmap(file).catch(() => asImage(file));
  const [surface, context] = canvas(bitmap.width, bitmap.height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return written(surface, photo(file.type !== "image/svg+xml"));
}

/** Browsers show formats that they make no bitmaps of: HEIC in Safari, SVG everywhere. */
async function asImage(file: Blob): Promise<ImageBitmap> {
  const url = URL.createObjectURL(file);
  try {
    const image = new Image();
    image.src = url;
    await image.decode();
    return await createImageBitmap(image);
  } finally {
    URL.revokeObjectURL(url);
  }
}

/** After this long without anything to draw the worker ends, ms. */
const IDLE = 10_000;

interface Call {
  resolve: (made: Drawn[Drawing["kind"]]) => void;
  reject: (error: Error) => void;
}

let worker: Worker | null = null;
let idle: ReturnType<typeof setTimeout> | undefined;
const calls = new Map<number, Call>();
let next = 1;

function start(): Worker {
  const started = new Worker(new URL("../pictures-worker.ts", import.meta.url), { type: "module", name: "pictures" });
  started.onmessage = ({ data }: MessageEvent<FromPictures>) => {
    if ("made" in data) calls.get(data.id)?.resolve(data.made);
    else calls.get(data.id)?.reject(new OcrError("out_of_memory", data.failure));
    calls.delete(data.id);
    if (calls.size === 0) idle = setTimeout(end, IDLE);
  };
  started.onerror = (event) => {
    event.preventDefault();
    end();
  };
  return started;
}

function end(): void {
  worker?.terminate();
  worker = null;
  for (const { reject } of calls.values()) reject(new OcrError("worker_lost", "the thread for pictures ended"));
  calls.clear();
}

function inWorker(drawing: Drawing): Promise<Drawn[Drawing["kind"]]> {
  clearTimeout(idle);
  worker ??= start();
  const id = next++;
  const made = new Promise<Drawn[Drawing["kind"]]>((resolve, reject) => calls.set(id, { resolve, reject }));
  worker.postMessage({ id, drawing } satisfies ToPictures);
  return made;
}

/** Where a worker can't, the page may: it decodes more formats. */
async function make<D extends Drawing>(drawing: D): Promise<Drawn[D["kind"]]> {
  const decode = (picture: Blob) => createImageBitmap(picture).catch(() => asImage(picture));
  return (await inWorker(drawing).catch(() => drawn(drawing, decode))) as Drawn[D["kind"]];
}

export async function applied(edit: Edit | null, original: Blob): Promise<Blob> {
  return !edit || changesNothing(edit) ? original : make({ kind: "edited", picture: original, edit });
}

/** The part of it within (left, top, width, height), px of the picture, at most `longest` px wide and high. */
export function preview(picture: Blob, longest: number, part: Area | null = null): Promise<Preview> {
  return make({ kind: "preview", picture, longest, part });
}

/** None where it can't be drawn. */
export async function thumbnail(picture: Blob, document: Document | null): Promise<Blob | null> {
  const boxes = (document?.lines ?? []).filter(({ text }) => text).map(({ box }) => box);
  return make({ kind: "thumbnail", picture, boxes }).catch(() => null);
}
