import { createRawSnippet } from "svelte";
import { expect, test, vi } from "vitest";
import { page, userEvent } from "vitest/browser";
import { render } from "vitest-browser-svelte";

import Confirm from "./Confirm.svelte";
import Prompt from "./Prompt.svelte";

async function confirm() {
  const [close, act] = [vi.fn(), vi.fn()];
  const children = createRawSnippet(() => ({ render: () => "<span>Delete</span>" }));
  await render(Confirm, { question: "Delete everything?", children, close, act });
  return { close, act };
}

test("a question is answered once", async () => {
  const { close, act } = await confirm();
  await expect.element(page.getByRole("dialog", { name: "Delete everything?" })).toBeVisible();
  await page.getByRole("button", { name: "Delete" }).click();
  expect([close.mock.calls.length, act.mock.calls.length]).toEqual([1, 1]);
});

test("Esc and what lies behind say no", async () => {
  const { close, act } = await confirm();
  await userEvent.keyboard("{Escape}");
  await vi.waitFor(() => expect(close).toHaveBeenCalledOnce());
  expect(act).not.toHaveBeenCalled();
});

test("a press behind a dialog closes it, one in it doesn't", async () => {
  const { close } = await confirm();
  const dialog = page.getByRole("dialog").element() as HTMLElement;
  page
    .getByText("Delete everything?")
    .element()
    .dispatchEvent(new MouseEvent("click", { bubbles: true }));
  expect(close).not.toHaveBeenCalled();
  dialog.dispatchEvent(new MouseEvent("click", { bubbles: true }));
  await vi.waitFor(() => expect(close).toHaveBeenCalledOnce());
});

async function prompt(more: { value?: string; secret?: boolean } = {}) {
  const [close, act] = [vi.fn(), vi.fn()];
  await render(Prompt, { label: "Rename", field: "Name", value: "Receipt", close, act, ...more });
  return { close, act, field: page.getByLabelText("Name", { exact: true }) };
}

test("a name is changed to another, without spaces around it", async () => {
  const { act, field } = await prompt();
  // It is selected: what is typed takes its place.
  await userEvent.keyboard("  Bakery  {Enter}");
  expect(act.mock.calls).toEqual([["Bakery"]]);
  await expect.element(field).not.toBeVisible();
});

test.each(["Receipt", "   "])("%o is no other name", async (typed) => {
  const { act, close } = await prompt();
  await userEvent.keyboard(`${typed}{Enter}`);
  await vi.waitFor(() => expect(close).toHaveBeenCalledOnce());
  expect(act).not.toHaveBeenCalled();
});

test("a password is taken as it is", async () => {
  const { act, field } = await prompt({ value: "", secret: true });
  await expect.element(field).toHaveAttribute("type", "password");
  await userEvent.keyboard(" a b {Enter}");
  expect(act.mock.calls).toEqual([[" a b "]]);
});
