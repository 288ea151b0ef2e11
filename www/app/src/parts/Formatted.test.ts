import type { PageText } from "@maoocr/lib";
import { expect, test, vi } from "vitest";
import { page } from "vitest/browser";
import { render } from "vitest-browser-svelte";

import Formatted from "./Formatted.svelte";

const PAGE = {
  blocks: [
    { kind: "title", text: "Yearly report" },
    { kind: "heading", level: 1, text: "Figures" },
    {
      kind: "list",
      text: "third\nfourth",
      items: [
        { level: 0, number: 3, text: "third" },
        { level: 0, number: 4, text: "fourth" },
      ],
    },
    {
      kind: "table",
      text: "",
      table: {
        rows: 2,
        columns: 2,
        header_rows: 1,
        cells: [
          { row: 0, column: 0, row_span: 1, column_span: 2, text: "Both <b>" },
          { row: 1, column: 0, row_span: 1, column_span: 1, text: "a" },
          { row: 1, column: 1, row_span: 1, column_span: 1, text: "b" },
        ],
      },
    },
  ],
} as unknown as PageText;

async function shown(region: number | null = null) {
  const select = vi.fn();
  await render(Formatted, { page: PAGE, language: "en", region, select });
  return { select, article: page.getByRole("article") };
}

test("parts are what they were on the page", async () => {
  const { article } = await shown();
  await expect.element(page.getByRole("heading", { name: "Yearly report" })).toBeVisible();
  const list = article.element().querySelector("ol");
  expect([list?.start, list?.children.length]).toEqual([3, 2]);
  const [wide, ...cells] = [...article.element().querySelectorAll<HTMLTableCellElement>("th, td")];
  expect([wide?.tagName, wide?.colSpan, wide?.scope, wide?.textContent]).toEqual(["TH", 2, "col", "Both <b>"]);
  expect(cells.map((cell) => cell.textContent)).toEqual(["a", "b"]);
});

test("copying without a selection takes all of it, as what it is", async () => {
  const { article } = await shown();
  getSelection()?.removeAllRanges();
  const clipboardData = new DataTransfer();
  article.element().dispatchEvent(new ClipboardEvent("copy", { clipboardData, bubbles: true, cancelable: true }));
  const html = clipboardData.getData("text/html");
  expect(html).toContain("Both &lt;b&gt;");
  expect(html).toMatch(/<t[dh][^>]*colspan="?2/);
  expect(clipboardData.getData("text/plain")).toContain("Yearly report");
});

test("the pointer shows where a part stands, a finger doesn't", async () => {
  const { select, article } = await shown();
  const heading = article.element().querySelector("[data-region='1']");
  heading?.dispatchEvent(new PointerEvent("pointerenter", { pointerType: "touch" }));
  expect(select).not.toHaveBeenCalled();
  heading?.dispatchEvent(new PointerEvent("pointerenter", { pointerType: "mouse" }));
  expect(select).toHaveBeenCalledWith(1);
});
