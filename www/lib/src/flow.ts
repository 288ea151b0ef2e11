// Follows a scene from frame to frame: corners are tracked through an image pyramid (Lucas and Kanade, 1981; Bouguet,
// "Pyramidal Implementation of the Lucas Kanade Feature Tracker", 2000), and the homography that most of them agree with
// is the scene's motion.

import { applied, fittedToMost, IDENTITY, inverted, type Homography, type Pair } from "./homography.ts";
import { shift, type Grey } from "./motion.ts";
import type { Point } from "./types.ts";

/** Half the side of a tracked window, px. */
const HALF = 5;
/** Levels of the pyramid, each half as wide as the one below. */
const LEVELS = 3;
const ITERATIONS = 8;
/** A step below this ends the search, px. */
const SETTLED = 0.02;
/** Corners at once: as many as a slow phone tracks within a few milliseconds. */
const CORNERS = 72;
/** Cells along the wider side in which corners are sought, so that they lie all over the frame. */
const CELLS = 12;
/** Least eigenvalue of a corner's gradients, per pixel of its window (Shi and Tomasi, "Good Features to Track", 1994). */
const TEXTURE = 40;
/** A window that changed more than this was covered: mean of absolute differences in grey values. */
const CHANGED = 22;
/** A corner this close to the common motion takes part in it, px. */
const TOLERANCE = 1;
/** With fewer corners than these the motion isn't known. */
const FEWEST = 8;
/** Share of the first corners below which new ones are sought. */
const WORN = 0.6;
/** Share of the corners that must agree. */
const AGREEING = 0.4;
/** Share of agreement from which the coarse search is believed. */
const CERTAIN = 0.4;

interface Corner {
  /** Its place in the first frame. */
  first: Point;
  now: Point;
}

export interface Motion {
  /** From the frame in which the scene was first seen to this one, px of the frames. */
  total: Homography;
  /** Counts the times the scene was lost: the total of one epoch says nothing of another. */
  epoch: number;
  /** Length of the motion since the frame before in the frame's middle, px. */
  speed: number;
}

/** Frames of one size, one after another. */
export class Flow {
  #before: Grey[] | null = null;
  #corners: Corner[] = [];
  #sought = 0;
  /** Everything is measured against the first frame, so that errors don't add up. */
  #total: Homography = IDENTITY;
  #epoch: number;

  constructor(epoch = 0) {
    this.#epoch = epoch;
  }

  next(frame: Grey): Motion {
    const pyramid = levels(frame);
    const before = this.#before;
    this.#before = pyramid;
    if (!before) return this.#begin(frame, 0);
    if (before[0]?.width !== frame.width || before[0].height !== frame.height) return this.#begin(frame, 1);
    const guess = coarse(before, pyramid);
    const kept = this.#corners.flatMap(({ first, now }) => {
      const to = tracked(before, pyramid, now, guess);
      return to ? [{ first, now: to }] : [];
    });
    const pairs = kept.map(({ first, now }): Pair => [first, now]);
    const fit = pairs.length >= FEWEST ? fittedToMost(pairs, TOLERANCE) : null;
    if (!fit || fit.inliers.length < Math.max(FEWEST, AGREEING * pairs.length)) return this.#begin(frame, 1);
    const middle: Point = [frame.width / 2, frame.height / 2];
    const back = inverted(fit.homography);
    const was = back && applied(this.#total, applied(back, middle));
    this.#total = fit.homography;
    // What goes its own way, such as a hand before the page, isn't followed any more.
    this.#corners = fit.inliers.flatMap((n) => kept[n] ?? []);
    if (this.#corners.length < WORN * this.#sought) this.#seek(frame);
    return {
      total: this.#total,
      epoch: this.#epoch,
      speed: was ? Math.hypot(was[0] - middle[0], was[1] - middle[1]) : Infinity,
    };
  }

  /** `lost`: 1 where another scene was followed until now. */
  #begin(frame: Grey, lost: 0 | 1): Motion {
    this.#epoch += lost;
    this.#total = IDENTITY;
    this.#corners = [];
    this.#seek(frame);
    return { total: IDENTITY, epoch: this.#epoch, speed: lost ? Infinity : 0 };
  }

  /** Adds corners where there are none. */
  #seek(frame: Grey): void {
    const back = inverted(this.#total);
    const there = this.#corners;
    const more = back ? corners(frame, there).map((now): Corner => ({ first: applied(back, now), now })) : [];
    this.#corners = [...there, ...more].slice(0, CORNERS);
    this.#sought = this.#corners.length;
  }
}

