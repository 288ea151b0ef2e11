// What goes between the page and the worker for documents.

import type { Document, Frame } from "./types.ts";
import type { Form, LayerUse, Line, Meta, PageRead, PageText, Worth } from "./types.ts";

/** What was read, as it is to be written. */
export type Content =
  /** A page of an open PDF. */
  | { page: PageText; pdf: number }
  /** A picture's file; none where the form needs no picture. */
  | { page: PageText; picture: ArrayBuffer | null };

export type DocumentRequest =
  | { kind: "open"; file: ArrayBuffer; password: string }
  | { kind: "warm" }
  | { kind: "close"; pdf: number }
  | { kind: "draw"; pdf: number; index: number }
  | { kind: "read"; pdf: number; index: number; layer: LayerUse; lines: LinesOffered | null }
  | {
      kind: "structure";
      /** An open PDF and a page of it, or a picture's file. */
      of: { pdf: number; index: number; worth: Worth } | { picture: ArrayBuffer; index: number };
      lines: Line[];
      turn: number;
    }
  | { kind: "export"; form: Form; meta: Meta }
  | { kind: "extend"; pdf: number }
  | { kind: "compose"; meta: Meta }
  | { kind: "add"; writer: number; content: Content; worth: Worth | null }
  | { kind: "finish"; writer: number };

/** A recogniser in another worker, at the other end of the port. */
export interface LinesOffered {
  recogniser: string;
  /** Text of its dictionary. */
  dictionary: string;
  port: MessagePort;
}

export interface DocumentReplies {
  open: { pdf: number; pages: number };
  warm: undefined;
  close: undefined;
  draw: Blob;
  /** The document of a page that was read as a picture comes with these fields, too. */
  read: PageRead & Partial<Document>;
  structure: PageText;
  export: number;
  extend: number;
  compose: number;
  add: undefined;
  finish: ArrayBuffer;
}

export type ToDocuments =
  | { id: number; request: DocumentRequest }
  /** What was asked for with `read`. */
  | { asked: number; document: Document }
  | { asked: number; failure: { code: string; message: string } };

export type FromDocuments =
  | { id: number; value: DocumentReplies[keyof DocumentReplies] }
  | { id: number; failure: { code: string; message: string } }
  /** The request with this id wants a picture read. */
  | { id: number; asked: number; frame: Frame; whole: boolean };
