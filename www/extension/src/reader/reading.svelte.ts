// A PDF that is open in the reader: page after page is read, the one in view first.

import {
  isCancelled,
  OcrError,
  write,
  type Document,
  type ExportName,
  type OcrClient,
  type PdfFile,
  type Written,
} from "@maoocr/lib";

import { requirementsOf, type Settings } from "../settings.ts";

export class Page {
  readonly index: number;
  read = $state.raw<Document | null>(null);
  failure = $state.raw<OcrError | null>(null);

  constructor(index: number) {
    this.index = index;
  }
}

export class Reading {
  readonly name: string;
  readonly pdf: PdfFile;
  readonly pages: Page[];
  /** Where the next page is looked for, from 0. */
  inView = 0;
  /** The page that is being read. */
  current = $state<number | null>(null);
  readonly done = $derived.by(() => this.pages.filter(({ read }) => read).length);
  readonly open = $derived.by(() => this.pages.filter(({ read, failure }) => !read && !failure).length);
  readonly #client: OcrClient;
  readonly #settings: Settings;
  #stop = new AbortController();

  constructor(client: OcrClient, settings: Settings, pdf: PdfFile, name: string) {
    this.#client = client;
    this.#settings = settings;
    this.pdf = pdf;
    this.name = name;
    this.pages = Array.from({ length: pdf.pages }, (_, index) => new Page(index));
  }

  /** Reads what wasn't read, until that is all or it is stopped. */
  async readOn(): Promise<void> {
    if (this.current !== null) return;
    const { signal } = (this.#stop = new AbortController());
    for (let page = this.#next(); page && !signal.aborted; page = this.#next()) {
      this.current = page.index;
      try {
        const requirements = requirementsOf(this.#settings);
        const call = { requirements, place: this.#settings.place, alone: true, signal };
        const { documents } = await this.#client.readPage(this.pdf, page.index, call);
        page.read = documents[0] ?? null;
        if (!page.read) throw new OcrError("internal", "no page");
      } catch (thrown) {
        if (!isCancelled(thrown)) page.failure = OcrError.from(thrown);
      }
    }
    this.current = null;
  }

  stop(): void {
    this.#stop.abort();
  }

  /** Those that failed are read again, too. */
  again(): void {
    for (const page of this.pages) page.failure = null;
    void this.readOn();
  }

  #next(): Page | null {
    const unread = (page: Page): boolean => !page.read && !page.failure;
    return this.pages.slice(this.inView).find(unread) ?? this.pages.find(unread) ?? null;
  }

  text(): string {
    const texts = this.pages.flatMap(({ read }) => read?.text.trim() ?? []);
    return texts.filter(Boolean).join("\n\n");
  }

  /** The pages that were read, as one file. */
  saved(form: ExportName): Promise<Blob> {
    const whole = this.done === this.pages.length;
    return write(this.#client.documents, form, {
      name: this.name,
      pages: this.pages.flatMap(({ read }) => read ?? []),
      own: whole ? this.pdf : null,
      written: () => this.#written(),
    });
  }

  async *#written(): AsyncGenerator<Written> {
    const { pdf } = this;
    let position = 0;
    for (const { index, read } of this.pages) {
      if (!read?.worth) continue;
      const { lines, turn, worth } = read;
      const page = await pdf.structure(index, lines, turn, worth);
      yield { source: { pdf, index }, page: { ...page, index: position++ }, worth };
    }
  }
}
