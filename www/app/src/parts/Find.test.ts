import { expect, test, vi } from "vitest";
import { page, userEvent } from "vitest/browser";
import { render } from "vitest-browser-svelte";

import Find from "./Find.svelte";

test("Enter goes from match to match, and back with Shift", async () => {
  const [select, close] = [vi.fn(), vi.fn()];
  await render(Find, { query: "", matches: [2, 5, 9], elsewhere: [], select, close });
  await userEvent.keyboard("total");
  await expect.element(page.getByRole("status")).toHaveTextContent("1 of 3");
  select.mockClear();
  await userEvent.keyboard("{Enter}{Enter}{Enter}{Shift>}{Enter}{/Shift}");
  expect(select.mock.calls.flat()).toEqual([5, 9, 2, 9]);
  await userEvent.keyboard("{Escape}");
  expect(close).toHaveBeenCalledOnce();
});

test("other pages that have it are told with their numbers", async () => {
  const elsewhere = [
    { id: "a", number: 2, count: 1 },
    { id: "b", number: 7, count: 4 },
  ];
  await render(Find, { query: "tax", matches: [], elsewhere, select: vi.fn(), close: vi.fn() });
  await expect.element(page.getByRole("status")).toBeVisible();
  await expect.element(page.getByRole("button", { name: "Next" })).toBeDisabled();
  const links = page.getByRole("link").elements() as HTMLAnchorElement[];
  expect(links.map((link) => [link.textContent, link.hash])).toEqual([
    ["2", "#/read/a"],
    ["7", "#/read/b"],
  ]);
  expect(document.documentElement.scrollWidth).toBeLessThanOrEqual(innerWidth);
});