/** The frame and its halves. */
function levels(frame: Grey): Grey[] {
  const all = [frame];
  while (all.length < LEVELS) {
    const last = all[all.length - 1];
    if (!last) break;
    all.push(halved(last));
  }
  return all;
}

function halved({ data, width, height }: Grey): Grey {
  const [w, h] = [width >> 1, height >> 1];
  const half = new Uint8Array(w * h);
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      const i = 2 * y * width + 2 * x;
      half[y * w + x] =
        ((data[i] ?? 0) + (data[i + 1] ?? 0) + (data[i + width] ?? 0) + (data[i + width + 1] ?? 0) + 2) >> 2;
    }
  }
  return { data: half, width: w, height: h };
}

/** The frame's motion as the smallest level shows it, px of the frame. */
function coarse(before: Grey[], after: Grey[]): Point {
  const [one, other] = [before[LEVELS - 1], after[LEVELS - 1]];
  if (!one || !other) return [0, 0];
  const { x, y, certainty } = shift(one, other);
  const scale = 2 ** (LEVELS - 1);
  return certainty < CERTAIN ? [0, 0] : [x * scale, y * scale];
}

/** The strongest corner of each cell that has none yet. */
function corners(frame: Grey, there: Corner[]): Point[] {
  const { data, width, height } = frame;
  const cell = Math.max(2 * HALF, Math.round(width / CELLS));
  const margin = HALF + 2;
  const taken = new Set(there.map(({ now: [x, y] }) => `${Math.floor(x / cell)},${Math.floor(y / cell)}`));
  const found: { place: Point; strength: number }[] = [];
  for (let top = margin; top + margin < height; top += cell) {
    for (let left = margin; left + margin < width; left += cell) {
      if (taken.has(`${Math.floor(left / cell)},${Math.floor(top / cell)}`)) continue;
      let best = { x: 0, y: 0, strength: TEXTURE };
      for (let y = top; y < Math.min(top + cell, height - margin); y += 2) {
        for (let x = left; x < Math.min(left + cell, width - margin); x += 2) {
          const strength = cornerness(data, width, x, y);
          if (strength > best.strength) best = { x, y, strength };
        }
      }
      if (best.x > 0) found.push({ place: [best.x, best.y], strength: best.strength });
    }
  }
  return found.sort((a, b) => b.strength - a.strength).map(({ place }) => place);
}

function cornerness(data: Uint8Array, width: number, cx: number, cy: number): number {
  let [xx, xy, yy] = [0, 0, 0];
  const half = 3;
  for (let y = cy - half; y <= cy + half; y++) {
    for (let x = cx - half; x <= cx + half; x++) {
      const i = y * width + x;
      const dx = ((data[i + 1] ?? 0) - (data[i - 1] ?? 0)) / 2;
      const dy = ((data[i + width] ?? 0) - (data[i - width] ?? 0)) / 2;
      xx += dx * dx;
      xy += dx * dy;
      yy += dy * dy;
    }
  }
  const count = (2 * half + 1) ** 2;
  return ((xx + yy) / 2 - Math.sqrt(((xx - yy) / 2) ** 2 + xy * xy)) / count;
}

/** Between pixels, bilinear. */
function sample({ data, width }: Grey, x: number, y: number): number {
  const [ix, iy] = [Math.floor(x), Math.floor(y)];
  const [fx, fy] = [x - ix, y - iy];
  const i = iy * width + ix;
  const top = (data[i] ?? 0) * (1 - fx) + (data[i + 1] ?? 0) * fx;
  const bottom = (data[i + width] ?? 0) * (1 - fx) + (data[i + width + 1] ?? 0) * fx;
  return top * (1 - fy) + bottom * fy;
}

