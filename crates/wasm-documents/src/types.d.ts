import type { BestPath, Block, Document, Frame, Line, Quad } from "../../wasm/src/types.d.ts";

export type RegionKind =
  | "title"
  | "heading"
  | "paragraph"
  | "list"
  | "table"
  | "figure"
  | "caption"
  | "formula"
  | "code"
  | "footnote"
  | "header"
  | "footer"
  | "page_number"
  | "unread";

/** A cell of a table; places that a spanning cell covers have none of their own. */
export interface Cell {
  row: number;
  column: number;
  row_span: number;
  column_span: number;
  box: Quad;
  text: string;
}

export interface Table {
  rows: number;
  columns: number;
  header_rows: number;
  /** By row, then by column. */
  cells: Cell[];
}

export interface ListItem {
  /** 0 for the outermost. */
  level: number;
  marker: string;
  number?: number;
  /** Without the marker. */
  text: string;
  lines: number[];
}

/** A part of a page that is one thing to its reader. */
export interface Region {
  kind: RegionKind;
  /** Of a heading, 1 to 6. */
  level?: number;
  box: Quad;
  /** How sure its kind is, 0 to 1. */
  confidence: number;
  /** Indices into the page's lines. */
  lines: number[];
  /** As it flows: lines joined, hyphens at their ends resolved. */
  text: string;
  table?: Table;
  items?: ListItem[];
  /** Of a table or figure: an index into the page's regions. */
  caption?: number;
  /** Goes on from the last region of its kind. */
  continued?: boolean;
}

/** What one page says, part by part. */
export interface PageText {
  /** In the file, from 0. */
  index: number;
  /** px */
  width: number;
  /** px */
  height: number;
  /** Pixels an inch, where the file states a resolution that can be believed. */
  dpi?: number;
  turn: number;
  text: string;
  confidence: number;
  lines: Line[];
  /** Regions in reading order. */
  blocks: Region[];
}

/** What a page's text layer is worth. */
export interface Worth {
  /** `sound`: the text is from there. */
  verdict: "absent" | "sound" | "lies" | "poor";
  /** Whether its text is unseen, as over a scan. */
  unseen: boolean;
  /** Whether some of its text is painted. */
  painted: boolean;
}

/** When a text layer is used: where it agrees with what is seen, wherever there is one, nowhere. */
export type LayerUse = "auto" | "always" | "never";

/** Who reads lines for the comparison of a text layer with what is seen. */
export interface LineReader {
  /** Its name in the manifest. */
  recogniser: string;
  /** The text of its dictionary. */
  dictionary: string;
  readLines: (recogniser: string, input: Float32Array, shape: number[]) => Promise<BestPath>;
}

export interface ReadOptions {
  layer?: LayerUse;
  /** None: a text layer is believed. */
  lines?: LineReader;
  /** Reads a page, or a picture on one: then it isn't `whole`. */
  readPicture: (frame: Frame, whole: boolean) => Promise<Document>;
}

/** A page of a PDF that was read. */
export interface PageRead {
  worth: Worth;
  /** px */
  width: number;
  /** px */
  height: number;
  /** Pixels an inch. */
  dpi: number | null;
  /** Of the text layer, where the text is from there. */
  text: string;
  confidence: number;
  lines: Line[];
  blocks: Block[];
}

/** The forms that `Export` writes. */
export type Form = "txt" | "md" | "html" | "json" | "hocr" | "alto" | "tsv" | "csv" | "xlsx" | "docx";

/** What is said of a document beside its text. */
export interface Meta {
  title?: string;
  /** Name of the file it was read from. */
  source?: string;
  /** BCP 47 tag. */
  language?: string | null;
  /** When it was read, as in `2026-11-29T21:05:00Z`. */
  date?: string;
}
