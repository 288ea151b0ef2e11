// From a picture or a part of the page to its text.

import type { Source, Rect } from "../messages.ts";
import type { Settings } from "../settings.ts";
import { drawn, openHost } from "./host.ts";
import { Overlay } from "./overlay.ts";
import { Panel } from "./panel.ts";
import { inTab, pictureRect, pixelsOf, visible } from "./pictures.ts";
import { Failure, read } from "./port.ts";

/** Text laid over a picture, where it is. */
export async function readPicture(element: Element, settings: Settings): Promise<void> {
  const host = openHost(settings.theme);
  const pixels = await pixelsOf(element);
  if (pixels) {
    const overlay = new Overlay(host, () => pictureRect(element), element);
    overlay.busy();
    await tell(overlay, read({ pixels: pixels.address }, host.closed, overlay));
    return;
  }
  // Another site's, a background, a video with rights: what the tab shows of it.
  const { x, y, width, height } = element.getBoundingClientRect();
  if (visible({ x, y, width, height }).height < Math.min(height, innerHeight)) {
    element.scrollIntoView({ block: height > innerHeight ? "start" : "nearest", behavior: "instant" });
  }
  await drawn();
  const whole = element.getBoundingClientRect();
  const part = visible(whole);
  const offset = { x: part.x - whole.x, y: part.y - whole.y };
  const place = (): Rect => {
    const now = element.getBoundingClientRect();
    return { x: now.x + offset.x, y: now.y + offset.y, width: part.width, height: part.height };
  };
  const overlay = new Overlay(host, place, element);
  const source = inTab(part);
  if (!source) return overlay.fail(new Failure("unreadable", "another site's frame"));
  await tell(overlay, read(source, host.closed, overlay));
}

/** The text of a rectangle of the viewport, in a panel beside it. */
export async function readPart(rect: Rect, settings: Settings): Promise<void> {
  const host = openHost(settings.theme);
  const panel = new Panel(host, rect, settings);
  await drawn();
  const source: Source | null = inTab(visible(rect));
  if (!source) return panel.fail(new Failure("unreadable", "another site's frame"));
  await tell(panel, read(source, host.closed, panel));
}

/** Shows what comes of it. */
export async function tell(view: Overlay | Panel, reading: ReturnType<typeof read>): Promise<void> {
  try {
    view.show(await reading);
  } catch (thrown) {
    const failure = thrown instanceof Failure ? thrown : new Failure("internal", String(thrown));
    if (failure.code !== "cancelled") view.fail(failure);
  }
}
