// How far the picture of a camera moved between two frames: patches of a small grey frame are sought near their place
// in the other, and the patches' median is the motion.

/** Grey values 0 to 255, row after row. */
export interface Grey {
  data: Uint8Array;
  /** px */
  width: number;
  /** px */
  height: number;
}

export interface Shift {
  /** px, to the right. */
  x: number;
  /** px, down. */
  y: number;
  /** Share of the patches that agree, 0 to 1. */
  certainty: number;
}

/** Side of a patch, px. */
const PATCH = 16;
/** Patches along each side of the frame. */
const GRID = 4;
/** Furthest that a patch is sought, px. */
const REACH = 8;
/** Patches of less variation (standard deviation of grey values) match everywhere. */
const TEXTURE = 8;
/** A match differs by less than this share of its patch's variation, in the mean of absolute differences. */
const LIKENESS = 0.5;
/** Patches within this distance of the median agree with it, px. */
const AGREEMENT = 1.5;

/** Luma of RGBA samples. */
export function grey(rgba: Uint8ClampedArray, width: number, height: number): Grey {
  const data = new Uint8Array(width * height);
  for (let i = 0; i < data.length; i++) {
    const at = i * 4;
    data[i] = (77 * (rgba[at] ?? 0) + 150 * (rgba[at + 1] ?? 0) + 29 * (rgba[at + 2] ?? 0)) >> 8;
  }
  return { data, width, height };
}

/** What `before` must be moved by to lie on `after`; frames of the same size. */
export function shift(before: Grey, after: Grey): Shift {
  const found: { x: number; y: number }[] = [];
  let patches = 0;
  const stepX = (before.width - PATCH - 2 * REACH) / (GRID - 1);
  const stepY = (before.height - PATCH - 2 * REACH) / (GRID - 1);
  if (stepX < 0 || stepY < 0) return { x: 0, y: 0, certainty: 0 };
  for (let row = 0; row < GRID; row++) {
    for (let column = 0; column < GRID; column++) {
      const left = Math.round(REACH + column * stepX);
      const top = Math.round(REACH + row * stepY);
      const texture = deviation(before, left, top);
      if (texture < TEXTURE) continue;
      patches += 1;
      const match = seek(before, after, left, top);
      if (match.cost < LIKENESS * texture) found.push(match);
    }
  }
  if (found.length === 0) return { x: 0, y: 0, certainty: 0 };
  const x = median(found.map((at) => at.x));
  const y = median(found.map((at) => at.y));
  const agreeing = found.filter((at) => Math.hypot(at.x - x, at.y - y) <= AGREEMENT);
  return {
    x: mean(agreeing.map((at) => at.x)),
    y: mean(agreeing.map((at) => at.y)),
    certainty: agreeing.length / patches,
  };
}

function deviation({ data, width }: Grey, left: number, top: number): number {
  let [sum, squares] = [0, 0];
  for (let y = 0; y < PATCH; y++) {
    for (let x = 0; x < PATCH; x++) {
      const value = data[(top + y) * width + left + x] ?? 0;
      sum += value;
      squares += value * value;
    }
  }
  const count = PATCH * PATCH;
  return Math.sqrt(Math.max(0, squares / count - (sum / count) ** 2));
}

/** Sum of absolute differences of the patch moved by (dx, dy). */
function difference(before: Grey, after: Grey, left: number, top: number, dx: number, dy: number): number {
  let sum = 0;
  for (let y = 0; y < PATCH; y++) {
    const from = (top + y) * before.width + left;
    const to = (top + y + dy) * after.width + left + dx;
    for (let x = 0; x < PATCH; x++) sum += Math.abs((before.data[from + x] ?? 0) - (after.data[to + x] ?? 0));
  }
  return sum;
}

function seek(before: Grey, after: Grey, left: number, top: number): { x: number; y: number; cost: number } {
  let best = { dx: 0, dy: 0, cost: Infinity };
  for (let dy = -REACH; dy <= REACH; dy++) {
    for (let dx = -REACH; dx <= REACH; dx++) {
      // Of places that match alike the nearest is the likely one.
      const cost = difference(before, after, left, top, dx, dy) + Math.hypot(dx, dy);
      if (cost < best.cost) best = { dx, dy, cost };
    }
  }
  const { dx, dy } = best;
  const at = (x: number, y: number) => difference(before, after, left, top, x, y);
  const inside = Math.abs(dx) < REACH && Math.abs(dy) < REACH;
  const centre = at(dx, dy);
  const cost = centre / (PATCH * PATCH);
  if (!inside) return { x: dx, y: dy, cost };
  return {
    cost,
    x: dx + vertex(at(dx - 1, dy), centre, at(dx + 1, dy)),
    y: dy + vertex(at(dx, dy - 1), centre, at(dx, dy + 1)),
  };
}

/** Where the parabola through three costs, at -1, 0 and 1, is lowest. */
function vertex(before: number, centre: number, after: number): number {
  const curvature = before - 2 * centre + after;
  if (curvature <= 0) return 0;
  return Math.max(-0.5, Math.min(0.5, (before - after) / (2 * curvature)));
}

function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? 0;
}

function mean(values: number[]): number {
  return values.length === 0 ? 0 : values.reduce((a, b) => a + b, 0) / values.length;
}
