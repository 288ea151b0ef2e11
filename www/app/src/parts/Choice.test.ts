import { expect, test } from "vitest";
import { page, userEvent } from "vitest/browser";
import { render } from "vitest-browser-svelte";

import Choice from "./Choice.svelte";

const OPTIONS = ["Fast", "Accurate", "Automatic"].map((label) => ({ label, value: label.toLowerCase() }));

test("one of them is chosen, by press or by arrow keys", async () => {
  await render(Choice, { legend: "Quality", options: OPTIONS, value: "accurate" });
  const chosen = () => page.getByRole("radio", { checked: true }).element().getAttribute("value");
  expect(chosen()).toBe("accurate");
  await page.getByText("Fast").click();
  expect(chosen()).toBe("fast");
  await userEvent.keyboard("{ArrowLeft}");
  await expect.poll(chosen).toBe("automatic");
  expect(page.getByRole("radio").elements()).toHaveLength(3);
});

test("two choices on a page are two", async () => {
  await render(Choice, { legend: "Quality", options: OPTIONS, value: "fast" });
  await render(Choice, { legend: "Again", options: OPTIONS, value: "fast" });
  await page.getByRole("group", { name: "Again" }).getByText("Accurate").click();
  const group = page.getByRole("group", { name: "Quality" });
  await expect.element(group.getByRole("radio", { name: "Fast" })).toBeChecked();
});

test("every option is large enough for a finger, on the narrowest phone too", async () => {
  await page.viewport(320, 640);
  await render(Choice, { legend: "Quality", options: OPTIONS, value: "fast" });
  for (const { label } of OPTIONS) {
    const { height, right } = page.getByText(label, { exact: true }).element().getBoundingClientRect();
    expect(height).toBeGreaterThanOrEqual(44);
    expect(right).toBeLessThanOrEqual(320);
  }
  await page.viewport(390, 844);
});
