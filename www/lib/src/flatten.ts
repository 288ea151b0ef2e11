// A sheet made flat and clean: its perspective taken out, its light evened, its ink set off from its paper.

import { ontoQuad } from "./homography.ts";
import type { Frame, Point, Quad } from "./types.ts";

/** How a scanned sheet looks. */
export type Look = "colour" | "grey" | "ink" | "photo";

/** Longest side of a sheet made flat, px: A4 at 250 dots an inch. */
export const LONGEST_SHEET = 2924;
/** Cells along the longer side in which the paper's brightness is measured. */
const CELLS = 40;
/** Share of a cell's pixels that are darker than its paper. */
const PAPER = 0.85;
/** Paper is at least this bright; darker cells lie on something else. */
const DARKEST_PAPER = 40;

/** The part of the frame within `quad` as an upright rectangle, `ratio` times as wide as high. */
export function flattened({ data, width, height }: Frame, quad: Quad, ratio: number): Frame {
  const side = (i: number, j: number) => {
    const [a, b]: [Point, Point] = [quad[i] ?? [0, 0], quad[j] ?? [0, 0]];
    return Math.hypot(a[0] - b[0], a[1] - b[1]);
  };
  // As many pixels as the longest side was seen with.
  const [across, down] = [Math.max(side(0, 1), side(3, 2)), Math.max(side(0, 3), side(1, 2))];
  let [w, h] = across / ratio > down ? [across, across / ratio] : [down * ratio, down];
  const fit = Math.min(1, LONGEST_SHEET / Math.max(w, h));
  [w, h] = [Math.max(1, Math.round(w * fit)), Math.max(1, Math.round(h * fit))];
  const [m0, m1, m2, m3, m4, m5, m6, m7, m8] = ontoQuad(w, h, quad);
  const out = new Uint8ClampedArray(w * h * 4);
  let at = 0;
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      const [px, py] = [x + 0.5, y + 0.5];
      const z = m6 * px + m7 * py + m8;
      const sx = Math.min(width - 1.001, Math.max(0, (m0 * px + m1 * py + m2) / z - 0.5));
      const sy = Math.min(height - 1.001, Math.max(0, (m3 * px + m4 * py + m5) / z - 0.5));
      const ix = sx | 0;
      const iy = sy | 0;
      const fx = sx - ix;
      const fy = sy - iy;
      const i = (iy * width + ix) * 4;
      const j = i + width * 4;
      for (let c = 0; c < 3; c++) {
        const top = (data[i + c] ?? 0) * (1 - fx) + (data[i + 4 + c] ?? 0) * fx;
        const bottom = (data[j + c] ?? 0) * (1 - fx) + (data[j + 4 + c] ?? 0) * fx;
        out[at + c] = top * (1 - fy) + bottom * fy;
      }
      out[at + 3] = 255;
      at += 4;
    }
  }
  return { data: out, width: w, height: h };
}

/** The corners of what `quad` encloses when the sheet is turned by quarters, clockwise. */
export function turnedQuad(quad: Quad, quarters: number): Quad {
  return [0, 1, 2, 3].map((i) => quad[(i - quarters + 8) % 4]) as Quad;
}

/** Evens the light in place: shadows go, paper becomes white. */
export function cleaned(frame: Frame, look: Look): Frame {
  if (look === "photo") return frame;
  const { data, width, height } = frame as Frame & { data: Uint8ClampedArray };
  const paper = paperOf(frame);
  const { columns, rows, values, cell } = paper;
  // Of each channel: where a lamp is yellow, paper is.
  const level = [0, 0, 0];
  for (let y = 0; y < height; y++) {
    const gy = Math.min(rows - 1.001, Math.max(0, (y + 0.5) / cell - 0.5));
    const [iy, fy] = [gy | 0, gy - (gy | 0)];
    for (let x = 0; x < width; x++) {
      const gx = Math.min(columns - 1.001, Math.max(0, (x + 0.5) / cell - 0.5));
      const [ix, fx] = [gx | 0, gx - (gx | 0)];
      const a = (iy * columns + ix) * 3;
      const b = rows > 1 ? a + columns * 3 : a;
      const next = columns > 1 ? 3 : 0;
      const i = (y * width + x) * 4;
      for (let c = 0; c < 3; c++) {
        const top = (values[a + c] ?? 255) * (1 - fx) + (values[a + next + c] ?? 255) * fx;
        const bottom = (values[b + c] ?? 255) * (1 - fx) + (values[b + next + c] ?? 255) * fx;
        level[c] = (data[i + c] ?? 0) / (top * (1 - fy) + bottom * fy);
      }
      const [r = 0, g = 0, bl = 0] = level;
      if (look === "colour") {
        data[i] = contrast(r);
        data[i + 1] = contrast(g);
        data[i + 2] = contrast(bl);
        continue;
      }
      const grey = 0.3 * r + 0.59 * g + 0.11 * bl;
      // Ink keeps a soft edge of a few grey levels: it reads, and is read, better than steps.
      data[i] =
        data[i + 1] =
        data[i + 2] =
          look === "ink" ? Math.min(255, Math.max(0, (grey - 0.55) * 850)) : contrast(grey);
    }
  }
  return frame;
}

