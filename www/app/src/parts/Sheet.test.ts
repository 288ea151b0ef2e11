import { createRawSnippet } from "svelte";
import { expect, test } from "vitest";
import { page, userEvent } from "vitest/browser";
import { render } from "vitest-browser-svelte";

import Sheet from "./Sheet.svelte";

const plain = (html: string) => createRawSnippet(() => ({ render: () => html }));

/** The panel in a room of 800 px, as on a phone. */
async function shown() {
  const room = document.createElement("div");
  room.style.cssText = "height: 800px; display: flex; flex-direction: column; justify-content: flex-end";
  document.body.append(room);
  await render(Sheet, {
    target: room,
    props: { height: 0.5, head: plain("<p>Head</p>"), children: plain("<p>Text</p>") },
  });
  const grip = page.getByRole("separator");
  return { grip, share: () => Number(grip.element().getAttribute("aria-valuenow")) };
}

function drag(grip: Element, from: number, to: number) {
  const send = (kind: string, clientY: number) =>
    grip.dispatchEvent(new PointerEvent(kind, { clientY, pointerId: 1, bubbles: true }));
  // A pointer of a test can't be captured.
  (grip as HTMLElement).setPointerCapture = () => undefined;
  send("pointerdown", from);
  send("pointermove", to);
  send("pointerup", to);
}

test("a panel let go rests at the nearest stop", async () => {
  const { grip, share } = await shown();
  drag(grip.element(), 400, 150);
  await expect.poll(share).toBe(90);
  drag(grip.element(), 100, 620);
  await expect.poll(share).toBe(22);
});

test("a tap takes it to the next stop, and round", async () => {
  const { grip, share } = await shown();
  const tap = () => drag(grip.element(), 400, 402);
  for (const stop of [90, 22, 50]) {
    tap();
    await expect.poll(share).toBe(stop);
  }
});

test("keys move it, as far as it goes", async () => {
  const { grip, share } = await shown();
  (grip.element() as HTMLElement).focus();
  await userEvent.keyboard("{ArrowUp}");
  await expect.poll(share).toBe(60);
  await userEvent.keyboard("{Home}");
  await expect.poll(share).toBe(22);
  await userEvent.keyboard("{ArrowDown}{ArrowDown}{ArrowDown}");
  await expect.poll(share).toBe(14);
});
