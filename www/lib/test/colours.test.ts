import { expect, test } from "vitest";

import { coloursOf } from "../src/colours.ts";
import type { Quad } from "../src/types.ts";

const [WIDTH, HEIGHT] = [200, 40];
const ALL: Quad = [
  [0, 0],
  [WIDTH, 0],
  [WIDTH, HEIGHT],
  [0, HEIGHT],
];

/** Letters of a colour, as strokes that cover a fifth of the paper. */
function print(paper: number[], ink: number[]) {
  const data = new Uint8ClampedArray(WIDTH * HEIGHT * 4);
  for (let n = 0; n < WIDTH * HEIGHT; n++) data.set([...(n % 10 < 2 ? ink : paper), 255], 4 * n);
  return { data, width: WIDTH, height: HEIGHT };
}

test("are those of the paper and of the letters, whichever is brighter", () => {
  expect(coloursOf(print([250, 245, 230], [30, 30, 90]), ALL)).toEqual({
    paper: "rgb(250 245 230)",
    ink: "rgb(30 30 90)",
  });
  expect(coloursOf(print([10, 60, 50], [240, 240, 240]), ALL)).toEqual({
    paper: "rgb(10 60 50)",
    ink: "rgb(240 240 240)",
  });
});

test("letters too pale to be read are black or white", () => {
  expect(coloursOf(print([200, 200, 200], [150, 150, 150]), ALL).ink).toBe("rgb(0 0 0)");
  expect(coloursOf(print([60, 60, 60], [80, 80, 80]), ALL).ink).toBe("rgb(255 255 255)");
});

test("out of the picture it is plain paper", () => {
  const away = ALL.map(([x, y]) => [x + 1000, y]) as Quad;
  expect(coloursOf(print([0, 0, 0], [0, 0, 0]), away)).toEqual({ paper: "rgb(255 255 255)", ink: "rgb(0 0 0)" });
});
