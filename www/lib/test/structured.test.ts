import { describe, expect, it } from "vitest";

import { nested, regionsHtml, regionsText, tableHtml, tableTsv } from "../src/structured.ts";
import type { Quad, Region, Table } from "../src/types.ts";

const box = [[0, 0], [1, 0], [1, 1], [0, 1]] as Quad; // prettier-ignore

const cell = (row: number, column: number, text: string, spans: { row_span?: number; column_span?: number } = {}) => ({
  row,
  column,
  row_span: 1,
  column_span: 1,
  box,
  text,
  ...spans,
});

const table: Table = {
  rows: 3,
  columns: 2,
  header_rows: 1,
  cells: [
    cell(0, 0, "a < b", { column_span: 2 }),
    cell(1, 0, "two\nlines", { row_span: 2 }),
    cell(1, 1, 'a "quote"'),
    cell(2, 1, "<script>"),
  ],
};

const region = (kind: Region["kind"], text: string, more: Partial<Region> = {}): Region => ({
  kind,
  text,
  box,
  confidence: 1,
  lines: [],
  ...more,
});

describe("a table", () => {
  it("is cells parted by tabs, with the quotes that spreadsheets read", () => {
    expect(tableTsv(table)).toBe('a < b\t\n"two\nlines"\t"a ""quote"""\n\t<script>');
  });

  it("is HTML with its spans, and nothing in it is markup", () => {
    expect(tableHtml(table)).toBe(
      '<table><thead><tr><th colspan="2">a &lt; b</th></tr></thead><tbody>' +
        '<tr><td rowspan="2">two<br>lines</td><td>a &quot;quote&quot;</td></tr>' +
        "<tr><td>&lt;script&gt;</td></tr></tbody></table>",
    );
  });
});

describe("a list", () => {
  const items = [
    { level: 0, marker: "1.", number: 1, text: "first", lines: [] },
    { level: 1, marker: "–", text: "within", lines: [] },
    { level: 0, marker: "2.", number: 2, text: "second", lines: [] },
    { level: 0, marker: "•", text: "another list", lines: [] },
  ];

  it("has the lists that are in it, and ends where the marks change", () => {
    const [numbered, bullets] = nested(items);
    expect(numbered?.items.map(({ text }) => text)).toEqual(["first", "second"]);
    expect(numbered?.items[0]?.lists[0]?.items[0]?.text).toBe("within");
    expect(bullets?.numbered).toBe(false);
  });

  it("doesn't stumble over depths that are skipped", () => {
    expect(nested([{ level: 4, marker: "•", text: "deep", lines: [] }])[0]?.items[0]?.text).toBe("deep");
  });
});

describe("a page", () => {
  const regions = [
    region("header", "Journal"),
    region("title", "A & B"),
    region("heading", "Part", { level: 2 }),
    region("list", "x", { items: [{ level: 0, marker: "3.", number: 3, text: "three", lines: [] }] }),
    region("table", "", { table }),
    region("page_number", "7"),
  ];

  it("is copied as HTML without what every page has", () => {
    const html = regionsHtml(regions);
    expect(html).toMatch(/^<h1>A &amp; B<\/h1><h2>Part<\/h2><ol start="3"><li>three<\/li><\/ol><table>/);
    expect(html).not.toMatch(/Journal|7</);
  });

  it("is copied as text with its tables as cells", () => {
    expect(regionsText(regions)).toMatch(/^A & B\n\nPart\n\nx\n\na < b\t\n/);
  });
});
