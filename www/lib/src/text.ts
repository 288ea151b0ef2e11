// A document's text: corrected, searched.

import type { Document, Line } from "./types.ts";

/** Where each line's text begins in the document's; -1 for one that isn't there. */
export function lineOffsets({ text, lines }: Pick<Document, "text" | "lines">): number[] {
  let from = 0;
  return lines.map((line) => {
    const at = text.indexOf(line.text, from);
    if (at >= 0) from = at + line.text.length;
    return at;
  });
}

/** The document with another text in one line. */
export function withLine(document: Document, index: number, text: string): Document {
  const line = document.lines[index];
  if (!line || line.text === text) return document;
  const at = lineOffsets(document)[index] ?? -1;
  const whole = at < 0 ? document.text : document.text.slice(0, at) + text + document.text.slice(at + line.text.length);
  return { ...document, text: whole, lines: document.lines.with(index, corrected(line, text)) };
}

/** Texts that were replaced by others, `from`..`to` of the text before. */
interface Change {
  from: number;
  to: number;
  text: string;
}

/** The one change between two texts, `at` in a longer one. */
function change(before: string, after: string, at = 0): Change {
  const shorter = Math.min(before.length, after.length);
  let same = 0;
  while (same < shorter && before[same] === after[same]) same += 1;
  let tail = 0;
  while (tail < shorter - same && before.at(-1 - tail) === after.at(-1 - tail)) tail += 1;
  return { from: at + same, to: at + before.length - tail, text: after.slice(same, after.length - tail) };
}

/** What was changed: row by row while there are as many of them, word by word while there are as many of those, else
 * all from the first difference to the last. */
function changes(before: string, after: string): Change[] {
  for (const separator of [/(\n)/, /(\s+)/]) {
    const [parts, now] = [before.split(separator), after.split(separator)];
    if (parts.length !== now.length) continue;
    let at = 0;
    return parts.flatMap((part, i) => {
      const begins = at;
      at += part.length;
      const other = now[i] ?? "";
      return part === other ? [] : [change(part, other, begins)];
    });
  }
  return [change(before, after)];
}

/** The document with another text, and its lines with what became of them in it. What was put between two lines belongs
 * to the one before it: so nothing but white space is ever between lines, and each of them is found again. */
export function withText(document: Document, text: string): Document {
  if (text === document.text) return document;
  const offsets = lineOffsets(document);
  const there = document.lines.flatMap(({ text: own }, i) => (own && (offsets[i] ?? -1) >= 0 ? [i] : []));
  // Each with all there is until the next one.
  const before = there.map((i, n) => ({
    from: n === 0 ? 0 : (offsets[i] ?? 0),
    to: offsets[there[n + 1] ?? -1] ?? Infinity,
  }));
  const after = before.map((span) => ({ ...span }));
  let shift = 0;
  for (const { from, to, text: put } of changes(document.text, text)) {
    const end = from + shift + put.length;
    shift = end - to;
    before.forEach((span, n) => {
      const place = after[n];
      if (place && span.from > from) place.from = Math.max(span.from + shift, end);
      if (place && span.to > from) place.to = Math.max(span.to + shift, end);
    });
  }
  const lines = [...document.lines];
  there.forEach((i, n) => {
    const [line, place] = [lines[i], after[n]];
    if (!line || !place) return;
    const own = text.slice(place.from, place.to).trim();
    if (own !== line.text.trim()) lines[i] = corrected(line, own);
  });
  return { ...document, text, lines };
}

/** The words' places are kept only while their text is. */
function corrected(line: Line, text: string): Line {
  return { ...line, text, words: text ? [{ text, confidence: 1, box: line.box }] : [], confidence: 1 };
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
