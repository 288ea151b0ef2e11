import type { Document } from "@maoocr/lib";
import { expect, test, vi } from "vitest";
import { page, userEvent } from "vitest/browser";
import { render } from "vitest-browser-svelte";

import Flow from "./Flow.svelte";

type Line = Document["lines"][number];

const NOWHERE = [
  [0, 0],
  [1, 0],
  [1, 1],
  [0, 1],
] as Line["box"];

function line(...words: [string, number][]): Line {
  const text = words.map(([word]) => word).join(" ");
  return {
    text,
    confidence: 0.9,
    box: NOWHERE,
    vertical: false,
    words: words.map(([word, confidence]) => ({ text: word, confidence, box: NOWHERE })),
  } as unknown as Line;
}

const LINES = [line(["Corner", 0.99], ["Bakery", 0.85]), line(["Total", 0.99], ["28.20", 0.2])];
const DOCUMENT = { text: LINES.map((l) => l.text).join("\n"), lines: LINES, language: "en" } as unknown as Document;

async function shown(
  more: Partial<{ selected: number | null; matches: number[]; confidence: boolean; document: Document }> = {},
) {
  const [select, edit, undo, redo] = [vi.fn(), vi.fn(), vi.fn(), vi.fn()];
  const { container } = await render(Flow, {
    document: DOCUMENT,
    selected: null,
    matches: [],
    confidence: true,
    select,
    edit,
    undo,
    redo,
    ...more,
  });
  const field = page.getByRole("textbox");
  const pieces = (name: string) => [...container.querySelectorAll(`.mirror .${name}`)].map((node) => node.textContent);
  return { select, edit, undo, redo, field, pieces, container };
}

test("words are underlined as sure as they are", async () => {
  const { pieces, container } = await shown();
  expect([pieces("fair"), pieces("poor")]).toEqual([["Bakery"], ["28.20"]]);
  const style = (name: string) => getComputedStyle(container.querySelector(`.mirror .${name}`) as Element);
  expect(style("poor").textDecorationStyle).toBe("wavy");
  expect(style("fair").textDecorationStyle).toBe("dotted");
});

test("the underlined words lie on those of the field", async () => {
  const { container, field } = await shown({
    document: { ...DOCUMENT, text: `${"A longer line that breaks on a phone. ".repeat(12)}\n${DOCUMENT.text}` },
  });
  const mirror = container.querySelector(".mirror") as HTMLElement;
  const area = field.element() as HTMLTextAreaElement;
  expect(area.scrollHeight).toBeLessThanOrEqual(mirror.offsetHeight + 1);
  expect(area.clientWidth).toBe(mirror.clientWidth);
});

test("what is typed is saved after a pause, and undone as one", async () => {
  const { edit, undo, redo, field } = await shown();
  await field.click();
  await userEvent.keyboard("{Control>}{End}{/Control}!");
  await vi.waitFor(() => expect(edit).toHaveBeenLastCalledWith(`${DOCUMENT.text}!`));
  await userEvent.keyboard("{Control>}z{/Control}");
  expect(undo).toHaveBeenCalledOnce();
  await userEvent.keyboard("{Control>}{Shift>}z{/Shift}{/Control}");
  expect(redo).toHaveBeenCalledOnce();
});

test("the caret chooses its line", async () => {
  const { select, field } = await shown();
  await field.click();
  await userEvent.keyboard("{Control>}{Home}{/Control}");
  expect(select).toHaveBeenLastCalledWith(0);
  await userEvent.keyboard("{Control>}{End}{/Control}");
  expect(select).toHaveBeenLastCalledWith(1);
});

test("lines that are chosen or found are marked", async () => {
  const { pieces } = await shown({ selected: 0, matches: [1] });
  expect(pieces("selected").join("")).toBe("Corner Bakery");
  expect(pieces("match").join("")).toBe("Total 28.20");
});
