import { describe, expect, test } from "vitest";

import { Flow } from "../src/flow.ts";
import {
  applied,
  composed,
  fittedToMost,
  IDENTITY,
  inverted,
  matrix3d,
  ontoQuad,
  type Homography,
  type Pair,
} from "../src/homography.ts";
import type { Grey } from "../src/motion.ts";
import type { Point, Quad } from "../src/types.ts";

const far = (a: Point, b: Point) => Math.hypot(a[0] - b[0], a[1] - b[1]);

describe("homographies", () => {
  const quad: Quad = [
    [100, 50],
    [420, 80],
    [400, 190],
    [90, 140],
  ];

  test("place a rectangle on all four corners of a quad", () => {
    const h = ontoQuad(300, 40, quad);
    const corners: Point[] = [
      [0, 0],
      [300, 0],
      [300, 40],
      [0, 40],
    ];
    corners.forEach((corner, n) => expect(far(applied(h, corner), quad[n] ?? [0, 0])).toBeLessThan(1e-6));
    // A parallelogram needs no perspective.
    const flat = ontoQuad(10, 10, [
      [0, 0],
      [20, 0],
      [25, 20],
      [5, 20],
    ]);
    expect(Math.hypot(flat[6], flat[7])).toBe(0);
  });

  test("are undone and chained", () => {
    const h = ontoQuad(300, 40, quad);
    const back = inverted(h);
    if (!back) throw new Error("it can be undone");
    const both = composed(back, h);
    both.forEach((value, n) => expect(value).toBeCloseTo(IDENTITY[n] ?? 0, 9));
    expect(inverted([0, 0, 0, 0, 0, 0, 0, 0, 0])).toBeNull();
  });

  test("are written as CSS wants them", () => {
    expect(matrix3d([1, 2, 3, 4, 5, 6, 7, 8, 1])).toBe("matrix3d(1,4,0,7,2,5,0,8,0,0,1,0,3,6,0,1)");
  });

  test("are found among pairs of which a third go astray", () => {
    const truth: Homography = [1.02, 0.03, 12, -0.02, 0.98, -7, 0.0001, 0.00005, 1];
    const pairs: Pair[] = Array.from({ length: 45 }, (_, n) => {
      const from: Point = [(n * 37) % 320, (n * 71) % 180];
      const [x, y] = applied(truth, from);
      return [from, n % 3 === 0 ? [x + 25 + n, y - 40] : [x, y]] as const;
    });
    const fit = fittedToMost(pairs, 1);
    if (!fit) throw new Error("there is one");
    expect(fit.inliers).toHaveLength(30);
    expect(far(applied(fit.homography, [160, 90]), applied(truth, [160, 90]))).toBeLessThan(1e-6);
    expect(fittedToMost(pairs.slice(0, 3), 1)).toBeNull();
  });
});

/** Print-like: blocks of dark strokes on paper, smooth at their edges, defined everywhere. */
function paper(x: number, y: number): number {
  const [column, row] = [Math.floor(x / 11), Math.floor(y / 13)];
  const hash = Math.abs(Math.sin(column * 12.9898 + row * 78.233) * 43758.5453) % 1;
  const stroke = Math.sin((x - 11 * column) * (0.5 + hash)) * Math.cos((y - 13 * row) * (0.4 + hash * 0.7));
  const ink = hash > 0.35 ? Math.max(0, stroke) : 0;
  return 225 - 190 * ink;
}

const [WIDTH, HEIGHT] = [320, 240];