/** Paper to white, ink to black. */
function contrast(share: number): number {
  return Math.min(255, Math.max(0, ((share - 0.12) / 0.8) * 255));
}

interface Paper {
  columns: number;
  rows: number;
  /** px */
  cell: number;
  /** Red, green and blue of the paper in each cell. */
  values: Float32Array;
}

/** The paper's brightness all over the sheet, taken between the print and across pictures on it. */
function paperOf({ data, width, height }: Frame): Paper {
  const cell = Math.max(8, Math.max(width, height) / CELLS);
  const [columns, rows] = [Math.max(1, Math.ceil(width / cell)), Math.max(1, Math.ceil(height / cell))];
  const values = new Float32Array(columns * rows * 3);
  const step = Math.max(1, Math.floor(cell / 16));
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) {
      const seen: [number, number, number, number][] = [];
      for (let y = Math.floor(row * cell); y < Math.min(height, (row + 1) * cell); y += step)
        for (let x = Math.floor(column * cell); x < Math.min(width, (column + 1) * cell); x += step) {
          const i = (y * width + x) * 4;
          const [r, g, b] = [data[i] ?? 0, data[i + 1] ?? 0, data[i + 2] ?? 0];
          seen.push([0.3 * r + 0.59 * g + 0.11 * b, r, g, b]);
        }
      seen.sort((a, b) => a[0] - b[0]);
      const [, r = 255, g = 255, b = 255] = seen[Math.floor((seen.length - 1) * PAPER)] ?? [255];
      values.set([r, g, b], (row * columns + column) * 3);
    }
  return { columns, rows, cell, values: evened(values, columns, rows) };
}

/** Dark cells, of pictures and large letters, get the brightness of the paper around them; then all is softened. */
function evened(values: Float32Array, columns: number, rows: number): Float32Array {
  const bright = (i: number) =>
    0.3 * (values[i * 3] ?? 0) + 0.59 * (values[i * 3 + 1] ?? 0) + 0.11 * (values[i * 3 + 2] ?? 0);
  const all = Array.from({ length: columns * rows }, (_, i) => bright(i)).sort((a, b) => a - b);
  const usual = all[Math.floor(all.length * 0.6)] ?? 255;
  const sound = (i: number) => bright(i) > Math.max(DARKEST_PAPER, 0.5 * usual);
  const filled = new Float32Array(values.length);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) {
      const sum = [0, 0, 0];
      let weight = 0;
      // The nearest ring of cells that has paper.
      for (let ring = 1; ring < Math.max(columns, rows) && (weight === 0 || ring <= 1); ring++)
        for (let y = Math.max(0, row - ring); y <= Math.min(rows - 1, row + ring); y++)
          for (let x = Math.max(0, column - ring); x <= Math.min(columns - 1, column + ring); x++) {
            const i = y * columns + x;
            if (!sound(i)) continue;
            weight += 1;
            for (let c = 0; c < 3; c++) sum[c] = (sum[c] ?? 0) + (values[i * 3 + c] ?? 0);
          }
      for (let c = 0; c < 3; c++)
        filled[(row * columns + column) * 3 + c] = weight > 0 ? (sum[c] ?? 0) / weight : usual;
    }
  return filled;
}
