import { describe, expect, test } from "vitest";

import { fileStem, toJson, toMarkdown, toText, uniqueNames } from "../src/export.ts";
import { findLines, lineOffsets, spacedWords, withLine, withText } from "../src/text.ts";
import type { Document, Line, Quad } from "../src/types.ts";

const BOX: Quad = [
  [0, 0],
  [1, 0],
  [1, 1],
  [0, 1],
];

const line = (text: string, words = text.split(" ")): Line => ({
  text,
  confidence: 0.9,
  box: BOX,
  words: words.map((word) => ({ text: word, confidence: 0.9, box: BOX })),
  vertical: false,
});

/** Two columns in a row, then a paragraph: as the engine puts them together. */
const document = {
  text: "total 7.60\nVAT 7.60\n\n# not a heading",
  lines: [line("total"), line("7.60"), line("VAT"), line("7.60"), line("# not a heading")],
  blocks: [
    { kind: "paragraph", box: BOX, lines: [0, 1, 2, 3] },
    { kind: "paragraph", box: BOX, lines: [4] },
  ],
} as unknown as Document;

describe("text", () => {
  test("a line's place is found even where its text repeats", () => {
    expect(lineOffsets(document)).toEqual([0, 6, 11, 15, 21]);
  });

  test("a correction changes its line and nothing else", () => {
    const changed = withLine(document, 3, "9.99");
    expect(changed.text).toBe("total 7.60\nVAT 9.99\n\n# not a heading");
    expect(changed.lines.map(({ text }) => text)).toEqual(["total", "7.60", "VAT", "9.99", "# not a heading"]);
    expect(changed.lines[3]?.confidence).toBe(1);
    expect(document.lines[3]?.text).toBe("7.60");
    expect(withLine(document, 3, "7.60")).toBe(document);
    expect(withLine(document, 99, "x")).toBe(document);
  });

  test("an emptied line leaves the others where they are", () => {
    const emptied = withLine(document, 1, "");
    expect(emptied.text).toBe("total \nVAT 7.60\n\n# not a heading");
    expect(withLine(emptied, 3, "x").text).toBe("total \nVAT x\n\n# not a heading");
  });

  test.each<[string, string, string[]]>([
    // In a row, at its ends, between two lines of it, in several rows at once.
    ["total 7.65\nVAT 7.60\n\n# not a heading", "one line", ["total", "7.65", "VAT", "7.60", "# not a heading"]],
    [
      "Total 7.60\nVAT 7.60 €\n\n# not a heading!",
      "three rows",
      ["Total", "7.60", "VAT", "7.60 €", "# not a heading!"],
    ],
    ["total of 7.60\nVAT 7.60\n\n# not a heading", "between", ["total", "of 7.60", "VAT", "7.60", "# not a heading"]],
    ["sum 9\nVAT 7.60\n\n# not a heading", "a row anew", ["sum 9", "", "VAT", "7.60", "# not a heading"]],
    // Rows come and go.
    ["total 7.60 VAT 7.60 # not a heading", "joined", ["total", "7.60", "VAT", "7.60", "# not a heading"]],
    ["total 7.60\n\n# not a heading", "a row less", ["total", "7.60", "", "", "# not a heading"]],
    [
      "total 7.60\nVAT 7.60\nVAT 9\n\n# not a heading",
      "a row more",
      ["total", "7.60", "VAT", "7.60\nVAT 9", "# not a heading"],
    ],
    ["to 7.60\n\n# not a heading", "across rows", ["to", "", "", "7.60", "# not a heading"]],
    ["", "emptied", ["", "", "", "", ""]],
  ])("another text, %j (%s), is its lines' text", (text, _, lines) => {
    const changed = withText(document, text);
    expect(changed.text).toBe(text);
    expect(changed.lines.map((one) => one.text)).toEqual(lines);
    changed.lines.forEach((one, i) => {
      if (lines[i] === document.lines[i]?.text) expect(one).toBe(document.lines[i]);
    });
    // And a correction of any of them reaches the text, in its place.
    lines.forEach((old, i) => {
      if (!old) return;
      const rest = withLine(changed, i, "<new>").text;
      expect(rest.length).toBe(text.length - old.length + 5);
      expect(lines.slice(0, i).join("").replace(/\s/g, "")).toBe(rest.split("<new>")[0]?.replace(/\s/g, ""));
    });
  });

  test("searches look past case and width", () => {
    expect(findLines({ lines: [line("ＡＢＣ"), line("abc"), line("x")] }, " Abc ")).toEqual([0, 1]);
    expect(findLines({ lines: [line("x")] }, "  ")).toEqual([]);
  });

  test("copied words make up the line", () => {
    expect(spacedWords(line("one two  three", ["one", "two", "three"]))).toEqual(["one ", "two  ", "three"]);
    expect(spacedWords(line("你好abc", ["你好", "abc"])).join("")).toBe("你好abc");
    expect(spacedWords(line("altered", ["other"]))).toEqual(["other"]);
  });
});

describe("exports", () => {
  test("text: pages parted by a form feed", () => {
    expect(toText([document, document])).toBe(`${document.text}\n\f${document.text}\n`);
  });

  test("Markdown: paragraphs with their breaks, and nothing read is markup", () => {
    expect(toMarkdown([document], "a_b.png")).toBe("# a\\_b.png\n\ntotal 7.60\\\nVAT 7.60\n\n\\# not a heading\n");
    const tricky = { text: "1. *x* | <b>" };
    expect(toMarkdown([tricky as unknown as Document], "t")).toBe("# t\n\n1\\. \\*x\\* \\| \\<b\\>\n");
  });

  test("JSON: the answer itself", () => {
    expect(JSON.parse(toJson([document]))).toEqual(document);
    expect(JSON.parse(toJson([document, document]))).toHaveLength(2);
  });

  test("file names that every system takes", () => {
    expect(fileStem("scan 1.final.JPEG")).toBe("scan 1.final");
    expect(fileStem('a/b\\c:"?*.png')).toBe("a-b-c-");
    expect(fileStem("...png")).toBe("maoocr");
    expect(uniqueNames(["a", "A", "a", "b"])).toEqual(["a", "A (2)", "a (3)", "b"]);
  });
});
