// Where a sheet of paper lies in a camera's picture: straight edges by the Hough transform (Duda and Hart, "Use of the
// Hough Transformation to Detect Lines and Curves in Pictures", 1972), and of the quadrilaterals they make the one whose
// sides are edges all along.

import type { Grey } from "./motion.ts";
import type { Point, Quad } from "./types.ts";

/** Longest side of the picture that edges are sought in, px. */
export const SOUGHT = 320;
/** Directions in half a turn. */
const ANGLES = 180;
/** Edges that are tried as sides. */
const LINES = 16;
/** Of the frame, at least. */
const LEAST_AREA = 0.12;
/** Share of a side that must be an edge, and of all four. */
const LEAST_SIDE = 0.5;
const LEAST_SIDES = 0.66;
/** Places along a side that are looked at. */
const SAMPLES = 40;
/** A corner may lie so far outside the frame, as a share of its longest side. */
const OUTSIDE = 0.03;

interface Edge {
  /** Unit normal. */
  nx: number;
  ny: number;
  /** Distance of the origin along the normal, px. */
  d: number;
  weight: number;
}

/** The corners of a sheet in a picture of at most a few hundred px, clockwise from its upper left; null where there is
 * none. */
export function findSheet(frame: Grey): Quad | null {
  const { width, height } = frame;
  const gradient = gradients(blurred(withoutPrint(frame)), width, height);
  const edges = straightEdges(gradient, width, height);
  let best: { quad: Quad; score: number } | null = null;
  const level = edges.filter(({ ny, nx }) => Math.abs(ny) > 0.5 * Math.abs(nx));
  const upright = edges.filter(({ ny, nx }) => Math.abs(nx) > 0.5 * Math.abs(ny));
  for (const [top, bottom] of pairs(level)) {
    for (const [left, right] of pairs(upright)) {
      const corners = [crossing(top, left), crossing(top, right), crossing(bottom, right), crossing(bottom, left)];
      if (corners.some((corner) => !corner)) continue;
      const quad = ordered(corners as Point[]);
      if (!quad || !plausible(quad, width, height)) continue;
      const score = rated(quad, gradient, width, height);
      if (score > (best?.score ?? 0)) best = { quad, score };
    }
  }
  return best?.quad ?? null;
}

function* pairs(edges: Edge[]): Generator<[Edge, Edge]> {
  for (let i = 0; i < edges.length; i++)
    for (let j = i + 1; j < edges.length; j++) {
      const [a, b] = [edges[i], edges[j]];
      if (a && b) yield [a, b];
    }
}

/** Half the width of strokes that vanish, px. */
const STROKE = 3;

/** A closing: what is dark and thin, as print is, takes the grey of the paper around it. */
function withoutPrint({ data, width, height }: Grey): Grey {
  let from = data;
  for (const [most, stride, length, others, between] of [
    [true, 1, width, height, width],
    [true, width, height, width, 1],
    [false, 1, width, height, width],
    [false, width, height, width, 1],
  ] as const) {
    const to = new Uint8Array(from.length);
    for (let other = 0; other < others; other++)
      for (let i = 0; i < length; i++) {
        let value = from[other * between + i * stride] ?? 0;
        for (let off = -STROKE; off <= STROKE; off++) {
          const j = i + off;
          if (j < 0 || j >= length) continue;
          const near = from[other * between + j * stride] ?? 0;
          if (most ? near > value : near < value) value = near;
        }
        to[other * between + i * stride] = value;
      }
    from = to;
  }
  return { data: from, width, height };
}

/** The grain of paper and sensor goes, the edge of the sheet stays. */
function blurred({ data, width, height }: Grey): Float32Array {
  const rows = new Float32Array(width * height);
  const out = new Float32Array(width * height);
  const at = (i: number) => data[i] ?? 0;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const i = y * width + x;
      const [l, r] = [x > 0 ? i - 1 : i, x < width - 1 ? i + 1 : i];
      const [ll, rr] = [x > 1 ? i - 2 : l, x < width - 2 ? i + 2 : r];
      rows[i] = (at(ll) + 4 * at(l) + 6 * at(i) + 4 * at(r) + at(rr)) / 16;
    }
  const row = (i: number) => rows[i] ?? 0;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const i = y * width + x;
      const [u, d] = [y > 0 ? i - width : i, y < height - 1 ? i + width : i];
      const [uu, dd] = [y > 1 ? i - 2 * width : u, y < height - 2 ? i + 2 * width : d];
      out[i] = (row(uu) + 4 * row(u) + 6 * row(i) + 4 * row(d) + row(dd)) / 16;
    }
  return out;
}

interface Gradient {
  x: Float32Array;
  y: Float32Array;
  strength: Float32Array;
  /** From which on a pixel is an edge. */
  strong: number;
}

