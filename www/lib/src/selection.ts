// Words selected on a picture, from one to another in reading order, as a person selects text.

import { spacedWords } from "./text.ts";
import type { Document, Point, Quad } from "./types.ts";

export interface SelectableWord {
  text: string;
  box: Quad;
  /** Index of its line. */
  line: number;
  /** What stands before it in the text when it isn't the first selected. */
  before: string;
}

/** Indices of words, both included, `from` ≤ `to`. */
export interface WordRange {
  from: number;
  to: number;
}

export function wordsOf(document: Pick<Document, "lines" | "blocks">): SelectableWord[] {
  const starts = new Set((document.blocks ?? []).slice(1).flatMap((block) => block.lines.slice(0, 1)));
  const words: SelectableWord[] = [];
  document.lines.forEach((line, index) => {
    const spaced = spacedWords(line);
    line.words.forEach(({ text, box }, n) => {
      const left = n > 0 ? (spaced[n - 1] ?? "").slice(line.words[n - 1]?.text.length ?? 0) : null;
      words.push({ text, box, line: index, before: left ?? (starts.has(index) ? "\n\n" : "\n") });
    });
  });
  return words;
}

export function textOf(words: SelectableWord[], { from, to }: WordRange): string {
  return words
    .slice(from, to + 1)
    .map(({ text, before }, n) => (n === 0 ? text : before + text))
    .join("");
}

/** The index of the word at a place in the picture, or of the nearest one within `reach` px; null where there is none. */
export function wordAt(words: SelectableWord[], place: Point, reach: number): number | null {
  let found: number | null = null;
  let least = reach;
  words.forEach(({ box }, n) => {
    const distance = distanceTo(box, place);
    if (distance < least || (distance === 0 && found === null)) [found, least] = [n, distance];
  });
  return found;
}

/** All words of the line that a word is in. */
export function lineOf(words: SelectableWord[], word: number): WordRange {
  const line = words[word]?.line;
  const there = words.flatMap((other, n) => (other.line === line ? [n] : []));
  return { from: there[0] ?? word, to: there.at(-1) ?? word };
}

/** px from a place to a quad; 0 inside. */
function distanceTo(box: Quad, [x, y]: Point): number {
  let inside = true;
  let least = Infinity;
  box.forEach(([ax, ay], n) => {
    const [bx, by] = box[(n + 1) % 4] ?? box[0];
    const [dx, dy] = [bx - ax, by - ay];
    if (dx * (y - ay) - dy * (x - ax) < 0) inside = false;
    const share = Math.max(0, Math.min(1, ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy || 1)));
    least = Math.min(least, Math.hypot(x - ax - share * dx, y - ay - share * dy));
  });
  return inside ? 0 : least;
}
