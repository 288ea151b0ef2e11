import { beforeEach, expect, test, vi } from "vitest";
import { page, userEvent } from "vitest/browser";
import { render } from "vitest-browser-svelte";

import { notices, notify } from "../state/notices.svelte.ts";
import Notices from "./Notices.svelte";

beforeEach(() => {
  notices.length = 0;
});

test("the same message twice is one message", async () => {
  await render(Notices);
  notify("Copied");
  notify("Saved");
  notify("Copied");
  await expect
    .poll(
      () =>
        page
          .getByRole("status")
          .element()
          .textContent?.match(/Copied/g)?.length,
    )
    .toBe(1);
  await expect.element(page.getByText("Saved")).toBeVisible();
});

test("a message goes by itself, but not from under the pointer", async () => {
  await render(Notices);
  notify("Copied", null, 700);
  await userEvent.hover(page.getByText("Copied"));
  await new Promise((resolve) => setTimeout(resolve, 1500));
  await expect.element(page.getByText("Copied")).toBeVisible();
  await userEvent.unhover(page.getByText("Copied"));
  await expect.element(page.getByText("Copied")).not.toBeInTheDocument();
});

test("an action is done and the message is gone", async () => {
  await render(Notices);
  const run = vi.fn();
  notify("Deleted", { label: "Undo", run });
  await page.getByRole("button", { name: "Undo" }).click();
  expect(run).toHaveBeenCalledOnce();
  await expect.element(page.getByText("Deleted")).not.toBeInTheDocument();
});
