// The page's side of the worker for documents: PDFs, structure, exports. The worker starts when it is needed and ends when
// nothing is asked of it.

import type {
  Content,
  DocumentReplies,
  DocumentRequest,
  FromDocuments,
  LinesOffered,
  ToDocuments,
} from "./documents-protocol.ts";
import { OcrError, cancelled } from "./errors.ts";
import type { Document, Form, Frame, LayerUse, Line, Meta, PageRead, PageText, Worth } from "./types.ts";

/** The worker ends after so long without a request, and gives back its memory, ms. */
const IDLE = 60_000;
/** Open files at once: each is held in the worker's memory. */
const OPEN = 2;
/** After these a fresh worker is safer: what a trap left is leaked. */
const FATAL = new Set(["internal", "out_of_memory", "too_complex"]);

export type ReadPicture = (frame: Frame, whole: boolean) => Promise<Document>;

interface Call {
  resolve: (value: DocumentReplies[keyof DocumentReplies]) => void;
  reject: (error: OcrError) => void;
  readPicture: ReadPicture | undefined;
}

/** A page of a file: of a PDF, or a picture. */
export type Source = { pdf: PdfFile; index: number } | { picture: () => Promise<Blob> };

/** What is to be written of a document: a page, and what it is from. */
export interface Written {
  source: Source;
  page: PageText;
  worth: Worth | null;
}

export class Documents {
  readonly #create: () => Worker;
  #worker: Worker | null = null;
  /** Workers that said something. */
  readonly #heard = new WeakSet<Worker>();
  readonly #calls = new Map<number, Call>();
  #next = 1;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Numbers of open files, the one used last at the end. They are gone with the worker. */
  #open = new Map<PdfFile, Promise<number>>();
  /** Files whose number is in use right now. */
  readonly #users = new Map<PdfFile, number>();

  constructor(create: () => Worker) {
    this.#create = create;
  }

  /** Opens a PDF. Its code is `password_required` or `password_wrong` where it needs another password. */
  async open(file: Blob, password = ""): Promise<PdfFile> {
    const pdf = new PdfFile(this, file, password);
    await pdf.use(async () => undefined);
    return pdf;
  }

  /** Starts the worker before it is needed. */
  async warm(): Promise<void> {
    await this.call({ kind: "warm" });
  }

  /** The regions of a picture, from its lines. */
  async structure(picture: Blob, lines: Line[], turn: number, index = 0): Promise<PageText> {
    const bytes = await decodable(picture);
    return this.call({ kind: "structure", of: { picture: bytes, index }, lines, turn }, [bytes]);
  }

  /** A document in another form. */
  async write(form: Form, meta: Meta, pages: AsyncIterable<Written>): Promise<ArrayBuffer> {
    const writer = await this.call({ kind: "export", form, meta });
    const pictures = form === "docx" || form === "html";
    for await (const written of pages) await this.#add(writer, written, pictures && shows(written.page));
    return this.call({ kind: "finish", writer });
  }

  /** One new PDF of pictures, whose text can be searched. */
  async compose(meta: Meta, pages: AsyncIterable<Written>): Promise<ArrayBuffer> {
    const { title = "", language = null, date = "" } = meta;
    const writer = await this.call({ kind: "compose", meta: { title, language, date } });
    for await (const { source, page } of pages) {
      const picture = await decodable("pdf" in source ? await source.pdf.draw(source.index) : await source.picture());
      await this.call({ kind: "add", writer, content: { page, picture }, worth: null }, [picture]);
    }
    return this.call({ kind: "finish", writer });
  }

  /** The PDF with its text to be searched: its own bytes, and what is added. */
  extend(pdf: PdfFile, pages: AsyncIterable<Written>): Promise<ArrayBuffer> {
    return pdf.use(async (number) => {
      const writer = await this.call({ kind: "extend", pdf: number });
      for await (const { page, worth } of pages)
        await this.call({ kind: "add", writer, content: { page, pdf: number }, worth });
      return this.call({ kind: "finish", writer });
    });
  }