/** A frame in which the scene appears mapped by `h`; `covered` is hidden by a hand. */
function frame(h: Homography, covered?: (x: number, y: number) => boolean): Grey {
  const back = inverted(h);
  if (!back) throw new Error("it can be undone");
  const data = new Uint8Array(WIDTH * HEIGHT);
  for (let y = 0; y < HEIGHT; y++) {
    for (let x = 0; x < WIDTH; x++) {
      if (covered?.(x, y)) {
        data[y * WIDTH + x] = 120 + ((x * 7 + y * 3) % 9);
        continue;
      }
      // Four samples a pixel, as a sensor gathers light.
      let sum = 0;
      for (const [dx, dy] of [
        [-0.25, -0.25],
        [0.25, -0.25],
        [-0.25, 0.25],
        [0.25, 0.25],
      ] as const) {
        // prettier-ignore
        const [u, v] = applied(back, [x + dx, y + dy]);
        sum += paper(u, v);
      }
      data[y * WIDTH + x] = sum / 4;
    }
  }
  return { data, width: WIDTH, height: HEIGHT };
}

/** Greatest distance, px, between where points of the first frame are said to be and where they are. */
function drift(motion: (n: number) => Homography, frames: number, covered?: (x: number, y: number) => boolean): number {
  const flow = new Flow();
  let worst = 0;
  for (let n = 0; n <= frames; n++) {
    const { total, epoch } = flow.next(frame(motion(n), n > 0 ? covered : undefined));
    if (epoch > 0) return Infinity;
    for (const point of [
      [60, 60],
      [260, 60],
      [160, 120],
      [60, 180],
      [260, 180],
    ] as Point[])
      // prettier-ignore
      worst = Math.max(worst, far(applied(total, point), applied(motion(n), point)));
  }
  return worst;
}

const about = (scale: number, angle: number, x: number, y: number): Homography => {
  const [c, s] = [scale * Math.cos(angle), scale * Math.sin(angle)];
  const [mx, my] = [WIDTH / 2, HEIGHT / 2];
  return [c, -s, mx + x - c * mx + s * my, s, c, my + y - s * mx - c * my, 0, 0, 1];
};

describe("a scene is followed", { timeout: 60_000 }, () => {
  // Frames of 320 px for a video of 1280: 1 px here is 4 there, and labels may be 6 px off.
  test.each([
    ["that stands still", (_: number) => IDENTITY, 12, 0.1],
    ["that pans slowly", (n: number) => about(1, 0, 0.66 * n, 0.2 * n), 30, 0.6],
    ["that pans fast", (n: number) => about(1, 0, 7.5 * n, -2 * n), 8, 0.9],
    ["that comes nearer", (n: number) => about(1 + 0.008 * n, 0, 0, 0), 25, 0.9],
    ["that turns", (n: number) => about(1, 0.008 * n, 0, 0), 25, 0.9],
    ["in a shaking hand", (n: number) => about(1, 0.003 * Math.sin(n), 1.8 * Math.sin(1.7 * n), 1.2 * Math.cos(2.3 * n)), 14, 1.4], // prettier-ignore
    ["that tilts", (n: number) => [1, 0, 0, 0, 1, 0, 0.00002 * n, 0.00001 * n, 1] as const, 20, 0.9],
  ])("%s", (_, motion, frames, most) => {
    expect(drift(motion, frames)).toBeLessThan(most);
  });

  // px a second of a video of 1280 with 30 frames a second, as people pan.
  test.each([20, 50, 80, 150, 250, 500, 900])("at %i px a second, with labels less than 1 px off", (speed) => {
    const step = speed / 30 / 4;
    const frames = Math.min(30, Math.floor(60 / step));
    expect(4 * drift((n) => about(1, 0, step * n, 0.25 * step * n), frames)).toBeLessThan(1);
  });

  test("behind a hand", () => {
    const hand = (x: number, y: number) => x > 190 && y > 100;
    expect(drift((n) => about(1, 0, 0.8 * n, 0), 15, hand)).toBeLessThan(1.2);
  });

  test("and lost when there is another one", () => {
    const flow = new Flow();
    flow.next(frame(IDENTITY));
    expect(flow.next(frame(IDENTITY))).toMatchObject({ epoch: 0, speed: expect.closeTo(0, 2) });
    const other = new Uint8Array(WIDTH * HEIGHT).map((_, n) => (n * 7919) % 251);
    expect(flow.next({ data: other, width: WIDTH, height: HEIGHT })).toMatchObject({ epoch: 1, total: IDENTITY });
  });
});
