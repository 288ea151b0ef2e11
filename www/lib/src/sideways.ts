// Pages that lie on their side: their lines run from top to bottom or from bottom to top.

import { bounds } from "./tracks.ts";
import type { Document } from "./types.ts";

/** Share of the lines that must be higher than wide. */
const MOST = 0.6;
/** Such a line is this many times higher than wide. */
const UPRIGHT = 1.5;
const FEWEST = 3;

/** Whether the page seems to lie on its side. Columns of Chinese and Japanese run from top to bottom as they should. */
export function looksSideways({ lines }: Pick<Document, "lines">): boolean {
  const long = lines.filter(({ text, vertical }) => !vertical && [...text].length > 1);
  if (long.length < FEWEST || lines.filter(({ vertical }) => vertical).length > long.length) return false;
  const upright = long.filter(({ box }) => {
    const [left, top, right, bottom] = bounds(box);
    return bottom - top > UPRIGHT * (right - left);
  });
  return upright.length >= MOST * long.length;
}

/** How much was read, and how surely: characters, each of its line's confidence. */
export function legibility({ lines }: Pick<Document, "lines">): number {
  return lines.reduce((sum, { text, confidence }) => sum + [...text].length * confidence ** 2, 0);
}
