// A document's text: corrected, searched.

import type { Document } from "./types.ts";

/** Where each line's text begins in the document's; -1 for one that isn't there. */
export function lineOffsets({ text, lines }: Pick<Document, "text" | "lines">): number[] {
  let from = 0;
  return lines.map((line) => {
    const at = text.indexOf(line.text, from);
    if (at >= 0) from = at + line.text.length;
    return at;
  });
}

/** The document with another text in one line. The words' places are kept only while their text is. */
export function withLine(document: Document, index: number, text: string): Document {
  const line = document.lines[index];
  if (!line || line.text === text) return document;
  const at = lineOffsets(document)[index] ?? -1;
  const whole = at < 0 ? document.text : document.text.slice(0, at) + text + document.text.slice(at + line.text.length);
  const box = line.box;
  const words = text ? [{ text, confidence: 1, box }] : [];
  const lines = document.lines.with(index, { ...line, text, words, confidence: 1 });
  return { ...document, text: whole, lines };
}

/** Indices of the lines that contain `query`, whatever its case and width. */
export function findLines(document: Pick<Document, "lines">, query: string): number[] {
  const wanted = folded(query.trim());
  if (!wanted) return [];
  return document.lines.flatMap((line, index) => (folded(line.text).includes(wanted) ? [index] : []));
}

/** As it is compared in searches. */
export function folded(text: string): string {
  return text.normalize("NFKC").toLocaleLowerCase();
}

/** The words of a line with what stands between them, so that what is copied is the line's text. */
export function spacedWords(line: Document["lines"][number]): string[] {
  let from = 0;
  const starts = line.words.map((word) => {
    const at = line.text.indexOf(word.text, from);
    if (at >= 0) from = at + word.text.length;
    return at;
  });
  return line.words.map((word, i) => {
    const start = starts[i] ?? -1;
    const next = i + 1 < starts.length ? (starts[i + 1] ?? -1) : line.text.length;
    return start < 0 || next < start ? word.text : line.text.slice(start, next);
  });
}
