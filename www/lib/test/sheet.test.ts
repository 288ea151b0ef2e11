import { describe, expect, it } from "vitest";

import { cleaned, flattened } from "../src/flatten.ts";
import { ontoQuad, applied, inverted } from "../src/homography.ts";
import { grey } from "../src/motion.ts";
import { findSheet, ordered, proportion, refined } from "../src/sheet.ts";
import type { Point, Quad } from "../src/types.ts";

/** A sheet with print on it, seen as `quad` on a desk; `shadow` darkens its right side. */
function scene(width: number, height: number, quad: Quad, { desk = 70, paper = 225, shadow = 0, print = true } = {}) {
  const data = new Uint8ClampedArray(width * height * 4);
  const back = inverted(ontoQuad(210, 297, quad));
  let state = 7;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      const noise = (state >>> 28) - 8;
      const [u, v] = back ? applied(back, [x + 0.5, y + 0.5]) : [-1, -1];
      const inside = u >= 0 && v >= 0 && u < 210 && v < 297;
      const line = print && inside && u > 20 && u < 190 && v > 25 && v < 270 && v % 8 < 3.4 && (u * 1.7 + v) % 5 < 3;
      const light = 1 - (shadow * x) / width;
      const value = (inside ? (line ? 50 : paper) : desk + 12 * Math.sin(x / 9)) * light + noise;
      data.set([value, value, value * 0.95, 255], (y * width + x) * 4);
    }
  return { data, width, height };
}

const tilted: Quad = [
  [70, 30],
  [246, 44],
  [262, 226],
  [48, 214],
];

function furthest(a: Quad, b: Quad): number {
  return Math.max(...a.map(([x, y], i) => Math.hypot(x - (b[i]?.[0] ?? 0), y - (b[i]?.[1] ?? 0))));
}

describe("a sheet in a camera's picture", () => {
  it.each([
    ["light on dark", tilted, {}],
    ["without print", tilted, { print: false }],
    ["in a shadow", tilted, { shadow: 0.45 }],
    ["on a desk nearly as light", tilted, { desk: 175 }],
    ["turned", [[150, 18], [268, 96], [170, 226], [56, 148]] as Quad, {}], // prettier-ignore
  ])("is found %s", (_, quad, options) => {
    const { data, width, height } = scene(320, 240, quad, options);
    const found = findSheet(grey(data, width, height));
    expect(found).not.toBeNull();
    expect(furthest(found as Quad, ordered([...quad]) as Quad)).toBeLessThan(5);
  });

  it("is not found where there is none", () => {
    const desk = scene(320, 240, [[-90, -90], [-50, -90], [-50, -40], [-90, -40]] as Quad); // prettier-ignore
    expect(findSheet(grey(desk.data, 320, 240))).toBeNull();
  });

  it("is found within a pixel or two where the picture is larger", () => {
    const large = tilted.map(([x, y]) => [x * 4, y * 4]) as Quad;
    const { data, width, height } = scene(1280, 960, large);
    const rough = large.map(([x, y], i) => [x + ([9, -8, 7, -9][i] ?? 0), y + ([-7, 8, 9, -6][i] ?? 0)]) as Quad;
    expect(furthest(refined(grey(data, width, height), rough, 14), large)).toBeLessThan(2.5);
  });

  it("has the proportions of paper, seen at an angle too", () => {
    // A4 before a lens of 60°, tilted by 35° about its width.
    const frame = { width: 1200, height: 1600 };
    const [focal, tilt, far] = [1100, (35 * Math.PI) / 180, 900];
    const quad = (
      [
        [-105, -148.5],
        [105, -148.5],
        [105, 148.5],
        [-105, 148.5],
      ] as Point[]
    ).map(([x, y]) => {
      const [Y, Z] = [y * Math.cos(tilt), far - y * Math.sin(tilt)];
      return [600 + (focal * x) / Z, 800 + (focal * Y) / Z];
    }) as Quad;
    expect(proportion(quad, frame)).toBeCloseTo(1 / Math.SQRT2, 2);
  });
});

describe("a sheet made flat", () => {
  it("has its print where it was printed", () => {
    const large = tilted.map(([x, y]) => [x * 3, y * 3]) as Quad;
    const seen = scene(960, 720, large);
    const flat = flattened(seen, large, 210 / 297);
    const at = (u: number, v: number) =>
      flat.data[(Math.floor((v / 297) * flat.height) * flat.width + Math.floor((u / 210) * flat.width)) * 4] ?? 0;
    expect(flat.width / flat.height).toBeCloseTo(210 / 297, 2);
    // Between two rows of print, and in the margin.
    expect(at(100, 8 * 12 + 6)).toBeGreaterThan(190);
    expect(at(8, 150)).toBeGreaterThan(190);
  });

  it("loses its shadow", () => {
    const whole: Quad = [[0, 0], [600, 0], [600, 800], [0, 800]]; // prettier-ignore
    const shaded = scene(600, 800, whole, { shadow: 0.6 });
    const margin = (x: number) => shaded.data[(790 * 600 + x) * 4] ?? 0;
    expect(margin(20) - margin(580)).toBeGreaterThan(90);
    for (const look of ["colour", "grey", "ink"] as const) {
      const { data } = cleaned({ ...shaded, data: shaded.data.slice() }, look);
      const after = (x: number) => data[(790 * 600 + x) * 4] ?? 0;
      expect(after(20)).toBeGreaterThan(235);
      expect(after(580)).toBeGreaterThan(235);
    }
  });

  it("in black and white is nothing between ink and paper", () => {
    const whole: Quad = [[0, 0], [600, 0], [600, 800], [0, 800]]; // prettier-ignore
    const { data } = cleaned(scene(600, 800, whole, { shadow: 0.5 }), "ink");
    let between = 0;
    for (let i = 0; i < data.length; i += 4) if ((data[i] ?? 0) > 25 && (data[i] ?? 0) < 230) between += 1;
    expect(between / (600 * 800)).toBeLessThan(0.06);
  });
});
