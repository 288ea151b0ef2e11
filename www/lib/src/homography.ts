// Planes seen in perspective: what places a text's rectangle on its four corners, and what a moving camera does to them.

import type { Point, Quad } from "./types.ts";

/** Row-major 3×3 matrix that maps (x, y, 1) to (u·w, v·w, w). */
export type Homography = readonly [number, number, number, number, number, number, number, number, number];

/** A point and where it went. */
export type Pair = readonly [from: Point, to: Point];

export const IDENTITY: Homography = [1, 0, 0, 0, 1, 0, 0, 0, 1];

export function translation(x: number, y: number): Homography {
  return [1, 0, x, 0, 1, y, 0, 0, 1];
}

export function applied(h: Homography, [x, y]: Point): Point {
  const w = h[6] * x + h[7] * y + h[8];
  return [(h[0] * x + h[1] * y + h[2]) / w, (h[3] * x + h[4] * y + h[5]) / w];
}

export function appliedToQuad(h: Homography, quad: Quad): Quad {
  return quad.map((corner) => applied(h, corner)) as Quad;
}

/** `first`, then `second`. */
export function composed(second: Homography, first: Homography): Homography {
  const cell = (row: number, column: number) =>
    at(second, 3 * row) * at(first, column) +
    at(second, 3 * row + 1) * at(first, column + 3) +
    at(second, 3 * row + 2) * at(first, column + 6);
  return normalised([0, 1, 2].flatMap((row) => [0, 1, 2].map((column) => cell(row, column))));
}

/** Null for one that can't be undone. */
export function inverted(m: Homography): Homography | null {
  const [a, b, c, d, e, f, g, h, i] = m;
  const adjugate = [
    e * i - f * h,
    c * h - b * i,
    b * f - c * e,
    f * g - d * i,
    a * i - c * g,
    c * d - a * f,
    d * h - e * g,
    b * g - a * h,
    a * e - b * d,
  ];
  const determinant = a * at(adjugate, 0) + b * at(adjugate, 3) + c * at(adjugate, 6);
  if (Math.abs(determinant) < 1e-12) return null;
  return normalised(adjugate);
}

/** What places the rectangle (0, 0)–(width, height) on a quad. Closed form: Heckbert, "Fundamentals of Texture Mapping
 * and Image Warping", 1989, section 2.2.3. */
export function ontoQuad(width: number, height: number, [p0, p1, p2, p3]: Quad): Homography {
  const [dx1, dy1] = [p1[0] - p2[0], p1[1] - p2[1]];
  const [dx2, dy2] = [p3[0] - p2[0], p3[1] - p2[1]];
  const [sx, sy] = [p0[0] - p1[0] + p2[0] - p3[0], p0[1] - p1[1] + p2[1] - p3[1]];
  const determinant = dx1 * dy2 - dx2 * dy1;
  const flat = Math.abs(determinant) < 1e-9;
  const g = flat ? 0 : (sx * dy2 - dx2 * sy) / determinant;
  const h = flat ? 0 : (dx1 * sy - sx * dy1) / determinant;
  const [w, v] = [width || 1, height || 1];
  return [
    (p1[0] - p0[0] + g * p1[0]) / w,
    (p3[0] - p0[0] + h * p3[0]) / v,
    p0[0],
    (p1[1] - p0[1] + g * p1[1]) / w,
    (p3[1] - p0[1] + h * p3[1]) / v,
    p0[1],
    g / w,
    h / v,
    1,
  ];
}

/** As CSS wants it: column after column of the 4×4 matrix, to be used with `transform-origin: 0 0`. */
export function matrix3d([a, b, c, d, e, f, g, h, i]: Homography): string {
  const values = [a, d, 0, g, b, e, 0, h, 0, 0, 1, 0, c, f, 0, i];
  return `matrix3d(${values.map((value) => Number(value.toPrecision(9))).join(",")})`;
}

/** The least-squares homography of at least four pairs, each of its weight; null where they don't determine one. Points
 * are normalised first (Hartley, "In Defence of the Eight-Point Algorithm", 1997). */
