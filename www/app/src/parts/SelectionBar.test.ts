import type { SelectableWord } from "@maoocr/lib";
import { expect, test } from "vitest";
import { page } from "vitest/browser";
import { render } from "vitest-browser-svelte";

import SelectionBar from "./SelectionBar.svelte";

const WORDS = ["Write", "to", "ann@example.org", "or", "call", "+44 20 7946 0958"].map((text, n) => ({
  text,
  before: n ? " " : "",
  line: 0,
  box: [],
})) as unknown as SelectableWord[];

test("what can be done depends on what is chosen", async () => {
  await render(SelectionBar, { words: WORDS, selection: { from: 0, to: 2 }, title: "Note" });
  const link = page.getByRole("link");
  await expect.element(link).toHaveAttribute("href", "mailto:ann@example.org");
  await page.getByRole("button", { name: "Select all" }).click();
  await expect.poll(() => page.getByRole("link").elements().length).toBe(2);
  expect(page.getByRole("link").elements()[1]?.getAttribute("href")).toMatch(/^tel:/);
  await expect.element(page.getByRole("button", { name: "Select all" })).not.toBeInTheDocument();
  await page.getByRole("button", { name: "Close" }).click();
  await expect.element(page.getByRole("toolbar")).not.toBeInTheDocument();
});
