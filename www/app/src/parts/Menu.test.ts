import { expect, test, vi } from "vitest";
import { page, userEvent } from "vitest/browser";
import { render } from "vitest-browser-svelte";

import Menu from "./Menu.svelte";

async function shown() {
  const actions = ["Copy", "Share", "Delete"].map((label) => ({ label, run: vi.fn() }));
  await render(Menu, { label: "More", icon: "more", actions });
  return {
    actions,
    button: page.getByRole("button", { name: "More" }),
    item: (name: string) => page.getByRole("menuitem", { name }),
  };
}

test("a menu is used by keyboard alone", async () => {
  const { actions, button, item } = await shown();
  await userEvent.tab();
  await expect.element(button).toHaveFocus();
  await userEvent.keyboard("{Enter}");
  await expect.element(item("Copy")).toHaveFocus();
  await userEvent.keyboard("{ArrowDown}{ArrowDown}");
  await expect.element(item("Delete")).toHaveFocus();
  // Round and round.
  await userEvent.keyboard("{ArrowDown}");
  await expect.element(item("Copy")).toHaveFocus();
  await userEvent.keyboard("{ArrowUp}{ArrowUp}{Enter}");
  expect(actions.map(({ run }) => run.mock.calls.length)).toEqual([0, 1, 0]);
  await expect.element(button).toHaveFocus();
  await expect.element(button).toHaveAttribute("aria-expanded", "false");
});

test("Esc and a press elsewhere close it", async () => {
  const { actions, button, item } = await shown();
  await button.click();
  await userEvent.keyboard("{Escape}");
  await expect.element(item("Copy")).not.toBeInTheDocument();
  await expect.element(button).toHaveFocus();
  await button.click();
  document.body.dispatchEvent(new PointerEvent("pointerdown", { bubbles: true }));
  await expect.element(item("Copy")).not.toBeInTheDocument();
  expect(actions.every(({ run }) => run.mock.calls.length === 0)).toBe(true);
});
