// Where text lies over its picture.

import { matrix3d, ontoQuad } from "./homography.ts";
import { spacedWords } from "./text.ts";
import type { Document, Line, Quad } from "./types.ts";

export type Sureness = "sure" | "fair" | "poor";

/** Below, a person should look. */
const SURE = 0.9;
const FAIR = 0.75;

export function sureness(confidence: number): Sureness {
  if (confidence >= SURE) return "sure";
  return confidence >= FAIR ? "fair" : "poor";
}

export interface PlacedWord {
  /** With what parts it from the next one. */
  text: string;
  /** px of the picture */
  size: number;
  vertical: boolean;
  transform: string;
}

/** The same in the style sheets. */
const FONT = "sans-serif";

let ruler: CanvasRenderingContext2D | null = null;

/** Advance of the text set in a font of `size` px. */
function advance(text: string, size: number): number {
  ruler ??= document.createElement("canvas").getContext("2d");
  if (!ruler) return size * text.length;
  ruler.font = `100px ${FONT}`;
  return (ruler.measureText(text).width * size) / 100;
}

/** Two sizes of letters next to each other differ by this factor: a browser keeps a font for every size that it was shown
 * in, about 10 KB each, and a photo has a size for every word. The transform makes up the difference. */
const STEP = 1.25;

function setSize(height: number): number {
  return Math.round(STEP ** Math.round(Math.log(Math.max(height, 4)) / Math.log(STEP)));
}

/** Text is set at about the height of its box and laid on the box's four corners, so that a selection covers what is seen. */
export function placed(line: Line): PlacedWord[] {
  const texts = spacedWords(line);
  return line.words.map((word, i) => place(word.box, word.text, texts[i] ?? word.text, line.vertical));
}

function place(box: Quad, text: string, spaced: string, vertical: boolean): PlacedWord {
  const [a, b, , d] = box;
  const width = Math.hypot(b[0] - a[0], b[1] - a[1]) || 1;
  const height = Math.hypot(d[0] - a[0], d[1] - a[1]) || 1;
  const size = setSize(vertical ? width : height);
  const natural = (vertical ? size * [...text].length : advance(text, size)) || 1;
  const transform = matrix3d(vertical ? ontoQuad(size, natural, box) : ontoQuad(natural, size, box));
  return { text: spaced, size, vertical, transform };
}

export function points(box: Quad): string {
  return box.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");
}

/** The lines that begin a block, but the first: an empty line goes before them when text is copied. */
export function blockStarts(document: Document): Set<number> {
  return new Set(document.blocks.slice(1).flatMap((block) => block.lines.slice(0, 1)));
}