function inside({ width, height }: Grey, x: number, y: number): boolean {
  const margin = HALF + 1.5;
  return x >= margin && y >= margin && x < width - margin && y < height - margin;
}

const SIDE = 2 * HALF + 1;
const window_ = new Float32Array(SIDE * SIDE);
const gradientX = new Float32Array(SIDE * SIDE);
const gradientY = new Float32Array(SIDE * SIDE);

/** Where the window around `from` went; null where it can't be told. */
function tracked(before: Grey[], after: Grey[], from: Point, guess: Point): Point | null {
  let [dx, dy] = [guess[0] / 2 ** (LEVELS - 1), guess[1] / 2 ** (LEVELS - 1)];
  for (let level = LEVELS - 1; level >= 0; level--) {
    const [one, other] = [before[level], after[level]];
    if (!one || !other) return null;
    const scale = 2 ** level;
    // Centres of pixels: the half's pixel (0, 0) lies between four of the whole.
    const [px, py] = [(from[0] + 0.5) / scale - 0.5, (from[1] + 0.5) / scale - 0.5];
    if (level < LEVELS - 1) [dx, dy] = [2 * dx, 2 * dy];
    if (!inside(one, px, py)) {
      if (level === 0) return null;
      continue;
    }
    let [xx, xy, yy, mean] = [0, 0, 0, 0];
    for (let j = 0; j < SIDE; j++) {
      for (let i = 0; i < SIDE; i++) {
        const [x, y] = [px + i - HALF, py + j - HALF];
        const n = j * SIDE + i;
        const value = sample(one, x, y);
        const gx = (sample(one, x + 1, y) - sample(one, x - 1, y)) / 2;
        const gy = (sample(one, x, y + 1) - sample(one, x, y - 1)) / 2;
        window_[n] = value;
        gradientX[n] = gx;
        gradientY[n] = gy;
        mean += value;
        xx += gx * gx;
        xy += gx * gy;
        yy += gy * gy;
      }
    }
    const determinant = xx * yy - xy * xy;
    if (determinant < 1e-3) {
      if (level === 0) return null;
      continue;
    }
    mean /= SIDE * SIDE;
    for (let iteration = 0; iteration < ITERATIONS; iteration++) {
      const [qx, qy] = [px + dx, py + dy];
      if (!inside(other, qx, qy)) {
        if (level === 0) return null;
        break;
      }
      let [bx, by, sum, error, otherMean] = [0, 0, 0, 0, 0];
      for (let j = 0; j < SIDE; j++)
        for (let i = 0; i < SIDE; i++) otherMean += sample(other, qx + i - HALF, qy + j - HALF);
      otherMean /= SIDE * SIDE;
      for (let j = 0; j < SIDE; j++) {
        for (let i = 0; i < SIDE; i++) {
          const n = j * SIDE + i;
          // Without the means, so that a lamp or the camera's exposure doesn't matter.
          const difference = (window_[n] ?? 0) - mean - (sample(other, qx + i - HALF, qy + j - HALF) - otherMean);
          bx += difference * (gradientX[n] ?? 0);
          by += difference * (gradientY[n] ?? 0);
          error += Math.abs(difference);
          sum += 1;
        }
      }
      const stepX = (yy * bx - xy * by) / determinant;
      const stepY = (xx * by - xy * bx) / determinant;
      dx += stepX;
      dy += stepY;
      const last = iteration === ITERATIONS - 1 || Math.hypot(stepX, stepY) < SETTLED;
      if (level === 0 && last && error / sum > CHANGED) return null;
      if (last) break;
    }
  }
  const to: Point = [from[0] + dx, from[1] + dy];
  const [base] = after;
  return base && inside(base, to[0], to[1]) ? to : null;
}