  async #add(writer: number, { source, page }: Written, picture: boolean): Promise<void> {
    const add = (content: Content) => this.call({ kind: "add", writer, content, worth: null });
    if ("pdf" in source) {
      if (picture) await source.pdf.use((pdf) => add({ page, pdf }));
      else await add({ page, picture: null });
    } else await add({ page, picture: picture ? await decodable(await source.picture()) : null });
  }

  /** Ends the worker; files are opened again when they are used. */
  reset(error: OcrError = new OcrError("worker_lost", "the documents' thread was ended")): void {
    clearTimeout(this.#timer);
    this.#worker?.terminate();
    this.#worker = null;
    this.#open.clear();
    for (const call of [...this.#calls.values()]) call.reject(error);
    this.#calls.clear();
  }

  /** Does work with the file's number in the worker. */
  async use<T>(pdf: PdfFile, work: (number: number, pages: number) => Promise<T>): Promise<T> {
    this.#users.set(pdf, (this.#users.get(pdf) ?? 0) + 1);
    try {
      const there = this.#open.get(pdf);
      const opened = there ?? this.#opened(pdf);
      this.#open.delete(pdf);
      this.#open.set(pdf, opened);
      return await work(await opened, pdf.pages);
    } finally {
      const users = (this.#users.get(pdf) ?? 1) - 1;
      if (users > 0) this.#users.set(pdf, users);
      else this.#users.delete(pdf);
      this.#closeSome();
    }
  }

  async #opened(pdf: PdfFile): Promise<number> {
    try {
      const file = await pdf.file.arrayBuffer();
      const opened = await this.call({ kind: "open", file, password: pdf.password }, [file]);
      pdf.pages = opened.pages;
      return opened.pdf;
    } catch (thrown) {
      this.#open.delete(pdf);
      throw thrown;
    }
  }

  #closeSome(): void {
    for (const [pdf, number] of this.#open) {
      if (this.#open.size <= OPEN) return;
      if (this.#users.has(pdf)) continue;
      this.#open.delete(pdf);
      void number.then((open) => this.call({ kind: "close", pdf: open })).catch(() => undefined);
    }
  }

  call<R extends DocumentRequest>(
    request: R,
    transfer: Transferable[] = [],
    readPicture?: ReadPicture,
    signal?: AbortSignal,
  ): Promise<DocumentReplies[R["kind"]]> {
    if (signal?.aborted) return Promise.reject(cancelled());
    const worker = (this.#worker ??= this.#start());
    clearTimeout(this.#timer);
    const id = this.#next++;
    return new Promise<DocumentReplies[keyof DocumentReplies]>((resolve, reject) => {
      const stop = () => this.#calls.get(id)?.reject(cancelled());
      signal?.addEventListener("abort", stop, { once: true });
      const settled = () => {
        signal?.removeEventListener("abort", stop);
        this.#calls.delete(id);
        if (this.#calls.size === 0 && this.#worker) this.#timer = setTimeout(() => this.reset(), IDLE);
      };
      this.#calls.set(id, {
        readPicture,
        resolve: (value) => {
          settled();
          resolve(value);
        },
        reject: (error) => {
          settled();
          reject(error);
        },
      });
      worker.postMessage({ id, request } satisfies ToDocuments, transfer);
    }) as Promise<DocumentReplies[R["kind"]]>;
  }

  #start(): Worker {
    const worker = this.#create();
    worker.onmessage = ({ data }: MessageEvent<FromDocuments>) => void this.#hear(worker, data);
    worker.onerror = (event) => {
      event.preventDefault();
      // One that never said anything couldn't be fetched.
      const code = this.#heard.has(worker) ? "worker_lost" : "network";
      this.reset(new OcrError(code, event.message || "the documents' thread could not be started"));
    };
    return worker;
  }

  async #hear(worker: Worker, message: FromDocuments): Promise<void> {
    this.#heard.add(worker);
    const call = this.#calls.get(message.id);
    if ("asked" in message) {
      const { asked, frame, whole } = message;
      const reply = (answer: { document: Document } | { failure: { code: string; message: string } }) =>
        worker.postMessage({ asked, ...answer } satisfies ToDocuments);
      try {
        if (!call?.readPicture) throw cancelled();
        reply({ document: await call.readPicture(frame, whole) });
      } catch (thrown) {
        const { code, message: text } = OcrError.from(thrown);
        reply({ failure: { code, message: text } });
      }
      return;
    }
    if ("value" in message) return call?.resolve(message.value);
    const error = new OcrError(message.failure.code, message.failure.message);
    call?.reject(error);
    if (FATAL.has(error.code) && worker === this.#worker) this.reset();
  }
}

/** A PDF, which is in the worker's memory while it is used. */
export class PdfFile {
  readonly #documents: Documents;
  readonly file: Blob;
  readonly password: string;
  /** How many pages it has, once it was opened. */
  pages = 0;

  constructor(documents: Documents, file: Blob, password: string) {
    this.#documents = documents;
    this.file = file;
    this.password = password;
  }

  use<T>(work: (number: number, pages: number) => Promise<T>): Promise<T> {
    return this.#documents.use(this, work);
  }

  /** A page as a picture, by its position from 0. */
  draw(index: number): Promise<Blob> {
    return this.use((pdf) => this.#documents.call({ kind: "draw", pdf, index }));
  }

  /** Reads a page; `lines` compares its text layer with what is seen, `readPicture` reads what has none. */
  read(
    index: number,
    layer: LayerUse,
    lines: LinesOffered | null,
    readPicture: ReadPicture,
    signal?: AbortSignal,
  ): Promise<PageRead & Partial<Document>> {
    const transfer = lines ? [lines.port] : [];
    return this.use((pdf) =>
      this.#documents.call({ kind: "read", pdf, index, layer, lines }, transfer, readPicture, signal),
    );
  }

  /** The regions of a page, from its lines. */
  structure(index: number, lines: Line[], turn: number, worth: Worth): Promise<PageText> {
    return this.use((pdf) => this.#documents.call({ kind: "structure", of: { pdf, index, worth }, lines, turn }));
  }
}

/** Whether what a page's figures look like is to be seen in it. */
function shows({ blocks }: PageText): boolean {
  return blocks.some(({ kind }) => kind === "figure" || kind === "formula");
}

/** The bytes of a picture that the module decodes: what only the browser does is drawn as a JPEG. */
async function decodable(picture: Blob): Promise<ArrayBuffer> {
  const head = new Uint8Array(await picture.slice(0, 12).arrayBuffer());
  const ascii = String.fromCharCode(...head);
  if (/^\xff\xd8\xff|^\x89PNG|^GIF8|^BM|^RIFF....WEBP|^II\*\0|^MM\0\*|^P[1-6]\s/s.test(ascii))
    return picture.arrayBuffer();
  const bitmap = await createImageBitmap(picture);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  canvas.getContext("2d")?.drawImage(bitmap, 0, 0);
  bitmap.close();
  return (await canvas.convertToBlob({ type: "image/jpeg", quality: 0.95 })).arrayBuffer();
}
