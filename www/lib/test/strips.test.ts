import { describe, expect, test } from "vitest";

import { joined } from "../src/strips.ts";
import type { Block, Document, Line, Quad } from "../src/types.ts";

const quad = (x: number, y: number, width: number, height: number): Quad => [
  [x, y],
  [x + width, y],
  [x + width, y + height],
  [x, y + height],
];

/** A column of lines 20 px high, 30 px apart, in the whole page. */
interface Column {
  x: number;
  blocks: string[][];
}

const HEIGHT = 20;
const PITCH = 30;

/** What a strip from `top` to `end` shows of the columns: of a line that an edge cuts, half a line with other text. */
function strip(columns: Column[], top: number, end: number): { top: number; document: Document } {
  const lines: Line[] = [];
  const blocks: Block[] = [];
  for (const { x, blocks: texts } of columns) {
    let y = 0;
    for (const block of texts) {
      const of: number[] = [];
      for (const text of block) {
        const [from, to] = [Math.max(y, top), Math.min(y + HEIGHT, end)];
        y += PITCH;
        if (to - from < 4) continue;
        const whole = to - from === HEIGHT;
        const box = quad(x, from - top, 200, to - from);
        const words = [{ text, confidence: 1, box }];
        of.push(lines.push({ text: whole ? text : `half of ${text}`, confidence: whole ? 1 : 0.4, box, words, vertical: false }) - 1); // prettier-ignore
      }
      y += PITCH / 2;
      if (of.length > 0) blocks.push({ kind: "text", box: quad(0, 0, 1, 1), lines: of });
    }
  }
  const text = blocks.map((block) => block.lines.map((i) => lines[i]?.text).join("\n")).join("\n\n");
  const document = { text, width: 800, height: end - top, lines, blocks, processing_time: 1, confidence: 0.9 };
  return { top, document: document as Document };
}

const ONE: Column[] = [
  {
    x: 0,
    blocks: [
      ["a1", "a2", "a3"],
      ["b1", "b2", "b3", "b4"],
      ["c1", "c2"],
    ],
  },
];
const TEXT = "a1\na2\na3\n\nb1\nb2\nb3\nb4\n\nc1\nc2";

describe("a page of strips", () => {
  test("is the page, wherever it is cut", () => {
    for (let cut = 80; cut < 260; cut++) {
      const page = joined([strip(ONE, 0, cut), strip(ONE, cut - 50, 400)]);
      expect(page.text, `cut at ${cut}`).toBe(TEXT);
      expect(page.height).toBe(400);
    }
  });

  test("has its lines where they are in the page", () => {
    const page = joined([strip(ONE, 0, 150), strip(ONE, 100, 250), strip(ONE, 200, 400)]);
    expect(page.lines.map(({ text, box }) => [text, box[0][1]])).toEqual(
      strip(ONE, 0, 400).document.lines.map(({ text, box }) => [text, box[0][1]]),
    );
    expect(page.lines[5]?.words[0]?.box).toEqual(page.lines[5]?.box);
    expect(page.processing_time).toBe(3);
    expect(page.blocks.map(({ lines }) => lines)).toEqual([
      [0, 1, 2],
      [3, 4, 5, 6],
      [7, 8],
    ]);
    expect(page.confidence).toBe(1);
  });

  test("reads a column to its end, though it goes on in the next strip", () => {
    const two: Column[] = [
      ...ONE,
      {
        x: 400,
        blocks: [
          ["x1", "x2", "x3", "x4"],
          ["y1", "y2", "y3"],
        ],
      },
    ];
    const page = joined([strip(two, 0, 160), strip(two, 100, 300), strip(two, 240, 400)]);
    expect(page.text).toBe(`${TEXT}\n\nx1\nx2\nx3\nx4\n\ny1\ny2\ny3`);
  });

  test("has a line once where one strip shows it in two parts", () => {
    const upper = strip(ONE, 0, 110);
    const lower = strip(ONE, 55, 400);
    const [whole] = upper.document.lines.filter(({ text }) => text === "a3");
    if (!whole) throw new Error("no line");
    // In the upper strip it stands close to the edge.
    const part = (text: string, x: number) => ({ ...whole, text, box: quad(x, 60, 95, HEIGHT) });
    upper.document.lines.splice(upper.document.lines.indexOf(whole), 1, part("a", 0), part("3", 105));
    upper.document.blocks[0] = { kind: "text", box: quad(0, 0, 1, 1), lines: [0, 1, 2, 3] };
    upper.document.blocks.length = 1;
    upper.document.lines.length = 4;
    upper.document.height = 82;
    expect(joined([upper, lower]).text).toBe(TEXT);
  });

  test("keeps the parts of a row on it", () => {
    const upper = strip([], 0, 100).document;
    const parts = (y: number, ...texts: string[]) =>
      texts.map((text, n) => ({ text, confidence: 1, box: quad(n * 300, y, 200, HEIGHT), words: [], vertical: false }));
    const of = (lines: Line[], text: string): Document => ({
      ...upper,
      ...{ lines, text, blocks: [{ kind: "text", box: quad(0, 0, 1, 1), lines: lines.map((_, i) => i) }] },
    });
    const page = joined([
      { top: 0, document: of([...parts(0, "bread", "1.20"), ...parts(60, "milk", "0.90")], "bread 1.20\nmilk 0.90") },
      { top: 50, document: of([...parts(10, "milk", "0.90"), ...parts(50, "eggs", "2.10")], "milk 0.90\neggs 2.10") },
    ]);
    expect(page.text).toBe("bread 1.20\nmilk 0.90\neggs 2.10");
    expect(page.lines.map(({ text }) => text)).toEqual(["bread", "1.20", "milk", "0.90", "eggs", "2.10"]);
  });

  test("of one strip is what was read", () => {
    const { document } = strip(ONE, 0, 400);
    expect(joined([{ top: 0, document }])).toBe(document);
    expect(() => joined([])).toThrow(RangeError);
  });

  test("keeps what an empty strip has on either side", () => {
    const page = joined([strip(ONE, 0, 400), strip(ONE, 380, 600), strip(ONE, 560, 700)]);
    expect(page.text).toBe(TEXT);
    expect(page.height).toBe(700);
  });
});
