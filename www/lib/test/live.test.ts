import { describe, expect, test } from "vitest";

import { grey, shift, type Grey } from "../src/motion.ts";
import { LARGEST, pace, SMALLEST } from "../src/pace.ts";
import { iou, Tracks } from "../src/tracks.ts";
import type { Quad } from "../src/types.ts";

/** A smooth random scene, sampled at any place. */
function scene(x: number, y: number): number {
  let value = 128;
  for (let i = 1; i <= 9; i++) {
    value += (60 / i) * Math.sin(x * 0.13 * i + i * i) * Math.cos(y * 0.17 * i + 2 * i);
  }
  return Math.max(0, Math.min(255, value));
}

function seen(dx: number, dy: number, width = 112, height = 84): Grey {
  const data = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) data[y * width + x] = scene(x - dx, y - dy);
  }
  return { data, width, height };
}

describe("motion", () => {
  test.each([
    [0, 0],
    [3, -2],
    [-6, 5],
    [1.5, 0.5],
    [-0.4, 2.3],
  ])("by (%d, %d) px is found", (dx, dy) => {
    const { x, y, certainty } = shift(seen(0, 0), seen(dx, dy));
    expect(Math.abs(x - dx)).toBeLessThan(0.25);
    expect(Math.abs(y - dy)).toBeLessThan(0.25);
    expect(certainty).toBeGreaterThan(0.8);
  });

  test("another scene, and one without texture, are not certain", () => {
    const other = { ...seen(0, 0), data: new Uint8Array(112 * 84).map((_, i) => (i * 7919) % 256) };
    expect(shift(seen(0, 0), other).certainty).toBeLessThan(0.4);
    const plain = { data: new Uint8Array(112 * 84).fill(200), width: 112, height: 84 };
    expect(shift(plain, plain).certainty).toBe(0);
  });

  test("grey is luma", () => {
    const { data } = grey(new Uint8ClampedArray([255, 255, 255, 255, 255, 0, 0, 255, 0, 0, 255, 255]), 3, 1);
    expect([...data]).toEqual([255, 76, 28]);
  });
});

const box = (x: number, y: number, width = 100, height = 20): Quad => [
  [x, y],
  [x + width, y],
  [x + width, y + height],
  [x, y + height],
];
const line = (text: string, x: number, y: number, confidence = 0.9) => ({ text, confidence, box: box(x, y) });

describe("tracks", () => {
  test("keep their identity from reading to reading", () => {
    const tracks = new Tracks();
    const [first] = tracks.update([line("one", 0, 0)]);
    const [again] = tracks.update([line("one", 5, 0)]);
    expect(again?.id).toBe(first?.id);
  });

  test("don't flicker: one bad reading changes nothing, several do", () => {
    const tracks = new Tracks();
    for (let i = 0; i < 3; i++) tracks.update([line("TOTAL", 0, 0)]);
    expect(tracks.update([line("T0TAL", 0, 0, 0.7)])[0]?.text).toBe("TOTAL");
    for (let i = 0; i < 5; i++) tracks.update([line("T0TAL", 0, 0)]);
    expect(tracks.all[0]?.text).toBe("T0TAL");
  });

  test("small jitter is smoothed, a jump is followed", () => {
    const tracks = new Tracks();
    tracks.update([line("one", 0, 0)]);
    expect(tracks.update([line("one", 4, 0)])[0]?.box[0]).toEqual([2, 0]);
    expect(tracks.update([line("one", 40, 0)])[0]?.box[0]).toEqual([40, 0]);
  });

  test("outlive one reading that misses them, not two, unless they are out of view", () => {
    const tracks = new Tracks();
    tracks.update([line("one", 0, 0), line("two", 0, 50), line("beside", 500, 0)]);
    const inView = (box: Quad) => box[0][0] < 400;
    tracks.update([line("one", 0, 0)], inView);
    expect(tracks.all.map(({ text, missed }) => [text, missed])).toEqual([
      ["one", 0],
      ["two", 1],
      ["beside", 0],
    ]);
    tracks.update([line("one", 0, 0)], inView);
    expect(tracks.all.map(({ text }) => text)).toEqual(["one", "beside"]);
    tracks.clear();
    expect(tracks.all).toEqual([]);
  });

  test("lines one above the other stay apart", () => {
    const tracks = new Tracks();
    const before = tracks.update([line("a", 0, 0), line("b", 0, 24)]).map(({ id }) => id);
    const after = tracks.update([line("b", 2, 25), line("a", 2, 1)]);
    expect(after.map(({ id, text }) => [id, text])).toEqual([
      [before[1], "b"],
      [before[0], "a"],
    ]);
  });

  test("overlap", () => {
    expect(iou(box(0, 0), box(0, 0))).toBe(1);
    expect(iou(box(0, 0), box(50, 0))).toBeCloseTo(1 / 3);
    expect(iou(box(0, 0), box(0, 20))).toBe(0);
  });
});

describe("pace", () => {
  test("a slow device reads smaller frames, a fast one larger ones, within bounds", () => {
    expect(pace(960, 2000, 1, 0).side).toBeLessThan(960);
    expect(pace(640, 100, 1, 0).side).toBeGreaterThan(640);
    expect(pace(SMALLEST, 9000, 1, 0).side).toBe(SMALLEST);
    expect(pace(LARGEST, 10, 1, 0).side).toBe(LARGEST);
  });

  test("rests in proportion, and longer when nothing changes", () => {
    expect(pace(640, 400, 1, 0).rest).toBe(200);
    expect(pace(640, 400, 0.1, 3).rest).toBe(1500);
    expect(pace(640, 400, 2, 9).rest).toBe(200);
  });
});
