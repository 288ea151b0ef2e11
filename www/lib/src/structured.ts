// A page's regions as text, HTML and cells: for the clipboard, and for what is shown.

import type { ListItem, PageText, Region, Table } from "./types.ts";

/** Of the page and not of what is written on it. */
const FURNITURE = new Set(["header", "footer", "page_number"]);

/** A region that is part of the page and not of its text. */
export function isFurniture({ kind }: Region): boolean {
  return FURNITURE.has(kind);
}

export function escapedHtml(text: string): string {
  const entities: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
  return text.replace(/[&<>"]/g, (character) => entities[character] ?? "");
}

/** A table's rows as they are shown: each cell in the row it begins in. */
export function rowsOf({ rows, cells }: Table): Table["cells"][] {
  const all: Table["cells"][] = Array.from({ length: rows }, () => []);
  for (const cell of cells) all[cell.row]?.push(cell);
  return all;
}

/** Cells parted by tabs, as spreadsheets take them; what a cell spans is empty. */
export function tableTsv({ rows, columns, cells }: Table): string {
  const grid = Array.from({ length: rows }, () => Array<string>(columns).fill(""));
  for (const { row, column, text } of cells) {
    const line = grid[row];
    if (line) line[column] = /["\t\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }
  return grid.map((line) => line.join("\t")).join("\n");
}

export function tableHtml(table: Table): string {
  const rows = rowsOf(table).map((row, n) => {
    const name = n < table.header_rows ? "th" : "td";
    const cells = row.map(({ row_span, column_span, text }) => {
      const spans = `${row_span > 1 ? ` rowspan="${row_span}"` : ""}${column_span > 1 ? ` colspan="${column_span}"` : ""}`;
      return `<${name}${spans}>${escapedHtml(text).replaceAll("\n", "<br>")}</${name}>`;
    });
    return `<tr>${cells.join("")}</tr>`;
  });
  const head = rows.slice(0, table.header_rows).join("");
  const body = rows.slice(table.header_rows).join("");
  return `<table>${head && `<thead>${head}</thead>`}<tbody>${body}</tbody></table>`;
}

/** A list with the lists in it. */
export interface Nested {
  numbered: boolean;
  /** Number of the first item. */
  start: number;
  items: { text: string; lists: Nested[] }[];
}

/** Items by their depth; a list begins anew where numbers follow bullets. */
export function nested(items: readonly ListItem[]): Nested[] {
  const roots: Nested[] = [];
  /** The list that is open at each depth. */
  const open: Nested[] = [];
  for (const { level, number, text } of items) {
    const depth = Math.min(level, open.length);
    const numbered = number !== undefined;
    open.length = Math.min(open.length, depth + 1);
    let list = open[depth];
    if (!list || list.numbered !== numbered) {
      list = { numbered, start: number ?? 1, items: [] };
      const above = open[depth - 1]?.items.at(-1);
      (above ? above.lists : roots).push(list);
      open[depth] = list;
    }
    list.items.push({ text, lists: [] });
  }
  return roots;
}

function listHtml({ numbered, start, items }: Nested): string {
  const [open, close] = numbered ? [`<ol${start === 1 ? "" : ` start="${start}"`}>`, "</ol>"] : ["<ul>", "</ul>"];
  return `${open}${items.map(({ text, lists }) => `<li>${escapedHtml(text)}${lists.map(listHtml).join("")}</li>`).join("")}${close}`;
}

/** HTML for a clipboard: headings, lists and tables are kept by whatever takes it. */
export function regionsHtml(regions: readonly Region[]): string {
  return regions
    .filter((region) => !isFurniture(region))
    .map(regionHtml)
    .join("");
}

function regionHtml(region: Region): string {
  const text = escapedHtml(region.text).replaceAll("\n", "<br>");
  switch (region.kind) {
    case "title":
      return `<h1>${text}</h1>`;
    case "heading": {
      const level = Math.min(6, Math.max(1, region.level ?? 2));
      return `<h${level}>${text}</h${level}>`;
    }
    case "list":
      return nested(region.items ?? [])
        .map(listHtml)
        .join("");
    case "table":
      return region.table ? tableHtml(region.table) : `<p>${text}</p>`;
    case "code":
      return `<pre>${escapedHtml(region.text)}</pre>`;
    default:
      return text && `<p>${text}</p>`;
  }
}

/** Plain text for a clipboard: tables as cells. */
export function regionsText(regions: readonly Region[]): string {
  return regions
    .filter((region) => !isFurniture(region))
    .map(({ kind, table, text }) => (kind === "table" && table ? tableTsv(table) : text))
    .filter(Boolean)
    .join("\n\n");
}

export function tablesIn(page: PageText): Table[] {
  return page.blocks.flatMap(({ table }) => table ?? []);
}