export function fitted(pairs: readonly Pair[], weights?: readonly number[]): Homography | null {
  if (pairs.length < 4) return null;
  const from = normaliser(pairs.map(([p]) => p));
  const to = normaliser(pairs.map(([, q]) => q));
  const back = inverted(to);
  if (!back) return null;
  // The normal equations of eight unknowns; the ninth is 1.
  const matrix = Array.from({ length: 8 }, () => new Array<number>(9).fill(0));
  pairs.forEach(([p, q], n) => {
    const weight = weights?.[n] ?? 1;
    const [x, y] = applied(from, p);
    const [u, v] = applied(to, q);
    for (const [row, value] of [
      [[x, y, 1, 0, 0, 0, -u * x, -u * y], u],
      [[0, 0, 0, x, y, 1, -v * x, -v * y], v],
    ] as const) {
      for (let i = 0; i < 8; i++) {
        const equation = matrix[i];
        if (!equation) continue;
        for (let j = 0; j < 8; j++) equation[j] = (equation[j] ?? 0) + weight * at(row, i) * at(row, j);
        equation[8] = (equation[8] ?? 0) + weight * at(row, i) * value;
      }
    }
  });
  const solution = solved(matrix);
  return solution && composed(back, composed(normalised([...solution, 1]), from));
}

export interface Fit {
  homography: Homography;
  /** Indices of the pairs that it explains. */
  inliers: number[];
}

/** The homography that most pairs agree with within `tolerance` px (RANSAC: Fischler and Bolles, 1981), fitted to
 * those. The samples are the same for the same number of pairs. */
export function fittedToMost(pairs: readonly Pair[], tolerance: number, rounds = 48): Fit | null {
  if (pairs.length < 4) return null;
  let best: number[] = [];
  let state = 0x9e3779b9;
  const random = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const agreeing = (homography: Homography): number[] =>
    pairs.flatMap(([p, q], n) => {
      const [x, y] = applied(homography, p);
      return Math.hypot(x - q[0], y - q[1]) <= tolerance ? [n] : [];
    });
  const all = fitted(pairs);
  if (all) best = agreeing(all);
  for (let round = 0; round < rounds && best.length < 0.9 * pairs.length; round++) {
    const sample = new Set<number>();
    while (sample.size < 4) sample.add(random(pairs.length));
    const chosen = [...sample].map((n) => pairs[n]).filter((pair): pair is Pair => pair !== undefined);
    const candidate = fitted(chosen);
    if (!candidate) continue;
    const inliers = agreeing(candidate);
    if (inliers.length > best.length) best = inliers;
  }
  if (best.length < 4) return null;
  const homography = fitted(best.flatMap((n) => (pairs[n] ? [pairs[n]] : [])));
  return homography && { homography, inliers: best };
}

/** Moves points around their mean and scales them to a mean distance of √2. */
function normaliser(points: readonly Point[]): Homography {
  const count = points.length || 1;
  const x = points.reduce((sum, p) => sum + p[0], 0) / count;
  const y = points.reduce((sum, p) => sum + p[1], 0) / count;
  const distance = points.reduce((sum, p) => sum + Math.hypot(p[0] - x, p[1] - y), 0) / count;
  const scale = distance > 0 ? Math.SQRT2 / distance : 1;
  return [scale, 0, -scale * x, 0, scale, -scale * y, 0, 0, 1];
}

/** Gaussian elimination with pivots; each row holds its right-hand side last. */
function solved(matrix: number[][]): number[] | null {
  const size = matrix.length;
  for (let column = 0; column < size; column++) {
    let pivot = column;
    for (let row = column + 1; row < size; row++)
      if (Math.abs(cell(matrix, row, column)) > Math.abs(cell(matrix, pivot, column))) pivot = row;
    if (Math.abs(cell(matrix, pivot, column)) < 1e-10) return null;
    [matrix[column], matrix[pivot]] = [matrix[pivot] ?? [], matrix[column] ?? []];
    for (let row = 0; row < size; row++) {
      if (row === column) continue;
      const factor = cell(matrix, row, column) / cell(matrix, column, column);
      const target = matrix[row];
      if (!target || factor === 0) continue;
      for (let k = column; k <= size; k++) target[k] = (target[k] ?? 0) - factor * cell(matrix, column, k);
    }
  }
  return matrix.map((row, n) => (row[size] ?? 0) / (row[n] ?? 1));
}

function cell(matrix: number[][], row: number, column: number): number {
  return matrix[row]?.[column] ?? 0;
}

function at(values: readonly number[], index: number): number {
  return values[index] ?? 0;
}

function normalised(values: readonly number[]): Homography {
  const last = at(values, 8);
  const scale = Math.abs(last) > 1e-12 ? 1 / last : 1;
  return values.map((value) => value * scale) as unknown as Homography;
}