function gradients(soft: Float32Array, width: number, height: number): Gradient {
  const [gx, gy, strength] = [0, 1, 2].map(() => new Float32Array(soft.length)) as [
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const at = (i: number) => soft[i] ?? 0;
  const all: number[] = [];
  for (let y = 1; y < height - 1; y++)
    for (let x = 1; x < width - 1; x++) {
      const i = y * width + x;
      const [left, right] = [i - 1, i + 1];
      const dx =
        (at(right) - at(left)) * 2 + at(right - width) - at(left - width) + at(right + width) - at(left + width);
      const [up, down] = [i - width, i + width];
      const dy = (at(down) - at(up)) * 2 + at(down - 1) - at(up - 1) + at(down + 1) - at(up + 1);
      gx[i] = dx;
      gy[i] = dy;
      const value = Math.hypot(dx, dy);
      strength[i] = value;
      if ((x + y) % 3 === 0) all.push(value);
    }
  all.sort((a, b) => a - b);
  // Edges are few; where pictures have more, a faint edge of the sheet isn't hidden by them.
  const strong = Math.min(60, Math.max(14, all[Math.floor(all.length * 0.88)] ?? 0));
  return { x: gx, y: gy, strength, strong };
}

/** The strongest straight edges. */
function straightEdges(gradient: Gradient, width: number, height: number): Edge[] {
  const { x: gx, y: gy, strength, strong } = gradient;
  const reach = Math.ceil(Math.hypot(width, height));
  const across = 2 * reach + 1;
  const votes = new Float32Array(ANGLES * across);
  const cos = Array.from({ length: ANGLES }, (_, a) => Math.cos((a * Math.PI) / ANGLES));
  const sin = Array.from({ length: ANGLES }, (_, a) => Math.sin((a * Math.PI) / ANGLES));
  for (let y = 1; y < height - 1; y++)
    for (let x = 1; x < width - 1; x++) {
      const i = y * width + x;
      const value = strength[i] ?? 0;
      if (value < strong) continue;
      // The gradient says which way the edge runs: only about that direction is voted for.
      const angle = Math.atan2(gy[i] ?? 0, gx[i] ?? 0);
      const middle = Math.round((angle * ANGLES) / Math.PI);
      for (let turn = -3; turn <= 3; turn++) {
        const a = (((middle + turn) % ANGLES) + ANGLES) % ANGLES;
        const d = Math.round(x * (cos[a] ?? 0) + y * (sin[a] ?? 0)) + reach;
        // Strong print isn't worth more than a faint edge.
        votes[a * across + d] = (votes[a * across + d] ?? 0) + Math.min(value, 3 * strong) / strong;
      }
    }
  const found: Edge[] = [];
  for (let n = 0; n < LINES; n++) {
    let [best, at] = [0, -1];
    for (let i = 0; i < votes.length; i++) {
      const value = votes[i] ?? 0;
      if (value > best) [best, at] = [value, i];
    }
    if (at < 0 || best < 0.12 * Math.min(width, height)) break;
    const [a, d] = [Math.floor(at / across), at % across];
    found.push({ nx: cos[a] ?? 0, ny: sin[a] ?? 0, d: d - reach, weight: best });
    // The same edge is seen in the cells around.
    for (let turn = -5; turn <= 5; turn++) {
      const wrapped = a + turn;
      const b = ((wrapped % ANGLES) + ANGLES) % ANGLES;
      const place = wrapped === b ? d : 2 * reach - d;
      for (let off = -5; off <= 5; off++)
        if (place + off >= 0 && place + off < across) votes[b * across + place + off] = 0;
    }
  }
  return found;
}

function crossing(a: Edge, b: Edge): Point | null {
  const determinant = a.nx * b.ny - a.ny * b.nx;
  if (Math.abs(determinant) < 0.3) return null;
  return [(a.d * b.ny - b.d * a.ny) / determinant, (b.d * a.nx - a.d * b.nx) / determinant];
}

/** Clockwise from the corner at the upper left; null where sides cross. */
export function ordered(corners: Point[]): Quad | null {
  const [cx, cy] = [corners.reduce((s, [x]) => s + x, 0) / 4, corners.reduce((s, [, y]) => s + y, 0) / 4];
  const around = [...corners].sort((a, b) => Math.atan2(a[1] - cy, a[0] - cx) - Math.atan2(b[1] - cy, b[0] - cx));
  let first = 0;
  around.forEach(([x, y], i) => {
    const [fx, fy] = around[first] ?? [0, 0];
    if (x + y < fx + fy) first = i;
  });
  const quad = [0, 1, 2, 3].map((i) => around[(first + i) % 4]) as Quad;
  return convex(quad) ? quad : null;
}

export function convex(quad: Quad): boolean {
  return quad.every((a, i) => {
    const [b, c] = [quad[(i + 1) % 4] ?? a, quad[(i + 2) % 4] ?? a];
    return (b[0] - a[0]) * (c[1] - b[1]) - (b[1] - a[1]) * (c[0] - b[0]) > 0;
  });
}

function area(quad: Quad): number {
  return Math.abs(
    quad.reduce((sum, [x, y], i) => {
      const [nx, ny] = quad[(i + 1) % 4] ?? [0, 0];
      return sum + x * ny - nx * y;
    }, 0) / 2,
  );
}

function plausible(quad: Quad, width: number, height: number): boolean {
  const margin = OUTSIDE * Math.max(width, height);
  const within = quad.every(([x, y]) => x >= -margin && y >= -margin && x <= width + margin && y <= height + margin);
  if (!within || area(quad) < LEAST_AREA * width * height) return false;
  const sides = quad.map(([x, y], i) => {
    const [nx, ny] = quad[(i + 1) % 4] ?? [0, 0];
    return Math.hypot(nx - x, ny - y);
  });
  const [a = 1, b = 1, c = 1, d = 1] = sides;
  // Seen at an angle, opposite sides differ; by this much nobody holds a camera.
  return Math.max(a / c, c / a, b / d, d / b) < 2.6 && Math.min(...sides) > 0.12 * Math.min(width, height);
}

/** How much of the sides are edges that part a lighter inside from a darker outside, or the other way about all around;
 * larger sheets before what is printed on them. */
function rated(quad: Quad, { x: gx, y: gy, strength, strong }: Gradient, width: number, height: number): number {
  let whole = 0;
  for (const sign of [1, -1]) {
    let [least, sum] = [1, 0];
    for (let side = 0; side < 4; side++) {
      const [a, b] = [quad[side], quad[(side + 1) % 4]];
      if (!a || !b) return 0;
      const length = Math.hypot(b[0] - a[0], b[1] - a[1]) || 1;
      // Inwards of a quad that runs clockwise.
      const [nx, ny] = [-(b[1] - a[1]) / length, (b[0] - a[0]) / length];
      let hits = 0;
      for (let n = 0; n < SAMPLES; n++) {
        const share = (n + 0.5) / SAMPLES;
        const [x, y] = [a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share];
        let seen = 0;
        for (let off = -2; off <= 2; off++) {
          const [px, py] = [Math.round(x + nx * off), Math.round(y + ny * off)];
          if (px < 1 || py < 1 || px >= width - 1 || py >= height - 1) continue;
          const i = py * width + px;
          const value = strength[i] ?? 0;
          if (value < 0.6 * strong) continue;
          const along = (((gx[i] ?? 0) * nx + (gy[i] ?? 0) * ny) / value) * sign;
          if (along > 0.85) seen = Math.max(seen, 1);
        }
        hits += seen;
      }
      const share = hits / SAMPLES;
      least = Math.min(least, share);
      sum += share / 4;
    }
    if (least >= LEAST_SIDE && sum >= LEAST_SIDES) whole = Math.max(whole, sum * (sign > 0 ? 1 : 0.8));
  }
  return whole * (0.4 + 0.6 * Math.sqrt(area(quad) / (width * height)));
}

/** Moves each side to where the edge is strongest in a larger picture; `quad` is in its px, and right within `reach`. */
export function refined(frame: Grey, quad: Quad, reach: number): Quad {
  const { data, width, height } = frame;
  const at = (x: number, y: number) => {
    const [px, py] = [Math.round(x), Math.round(y)];
    return px < 0 || py < 0 || px >= width || py >= height ? NaN : (data[py * width + px] ?? 0);
  };
  const edges = quad.map((a, side): Edge | null => {
    const b = quad[(side + 1) % 4] ?? a;
    const length = Math.hypot(b[0] - a[0], b[1] - a[1]);
    if (length < 8) return null;
    const [nx, ny] = [-(b[1] - a[1]) / length, (b[0] - a[0]) / length];
    const places: Point[] = [];
    const count = 64;
    for (let n = 4; n < count - 4; n++) {
      const share = n / count;
      const [x, y] = [a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share];
      let [best, where] = [12, NaN];
      for (let off = -reach; off <= reach; off++) {
        // Two px to either side: noise counts less.
        const inside = at(x + nx * (off + 1), y + ny * (off + 1)) + at(x + nx * (off + 2), y + ny * (off + 2));
        const outside = at(x + nx * (off - 1), y + ny * (off - 1)) + at(x + nx * (off - 2), y + ny * (off - 2));
        const step = Math.abs(inside - outside);
        if (step > best) [best, where] = [step, off];
      }
      if (!Number.isNaN(where)) places.push([x + nx * where, y + ny * where]);
    }
    return fitted(places, [nx, ny]);
  });
  const corners = quad.map((corner, i): Point => {
    const [before, after] = [edges[(i + 3) % 4], edges[i]];
    const moved = before && after ? crossing(before, after) : null;
    return moved && Math.hypot(moved[0] - corner[0], moved[1] - corner[1]) <= 2.5 * reach ? moved : corner;
  });
  return convex(corners as Quad) ? (corners as Quad) : quad;
}

/** The line through most of the places, by their median direction and least squares of what is near. */
function fitted(places: Point[], normal: Point): Edge | null {
  let near = places;
  let line: Edge = { nx: normal[0], ny: normal[1], d: 0, weight: 0 };
  for (let round = 0; round < 3; round++) {
    if (near.length < 12) return null;
    const [mx, my] = [
      near.reduce((s, [x]) => s + x, 0) / near.length,
      near.reduce((s, [, y]) => s + y, 0) / near.length,
    ];
    let [xx, xy, yy] = [0, 0, 0];
    for (const [x, y] of near) {
      xx += (x - mx) ** 2;
      xy += (x - mx) * (y - my);
      yy += (y - my) ** 2;
    }
    // The direction in which they spread least.
    const angle = 0.5 * Math.atan2(2 * xy, xx - yy) + Math.PI / 2;
    const [nx, ny] = [Math.cos(angle), Math.sin(angle)];
    line = { nx, ny, d: nx * mx + ny * my, weight: near.length };
    const away = places.map(([x, y]) => Math.abs(x * nx + y * ny - line.d)).sort((a, b) => a - b);
    const limit = Math.max(1, 1.5 * (away[Math.floor(away.length / 2)] ?? 1));
    near = places.filter(([x, y]) => Math.abs(x * nx + y * ny - line.d) <= limit);
  }
  return line;
}

/** Width divided by height of a sheet that is seen as `quad` in a frame of that size: whiteboard geometry (Zhang and He,
 * "Whiteboard scanning and image enhancement", 2007), with the lens in the frame's middle. Common formats are taken as
 * they are. */
export function proportion(quad: Quad, frame: { width: number; height: number }): number {
  const [u0, v0] = [frame.width / 2, frame.height / 2];
  const [m1, m2, m4, m3] = quad.map(([x, y]) => [x - u0, y - v0, 1]) as [number[], number[], number[], number[]];
  const cross = (a: number[], b: number[]) => [
    (a[1] ?? 0) * (b[2] ?? 0) - (a[2] ?? 0) * (b[1] ?? 0),
    (a[2] ?? 0) * (b[0] ?? 0) - (a[0] ?? 0) * (b[2] ?? 0),
    (a[0] ?? 0) * (b[1] ?? 0) - (a[1] ?? 0) * (b[0] ?? 0),
  ];
  const dot = (a: number[], b: number[]) => a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0);
  const side = (i: number, j: number) => {
    const [a, b]: [Point, Point] = [quad[i] ?? [0, 0], quad[j] ?? [0, 0]];
    return Math.hypot(a[0] - b[0], a[1] - b[1]);
  };
  const plain = (side(0, 1) + side(3, 2)) / (side(0, 3) + side(1, 2) || 1);
  const k2 = dot(cross(m1, m4), m3) / dot(cross(m2, m4), m3);
  const k3 = dot(cross(m1, m4), m2) / dot(cross(m3, m4), m2);
  const n2 = m2.map((value, i) => k2 * value - (m1[i] ?? 0));
  const n3 = m3.map((value, i) => k3 * value - (m1[i] ?? 0));
  const [n2z, n3z] = [n2[2] ?? 0, n3[2] ?? 0];
  // Where the sheet is tilted about one of its sides only, it says nothing of the lens: that of a phone then.
  let f2 = (0.75 * Math.max(frame.width, frame.height)) ** 2;
  if (Math.abs(n2z * n3z) > 1e-4) {
    const told = -((n2[0] ?? 0) * (n3[0] ?? 0) + (n2[1] ?? 0) * (n3[1] ?? 0)) / (n2z * n3z);
    if (told > (0.3 * frame.width) ** 2 && told < (8 * frame.width) ** 2) f2 = told;
  }
  const long = (n: number[]) => ((n[0] ?? 0) ** 2 + (n[1] ?? 0) ** 2) / f2 + (n[2] ?? 0) ** 2;
  let ratio = Math.sqrt(long(n2) / long(n3));
  if (!Number.isFinite(ratio) || ratio < plain / 1.6 || ratio > plain * 1.6) ratio = plain;
  for (const known of [Math.SQRT2, 11 / 8.5])
    for (const wanted of [known, 1 / known]) if (Math.abs(ratio / wanted - 1) < 0.045) return wanted;
  return ratio;
}
