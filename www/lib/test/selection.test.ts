import { describe, expect, test } from "vitest";

import { calendar, findings } from "../src/findings.ts";
import { lineOf, textOf, wordAt, wordsOf } from "../src/selection.ts";
import type { Line, Quad } from "../src/types.ts";

const box = (x: number, y: number, width: number): Quad => [
  [x, y],
  [x + width, y],
  [x + width, y + 20],
  [x, y + 20],
];

function line(text: string, y: number, parts: string[]): Line {
  const words = parts.map((word, n) => ({ text: word, confidence: 1, box: box(n * 60, y, 50) }));
  return { text, confidence: 1, box: box(0, y, 60 * parts.length), words, vertical: false };
}

const block = (lines: number[]) => ({ kind: "paragraph", box: box(0, 0, 1), lines });
const document = {
  lines: [
    line("Total due today", 0, ["Total", "due", "today"]),
    line("希望本无", 30, ["希", "望", "本无"]),
    line("end", 60, ["end"]),
  ],
  blocks: [block([0, 1]), block([2])],
};

describe("selected words", () => {
  const words = wordsOf(document);

  test("are the text that stands there, with its spaces, lines and paragraphs", () => {
    expect(textOf(words, { from: 1, to: 2 })).toBe("due today");
    expect(textOf(words, { from: 2, to: 5 })).toBe("today\n希望本无");
    expect(textOf(words, { from: 0, to: words.length - 1 })).toBe("Total due today\n希望本无\n\nend");
  });

  test("are found by a finger that isn't quite on them", () => {
    expect(wordAt(words, [70, 10], 0.1)).toBe(1);
    expect(wordAt(words, [55, 10], 20)).not.toBeNull();
    expect(wordAt(words, [400, 400], 20)).toBeNull();
    expect(lineOf(words, 4)).toEqual({ from: 3, to: 5 });
  });

  test("of an answer without blocks are still lines", () => {
    const { lines } = document;
    expect(textOf(wordsOf({ lines, blocks: undefined as never }), { from: 0, to: 6 })).toMatch(/today\n希/);
  });
});

describe("findings", () => {
  const told = (text: string) => findings(text).map((f) => [f.kind, f.kind === "date" ? f.date : f.href]);

  test("are links, addresses, numbers and days, in their order, each once", () => {
    const text =
      "Write to Anna.Lee+x@mail.example.org or see www.corner-bakery.co.uk/menu. Call +44 113 496 0182, (0113) 496 0182.\n" +
      "https://example.com/a?b=1) until 3 March 2026, 2026-02-28, 2026年3月1日, March 5, 2026. www.corner-bakery.co.uk/menu";
    expect(told(text)).toEqual([
      ["mail", "mailto:Anna.Lee+x@mail.example.org"],
      ["link", "https://www.corner-bakery.co.uk/menu"],
      ["phone", "tel:+441134960182"],
      ["phone", "tel:01134960182"],
      ["link", "https://example.com/a?b=1"],
      ["date", "2026-03-03"],
      ["date", "2026-02-28"],
      ["date", "2026-03-01"],
      ["date", "2026-03-05"],
    ]);
    expect(told("电话13812345678")).toEqual([["phone", "tel:13812345678"]]);
  });

  test("aren't prices, versions, or days that don't exist", () => {
    expect(told("Total 1,284.50, 7.60, v1.2.3, 2026-02-31, 12:30, x.y, Receipt 004217")).toEqual([]);
    expect(told("javascript:alert(1) data:text/html,x")).toEqual([]);
  });

  test("days are given to calendars", () => {
    const file = calendar("2026-02-28", "Due; soon\nreally");
    expect(file).toContain(
      "DTSTART;VALUE=DATE:20260228\r\nDTEND;VALUE=DATE:20260301\r\nSUMMARY:Due\\; soon really\r\n",
    );
  });
});
